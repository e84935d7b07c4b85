package webui

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/dataplane/decision"
)

func reasons(t *testing.T) func(path, accept string) (*http.Response, string) {
	t.Helper()
	h, err := Reasons()
	if err != nil {
		t.Fatal(err)
	}
	return func(path, accept string) (*http.Response, string) {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Accept", accept)
		h.ServeHTTP(w, r)
		res := w.Result()
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
}

func TestReasons_EveryCodeLeadsToAPageForPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	get := reasons(t)
	for _, r := range decision.Reasons() {
		res, body := get("/errors/"+string(r.Code), "text/html,*/*;q=0.8")
		if res.StatusCode != http.StatusOK || !strings.Contains(body, string(r.Code)) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d %q", r.Code, res.StatusCode, body)
		}
		if res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: the page is not guarded", r.Code)
		}
		_, body = get("/errors/"+string(r.Code), "*/*")
		var got reasonPage
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code != string(r.Code) || got.Status != r.Status || got.Title != r.Title || got.Advice == "" {
			t.Errorf("%s: %+v, %v", r.Code, got, err)
		}
	}
}

func TestReasons_UnknownCodeIsNotFound(t *testing.T) {
	t.Parallel()
	if res, _ := reasons(t)("/errors/nonsense", "text/html"); res.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", res.StatusCode)
	}
}
