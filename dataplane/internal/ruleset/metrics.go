package ruleset

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	epoch       prometheus.Gauge
	rejected    *prometheus.CounterVec
	propagation prometheus.Histogram
	kept        prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, f *Follower) (*metrics, error) {
	m := &metrics{
		epoch: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_rules_epoch", Help: "Number of the epoch that is enforced.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_rules_rejected_total", Help: "Rules that were refused, by reason.",
		}, []string{"reason"}),
		kept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_rules_kept", Help: "1 where all rules that are enforced are on disk, too.",
		}),
		propagation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tollgate_rules_propagation_seconds", Help: "From the commit of a change set to its enforcement here.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	for _, reason := range []string{
		refusedSignature, refusedMalformed, refusedNeeds, refusedFleet, refusedRollback, refusedFork, refusedGap, refusedHash,
	} {
		m.rejected.WithLabelValues(reason)
	}
	collectors := []prometheus.Collector{
		m.epoch, m.rejected, m.propagation, m.kept,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tollgate_key_set_version", Help: "Version of the key set in force; 0: there is none.",
		}, func() float64 { return float64(f.KeySet()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tollgate_rules_age_seconds",
			Help: "Time since it was last known that the rules are current; since the start, where it never was.",
		}, func() float64 {
			if age, ok := f.Age(); ok {
				return age.Seconds()
			}
			return time.Since(f.fresh.started).Seconds()
		}),
	}
	for _, state := range []string{stateFresh, stateStale, stateGrace, stateBlock} {
		collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tollgate_rules_state", Help: "1 for the state of the rules by their age, 0 for the others.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 {
			if f.State() == state {
				return 1
			}
			return 0
		}))
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the rules: %w", err)
		}
	}
	return m, nil
}
