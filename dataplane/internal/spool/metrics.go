package spool

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are what the metrics say beside the sizes.
type counts struct {
	tornBytes       atomic.Int64
	forks           atomic.Int64
	refusedReceipts atomic.Int64
}

var (
	bytesDesc    = prometheus.NewDesc("tollgate_spool_bytes", "Size of all files of the spool.", nil, nil)
	pendingDesc  = prometheus.NewDesc("tollgate_spool_pending_segments", "Sealed segments without a receipt.", nil, nil)
	heldDesc     = prometheus.NewDesc("tollgate_spool_held_boots", "Boots of which nothing is sent: a fork, or files that do not fit together.", nil, nil)
	forksDesc    = prometheus.NewDesc("tollgate_spool_forks_total", "Receipts that name a segment which is not this node's.", nil, nil)
	refusedDesc  = prometheus.NewDesc("tollgate_spool_refused_receipts_total", "Receipts that did not verify.", nil, nil)
	tornDesc     = prometheus.NewDesc("tollgate_spool_torn_bytes_total", "Bytes at the ends of log files that were no whole records.", nil, nil)
	writableDesc = prometheus.NewDesc("tollgate_spool_available", "1 where the log takes records.", nil, nil)
)

// Describe makes a Log a prometheus.Collector: register it where the process's metrics are.
func (l *Log) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, ch) }

// Collect reads the current values.
func (l *Log) Collect(ch chan<- prometheus.Metric) {
	bytes, pending := l.Stats()
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(bytesDesc, bytes)
	gauge(pendingDesc, int64(pending))
	gauge(heldDesc, int64(l.shipper.held()))
	var available int64
	if l.writer.available() {
		available = 1
	}
	gauge(writableDesc, available)
	counter(forksDesc, l.counts.forks.Load())
	counter(refusedDesc, l.counts.refusedReceipts.Load())
	counter(tornDesc, l.counts.tornBytes.Load())
}
