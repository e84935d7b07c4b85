package front

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// flaw is what a request is refused for before it is routed, in words for its client. Empty: nothing.
type flaw string

const (
	flawTarget    flaw = "The request target is not an absolute path of printable ASCII characters."
	flawAbsolute  flaw = "The request target names another host than the one it was sent to."
	flawEncoded   flaw = "The path holds an encoded slash, backslash or NUL."
	flawBackslash flaw = "The path holds a backslash."
	flawEmpty     flaw = "The path holds an empty segment (//)."
	flawDots      flaw = "The path holds a dot segment (. or ..)."
	flawHost      flaw = "The Host header is not a host name or address."
	flawMethod    flaw = "The method CONNECT is not served here."
	flawBody      flaw = "The request's body could not be read to its end."
)

// validate refuses what two servers could read in two ways: what is matched has to be what the upstream sees. Lengths and
// header syntax are net/http's to check, before this.
func validate(r *http.Request) flaw {
	if r.Method == http.MethodConnect {
		return flawMethod
	}
	target := r.RequestURI
	if strings.HasPrefix(target, "/") {
		// Read as a path, as net/http has read it, whatever follows.
	} else if r.URL.Host == "" || (r.URL.Scheme != "http" && r.URL.Scheme != "https") || r.URL.User != nil {
		return flawTarget
	} else if !sentTo(r) {
		return flawAbsolute
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return flawTarget
		}
	}
	if !validHost(r.Host) {
		return flawHost
	}
	return validatePath(r.URL.EscapedPath(), r.URL.Path)
}

// validatePath checks a path as sent and as decoded once.
func validatePath(raw, path string) flaw {
	switch {
	case !strings.HasPrefix(path, "/") || !strings.HasPrefix(raw, "/"):
		return flawTarget
	case strings.Contains(raw, `\`):
		return flawBackslash
	case strings.ContainsAny(path, "\\\x00") || strings.Count(raw, "/") != strings.Count(path, "/"):
		return flawEncoded
	case strings.Contains(path, "//"):
		return flawEmpty
	}
	for seg := range strings.SplitSeq(path[1:], "/") {
		// Some servers drop ;parameters of a segment before they resolve dots.
		seg, _, _ = strings.Cut(seg, ";")
		if seg == "." || seg == ".." {
			return flawDots
		}
	}
	return ""
}

// sentTo reports whether an absolute-form target names the address that the request came in on. net/http lets the target
// override the Host header, so a foreign one would choose the route.
func sentTo(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return false
	}
	host, port := r.URL.Hostname(), r.URL.Port()
	if port == "" {
		port = "80"
	}
	_, localPort, err := net.SplitHostPort(local.String())
	if err != nil || port != localPort {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return at.Addr().Unmap().IsLoopback()
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap() == at.Addr().Unmap()
}

// validHost takes a name, an IPv4 address or a bracketed IPv6 address, with or without a port; none at all, as
// HTTP/1.0 allows.
func validHost(host string) bool {
	if len(host) > 255 {
		return false
	}
	name, port := splitPort(host)
	for _, c := range []byte(port) {
		if c < '0' || c > '9' {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return name != "" || host == ""
}

func splitPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:i], host[i+1:]
}

// routeHost is a valid host as routes name it: lower case, without port or the root's dot.
func routeHost(host string) string {
	name, _ := splitPort(host)
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
