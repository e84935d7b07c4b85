// Command api measures the admin API on few licences beside the same API on many: two systems with a Postgres and a control plane
// each, no nodes and no traffic, called in turn. What the machine does to one it does to the other, so it prints ratios; absolute
// figures only say what they were taken from. Where an aim is missed it fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

type options struct {
	bin, out  string
	few, many int
	calls     int
	publishes int
	batches   int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "../bin/tollgate", "the tollgate binary")
	flag.StringVar(&o.out, "out", "bench/out/api.json", "where the figures go as JSON")
	flag.IntVar(&o.few, "few", 10_000, "licences of the one system")
	flag.IntVar(&o.many, "many", 1_000_000, "licences of the other")
	flag.IntVar(&o.calls, "calls", 300, "calls of each kind and system")
	flag.IntVar(&o.publishes, "publishes", 40, "versions published for new licences only")
	flag.IntVar(&o.batches, "batches", 25, "batches of a migration that are measured at its start, and near its end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Row is one thing that was measured on both sides.
type Row struct {
	What string `json:"what"`
	// Medians of the one side and the other, and the 99th percentile of the other.
	FewMillis  float64 `json:"few_ms"`
	ManyMillis float64 `json:"many_ms"`
	P99Millis  float64 `json:"many_p99_ms"`
	Samples    int     `json:"samples"`
	// Ratio is many to few, unless What says otherwise. Aim is what it may be; 0: anything.
	Ratio float64 `json:"ratio"`
	Aim   float64 `json:"aim"`
}

// The aims. Reads and publishing must not notice how many licences there are; who writes while licences move waits for the batch
// that has begun, and for one that asked before.
const (
	aimSame    = 1.5
	aimBetween = 3
)

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var both []*system
	for i, n := range []int{o.few, o.many} {
		s, err := start(ctx, o.bin, filepath.Join(dir, strconv.Itoa(i)), n)
		defer func() { err = errors.Join(err, s.stop()) }()
		if err != nil {
			return err
		}
		began := time.Now()
		if err := s.fill(ctx); err != nil {
			return err
		}
		progress("%d licences are in after %s", n, time.Since(began).Round(time.Second))
		both = append(both, s)
	}
	few, many := both[0], both[1]

	progress("read")
	rows, err := reads(ctx, o, few, many)
	if err != nil {
		return err
	}
	progress("publish")
	published, err := publishing(ctx, o, few, many)
	if err != nil {
		return err
	}
	moved, facts, err := moving(ctx, o, few, many)
	if err != nil {
		return err
	}
	return report(o, slices.Concat(rows, published, moved), facts)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// compare makes a row of two sides' times.
func compare(what string, few, many []time.Duration, aim float64) Row {
	r := Row{
		What: what, FewMillis: millis(quantile(few, 0.5)), ManyMillis: millis(quantile(many, 0.5)),
		P99Millis: millis(quantile(many, 0.99)), Samples: min(len(few), len(many)), Aim: aim,
	}
	r.Ratio = r.ManyMillis / r.FewMillis
	return r
}

func quantile(v []time.Duration, q float64) time.Duration {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func report(o options, rows []Row, facts map[string]any) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "what\tratio\taim\t%d: ms\t%d: ms\tp99 ms\tsamples\t\n", o.few, o.many)
	missed := 0
	for _, r := range rows {
		if r.What == control && (r.Ratio > 1.2 || r.Ratio < 0.8) {
			defer progress("the control is at %.2f: the machine is busy, and favours one of the systems; ratios are off by as much", r.Ratio)
		}
		aim, mark := "-", ""
		if r.Aim > 0 {
			aim = fmt.Sprintf("≤ %.1f", r.Aim)
			if !(r.Ratio <= r.Aim) { // Not a number misses it, too.
				missed++
				mark = "missed"
			}
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%.2f\t%.2f\t%.2f\t%d\t%s\n", r.What, r.Ratio, aim, r.FewMillis, r.ManyMillis, r.P99Millis, r.Samples, mark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		fmt.Printf("%s: %v\n", k, facts[k])
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339), "few": o.few, "many": o.many, "rows": rows, "facts": facts,
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
