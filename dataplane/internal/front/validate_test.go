package front

import (
	"bufio"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzValidate checks what is true of every request that is let through: its path, as matched and as sent, can be read
// in one way only, and no header that Tollgate speaks by survives.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{
		"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a/..;x/b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://evil/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /x?a=//..%2f HTTP/1.1\r\nHost: [::1]:80\r\nTollgate_Plan: x\r\nX.Api.Key: y\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || validate(r) != "" {
			return
		}
		p := r.URL.Path
		if clean := path.Clean(p); clean != p && clean+"/" != p {
			t.Errorf("%q: path %q is not clean", text, p)
		}
		sent := r.URL.EscapedPath()
		for _, bad := range []string{"%2f", "%5c", "%00", `\`} {
			if strings.Contains(strings.ToLower(sent), bad) {
				t.Errorf("%q: %q is sent", text, sent)
			}
		}
		again, err := url.ParseRequestURI(sent)
		if err != nil || again.Path != p {
			t.Errorf("%q: matched %q, sent %q", text, p, sent)
		}
		if host := routeHost(r.Host); host != strings.ToLower(host) || strings.ContainsAny(host, "/@ ") {
			t.Errorf("%q: host %q", text, host)
		}
		stripReserved(r.Header)
		for name := range r.Header {
			folded := fold(name)
			if strings.HasPrefix(folded, "tollgate-") || guarded[folded] && !strings.EqualFold(folded, name) {
				t.Errorf("%q: header %q is left", text, name)
			}
		}
	})
}
