package sample

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler_CountsRequestsButNotItsStats(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(NewHandler())
	defer s.Close()
	for _, path := range []string{"/hello", "/hello", "/reports/x", "/stats", "/stats"} {
		do(t, http.MethodGet, s.URL+path, "", nil)
	}
	var got Stats
	do(t, http.MethodGet, s.URL+"/stats", "", &got)
	if got.Requests != 3 || got.ByPath["/hello"] != 2 || got.ByPath["/reports/x"] != 1 || len(got.ByPath) != 2 {
		t.Errorf("stats %+v, want 3 requests: 2 /hello, 1 /reports/x", got)
	}
}

func TestHandler_EchoesWhatItReceived(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(NewHandler())
	defer s.Close()
	var got echo
	do(t, http.MethodPut, s.URL+"/echo/a%20b?b=c", "some body", &got)
	if got.Method != http.MethodPut || got.Path != "/echo/a%20b" || got.Query != "b=c" || got.Body != "some body" {
		t.Errorf("echo %+v", got)
	}
	if got.Headers["X-Sent"] != "one, two" || got.Headers["Host"] != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("headers %v", got.Headers)
	}
}

func TestHandler_BoundsThePathsItRemembers(t *testing.T) {
	t.Parallel()
	h := NewHandler()
	for i := range maxPaths + 5 {
		h.count("/" + strings.Repeat("x", i))
	}
	got := h.Stats()
	if got.Requests != maxPaths+5 || got.ByPath[otherPaths] != 5 || len(got.ByPath) != maxPaths+1 {
		t.Errorf("%d requests, %d others, %d paths", got.Requests, got.ByPath[otherPaths], len(got.ByPath))
	}
}

func do(t *testing.T, method, url, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Add("X-Sent", "one")
	r.Header.Add("X-Sent", "two")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("%s %s: status %d", method, url, res.StatusCode)
	}
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
	}
}
