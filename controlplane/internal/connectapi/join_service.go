package connectapi

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
	"tollgate/gen/go/tollgate/join/v1/joinv1connect"
)

// NATS is what nodes are told of it.
type NATS struct {
	// URLs are where nodes reach it.
	URLs []string
	// CA is the PEM of who certifies its servers; empty: whom the nodes' systems trust.
	CA string
}

// joinService serves the service of that name.
type joinService struct {
	licensing *licensing.Service
	nats      NATS
	// certified reads and verifies a node's certificate: its name and key, now.
	certified func(certificate []byte) (node string, key ed25519.PublicKey, err error)
	trust     func() []byte
}

func (s joinService) Join(ctx context.Context, req *joinv1.JoinRequest) (*joinv1.JoinResponse, error) {
	// The checksum keeps junk from the database.
	token, err := jointoken.Parse(req.GetToken())
	if err != nil {
		return nil, &licensing.Error{Code: licensing.Unauthenticated, Field: "token", Message: err.Error()}
	}
	if err := proven(req.GetPublicKey(), jointoken.Challenge(token.ID, req.GetNode(), req.GetNatsUser()), req.GetProof(), "public_key"); err != nil {
		return nil, err
	}
	n, err := s.licensing.Join(ctx, licensing.Joining{
		TokenID: token.ID, Secret: token.Secret, Node: req.GetNode(), PublicKey: req.GetPublicKey(), NATSUser: req.GetNatsUser(),
	})
	if err != nil {
		return nil, err
	}
	fleet, err := s.licensing.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	return &joinv1.JoinResponse{
		Fleet: fleet.ID, Certificate: n.Certificate, NatsUrls: s.nats.URLs, NatsJwt: n.NATSJWT, NatsCa: s.nats.CA, Trust: s.trust(),
	}, nil
}

func (s joinService) Renew(ctx context.Context, req *joinv1.RenewRequest) (*joinv1.RenewResponse, error) {
	node, key, err := s.certified(req.GetCertificate())
	if err != nil {
		return nil, &licensing.Error{Code: licensing.Unauthenticated, Field: "certificate", Message: "is no valid certificate of a node of this fleet: " + err.Error()}
	}
	// A proof is good for ever: what is answered to one that is repeated is of use to the key's holder alone.
	if err := proven(key, jointoken.RenewChallenge(req.GetCertificate(), req.GetNatsUser()), req.GetProof(), "certificate"); err != nil {
		return nil, err
	}
	n, err := s.licensing.RenewNode(ctx, node, key, req.GetNatsUser())
	if err != nil {
		return nil, err
	}
	return &joinv1.RenewResponse{Certificate: n.Certificate, NatsJwt: n.NATSJWT}, nil
}

// proven sees that who asks holds the key.
func proven(key, challenge, proof []byte, field string) error {
	if len(key) != ed25519.PublicKeySize {
		return invalidField(field, "is of %d bytes: an Ed25519 public key has %d", len(key), ed25519.PublicKeySize)
	}
	if !ed25519.Verify(key, challenge, proof) {
		return invalidField("proof", "is not a signature of this request by the node's key")
	}
	return nil
}

// joinPath is what every path of the service begins with.
const joinPath = "/" + joinv1connect.JoinServiceName + "/"

// maxJoin bounds what a stranger may send.
const maxJoin = 64 << 10

// joins serves nodes that are not part of the fleet yet, and so send no token of the API.
func joins(s joinService, options connect.HandlerOption, errorWriter *connect.ErrorWriter) http.Handler {
	_, calls := joinv1connect.NewJoinServiceHandler(s, options)
	limited := &strangers{next: calls, errors: errorWriter, now: time.Now, seen: map[netip.Prefix]allowance{}}
	return http.MaxBytesHandler(named(limited), maxJoin)
}

// What one address may ask: a whole rack may join at once, and nobody can keep the control plane busy. There are no secrets to guess.
const (
	joinBurst = 200
	joinEvery = 100 * time.Millisecond
	// maxStrangers bounds the addresses that are remembered; then all begin anew.
	maxStrangers = 10_000
)

// strangers limits how often an address may call next.
type strangers struct {
	next   http.Handler
	errors *connect.ErrorWriter
	now    func() time.Time

	mu   sync.Mutex
	seen map[netip.Prefix]allowance
}

// allowance is when the burst will be whole again.
type allowance struct{ whole time.Time }

func (s *strangers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if wait := s.take(sourceOf(r.RemoteAddr)); wait > 0 {
		err := connect.NewError(connect.CodeResourceExhausted, errors.New("too many calls from this address: try again in a while"))
		w.Header().Set("Retry-After", "1")
		_ = s.errors.Write(w, r, err) // It is gone.
		return
	}
	s.next.ServeHTTP(w, r)
}

// take takes one call of source's allowance, or says how long it has to wait. The arithmetic is GCRA's.
func (s *strangers) take(source netip.Prefix) time.Duration {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a, known := s.seen[source]
	if !known && len(s.seen) >= maxStrangers {
		clear(s.seen)
	}
	if a.whole.Before(now) {
		a.whole = now
	}
	next := a.whole.Add(joinEvery)
	if wait := next.Sub(now) - joinBurst*joinEvery; wait > 0 {
		return wait
	}
	s.seen[source] = allowance{next}
	return 0
}

// sourceOf is the address, or the network that one subscriber of IPv6 has.
func sourceOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
