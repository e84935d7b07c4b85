package ruleset

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
)

type metrics struct {
	epoch       prometheus.Gauge
	rejected    *prometheus.CounterVec
	propagation prometheus.Histogram
	kept        prometheus.Gauge
	// unknownZones counts records of customers that are denied for theirs.
	unknownZones prometheus.Counter
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
		unknownZones: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_rules_unknown_zones_total", Help: "Customers that came with a time zone that is not known here, and are denied.",
		}),
		propagation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tollgate_rules_propagation_seconds", Help: "From the commit of a change set to its enforcement here.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}),
	}
	for _, reason := range []string{
		refusedSignature, refusedMalformed, refusedNeeds, refusedFleet, refusedRollback, refusedFork, refusedGap, refusedHash, refusedGuard,
	} {
		m.rejected.WithLabelValues(reason)
	}
	collectors := []prometheus.Collector{
		m.epoch, m.rejected, m.propagation, m.kept, m.unknownZones,
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
			return time.Duration(f.clock.Tick().UnixNano() - f.fresh.started).Seconds()
		}),
	}
	collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tollgate_rules_frozen", Help: "1 where one epoch came with two contents: the rules stay as they are until a higher generation.",
	}, func() float64 {
		if f.Frozen() {
			return 1
		}
		return 0
	}))
	for _, age := range []decision.Age{decision.AgeFresh, decision.AgeStale, decision.AgeGrace, decision.AgeBlock} {
		state := age.String()
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
