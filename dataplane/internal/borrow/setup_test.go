package borrow_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/borrow"
	"tollgate/dataplane/internal/clock"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// lender lends from pools in memory, as the control plane does from Postgres: quotas by totals, rates as tokens that are taken
// from a full pool and never refilled. Between it and a borrower lies whatever a test puts there.
type lender struct {
	mu     sync.Mutex
	limit  int64 // Of each quota.
	tokens int64 // Of each rate.
	state  lendv1.LoanState
	pools  map[string]*pool
	// blocked is why the node gets nothing.
	blocked string
	seen    []call
	// way is what a message meets on its way: it may wait, and fail. Nil: nothing.
	way func(ctx context.Context, c call) error
	// back is the same for the answer.
	back func(ctx context.Context, c call) error
}

type pool struct {
	lent     int64
	granted  map[string]int64
	returned map[string]int64
}

// call is a request as the lender saw it.
type call struct {
	cold bool
	req  *lendv1.LendRequest
	at   time.Time
}

func newLender(limit, tokens int64) *lender {
	return &lender{limit: limit, tokens: tokens, state: lendv1.LoanState_LOAN_STATE_OPEN, pools: map[string]*pool{}}
}

var errUnreachable = errors.New("nobody answers")

// Lend implements borrow.Lender.
func (l *lender) Lend(ctx context.Context, cold bool, req *lendv1.LendRequest) (*lendv1.LendResponse, error) {
	c := call{cold, proto.CloneOf(req), time.Now()}
	l.mu.Lock()
	way, back := l.way, l.back
	l.mu.Unlock()
	if way != nil {
		if err := way(ctx, c); err != nil {
			return nil, err
		}
	}
	resp := l.serve(c)
	if back != nil {
		if err := back(ctx, c); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

func (l *lender) serve(c call) *lendv1.LendResponse {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, c)
	if l.blocked != "" {
		return &lendv1.LendResponse{Blocked: l.blocked}
	}
	resp := &lendv1.LendResponse{}
	for _, ask := range c.req.GetAsks() {
		resp.Loans = append(resp.Loans, l.lend(c.req.GetBoot(), ask))
	}
	return resp
}

func (l *lender) lend(boot string, ask *lendv1.Ask) *lendv1.Loan {
	loan := &lendv1.Loan{Key: ask.GetKey(), State: l.state}
	if l.state != lendv1.LoanState_LOAN_STATE_OPEN {
		return loan
	}
	p := l.pools[ask.GetKey().String()]
	if p == nil {
		p = &pool{granted: map[string]int64{}, returned: map[string]int64{}}
		l.pools[ask.GetKey().String()] = p
	}
	limit := l.tokens
	if ask.GetKey().GetKind() == lendv1.LoanKind_LOAN_KIND_QUOTA {
		limit = l.limit
		back := max(p.returned[boot], min(ask.GetReturned(), p.granted[boot]-ask.GetSpent()))
		p.lent -= back - p.returned[boot]
		p.returned[boot] = back
	} else {
		loan.Lives = durationpb.New(time.Second)
	}
	loan.Grant = min(ask.GetWant(), limit-p.lent)
	p.lent += loan.GetGrant()
	p.granted[boot] += loan.GetGrant()
	loan.Granted = p.granted[boot]
	if loan.GetGrant() < max(1, ask.GetWaiting()) && ask.GetWant() > 0 {
		loan.State = lendv1.LoanState_LOAN_STATE_EXHAUSTED
		if ask.GetKey().GetKind() == lendv1.LoanKind_LOAN_KIND_RATE {
			loan.RetryAfter = durationpb.New(200 * time.Millisecond)
		}
	}
	return loan
}

func (l *lender) set(f func(*lender)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

// calls are those of one kind that the lender has seen.
func (l *lender) calls(cold bool) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var calls []call
	for _, c := range l.seen {
		if c.cold == cold {
			calls = append(calls, c)
		}
	}
	return calls
}

// lent is how much of all pools is lent.
func (l *lender) lent() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pools {
		n += p.lent
	}
	return n
}

// node is a borrower with rules to decide by: licences lic-0 … on a plan with a rate limit or a hard quota, or both.
type node struct {
	*borrow.Borrower
	t      *testing.T
	state  *decision.State
	reg    *prometheus.Registry
	fatal  chan error
	logged *records
	clock  *clock.Clock
	// horizon is what the rules say, in nanoseconds.
	horizon atomic.Int64
}

// rules are a quota per month, or none where limit is 0, and a rate limit, or none where rate is 0.
type rules struct{ limit, rate int64 }

func (r rules) state(t *testing.T, licenses int) *decision.State {
	t.Helper()
	v := &decision.PlanVersion{Plan: "plan", Version: 1, Entitlements: []decision.Entitlement{{Feature: "calls"}}}
	if r.limit > 0 {
		v.Entitlements[0].Quota = &decision.Quota{Limit: r.limit, Period: decision.Month, Hard: true}
	}
	if r.rate > 0 {
		v.RateLimits = []decision.RateLimit{{Key: "rate", Limit: r.rate, Per: time.Second, Burst: r.rate}}
	}
	e := decision.Edit(nil)
	e.SetFeature(&decision.Feature{Key: "calls", Type: decision.Metered, Meter: "requests"})
	e.SetRoute(&decision.Route{Key: "calls", Path: "/calls", Meter: "requests", Cost: 1})
	e.SetPlanVersion(v)
	e.SetCustomer(&decision.Customer{ID: "cus"})
	for i := range licenses {
		e.SetLicense(&decision.License{ID: license(i), Customer: "cus", Phase: decision.Phase{Plan: "plan", PlanVersion: 1, CounterGeneration: 1}, Status: decision.Active})
		e.SetCredential(&decision.Credential{ID: license(i), License: license(i)})
	}
	s, err := e.Build(decision.Epoch{Generation: 1, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func license(i int) string { return "lic-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) }

func newNode(t *testing.T, l borrow.Lender, boot string, s *decision.State) *node {
	t.Helper()
	n := &node{t: t, state: s, clock: clock.New(clock.Monotonic()), reg: prometheus.NewRegistry(), fatal: make(chan error, 8), logged: &records{Handler: slog.NewTextHandler(io.Discard, nil)}} //nolint:sloglint // DiscardHandler is not enabled at any level, and what is logged is counted.
	var err error
	n.Borrower, err = borrow.New(borrow.Config{
		Node: "node", Boot: boot, Lender: l, Clock: n.clock, Horizon: func() time.Duration { return time.Duration(n.horizon.Load()) },
		Fatal: func(err error) { n.fatal <- err }, Logger: slog.New(n.logged), Metrics: n.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	return n
}

// records counts what is logged.
type records struct {
	slog.Handler
	mu       sync.Mutex
	messages []string
}

// Handle implements slog.Handler.
func (r *records) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, rec.Message)
	return nil
}

// decide decides one request for a licence, as it stands.
func (n *node) decide(i int) *decision.Verdict {
	v := &decision.Verdict{}
	r := decision.Request{Method: "GET", Path: "/calls", Presented: decision.KeyCredential, KeyID: license(i)}
	now := n.clock.Now()
	r.Tick = now.Tick
	decision.Decide(v, n.state, &r, n.Borrower, now.Date)
	if v.Renew {
		n.Renew(license(i))
	}
	return v
}

// serve decides one request as the front does: it waits while the verdict is cold, at most coldWait.
func (n *node) serve(i int) *decision.Verdict {
	ctx, cancel := context.WithTimeout(context.Background(), coldWait)
	defer cancel()
	for {
		v := n.decide(i)
		if !v.Cold || n.Wait(ctx, license(i), 1) != nil {
			return v
		}
	}
}

const coldWait = 100 * time.Millisecond

// stop stops a node, and fails where it cannot give its loans back.
func (n *node) stop() {
	n.t.Helper()
	if err := n.Stop(context.Background()); err != nil {
		n.t.Error(err)
	}
}

func (n *node) metric(name, label string) float64 {
	n.t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	n.t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

// takes makes a message take a while.
func takes(d time.Duration) func(context.Context, call) error {
	return func(ctx context.Context, _ call) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
}
