package publisher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
)

// Registerer is where metrics are registered.
type Registerer = prometheus.Registerer

type metrics struct {
	leader    prometheus.Gauge
	stopped   prometheus.Gauge
	epoch     prometheus.Gauge
	delay     prometheus.Histogram
	snapshots prometheus.Counter
	resynced  prometheus.Counter
}

func newMetrics(r Registerer) *metrics {
	m := &metrics{
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_publisher_leader", Help: "1 while this control plane publishes the rules.",
		}),
		stopped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_publisher_stopped", Help: "1 while this control plane leads and publishes nothing, as NATS or nodes are ahead of the database.",
		}),
		epoch: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_publisher_epoch", Help: "Number of the last epoch that this control plane published.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tollgate_publisher_delay_seconds", Help: "From a change set's making to its being on the stream.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}),
		snapshots: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_publisher_snapshots_total", Help: "Snapshots stored.",
		}),
		resynced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_publisher_resynced_total", Help: "Changes published because nodes had been told something else.",
		}),
	}
	r.MustRegister(m.leader, m.stopped, m.epoch, m.delay, m.snapshots, m.resynced)
	return m
}

func (m *metrics) published(at decision.Epoch, delay time.Duration) {
	m.epoch.Set(float64(at.Number))
	m.delay.Observe(delay.Seconds())
}
