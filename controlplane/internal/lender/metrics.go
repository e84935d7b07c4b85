package lender

import "github.com/prometheus/client_golang/prometheus"

// Registerer is where metrics are registered.
type Registerer = prometheus.Registerer

type metrics struct {
	requests *prometheus.CounterVec
	recalls  prometheus.Counter
}

func newMetrics(r Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tollgate_lend_requests_total", Help: "Asks of nodes for loans, by how they were answered.",
		}, []string{"result"}),
		recalls: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_lend_recalls_total", Help: "Recalls of idle quota units.",
		}),
	}
	r.MustRegister(m.requests, m.recalls)
	return m
}
