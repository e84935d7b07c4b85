package front

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/record"
)

// Config is what a Front needs. All fields are required but TrustedProxies.
type Config struct {
	Rules     Rules
	Limits    Limits
	Log       Log
	Identity  Identity
	Upstreams Upstreams
	Clock     Clock

	Registry prometheus.Registerer
	Logger   *slog.Logger
	// Boot is the process's life: it names responses to requests that could not be logged.
	Boot string
	// ColdWait is how long a request may wait for the lender, in all.
	ColdWait time.Duration
	// MaxInFlight is how many requests are served at once.
	MaxInFlight int
	// TrustedProxies are peers whose X-Forwarded-* are believed.
	TrustedProxies []netip.Prefix
}

// Front is the http.Handler in front of the services. Make it with New.
type Front struct {
	rules     Rules
	limits    Limits
	log       Log
	identity  Identity
	upstreams Upstreams
	clock     Clock
	logger    *slog.Logger
	boot      string
	coldWait  time.Duration
	maxFlight int64
	trusted   proxies
	metrics   *metrics
	proxy     *httputil.ReverseProxy

	requests, inFlight atomic.Int64
	unlogged           atomic.Uint64
	draining           atomic.Bool
}

// New makes a Front and registers its metrics.
func New(c Config) (*Front, error) {
	if c.Rules == nil || c.Limits == nil || c.Log == nil || c.Identity == nil || c.Upstreams == nil || c.Clock == nil ||
		c.Registry == nil || c.Logger == nil || c.Boot == "" || c.ColdWait <= 0 || c.MaxInFlight <= 0 {
		return nil, errors.New("front: incomplete configuration")
	}
	m, err := newMetrics(c.Registry)
	if err != nil {
		return nil, err
	}
	f := &Front{
		rules: c.Rules, limits: c.Limits, log: c.Log, identity: c.Identity, upstreams: c.Upstreams, clock: c.Clock,
		logger: c.Logger, boot: c.Boot, coldWait: c.ColdWait, maxFlight: int64(c.MaxInFlight),
		trusted: c.TrustedProxies, metrics: m,
	}
	f.proxy = newProxy(c.Logger)
	return f, nil
}

// Requests is how many requests have come in so far.
func (f *Front) Requests() int64 { return f.requests.Load() }

// InFlight is how many requests are being served.
func (f *Front) InFlight() int64 { return f.inFlight.Load() }

// ServeHTTP serves one request of a client.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{front: f, start: time.Now(), request: r, client: f.trusted.client(r)}
	x.response = response{ResponseWriter: w, exchange: x}
	f.requests.Add(1)
	full := f.inFlight.Add(1) > f.maxFlight
	defer f.inFlight.Add(-1)

	state, age := f.rules.Current()
	x.setBase(state)
	if full {
		x.verdict = refusal(decision.Overloaded, state)
		x.decided = f.clock.Now().Date
		x.deny()
		return
	}
	req := decision.Request{Age: age, Method: r.Method, Host: routeHost(r.Host), Path: r.URL.Path, Details: termDetails{x}}
	if x.malformed = validate(r); x.malformed != "" {
		req.Malformed = true
	} else if state != nil {
		f.identity.Identify(&req, r.Header, state)
		x.identified = state
	}
	state = f.decide(r.Context(), x, state, &req)
	if x.verdict.Outcome != decision.Forward {
		x.deny()
		return
	}
	if x.verdict.Renew {
		f.limits.Renew(x.verdict.License.ID)
	}
	x.forward(state)
}

// decide decides a request. Where it needs a loan that the node does not have, it waits for the lender and decides
// afresh, within one bounded time for all. It returns the state that was decided by.
func (f *Front) decide(ctx context.Context, x *exchange, state *decision.State, req *decision.Request) *decision.State {
	var cancel context.CancelFunc
	for {
		now := f.clock.Now()
		x.decided, req.Tick = now.Date, now.Tick
		decision.Decide(&x.verdict, state, req, f.limits, x.decided)
		if !x.verdict.Cold {
			return state
		}
		if cancel == nil {
			ctx, cancel = context.WithTimeout(ctx, f.coldWait)
			defer cancel()
		}
		// A verdict that stays cold denies with limits_unavailable.
		if ctx.Err() != nil {
			return state
		}
		if err := f.limits.Wait(ctx, x.verdict.License.ID, max(1, x.verdict.Cost)); err != nil {
			return state
		}
		state, req.Age = f.rules.Current()
		if state != x.identified {
			// Who calls is for the rules to say that decide.
			f.identity.Identify(req, x.request.Header, state)
			x.identified = state
			x.setBase(state)
		}
	}
}

// refusal is the verdict on a request that is not decided at all.
func refusal(code decision.Code, state *decision.State) decision.Verdict {
	v := decision.Verdict{Outcome: decision.ReasonOf(code).Outcome, Code: code}
	if state != nil {
		v.Epoch = state.Epoch()
	}
	return v
}

// unloggedID names a response whose request is not in the log, as the log cannot be written.
func (f *Front) unloggedID(t time.Time) string {
	return record.ID(t, f.boot+"/unlogged", f.unlogged.Add(1))
}
