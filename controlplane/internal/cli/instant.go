package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// instant is a flag that takes RFC 3339, a day, or a span back from now like -24h.
type instant struct {
	text string
	time time.Time
}

func (i *instant) String() string { return i.text }

func (i *instant) Type() string { return "time" }

func (i *instant) Set(s string) error {
	i.text = s
	if span, err := time.ParseDuration(s); err == nil && (strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+")) {
		i.time = time.Now().Add(span)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			i.time = t
			return nil
		}
	}
	return errors.New("use a time like 2027-01-31T15:04:05Z, a day like 2027-01-31 (UTC), or a span from now like -24h or +30m")
}

// instantOf is nil where the flag is not given.
func instantOf(cmd *cobra.Command, flag string) *timestamppb.Timestamp {
	i, ok := cmd.Flags().Lookup(flag).Value.(*instant)
	if !ok || i.time.IsZero() {
		return nil
	}
	return timestamppb.New(i.time)
}
