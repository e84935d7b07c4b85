package borrow

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, b *Borrower) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tollgate_lend_requests_total", Help: "Requests to the lender, by their result.",
	}, []string{"result"})}
	for _, result := range []string{"ok", "error"} {
		m.requests.WithLabelValues(result)
	}
	for _, c := range []prometheus.Collector{m.requests, loanUnits{b}} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of loans: %w", err)
		}
	}
	return m, nil
}

var loanUnitsDesc = prometheus.NewDesc(
	"tollgate_loan_units", "Units and tokens that this process was lent and holds, or has spent, of licences it knows.",
	[]string{"state"}, nil)

// loanUnits adds up all accounts when it is asked to, so that deciding pays nothing for it.
type loanUnits struct{ b *Borrower }

// Describe implements prometheus.Collector.
func (u loanUnits) Describe(c chan<- *prometheus.Desc) { c <- loanUnitsDesc }

// Collect implements prometheus.Collector.
func (u loanUnits) Collect(c chan<- prometheus.Metric) {
	now := u.b.cfg.Clock.Now()
	var held, spent int64
	for i := range u.b.shards {
		s := &u.b.shards[i]
		s.mu.RLock()
		for _, l := range s.licenses {
			h, p := l.account.Totals(now)
			held, spent = held+h, spent+p
		}
		s.mu.RUnlock()
	}
	c <- prometheus.MustNewConstMetric(loanUnitsDesc, prometheus.GaugeValue, float64(held), "held")
	c <- prometheus.MustNewConstMetric(loanUnitsDesc, prometheus.GaugeValue, float64(spent), "spent")
}
