package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/test/system"
)

// NATS loses all that it stored. The publisher makes it again from Postgres; clients notice nothing, and no node goes back.
func TestI6I8_NATSIsMadeAgainFromPostgres(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	before := writes(t, c, 10)
	reaches(t, c, before, 2)
	forward := watchEpochs(t, r)
	asked := keepAsking(t, r, r.Demo.Keys["enterprise"])
	if err := os.RemoveAll(filepath.Join(r.DataDir, "nats", "store")); err != nil {
		t.Fatal(err)
	}
	s.WaitBack(t, 30*time.Second, "nats", s.Kill(t, "nats"))
	after := writes(t, c, 10)
	reaches(t, c, after, 2)
	if after.GetGeneration() != before.GetGeneration() {
		t.Errorf("%v became %v", before, after)
	}
	if n := asked(); len(n) != 1 || n[http.StatusOK] == 0 {
		t.Errorf("answers %v, want 200 alone", n)
	}
	chain := onStream(t, r)
	if first := chain[0].GetTo(); first < before.GetNumber() || chain[len(chain)-1].GetTo() != after.GetNumber() {
		t.Errorf("the stream holds %d to %d: was it wiped?", first, chain[len(chain)-1].GetTo())
	}
	forward()
}
