package ingest

import "github.com/prometheus/client_golang/prometheus"

// Registerer is where metrics are registered.
type Registerer = prometheus.Registerer

type metrics struct {
	segments    *prometheus.CounterVec
	lag         prometheus.Gauge
	quarantined prometheus.Gauge
}

func newMetrics(r Registerer) *metrics {
	m := &metrics{
		segments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_ingest_segments_total", Help: "Segments taken, by what became of them.",
		}, []string{"result"}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_ingest_lag_seconds", Help: "From the sealing of the last committed segment to its commit.",
		}),
		quarantined: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_quarantined_segments", Help: "Segments that were put aside since this process started: someone has to look.",
		}),
	}
	for _, result := range []string{"committed", "duplicate", "gap", "fork", "blocked", "invalid"} {
		m.segments.WithLabelValues(result)
	}
	r.MustRegister(m.segments, m.lag, m.quarantined)
	return m
}
