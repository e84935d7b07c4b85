// Package upstream reaches services: it keeps a tuned transport for each, and chooses among endpoints.
package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/dataplane/decision"
)

const (
	// defaultResponseTimeout is how long an upstream may take to begin its answer, where its service does not say.
	defaultResponseTimeout = 60 * time.Second
	dialTimeout            = 5 * time.Second
	keepAlive              = 30 * time.Second
	idleTimeout            = 90 * time.Second
	// maxIdle is above any number of requests in flight that one endpoint is likely to have: a connection that is
	// closed for lack of room has to be opened again.
	maxIdle = 4096
)

// Pool holds connections to all services. Safe for concurrent use.
type Pool struct {
	services sync.Map // Key of a service: *service.
	mu       sync.Mutex
}

// NewPool makes a Pool.
func NewPool() *Pool { return &Pool{} }

// service is a service record made ready for requests.
type service struct {
	record    *decision.Service
	endpoints []*url.URL
	err       error
	transport *http.Transport
	next      *atomic.Uint64
}

// Pick chooses the endpoint for the next request to a service, in turn, and the transport that carries it. The URL is shared and
// must not be changed. It fails where the service's record names no endpoint, or one that cannot be read.
func (p *Pool) Pick(record *decision.Service) (*url.URL, http.RoundTripper, error) {
	v, _ := p.services.Load(record.Key)
	s, _ := v.(*service)
	if s == nil || s.record != record {
		s = p.build(record)
	}
	if s.err != nil {
		return nil, nil, s.err
	}
	n := s.next.Add(1)
	return s.endpoints[n%uint64(len(s.endpoints))], s.transport, nil
}

// build makes a service ready. Connections are kept where only endpoints have changed.
func (p *Pool) build(record *decision.Service) *service {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, _ := p.services.Load(record.Key)
	old, _ := v.(*service)
	if old != nil && old.record == record {
		return old
	}
	s := &service{record: record, next: new(atomic.Uint64)}
	switch {
	case old == nil:
		s.transport = newTransport(record.ResponseTimeout)
	case old.record.ResponseTimeout == record.ResponseTimeout:
		s.transport, s.next = old.transport, old.next
	default:
		s.transport = newTransport(record.ResponseTimeout)
		defer old.transport.CloseIdleConnections()
	}
	s.endpoints, s.err = parse(record)
	p.services.Store(record.Key, s)
	return s
}

func parse(record *decision.Service) ([]*url.URL, error) {
	if len(record.Endpoints) == 0 {
		return nil, fmt.Errorf("service %s: %w", record.Key, errNoEndpoint)
	}
	endpoints := make([]*url.URL, len(record.Endpoints))
	for i, text := range record.Endpoints {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			return nil, fmt.Errorf("service %s: endpoint %d is not an absolute http or https URL", record.Key, i+1)
		}
		endpoints[i] = u
	}
	return endpoints, nil
}

var errNoEndpoint = errors.New("no endpoints")

// newTransport speaks HTTP/1.1, and HTTP/2 where TLS negotiates it. It changes nothing of what passes: bodies are not decompressed, and
// the environment's proxies are not used.
func newTransport(responseTimeout time.Duration) *http.Transport {
	if responseTimeout <= 0 {
		responseTimeout = defaultResponseTimeout
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Transport{
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: responseTimeout,
		ExpectContinueTimeout: time.Second,
	}
}

// Close closes the connections that are idle.
func (p *Pool) Close() {
	p.services.Range(func(_, v any) bool {
		v.(*service).transport.CloseIdleConnections()
		return true
	})
}
