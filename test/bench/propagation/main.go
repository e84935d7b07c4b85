// Command propagation measures how long a change takes from the admin API to the last node: a Postgres, a NATS, two control planes and eight nodes as
// processes of this machine, with changes at a steady rate; then a revocation issued while 100,000 licences move to another plan version. Nodes say by
// themselves, at once, which epoch they enforce. Where an aim is missed it fails. Figures are of the machine as it is: what else runs there is in them.
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
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

type options struct {
	bin, out    string
	nodes       int
	planes      int
	changes     int
	rate        int
	licenses    int
	revocations int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "../bin/tollgate", "the tollgate binary")
	flag.StringVar(&o.out, "out", "bench/out/propagation.json", "where the figures go as JSON")
	flag.IntVar(&o.nodes, "nodes", 8, "node processes")
	flag.IntVar(&o.planes, "controlplanes", 2, "control plane processes")
	flag.IntVar(&o.changes, "changes", 1000, "changes that are measured")
	flag.IntVar(&o.rate, "rate", 100, "changes a second")
	flag.IntVar(&o.licenses, "licenses", 100_000, "licences that move while one is revoked; 0: leave that out")
	flag.IntVar(&o.revocations, "revocations", 10, "revocations during the move")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The aims: the 99th percentile of changes, and the slowest revocation.
const (
	aimChange     = 50 * time.Millisecond
	aimRevocation = 250 * time.Millisecond
)

// Row is one thing that was measured.
type Row struct {
	What      string  `json:"what"`
	P50Millis float64 `json:"p50_ms"`
	P99Millis float64 `json:"p99_ms"`
	MaxMillis float64 `json:"max_ms"`
	Samples   int     `json:"samples"`
	// AimMillis is what Of, p99 or max, may be; 0: anything.
	AimMillis float64 `json:"aim_ms"`
	Of        string  `json:"of"`
}

func (r *Row) missed() bool {
	is := r.P99Millis
	if r.Of == "max" {
		is = r.MaxMillis
	}
	return r.AimMillis > 0 && !(is <= r.AimMillis) // Not a number misses it, too.
}

func rowOf(what string, times []time.Duration, of string, aim time.Duration) Row {
	return Row{
		What: what, P50Millis: millis(quantile(times, 0.5)), P99Millis: millis(quantile(times, 0.99)), MaxMillis: millis(quantile(times, 1)),
		Samples: len(times), AimMillis: millis(aim), Of: of,
	}
}

func quantile(v []time.Duration, q float64) time.Duration {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	s, err := start(ctx, o, dir)
	defer func() { err = errors.Join(err, s.stop()) }()
	if err != nil {
		return err
	}
	rows, err := steady(ctx, o, s)
	if err != nil {
		return err
	}
	if o.licenses > 0 {
		row, err := behind(ctx, o, s)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return tell(o, rows)
}

func tell(o options, rows []Row) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "what\tp50 ms\tp99 ms\tmax ms\tsamples\taim\t")
	missed := 0
	for _, r := range rows {
		aim, mark := "-", ""
		if r.AimMillis > 0 {
			aim = fmt.Sprintf("%s ≤ %.0f", r.Of, r.AimMillis)
		}
		if r.missed() {
			missed++
			mark = "missed"
		}
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%d\t%s\t%s\n", r.What, r.P50Millis, r.P99Millis, r.MaxMillis, r.Samples, aim, mark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	load, _ := os.ReadFile("/proc/loadavg") // Only some systems have it.
	fmt.Printf("%d nodes, %d control planes, %d changes/s; load averages at the end: %s\n", o.nodes, o.planes, o.rate, strings.TrimSpace(string(load)))
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339), "nodes": o.nodes, "controlplanes": o.planes, "rate": o.rate,
		"load": strings.TrimSpace(string(load)), "rows": rows,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, append(b, '\n'), 0o644); err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d aims are missed", missed)
	}
	return nil
}
