package front_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollgate/dataplane/decision"
)

func TestForward_SettlesWhenTheClientGoes(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]bool{"before the answer": false, "in the middle": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			h := setup(t, func(w http.ResponseWriter, r *http.Request) {
				if answer {
					fmt.Fprint(w, "begun")
					_ = http.NewResponseController(w).Flush()
				}
				close(asked)
				<-r.Context().Done()
			})
			ctx, cancel := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.addr+"/hello", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Api-Key", h.keys["pro"])
			defer cancel()
			want := 499
			if answer {
				want = 200
				res, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				cancel()
			} else {
				go func() {
					<-asked
					cancel()
				}()
				if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
					res.Body.Close()
					t.Error("answered")
				}
			}
			s := h.ledger.settlement(t)
			if s.Status != want || !s.Billed || s.Code != decision.OK {
				t.Errorf("settlement %+v", s)
			}
		})
	}
}

func TestForward_UpstreamFailuresAreToldAndNotBilled(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := setup(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hasty":
			<-release
		case "/hello":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	defer close(release)
	for _, c := range []struct {
		path   string
		status int
		code   decision.Code
	}{
		{"/dead", 502, decision.UpstreamFailed},
		{"/hasty", 504, decision.UpstreamTimeout},
		{"/lost", 502, decision.UpstreamFailed},
		{"/hello", 500, decision.OK},
	} {
		res := h.get("free", c.path)
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", c.path, res.StatusCode, c.status)
		}
		if c.code != decision.OK {
			p := res.problem(t)
			if p["code"] != string(c.code) || p["source"] != "upstream" || p["decision_id"] != res.Header.Get("Tollgate-Decision") || p["status"] != float64(c.status) {
				t.Errorf("%s: body %s", c.path, res.body)
			}
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: header %v", c.path, res.Header)
			}
		}
		s := h.ledger.settlement(t)
		if s.Billed || s.Code != c.code || s.Status != c.status {
			t.Errorf("%s: settlement %+v", c.path, s)
		}
	}
	h.bank.mu.Lock()
	defer h.bank.mu.Unlock()
	if len(h.bank.unspent) != 4 || h.bank.unspent[0].Units != 1 || !h.bank.unspent[0].Lent {
		t.Errorf("given back: %+v", h.bank.unspent)
	}
}

func TestForward_ResponseThatBreaksOffIsSettledAsFailed(t *testing.T) {
	t.Parallel()
	h := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "some")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.addr+"/hello", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", h.keys["pro"])
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the client took a broken response for whole")
	}
	if s := h.ledger.settlement(t); s.Code != decision.UpstreamFailed || s.Billed || s.UpstreamStatus != 200 {
		t.Errorf("settlement %+v", s)
	}
}

func TestForward_BrokenRequestBodyIsTheClientsFault(t *testing.T) {
	t.Parallel()
	h := setup(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	answer := h.raw("POST /hello HTTP/1.1\nHost: x\nX-Api-Key: " + h.keys["pro"] + "\nTransfer-Encoding: chunked\n\nnonsense\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, `"code":"request_malformed"`) {
		t.Errorf("answer %q", answer)
	}
	if s := h.ledger.settlement(t); s.Status != 400 || s.Code != decision.RequestMalformed {
		t.Errorf("settlement %+v", s)
	}
}
