package decision_test

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/dataplane/decision"
)

// simulation is some nodes that decide requests at random times, and a lender, with a network between that loses, delays, repeats and
// reorders what they say. Time is an event queue's.
type simulation struct {
	t      *rapid.T
	now    time.Time
	events events
	number int

	state  *decision.State
	lender *modelLender
	nodes  []*simNode

	// What was forwarded, by the time of its decision; and the units it took of hard quotas, by period.
	forwarded []time.Time
	taken     map[int64]int64
}

type event struct {
	at     time.Time
	number int
	f      func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

func (s *simulation) after(d time.Duration, f func()) {
	s.number++
	heap.Push(&s.events, event{s.now.Add(d), s.number, f})
}

func (s *simulation) run(until time.Time) {
	for s.events.Len() > 0 && s.events[0].at.Before(until) {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.f()
	}
}

// delay is how long a message takes: mostly little, sometimes longer than tokens live.
func (s *simulation) delay() time.Duration {
	if rapid.IntRange(0, 9).Draw(s.t, "slow") == 0 {
		return time.Duration(rapid.IntRange(0, 3000).Draw(s.t, "delay")) * time.Millisecond
	}
	return time.Duration(rapid.IntRange(0, 5000).Draw(s.t, "delay")) * time.Microsecond
}

func (s *simulation) lost() bool { return rapid.IntRange(0, 9).Draw(s.t, "lost") == 0 }

// simNode is one boot: it asks as package borrow does, one request at a time.
type simNode struct {
	s        *simulation
	boot     string
	accounts accounts
	inFlight int // The newest request; 0: none.
	requests int
	waiting  decision.Waiting
	// off is how far the node's date is from the tick; date is the last one: it never goes back.
	off  time.Duration
	date time.Time
}

// moment is now on the node's clocks: its date leaps and stands still, as heartbeats of other clocks make it.
func (n *simNode) moment() decision.Moment {
	if date := n.s.now.Add(n.off); date.After(n.date) {
		n.date = date
	}
	return decision.Moment{Date: n.date, Tick: n.s.now}
}

func (n *simNode) decide(path string, mayWait bool) {
	r := get(path)
	r.Tick = n.s.now
	var v decision.Verdict
	before := n.spent()
	decision.Decide(&v, n.s.state, &r, n.accounts, n.moment().Date)
	if after := n.spent(); v.Outcome != decision.Forward && after != before {
		n.s.t.Fatalf("I11: denied with %s, and spent %d", v.Code, after-before)
	}
	switch {
	case v.Outcome == decision.Forward:
		n.s.forwarded = append(n.s.forwarded, n.s.now)
		if v.Charge.Lent {
			n.s.taken[v.Charge.PeriodStart] += v.Charge.Units
		}
		if v.Charge.Lent && rapid.IntRange(0, 19).Draw(n.s.t, "not billed") == 0 {
			n.s.after(n.s.delay(), func() {
				n.accounts.Account("lic").Unspend(v.Charge)
				n.s.taken[v.Charge.PeriodStart] -= v.Charge.Units
			})
		}
	case v.Cold && mayWait:
		n.waiting.Requests++
		n.waiting.Units += v.Route.Cost
		n.ask()
		n.s.after(30*time.Millisecond, func() { n.decide(path, false) })
	}
	if v.Renew {
		n.ask()
	}
}

func (n *simNode) spent() int64 {
	_, spent := n.accounts.Account("lic").Totals(n.moment())
	return spent
}

func (n *simNode) ask() {
	if n.inFlight != 0 {
		return
	}
	account := n.accounts.Account("lic")
	asks := account.Asks("lic", n.waiting, time.Minute, n.moment())
	n.waiting = decision.Waiting{}
	if len(asks) == 0 {
		return
	}
	n.requests++
	request, sent, boot := n.requests, n.s.now, n.boot
	n.inFlight = request
	deliver := func() {
		answers := n.s.lender.lend(boot, asks, n.s.now)
		if n.s.lost() {
			return
		}
		n.s.after(n.s.delay(), func() {
			// An answer to a request that was given up, or was answered, is not applied.
			if n.inFlight != request {
				return
			}
			n.inFlight = 0
			for i, ans := range answers {
				account.Reported(asks[i])
				account.Apply(ans, sent, n.s.now)
			}
		})
	}
	if !n.s.lost() {
		n.s.after(n.s.delay(), deliver)
	}
	if rapid.IntRange(0, 9).Draw(n.s.t, "repeated") == 0 {
		n.s.after(n.s.delay(), deliver)
	}
	n.s.after(time.Second, func() {
		if n.inFlight == request {
			n.inFlight = 0
		}
	})
}

// recall asks a node for idle units, and delivers its report, if it is not lost.
func (n *simNode) recall(key decision.LoanKey) {
	ask, ok := n.accounts.Account("lic").Recall(key, 0, n.s.now)
	boot := n.boot
	if ok && !n.s.lost() {
		n.s.after(n.s.delay(), func() { n.s.lender.lend(boot, []decision.Ask{ask}, n.s.now) })
	}
}

func simulate(t *rapid.T) *simulation {
	limit := rapid.Int64Range(1, 60).Draw(t, "quota")
	rate := rapid.Int64Range(1, 50).Draw(t, "rate")
	burst := rapid.Int64Range(1, 30).Draw(t, "burst")
	nodes := rapid.IntRange(1, 4).Draw(t, "nodes")
	w := newWorld(&decision.Quota{Limit: limit, Period: decision.Minute, Hard: true}, perSecond(rate, burst))
	s := &simulation{t: t, now: noon.Add(50 * time.Second), state: w.state(t), taken: map[int64]int64{}}
	s.lender = newModelLender(limit, float64(rate), burst, int64(nodes), s.now)
	for i := range nodes {
		s.nodes = append(s.nodes, &simNode{s: s, boot: fmt.Sprint("boot-", i), accounts: accounts{}})
	}
	for i, n := range s.nodes {
		s.after(0, n.tick)
		s.after(time.Duration(rapid.IntRange(0, 4000).Draw(t, "restart"))*time.Millisecond, func() {
			// The process ends; what it held is lost, and the next boot starts with nothing.
			*n = simNode{s: s, boot: fmt.Sprint("boot-", i, "-again"), accounts: accounts{}, requests: n.requests + 1000}
		})
	}
	for range rapid.IntRange(1, 120).Draw(t, "requests") {
		n := rapid.SampledFrom(s.nodes).Draw(t, "node")
		path := rapid.SampledFrom([]string{"/calls", "/free", "/bulk"}).Draw(t, "path")
		// Over a minute's boundary.
		at := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Millisecond
		for range rapid.IntRange(1, 5).Draw(t, "parallel") {
			s.after(at, func() { n.decide(path, true) })
		}
	}
	for range rapid.IntRange(0, 5).Draw(t, "recalls") {
		at := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Millisecond
		s.after(at, func() {
			for key := range s.lender.quotas {
				for _, n := range s.nodes {
					n.recall(key)
				}
			}
		})
	}
	s.run(s.now.Add(25 * time.Second))
	return s
}

// tick reports and renews, as a borrower does.
func (n *simNode) tick() {
	if rapid.IntRange(0, 9).Draw(n.s.t, "heard another clock") == 0 {
		n.off = time.Duration(rapid.IntRange(-5000, 15000).Draw(n.s.t, "off")) * time.Millisecond
	}
	n.ask()
	n.s.after(200*time.Millisecond, n.tick)
}

func TestI2_NoOvershootUnderLossDelayAndRepeat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(t)
		for period, units := range s.taken {
			if units > s.lender.quotaLimit {
				t.Fatalf("%d units of %d in the period that begins at %v", units, s.lender.quotaLimit, time.Unix(period, 0).UTC())
			}
		}
	})
}

func TestI3_NeverOverBurstAndRateInAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(t)
		slices.SortFunc(s.forwarded, time.Time.Compare)
		for i, from := range s.forwarded {
			for j := i; j < len(s.forwarded); j++ {
				window := s.forwarded[j].Sub(from)
				if n, most := float64(j-i+1), float64(s.lender.burst)+s.lender.perSecond*window.Seconds(); n > most+1e-6 {
					t.Fatalf("%v requests in %v from %v on, at most %v", n, window, from, most)
				}
			}
		}
	})
}

func TestI11_DeniedRequestsSpendNothingUnderLossDelayAndRepeat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { simulate(t) })
}
