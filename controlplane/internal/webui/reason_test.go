package webui

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/dataplane/decision"
)

func reader(t *testing.T) func(path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := Handler(built())
	if err != nil {
		t.Fatal(err)
	}
	return func(path, accept string) *httptest.ResponseRecorder {
		t.Helper()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Accept", accept)
		h.ServeHTTP(w, r)
		return w
	}
}

func TestReasons_EveryCodeLeadsToAPageForPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	get := reader(t)
	for _, r := range decision.Reasons() {
		res := get("/errors/"+string(r.Code), "text/html,*/*;q=0.8")
		body := res.Body.String()
		if res.Code != http.StatusOK || !strings.Contains(body, string(r.Code)) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d %q", r.Code, res.Code, body)
		}
		if res.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: the page is not guarded", r.Code)
		}
		var got reasonPage
		if err := json.Unmarshal(get("/errors/"+string(r.Code), "*/*").Body.Bytes(), &got); err != nil || got.Code != string(r.Code) || got.Status != r.Status || got.Title != r.Title || got.Advice == "" {
			t.Errorf("%s: %+v, %v", r.Code, got, err)
		}
	}
}

func TestReasons_UnknownCodeIsNotFound(t *testing.T) {
	t.Parallel()
	if res := reader(t)("/errors/nonsense", "text/html"); res.Code != http.StatusNotFound {
		t.Errorf("status %d", res.Code)
	}
}
