package ruleset

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// capabilities are the needs that this reader meets. A writer names one in an envelope, a snapshot or a record that means something else to a
// reader without it.
var capabilities = map[string]bool{
	"route.on_stale": true,
}

// errNeeds: a newer version is needed to read it.
var errNeeds = errors.New("a newer version of the node is needed")

func (f *Follower) unmet(needs []string) error {
	for _, n := range needs {
		if !f.capabilities[n] {
			return fmt.Errorf("%w: it needs %q", errNeeds, n)
		}
	}
	return nil
}

// reasonOf is what a record that cannot be taken is counted as.
func reasonOf(err error) string {
	if errors.Is(err, errNeeds) {
		return refusedNeeds
	}
	return refusedMalformed
}

// set puts one record into e. One that is optional, and that only a newer version can read, is passed over.
func (f *Follower) set(e *decision.Editor, r *rulesv1.Record) error {
	return f.met(r, func() error { return f.zones.set(e, r) })
}

// met sets a record whose needs are met. It may be called by many goroutines.
func (f *Follower) met(r *rulesv1.Record, set func() error) error {
	err := f.unmet(r.GetNeeds())
	if err == nil {
		err = set()
	}
	if errors.Is(err, errNeeds) && r.GetOptional() {
		return nil
	}
	if c := r.GetCustomer(); err == nil && c != nil {
		if _, unknown := f.zones.load(c.GetTimeZone()); unknown != nil {
			f.metrics.unknownZones.Inc()
			if f.loud("zone") {
				f.log.Error("a customer's time zone is not known here: its requests are denied", "customer", c.GetId(), "error", unknown)
			}
		}
	}
	return err
}

// unknownKind is why a record cannot be read that holds no value of a kind known here.
func unknownKind(r *rulesv1.Record) error {
	if kind, _, n := protowire.ConsumeTag(r.ProtoReflect().GetUnknown()); n > 0 {
		return fmt.Errorf("%w: a record of kind %d", errNeeds, kind)
	}
	return errors.New("a record of no kind")
}
