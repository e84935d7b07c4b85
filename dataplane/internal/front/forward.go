package front

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"tollgate/dataplane/decision"
)

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// flushAfter bounds how long bytes of a response of known length may lie in a buffer. Event streams and
// responses of unknown length are never buffered (httputil.ReverseProxy.FlushInterval).
const flushAfter = 5 * time.Millisecond

// newProxy makes the one ReverseProxy of all services: what differs by request is in its exchange.
func newProxy(logger *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      carrier{},
		ModifyResponse: modify,
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).fail(err)
		},
		FlushInterval: flushAfter,
		BufferPool:    &buffers{pool: sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}},
		ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// proxy passes the request to the upstream and the response to the client.
func (x *exchange) proxy() {
	r := x.request
	if asksFor(r.Header["Upgrade"], "h2c") {
		// Requests inside an upgraded connection would pass by the decision.
		r.Header.Del("Upgrade")
		r.Header.Del("Http2-Settings")
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &requestBody{ReadCloser: r.Body, exchange: x}
	}
	x.front.proxy.ServeHTTP(&x.response, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// asksFor reports whether a comma-separated header field names a token.
func asksFor(values []string, token string) bool {
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// carrier sends each request by its exchange's transport.
type carrier struct{}

func (carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	x.sent = time.Now()
	res, err := x.transport.RoundTrip(r)
	x.answered = time.Now()
	return res, err
}

// rewrite makes the request that the upstream gets. Hop-by-hop headers are gone already, so a client cannot have those
// that are set here removed by naming them in Connection.
func rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	x := exchangeOf(in.Context())
	f, v := x.front, &x.verdict

	f.identity.Strip(out.Header, &v.Credential, x.settings)
	if v.Route.StripCredential {
		out.Header.Del("Authorization")
		out.Header.Del("X-Api-Key")
	}
	stripReserved(out.Header)
	set := func(name, value string) { out.Header[name] = []string{value} }
	set(headerCustomer, v.Customer.ID)
	set(headerLicense, v.License.ID)
	set(headerPlan, v.Plan)
	set(headerFeatures, v.Features())
	set(headerDecision, x.entry.ID)
	x.client.forwarded(in, out.Header)

	// The path goes out as it came in and was matched, and so does the query.
	u := *in.URL
	u.Scheme, u.Host = x.target.Scheme, x.target.Host
	u.Path, u.RawPath = join(x.target, in.URL)
	out.URL = &u
	out.Host = ""
	if out.Body != nil {
		out.Body = &trailerBody{ReadCloser: out.Body, in: in, out: out}
	}
	for name := range out.Trailer {
		if reserved(name) || f.credentialHeader(name) {
			delete(out.Trailer, name)
		}
	}
}

// credentialHeader reports whether a trailer could pass a credential on.
func (f *Front) credentialHeader(name string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "X-Api-Key")
}

// join puts a path behind an endpoint's own. Both are kept as they are written.
func join(endpoint, u *url.URL) (path, raw string) {
	base := strings.TrimSuffix(endpoint.Path, "/")
	if base == "" {
		return u.Path, u.RawPath
	}
	path = base + u.Path
	if endpoint.RawPath != "" || u.RawPath != "" {
		raw = strings.TrimSuffix(endpoint.EscapedPath(), "/") + u.EscapedPath()
	}
	return path, raw
}

// modify takes from the upstream's response what only Tollgate says.
func modify(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	x.upstreamStatus = res.StatusCode
	stripOwn(res.Header)
	stripOwn(res.Trailer)
	// The body of an upgraded connection is the connection, to be used as it is.
	if res.StatusCode != http.StatusSwitchingProtocols && res.Body != http.NoBody {
		res.Body = &responseBody{ReadCloser: res.Body, exchange: x, response: res}
	}
	return nil
}

// fail answers a request that the upstream did not.
func (x *exchange) fail(err error) {
	gone := x.request.Context().Err() != nil
	var slow net.Error
	switch {
	case gone && !x.front.draining.Load():
		// Nobody is there to answer.
		return
	case x.clientBroke.Load():
		x.code = decision.RequestMalformed
		x.malformed = flawBody
	case errors.As(err, &slow) && slow.Timeout():
		x.code = decision.UpstreamTimeout
	default:
		x.code = decision.UpstreamFailed
	}
	if x.code != decision.RequestMalformed {
		x.front.logger.Warn("upstream failed", "route", x.verdict.Route.Key, "service", x.verdict.Route.Service,
			"code", string(x.code), "decision", x.entry.ID, "error", err)
	}
	x.answer(problemOf(x))
}

// requestBody counts what a client sends.
type requestBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.exchange.bytesIn.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		b.exchange.clientBroke.Store(true)
	}
	return n, err
}

// trailerBody hands on the trailers that a client announced, once they are there.
type trailerBody struct {
	io.ReadCloser
	in, out *http.Request
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		for name := range b.out.Trailer {
			b.out.Trailer[name] = b.in.Trailer[name]
		}
	}
	return n, err
}

// responseBody notes where an upstream breaks off, and keeps its trailers to what it may say.
type responseBody struct {
	io.ReadCloser
	exchange *exchange
	response *http.Response
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		stripOwn(b.response.Trailer)
	} else if err != nil {
		b.exchange.upstreamBroke = true
	}
	return n, err
}

// buffers lends the memory that bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
