package front

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"tollgate/dataplane/apikey"
	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/record"
)

// exchange is one request's way through the node.
type exchange struct {
	front    *Front
	request  *http.Request
	response response
	client   client
	base     string // Of problem types.

	start     time.Time // Of the machine's clock, for what takes how long.
	decided   time.Time // The date of the decision.
	verdict   decision.Verdict
	malformed flaw // Of a request that is malformed.
	// identified is the state by which the caller was.
	identified *decision.State
	entry      record.Decision

	// Of a request that is forwarded.
	settings       *decision.Settings
	target         *url.URL
	transport      http.RoundTripper
	sent, answered time.Time // Around the wait for the upstream's header.
	upstreamStatus int
	code           decision.Code // Final; empty: the verdict's.
	upstreamBroke  bool          // Its response's body ended early.
	clientBroke    atomic.Bool   // The request's body could not be read.
	bytesIn        atomic.Int64
}

func (x *exchange) setBase(state *decision.State) {
	if state != nil {
		x.base = state.Settings().ErrorBaseURL
	}
}

// maxPath bounds the path in the log.
const maxPath = 2048

// fill completes the entry for the log from the verdict.
func (x *exchange) fill() {
	v := &x.verdict
	path := apikey.Redact(x.request.URL.EscapedPath())
	x.entry = record.Decision{
		Time: x.decided, Epoch: v.Epoch, Outcome: v.Outcome, Code: v.Code,
		Method: x.request.Method[:min(len(x.request.Method), 64)], Path: path[:min(len(path), maxPath)],
		ClientIP: x.client.address(), Policy: v.Policy, Charge: v.Charge,
		Overhead: time.Since(x.start), TraceID: traceID(x.request.Header),
	}
	d := &x.entry
	d.Customer, d.License, d.Credential = v.Customer.ID, v.License.ID, v.Credential.ID
	d.Plan, d.PlanVersion = v.Plan, v.PlanVersion
	if v.Route != nil {
		d.Route, d.BillIfOpen = v.Route.Key, v.Route.BillOpenIntents
	}
	if v.Outcome != decision.Forward {
		d.Status = decision.ReasonOf(v.Code).Status
		if v.Code == decision.QuotaExhausted && v.Outcome == decision.Block {
			d.Status = http.StatusForbidden
		}
	}
}

// deny logs a denial and answers it.
func (x *exchange) deny() {
	x.fill()
	if err := x.front.log.Deny(&x.entry); err != nil {
		x.unlogged()
	}
	x.answer(problemOf(x))
	x.observe(x.verdict.Outcome, x.verdict.Code, x.entry.Overhead)
}

// unlogged turns the verdict into log_unavailable: what cannot be logged is not done.
func (x *exchange) unlogged() {
	route := x.verdict.Route
	x.verdict = refusal(decision.LogUnavailable, nil)
	x.verdict.Route = route
	x.entry.ID = x.front.unloggedID(x.decided)
}

// forward logs the intent, passes the request on and settles.
func (x *exchange) forward(state *decision.State) {
	x.settings = state.Settings()
	x.fill()
	if err := x.front.log.Begin(&x.entry); err != nil {
		x.unspend()
		x.unlogged()
		x.answer(problemOf(x))
		x.observe(x.verdict.Outcome, x.verdict.Code, time.Since(x.start))
		return
	}
	// The proxy panics with http.ErrAbortHandler where a response breaks off: that is settled, too.
	defer x.settle()
	var err error
	if service := state.Service(x.verdict.Route.Service); service == nil {
		err = errNoService
	} else {
		x.target, x.transport, err = x.front.upstreams.Pick(service)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.proxy()
}

var errNoService = errors.New("the route's service does not exist")

// statusClientGone is what the log says where the client left before there was an answer (nginx's 499).
const statusClientGone = 499

// settle logs how the intent ended.
func (x *exchange) settle() {
	end := time.Now()
	status := x.response.status
	if status == 0 {
		status = statusClientGone
	}
	code := x.code
	if code == "" {
		code = x.verdict.Code
	}
	if x.upstreamBroke && !x.response.broken && x.request.Context().Err() == nil {
		code = decision.UpstreamFailed
	}
	overhead := end.Sub(x.start)
	if !x.sent.IsZero() {
		overhead = x.sent.Sub(x.start)
		if !x.answered.IsZero() && !x.response.began.IsZero() {
			overhead += x.response.began.Sub(x.answered)
		}
	}
	s := record.Settlement{
		Intent: &x.entry, Code: code, Status: status, UpstreamStatus: x.upstreamStatus,
		Duration: end.Sub(x.start), Overhead: overhead,
		BytesIn: x.bytesIn.Load(), BytesOut: x.response.bytes.Load(),
		Billed: status < 500 && code != decision.UpstreamFailed && code != decision.UpstreamTimeout,
	}
	if err := x.front.log.Settle(&s); err != nil {
		// The intent stands and is billed by the route's policy, so its units stay spent.
		x.front.logger.Error("settlement not logged", "decision", x.entry.ID, "error", err)
	} else if !s.Billed {
		x.unspend()
	}
	x.observe(decision.Forward, code, overhead)
	x.front.metrics.duration.WithLabelValues(x.routeLabel()).Observe(s.Duration.Seconds())
}

func (x *exchange) unspend() {
	if c := x.verdict.Charge; c.Units > 0 {
		x.front.limits.Unspend(x.verdict.License.ID, c)
	}
}

func (x *exchange) observe(outcome decision.Outcome, code decision.Code, overhead time.Duration) {
	route := x.routeLabel()
	x.front.metrics.decisions.WithLabelValues(string(outcome), string(code), route).Inc()
	x.front.metrics.overhead.WithLabelValues(route).Observe(overhead.Seconds())
}

func (x *exchange) routeLabel() string {
	if x.verdict.Route == nil {
		return "none"
	}
	return x.verdict.Route.Key
}

// traceID is that of a valid traceparent header (W3C Trace Context), or empty.
func traceID(h http.Header) string {
	v := h.Get("Traceparent")
	if len(v) < 55 || v[2] != '-' || v[35] != '-' {
		return ""
	}
	id := v[3:35]
	zero := true
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
		zero = zero && c == '0'
	}
	if zero {
		return ""
	}
	return id
}
