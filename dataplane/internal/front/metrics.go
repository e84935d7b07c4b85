package front

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	decisions          *prometheus.CounterVec
	duration, overhead *prometheus.HistogramVec
}

// newMetrics has no label that grows with customers.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_decisions_total",
			Help: "Requests decided, by outcome and final reason code.",
		}, []string{"outcome", "code", "route"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tollgate_request_duration_seconds",
			Help:    "Forwarded requests: from reading the request to the response's last byte.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"route"}),
		overhead: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tollgate_overhead_seconds",
			Help:    "Time of a request spent in the node itself before the response began.",
			Buckets: prometheus.ExponentialBuckets(0.00002, 2.5, 12),
		}, []string{"route"}),
	}
	for _, c := range []prometheus.Collector{m.decisions, m.duration, m.overhead} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the front's metrics: %w", err)
		}
	}
	return m, nil
}
