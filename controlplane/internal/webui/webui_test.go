package webui

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func built() fstest.MapFS {
	return fstest.MapFS{
		"index.html":             {Data: []byte("<title>app</title>")},
		"assets/index-1a2b3c.js": {Data: []byte("run()")},
		"favicon.svg":            {Data: []byte("<svg/>")},
		".gitkeep":               {Data: nil},
	}
}

// answer is what came back.
type answer struct {
	StatusCode int
	Header     http.Header
}

func setup(t *testing.T, files fstest.MapFS) func(method, path string) (answer, string) {
	t.Helper()
	h, err := Handler(files)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return func(method, path string) (answer, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{res.StatusCode, res.Header}, string(body)
	}
}

func TestHandler_ServesThePageForEveryPlaceInTheApp(t *testing.T) {
	t.Parallel()
	do := setup(t, built())
	for _, path := range []string{"/", "/index.html", "/licenses", "/licenses/lic_01/keys", "/plans/free.v2", "/assets", "/assets/", "/../../etc"} {
		res, body := do(http.MethodGet, path)
		if res.StatusCode != http.StatusOK || body != "<title>app</title>" {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: a page that may change is cached: %q", path, got)
		}
	}
}

func TestHandler_CachesOnlyWhatIsNamedByItsHash(t *testing.T) {
	t.Parallel()
	do := setup(t, built())
	for path, want := range map[string]string{"/assets/index-1a2b3c.js": "public, max-age=31536000, immutable", "/favicon.svg": "no-cache"} {
		res, _ := do(http.MethodGet, path)
		if got := res.Header.Get("Cache-Control"); res.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %d, Cache-Control %q", path, res.StatusCode, got)
		}
	}
}

func TestHandler_MissingAssetIsNotThePage(t *testing.T) {
	t.Parallel()
	do := setup(t, built())
	for _, path := range []string{"/assets/index-gone.js", "/app.css", "/.gitkeep", "/.env"} {
		if res, body := do(http.MethodGet, path); res.StatusCode != http.StatusNotFound || strings.Contains(body, "app</title>") {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
	}
}

func TestHandler_GuardsEveryAnswer(t *testing.T) {
	t.Parallel()
	do := setup(t, built())
	for _, path := range []string{"/", "/assets/index-1a2b3c.js", "/assets/gone.js"} {
		res, _ := do(http.MethodGet, path)
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: %s %q", path, header, got)
			}
		}
	}
}

func TestHandler_SaysHowToBuildWhatIsNotBuilt(t *testing.T) {
	t.Parallel()
	do := setup(t, fstest.MapFS{".gitkeep": {}})
	if res, body := do(http.MethodGet, "/"); res.StatusCode != http.StatusOK || !strings.Contains(body, "make web") {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestHandler_RefusesToBeWrittenTo(t *testing.T) {
	t.Parallel()
	do := setup(t, built())
	if res, _ := do(http.MethodPost, "/"); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}
