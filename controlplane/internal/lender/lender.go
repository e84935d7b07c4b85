package lender

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/lending"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// Store is Postgres. Its methods block on the database.
type Store interface {
	// Terms are those of the licences that exist.
	Terms(ctx context.Context, licenses []string) (map[string]lending.Terms, error)
	// Lend answers asks in order, in one transaction that is committed when it returns. nodes is how many share what is left.
	Lend(ctx context.Context, boot string, nodes int, asks []lending.Ask) ([]lending.Loan, error)
	// Blocked is why a node gets nothing; empty: it is not blocked.
	Blocked(ctx context.Context, node string) (reason string, err error)
	// LiveNodes counts the nodes that have reported within a few seconds.
	LiveNodes(ctx context.Context) (int, error)
}

// Config is what a Lender works with.
type Config struct {
	Store Store
	// Recall sends an encoded Recall to all nodes.
	Recall  func(data []byte) error
	Logger  *slog.Logger
	Metrics Registerer
}

// Lender answers LendRequests. Safe for concurrent use.
type Lender struct {
	store   Store
	recall  func(data []byte) error
	log     *slog.Logger
	metrics *metrics
	recalls recalls

	mu      sync.Mutex
	nodes   int
	counted time.Time
}

// New makes a Lender.
func New(cfg Config) *Lender {
	return &Lender{
		store: cfg.Store, recall: cfg.Recall, log: cfg.Logger, metrics: newMetrics(cfg.Metrics),
		recalls: recalls{waiting: map[decision.LoanKey]chan struct{}{}, sent: map[decision.LoanKey]time.Time{}},
	}
}

// Renew answers a request for which nobody waits: a renewal or a report. node is who hears the answer: a request in another's name is malformed.
func (l *Lender) Renew(ctx context.Context, node string, data []byte) []byte {
	return l.answer(ctx, node, data, false)
}

// Cold answers a request for which clients wait. It may take as long as a recall does.
func (l *Lender) Cold(ctx context.Context, node string, data []byte) []byte {
	return l.answer(ctx, node, data, true)
}

// maxAsks bounds the asks of one request: a transaction holds the locks of all its pools.
const maxAsks = 1024

func (l *Lender) answer(ctx context.Context, node string, data []byte, cold bool) []byte {
	var req lendv1.LendRequest
	if err := proto.Unmarshal(data, &req); err != nil || req.GetBoot() == "" || req.GetNode() != node || len(req.GetAsks()) > maxAsks {
		l.metrics.requests.WithLabelValues("malformed").Inc()
		l.log.Warn("malformed lend request", "node", node, "names", req.GetNode(), "asks", len(req.GetAsks()), "error", err)
		return nil
	}
	res, err := l.lend(ctx, &req, cold, time.Now())
	if err != nil {
		l.metrics.requests.WithLabelValues("unavailable").Inc()
		if ctx.Err() == nil {
			l.log.Warn("cannot lend", "node", req.GetNode(), "error", err)
		}
		return nil
	}
	raw, err := proto.Marshal(res)
	if err != nil {
		l.log.Error("cannot encode loans", "error", err)
		return nil
	}
	return raw
}

// lend answers every ask that can be answered by the store in one transaction; the others are unknown.
func (l *Lender) lend(ctx context.Context, req *lendv1.LendRequest, cold bool, now time.Time) (*lendv1.LendResponse, error) {
	if why, err := l.store.Blocked(ctx, req.GetNode()); err != nil || why != "" {
		if why != "" {
			l.metrics.requests.WithLabelValues("blocked").Inc()
		}
		return &lendv1.LendResponse{Blocked: why}, err
	}
	var licenses []string
	for _, a := range req.GetAsks() {
		licenses = append(licenses, a.GetKey().GetLicense())
	}
	slices.Sort(licenses)
	terms, err := l.store.Terms(ctx, slices.Compact(licenses))
	if err != nil {
		return nil, err
	}
	nodes, err := l.liveNodes(ctx, now)
	if err != nil {
		return nil, err
	}
	res := &lendv1.LendResponse{Loans: make([]*lendv1.Loan, len(req.GetAsks()))}
	var asks []lending.Ask
	var places []int
	for i, a := range req.GetAsks() {
		res.Loans[i] = &lendv1.Loan{Key: a.GetKey(), State: lendv1.LoanState_LOAN_STATE_UNKNOWN}
		if ask, ok := priced(fromAsk(a), terms[a.GetKey().GetLicense()], now); ok {
			asks, places = append(asks, ask), append(places, i)
		}
	}
	loans, err := l.store.Lend(ctx, req.GetBoot(), nodes, asks)
	if err != nil {
		return nil, err
	}
	for i, ask := range asks {
		// A report answers a recall even if nothing was idle: then the units are known to be spent.
		if ask.Key.Kind == decision.QuotaLoan && (ask.Want == 0 || ask.Returned > 0) {
			l.recalls.returned(ask.Key)
		}
		loan := loans[i]
		recalled := false
		if cold && wants(ask, loan) {
			recalled = true
			if loan, err = l.recallFor(ctx, req.GetBoot(), nodes, ask, loan); err != nil {
				return nil, err
			}
		}
		fill(res.Loans[places[i]], ask, loan, recalled)
	}
	for _, loan := range res.GetLoans() {
		l.metrics.requests.WithLabelValues(result(loan)).Inc()
	}
	return res, nil
}

// priced adds to an ask the limit in force. False where licence, limit or period is not known; a mere report
// needs none.
func priced(a decision.Ask, t lending.Terms, now time.Time) (lending.Ask, bool) {
	ask := lending.Ask{Ask: a}
	ok := false
	switch a.Key.Kind {
	case decision.QuotaLoan:
		ask.Quota, ok = t.Quota(a.Key, now)
		ok = ok || a.Want == 0
		ask.Grants = t.GrantsOf(a.Key.Limit, now)
	case decision.RateLoan:
		ask.PerSecond, ask.Burst, ok = t.Rate(a.Key, now)
	}
	return ask, ok
}

// nodesFor is how long a count of nodes is good.
const nodesFor = time.Second

func (l *Lender) liveNodes(ctx context.Context, now time.Time) (int, error) {
	l.mu.Lock()
	n, at := l.nodes, l.counted
	l.mu.Unlock()
	if now.Sub(at) < nodesFor {
		return n, nil
	}
	n, err := l.store.LiveNodes(ctx)
	if err != nil {
		return 0, err
	}
	n = max(n, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes, l.counted = n, now
	return n, nil
}
