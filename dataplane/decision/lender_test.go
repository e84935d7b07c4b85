package decision_test

import (
	"math"
	"time"

	"tollgate/dataplane/decision"
)

// modelLender lends as the control plane does (migrations: lend_quota, lend_rate), for one licence with one
// quota per period and one rate limit. Times are the lender's own.
type modelLender struct {
	quotaLimit int64
	perSecond  float64
	burst      int64
	nodes      int64

	quotas  map[decision.LoanKey]*quotaPool
	charged []charged // What was lent, and came back, for new pools.
	level   float64
	levelAt time.Time
	rates   map[string]*lentRate
}

// charged is units that were lent, or came back where negative.
type charged struct {
	at    time.Time
	key   decision.LoanKey
	units int64
}

// overlap reports whether units of one key count in the other's period, too.
func overlap(a, b decision.LoanKey) bool {
	end := func(k decision.LoanKey) int64 {
		if k.PeriodEnd == 0 {
			return math.MaxInt64
		}
		return k.PeriodEnd
	}
	return a.License == b.License && a.Limit == b.Limit && a.Generation == b.Generation && a.PeriodStart < end(b) && b.PeriodStart < end(a)
}

type quotaPool struct {
	lent  int64
	loans map[string]*lentQuota
}

type lentQuota struct{ granted, returned int64 }

type lentRate struct {
	granted, closed int64
	livesUntil      time.Time
}

const (
	modelLives  = time.Second
	modelMargin = 100 * time.Millisecond
)

func newModelLender(quotaLimit int64, perSecond float64, burst, nodes int64, now time.Time) *modelLender {
	return &modelLender{
		quotaLimit: quotaLimit, perSecond: perSecond, burst: burst, nodes: nodes,
		quotas: map[decision.LoanKey]*quotaPool{}, rates: map[string]*lentRate{}, level: float64(burst), levelAt: now,
	}
}

// lend answers in the order of the asks. exhausted is whether a short answer may say so: after a recall.
func (m *modelLender) lend(boot string, asks []decision.Ask, now time.Time) []decision.Answer {
	answers := make([]decision.Answer, len(asks))
	for i, ask := range asks {
		if ask.Key.Kind == decision.QuotaLoan {
			answers[i] = m.lendQuota(boot, ask, now)
		} else {
			answers[i] = m.lendRate(boot, ask, now)
		}
	}
	return answers
}

// charge charges units to every pool whose period overlaps.
func (m *modelLender) charge(key decision.LoanKey, units int64, now time.Time) {
	if units == 0 {
		return
	}
	for k, p := range m.quotas {
		if overlap(k, key) {
			p.lent += units
		}
	}
	m.charged = append(m.charged, charged{now, key, units})
}

func (m *modelLender) lendQuota(boot string, ask decision.Ask, now time.Time) decision.Answer {
	p := m.quotas[ask.Key]
	if p == nil {
		p = &quotaPool{loans: map[string]*lentQuota{}}
		for _, c := range m.charged {
			if overlap(c.key, ask.Key) && c.at.Unix() >= ask.Key.PeriodStart {
				p.lent += c.units
			}
		}
		m.quotas[ask.Key] = p
	}
	l := p.loans[boot]
	if l == nil {
		l = &lentQuota{}
		p.loans[boot] = l
	}
	back := max(l.returned, min(ask.Returned, l.granted-max(ask.Spent, 0)))
	m.charge(ask.Key, l.returned-back, now)
	l.returned = back
	remaining := max(m.quotaLimit-p.lent, 0)
	var added int64
	if ask.Want > 0 && remaining > 0 {
		added = min(remaining, max(ask.Waiting, min(ask.Want, (remaining+2*m.nodes-1)/(2*m.nodes))))
	}
	m.charge(ask.Key, added, now)
	l.granted += added
	return decision.Answer{
		Key: ask.Key, Granted: l.granted, Grant: added, Asked: ask.Want,
		Exhausted: ask.Want > 0 && (added == 0 || added < ask.Waiting),
	}
}

func (m *modelLender) lendRate(boot string, ask decision.Ask, now time.Time) decision.Answer {
	var held int64
	for _, l := range m.rates {
		held += l.granted - l.closed
	}
	m.level = max(0, min(float64(m.burst-held), m.level+m.perSecond*max(0, now.Sub(m.levelAt).Seconds())))
	for _, l := range m.rates {
		if l.livesUntil.Before(now) {
			l.closed = l.granted
		}
	}
	l := m.rates[boot]
	if l == nil {
		l = &lentRate{}
		m.rates[boot] = l
	}
	l.closed = max(l.closed, min(l.granted, ask.Spent+ask.Returned))
	var added int64
	if ask.Want > 0 {
		added = min(int64(math.Floor(m.level)), max(ask.Waiting, min(ask.Want, int64(math.Ceil(m.level/float64(m.nodes))))))
	}
	m.level -= float64(added)
	if now.After(m.levelAt) {
		m.levelAt = now
	}
	l.granted += added
	if until := now.Add(modelLives + modelMargin); added > 0 && until.After(l.livesUntil) {
		l.livesUntil = until
	}
	ans := decision.Answer{Key: ask.Key, Granted: l.granted, Grant: added, Asked: ask.Want, Lives: modelLives}
	if added < ask.Want && m.level < 1 {
		ans.RetryAfter = time.Duration((1 - m.level) / m.perSecond * float64(time.Second))
	}
	return ans
}
