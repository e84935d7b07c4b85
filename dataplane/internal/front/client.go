package front

import (
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the peers whose X-Forwarded-* are believed.
type proxies []netip.Prefix

func (p proxies) trust(ip netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// client says where a request came from.
type client struct {
	peer, ip netip.Addr // The connection's other end; who sent the request through trusted proxies.
	trusted  bool       // The peer is a trusted proxy.
}

func (c client) address() string {
	if !c.ip.IsValid() {
		return ""
	}
	return c.ip.String()
}

// client reads who sent a request: from the right of X-Forwarded-For, the first address that no trusted proxy vouches
// for.
func (p proxies) client(r *http.Request) client {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return client{}
	}
	peer := at.Addr().Unmap().WithZone("")
	c := client{peer: peer, ip: peer, trusted: p.trust(peer)}
	if !c.trusted {
		return c
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(c.ip); i-- {
		ip, ok := parseHop(hops[i])
		if !ok {
			break
		}
		c.ip = ip
	}
	return c
}

func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().WithZone(""), true
	}
	at, err := netip.ParseAddrPort(s)
	return at.Addr().Unmap().WithZone(""), err == nil
}

// forwarded tells the upstream who asked for what. What a peer that is not trusted said of it is dropped.
func (c client) forwarded(in *http.Request, out http.Header) {
	chain, host, proto := "", in.Host, "http"
	if in.TLS != nil {
		proto = "https"
	}
	if c.peer.IsValid() {
		chain = c.peer.String()
	}
	if c.trusted {
		if prior := in.Header["X-Forwarded-For"]; len(prior) > 0 {
			chain = strings.Join(prior, ", ") + ", " + chain
		}
		if v := in.Header.Get("X-Forwarded-Host"); v != "" {
			host = v
		}
		if v := in.Header.Get("X-Forwarded-Proto"); v == "http" || v == "https" {
			proto = v
		}
	}
	if chain != "" {
		out["X-Forwarded-For"] = []string{chain}
	}
	out["X-Forwarded-Host"] = []string{host}
	out["X-Forwarded-Proto"] = []string{proto}
}
