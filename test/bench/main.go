// Command bench measures the proxy beside its peers: wrk against the sample upstream directly, through nginx, through a
// tuned httputil.ReverseProxy, and through Tollgate, in turn and several rounds, so that what the machine does to one it does to all.
// It prints ratios; absolute figures only say what they were taken from.
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
	"text/tabwriter"
	"time"
)

type options struct {
	bin, out    string
	rounds      int
	seconds     int
	connections int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "../bin/tollgate", "the tollgate binary")
	flag.StringVar(&o.out, "out", "bench/out/proxy.json", "where the figures go as JSON")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; each runs every target once")
	flag.IntVar(&o.seconds, "seconds", 5, "seconds a run")
	flag.IntVar(&o.connections, "connections", 64, "connections")
	serve := flag.String("reverse-proxy", "", "serve a tuned ReverseProxy to this URL, print its address, and do nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *serve != "" {
		err = serveReverseProxy(ctx, *serve)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Row is one target over all rounds.
type Row struct {
	Target string `json:"target"`
	// Medians over the rounds.
	RequestsPerSecond float64 `json:"requests_per_second"`
	P50Micros         float64 `json:"p50_us"`
	P99Micros         float64 `json:"p99_us"`
	// Medians of the rounds' ratios to the direct run of the same round.
	ToDirect float64 `json:"rps_to_direct"`
	// And to the plain ReverseProxy.
	ToReverseProxy float64 `json:"rps_to_reverseproxy"`
	Errors         int     `json:"errors"`
}

func run(ctx context.Context, o options) (err error) {
	targets, stop, err := start(ctx, o)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	runs := map[string][]wrkResult{}
	for round := range o.rounds {
		for _, t := range targets {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, t.name)
			r, err := wrk(ctx, t, o)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			runs[t.name] = append(runs[t.name], r)
		}
	}
	rows := make([]Row, 0, len(targets))
	for _, t := range targets {
		rows = append(rows, summarize(t.name, runs))
	}
	return report(o, rows)
}

func summarize(name string, runs map[string][]wrkResult) Row {
	row := Row{Target: name}
	var rps, p50, p99, direct, plain []float64
	for i, r := range runs[name] {
		rps, p50, p99 = append(rps, r.rps), append(p50, r.p50), append(p99, r.p99)
		direct = append(direct, r.rps/runs["direct"][i].rps)
		plain = append(plain, r.rps/runs["reverseproxy"][i].rps)
		row.Errors += r.errors
	}
	row.RequestsPerSecond, row.P50Micros, row.P99Micros = median(rps), median(p50), median(p99)
	row.ToDirect, row.ToReverseProxy = median(direct), median(plain)
	return row
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func report(o options, rows []Row) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "target\trps / direct\trps / ReverseProxy\trps\tp50 µs\tp99 µs\terrors\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%d\t\n", r.Target, r.ToDirect, r.ToReverseProxy, r.RequestsPerSecond, r.P50Micros, r.P99Micros, r.Errors)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339), "rounds": o.rounds, "seconds": o.seconds,
		"connections": o.connections, "rows": rows,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(b, '\n'), 0o644)
}
