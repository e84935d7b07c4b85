// Command scale measures what a node is at 10 k, 100 k and 1 M licences with two keys each: a real node process that takes a signed
// snapshot from a real NATS server, and then starts again from its disk with everything else down; and, in a process of its own that holds
// the same records by the same code, what the collector, a change and a decision take. Where an aim is missed it fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

type options struct {
	bin, out string
	sizes    []int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "../bin/tollgate-proxy", "the node's binary")
	flag.StringVar(&o.out, "out", "bench/out/scale.json", "where the figures go as JSON")
	sizes := flag.String("sizes", "10000,100000,1000000", "numbers of licences, comma-separated, rising")
	hold := flag.Int("hold", 0, "hold so many licences, print what that takes as JSON, and do nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := func() (err error) {
		if *hold > 0 {
			return printHeld(*hold)
		}
		for s := range strings.SplitSeq(*sizes, ",") {
			n, err := strconv.Atoi(s)
			if err != nil || n <= 0 {
				return fmt.Errorf("%q is no number of licences", s)
			}
			o.sizes = append(o.sizes, n)
		}
		return run(ctx, o)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Row is what was measured at one size.
type Row struct {
	Licenses    int `json:"licenses"`
	Credentials int `json:"credentials"`
	Process
	Held
}

// Process is what was measured of a node process.
type Process struct {
	// RSSMiB is what it holds when it enforces and has come to rest, PeakMiB the most that it held on the way.
	RSSMiB  float64 `json:"rss_mib"`
	PeakMiB float64 `json:"peak_mib"`
	// From the start of the process until it is ready: it enforces the rules, and they are fresh.
	FromNATSMillis float64 `json:"start_from_nats_ms"`
	FromDiskMillis float64 `json:"start_from_disk_ms"`
	DiskRSSMiB     float64 `json:"rss_after_disk_mib"`
	SnapshotMiB    float64 `json:"snapshot_mib"`
	// ChangeMillis is from the publishing of a change set of one licence until the process enforces it, median.
	ChangeMillis float64 `json:"node_change_ms"`
}

// The aims, at the largest size.
const (
	aimRSS   = 600  // MiB
	aimGC    = 5    // ms
	aimStart = 5000 // ms
	// aimLinear is how much more a licence may cost to start with at a size than at the one before it, and aimChange how much longer a change
	// may take: caches that no longer hold everything are paid for.
	aimLinear = 1.5
	aimChange = 5
)

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var rows []Row
	for _, n := range o.sizes {
		row := Row{Licenses: n, Credentials: keysEach * n}
		began := time.Now()
		if row.Process, err = process(ctx, o.bin, filepath.Join(dir, strconv.Itoa(n)), n); err != nil {
			return fmt.Errorf("a node of %d licences: %w", n, err)
		}
		if row.Held, err = held(ctx, n); err != nil {
			return fmt.Errorf("a state of %d licences: %w", n, err)
		}
		progress("%d licences took %s", n, time.Since(began).Round(time.Second))
		rows = append(rows, row)
	}
	return report(o, rows)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// missed are the aims that were not met.
func missed(rows []Row) (all []string) {
	miss := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	last := rows[len(rows)-1]
	atMost := func(what, unit string, got, aim float64) {
		if !(got <= aim) { // Not a number misses it, too.
			miss("%s is %.1f %s at %d licences, and should be at most %.0f", what, got, unit, last.Licenses, aim)
		}
	}
	atMost("RSS", "MiB", max(last.RSSMiB, last.DiskRSSMiB), aimRSS)
	atMost("a full collection", "ms", last.GCMillis, aimGC)
	atMost("the start from a snapshot in NATS", "ms", last.FromNATSMillis, aimStart)
	atMost("the start from disk", "ms", last.FromDiskMillis, aimStart)
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1], rows[i]
		more := float64(b.Licenses) / float64(a.Licenses)
		for what, took := range map[string][2]float64{
			"the start from a snapshot in NATS": {a.FromNATSMillis, b.FromNATSMillis}, "the start from disk": {a.FromDiskMillis, b.FromDiskMillis},
		} {
			if !(took[1] <= aimLinear*more*took[0]) {
				miss("%s takes %.1f times as long for %.0f times as many licences", what, took[1]/took[0], more)
			}
		}
		if !(b.ChangeMicros <= aimChange*a.ChangeMicros) {
			miss("a change takes %.1f times as long at %d licences as at %d", b.ChangeMicros/a.ChangeMicros, b.Licenses, a.Licenses)
		}
	}
	return all
}

func report(o options, rows []Row) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "licences\tRSS MiB\tpeak\tRSS from disk\tstart NATS ms\tstart disk ms\tnode change ms\tsnapshot MiB\tfull GC ms\tpause µs\tchange µs\tdecide hot ns\tcold ns\tstate MiB\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n",
			r.Licenses, r.RSSMiB, r.PeakMiB, r.DiskRSSMiB, r.FromNATSMillis, r.FromDiskMillis, r.Process.ChangeMillis, r.SnapshotMiB,
			r.GCMillis, r.PauseMicros, r.ChangeMicros, r.HotNanos, r.ColdNanos, r.StateMiB)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	all := missed(rows)
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{"time": time.Now().UTC().Format(time.RFC3339), "rows": rows, "missed": all}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, append(b, '\n'), 0o644); err != nil {
		return err
	}
	for _, m := range all {
		fmt.Println("missed:", m)
	}
	if len(all) > 0 {
		return fmt.Errorf("%d aims are missed", len(all))
	}
	return nil
}
