package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// A call takes as many events, and a line is one event.
const (
	eventsOfCall = 1000
	longestEvent = 1 << 20
)

func ingestCommand() *cobra.Command {
	return verb{
		use: "ingest -f FILE", short: "Count usage that was measured elsewhere: CloudEvents in JSON, one a line",
		example: "  tollgate usage ingest -f events.jsonl # again, if it broke off: an event counts once\n  tollgate usage ingest -f - -o json",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringP("file", "f", "", "the file; - is stdin")
			_ = cmd.MarkFlagRequired("file") // Fails only where the flag is not declared.
		},
	}.command(func(cmd *cobra.Command, _ []string) error {
		path, _ := cmd.Flags().GetString("file") // Declared above.
		in := cmd.InOrStdin()
		if path != "-" {
			f, err := os.Open(path)
			if err != nil {
				return fmt.Errorf("read the events: %w", err)
			}
			defer f.Close()
			in = f
		}
		c, err := dial(cmd)
		if err != nil {
			return err
		}
		all := &adminv1.IngestEventsResponse{}
		if err := eachBatch(in, func(events []*adminv1.UsageEvent, lines []int) error {
			res, err := c.usage().IngestEvents(cmd.Context(), &adminv1.IngestEventsRequest{Events: events})
			if err != nil {
				return fmt.Errorf("the events from line %d on were not taken: %w", lines[0], err)
			}
			gather(all, res, lines)
			return nil
		}); err != nil {
			return err
		}
		if err := show(cmd, listed(cmd, all), view{
			field: "results", columns: []column{{"SOURCE", "source"}, {"ID", "id"}, {"OUTCOME", "outcome"}, {"CODE", "code"}, {"FIELD", "field"}, {"MESSAGE", "message"}},
			heading: []column{{"ACCEPTED", "accepted"}, {"DUPLICATES", "duplicates"}, {"REJECTED", "rejected"}},
		}); err != nil {
			return err
		}
		if n := all.GetRejected(); n > 0 {
			return fmt.Errorf("%d events were rejected", n)
		}
		return nil
	})
}

// eachBatch reads events, and hands them on with the numbers of their lines.
func eachBatch(in io.Reader, send func(events []*adminv1.UsageEvent, lines []int) error) error {
	// Events have more than is counted: other attributes pass.
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, longestEvent)
	var events []*adminv1.UsageEvent
	var lines []int
	size := 0
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		err := send(events, lines)
		events, lines, size = nil, nil, 0
		return err
	}
	found := false
	for n := 1; scanner.Scan(); n++ {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		e := &adminv1.UsageEvent{}
		if err := lenient.Unmarshal(line, e); err != nil {
			return fmt.Errorf("line %d is no event: %s", n, strings.ReplaceAll(err.Error(), "\u00a0", " "))
		}
		// Well under what a call may weigh.
		if size += len(line); size > 2*longestEvent || len(events) == eventsOfCall {
			if err := flush(); err != nil {
				return err
			}
			size = len(line)
		}
		events, lines, found = append(events, e), append(lines, n), true
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	if !found {
		return errors.New("there is no event in the file")
	}
	return flush()
}

// gather adds a batch's answer to those before. Its fields come to name lines of the file.
func gather(all, res *adminv1.IngestEventsResponse, lines []int) {
	for i, r := range res.GetResults() {
		if rest, ok := strings.CutPrefix(r.GetField(), "events["+strconv.Itoa(i)+"]"); ok && i < len(lines) {
			r.Field = "line " + strconv.Itoa(lines[i]) + rest
		}
	}
	all.Results = append(all.Results, res.GetResults()...)
	all.Accepted += res.GetAccepted()
	all.Duplicates += res.GetDuplicates()
	all.Rejected += res.GetRejected()
	all.Epoch = res.GetEpoch()
}

// listed leaves what is well out of a table, in which it would hide what is not.
func listed(cmd *cobra.Command, all *adminv1.IngestEventsResponse) *adminv1.IngestEventsResponse {
	if format(cmd.Flags().Lookup(outputFlag).Value.String()) != asTable {
		return all
	}
	out := &adminv1.IngestEventsResponse{Accepted: all.GetAccepted(), Duplicates: all.GetDuplicates(), Rejected: all.GetRejected(), Epoch: all.GetEpoch()}
	for _, r := range all.GetResults() {
		if r.GetOutcome() == adminv1.IngestOutcome_INGEST_OUTCOME_REJECTED {
			out.Results = append(out.Results, r)
		}
	}
	return out
}

func correctionColumns() []column {
	return []column{{"ID", "id"}, {"LICENSE", "license"}, {"METER", "meter"}, {"UNITS", "units"}, {"TIME", "time"}, {"REASON", "reason"}, {"ACTOR", "actor"}}
}

func correctCommand() *cobra.Command {
	return calling(verb{
		use: "correct LICENSE METER", short: "Move what was counted in a minute, by a row of its own",
		example: "  tollgate usage correct lic_01K0… tokens --units -5 --time 2026-11-24T12:00:00Z --reason 'counted twice'",
		args:    cobra.ExactArgs(2), view: view{field: "correction", columns: append(correctionColumns(), column{"TOTAL", ".total"})},
		flags: func(cmd *cobra.Command) {
			cmd.Flags().Int64("units", 0, "by how many; below 0 they are taken back")
			cmd.Flags().Var(&instant{}, "time", "the minute to which they belong")
			cmd.Flags().String("reason", "", "why, for whoever reads it later")
			for _, name := range []string{"units", "time", "reason"} {
				_ = cmd.MarkFlagRequired(name) // Fails only where the flag is not declared.
			}
		},
	}, (*client).usage, usageClient.CorrectUsage, func(cmd *cobra.Command, args []string, req *adminv1.CorrectUsageRequest) error {
		req.License, req.Meter, req.Time = args[0], args[1], instantOf(cmd, "time")
		req.Units, _ = cmd.Flags().GetInt64("units")
		req.Reason, _ = cmd.Flags().GetString("reason")
		return nil
	})
}

func correctionsCommand() *cobra.Command {
	return listing(verb{
		use: "corrections", short: "List corrections of what was counted", example: "  tollgate usage corrections --filter 'license = \"lic_01K0…\"'",
		filters: "license, meter", view: view{field: "corrections", columns: correctionColumns()},
	}, (*client).usage, usageClient.ListUsageCorrections)
}
