package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tollgate/controlplane/internal/keyring"
	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/envelope"
)

// store is Postgres.
type store struct {
	signed []byte
	failed error
}

func (s *store) KeySet(context.Context) ([]byte, error) { return s.signed, s.failed }

func (s *store) SetKeySet(_ context.Context, signed []byte) error {
	s.signed = signed
	return s.failed
}

// house is a control plane's data dir, and the folder of its root.
type house struct {
	t         *testing.T
	dir       string
	authority *trust.Authority
	store     *store
	metrics   *prometheus.Registry
}

func setup(t *testing.T) *house {
	t.Helper()
	authority, err := trust.Open(filepath.Join(t.TempDir(), "trust"))
	must(t, err)
	h := &house{t: t, dir: t.TempDir(), authority: authority, store: &store{}}
	must(t, authority.Equip(h.dir, "rules", envelope.UsageRules, "controlplane"))
	must(t, authority.Equip(h.dir, "receipts", envelope.UsageReceipts, "controlplane"))
	return h
}

func (h *house) open() *keyring.Ring {
	h.t.Helper()
	root, err := envelope.ParseRoot(h.authority.Root())
	must(h.t, err)
	h.metrics = prometheus.NewRegistry()
	r, err := keyring.Open(keyring.Config{
		Dir: h.dir, Root: root, Logger: slog.New(slog.DiscardHandler), Metrics: h.metrics,
	}, time.Now())
	must(h.t, err)
	return r
}

// enrol signs a set of what is in the data dir.
func (h *house) enrol() []byte {
	h.t.Helper()
	signed, err := h.authority.Enrol(h.dir, time.Now())
	must(h.t, err)
	must(h.t, h.authority.Learn(signed))
	return signed
}

func (h *house) rotate() *trust.Pair {
	h.t.Helper()
	pair, signed, err := h.authority.Rotate("rules", time.Now())
	must(h.t, err)
	must(h.t, h.authority.Learn(signed))
	return pair
}

func (h *house) revoke(id string) {
	h.t.Helper()
	signed, err := h.authority.Revoke(id, false, time.Now())
	must(h.t, err)
	must(h.t, h.authority.Learn(signed))
}

// signs is the id of the key that signs rules; empty: none does.
func (h *house) signs(r *keyring.Ring) string {
	h.t.Helper()
	raw, err := r.Rules().Sign(envelope.KindHeartbeat, []byte("x"))
	c, failed := r.Rules().Certified()
	if (err == nil) != (failed == nil) {
		h.t.Errorf("signs: %v, certified: %v", err, failed)
	}
	usable, count := 0.0, 0
	families, gatherErr := h.metrics.Gather()
	must(h.t, gatherErr)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "tollgate_key_usable" && m.GetLabel()[0].GetValue() == "rules" {
				usable, count = m.GetGauge().GetValue(), count+1
			}
		}
	}
	if want := map[bool]float64{true: 1}[err == nil]; usable != want || count != 1 {
		h.t.Errorf("tollgate_key_usable is %v of %d, want %v", usable, count, want)
	}
	if err != nil {
		return ""
	}
	if _, err := r.Verifier().Open(envelope.KindHeartbeat, raw, time.Now()); err != nil {
		h.t.Errorf("what was signed does not verify: %v", err)
	}
	return envelope.KeyID(c.PublicKey)
}

func TestRing_SignsOnlyWhatCounts(t *testing.T) {
	t.Parallel()
	h := setup(t)
	r := h.open()
	r.Round(t.Context(), h.store, time.Now())
	if id := h.signs(r); id != "" || len(r.Warnings()) == 0 || !strings.Contains(r.Warnings()[0], "no key set") {
		t.Fatalf("signs with %q before there is a key set; warns %q", id, r.Warnings())
	}
	h.store.signed = h.enrol()
	r.Round(t.Context(), h.store, time.Now())
	first := h.signs(r)
	if first == "" || len(r.Warnings()) > 0 {
		t.Fatalf("does not sign; warns %q", r.Warnings())
	}
	h.rotate() // In files nowhere.
	h.revoke(first)
	h.store.signed = h.authority.Trust().Raw()
	r.Round(t.Context(), h.store, time.Now())
	if id := h.signs(r); id != "" || len(r.Warnings()) != 1 || !strings.Contains(r.Warnings()[0], "rules key does not count") {
		t.Errorf("signs with %q, which was revoked; warns %q", id, r.Warnings())
	}
	if v := testutil.CollectAndCount(h.metrics, "tollgate_key_set_version"); v != 1 {
		t.Errorf("%d of tollgate_key_set_version", v)
	}
	// It starts like that, too: only its API can mend it.
	if id := h.signs(h.open()); id != "" {
		t.Errorf("after a restart it signs with %q", id)
	}
}

// The files and the set may come in any order.
func TestRing_TakesANewKeyWithoutAPause(t *testing.T) {
	t.Parallel()
	for _, filesFirst := range []bool{true, false} {
		h := setup(t)
		h.store.signed = h.enrol()
		r := h.open()
		now := time.Now()
		r.Round(t.Context(), h.store, now)
		old := h.signs(r)
		pair := h.rotate()
		step := func(after time.Duration, want, when string) {
			t.Helper()
			r.Round(t.Context(), h.store, now.Add(after))
			if got := h.signs(r); got != want {
				t.Errorf("files first %v: %s it signs with %q, want %q (old %q)", filesFirst, when, got, want, old)
			}
		}
		if filesFirst {
			must(t, pair.Install(h.dir))
		} else {
			h.store.signed = h.authority.Trust().Raw()
		}
		step(time.Second, old, "with half of it")
		step(time.Minute, old, "still with half of it")
		if filesFirst {
			h.store.signed = h.authority.Trust().Raw()
		} else {
			must(t, pair.Install(h.dir))
		}
		step(2*time.Minute, old, "before nodes have heard of it")
		step(2*time.Minute+2*time.Second, old, "before all nodes have heard of it")
		step(2*time.Minute+4*time.Second, pair.ID(), "once it is known")
		h.revoke(old)
		h.store.signed = h.authority.Trust().Raw()
		step(3*time.Minute, pair.ID(), "without the old one")
	}
}

func TestRing_LeavesARevokedKeyAtOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.store.signed = h.enrol()
	r := h.open()
	r.Round(t.Context(), h.store, time.Now())
	old := h.signs(r)
	pair := h.rotate()
	must(t, pair.Install(h.dir))
	h.revoke(old)
	h.store.signed = h.authority.Trust().Raw()
	r.Round(t.Context(), h.store, time.Now())
	if got := h.signs(r); got != pair.ID() {
		t.Errorf("signs with %q, want %q", got, pair.ID())
	}
}

func TestRing_GoesOnWithHalfReplacedFiles(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.store.signed = h.enrol()
	r := h.open()
	r.Round(t.Context(), h.store, time.Now())
	old := h.signs(r)
	certificate, err := os.ReadFile(filepath.Join(h.dir, "rules.cert"))
	must(t, err)
	pair := h.rotate()
	h.store.signed = h.authority.Trust().Raw()
	must(t, pair.Install(h.dir))
	whole, err := os.ReadFile(filepath.Join(h.dir, "rules.cert"))
	must(t, err)
	for _, half := range [][]byte{certificate, nil, []byte("torn")} {
		must(t, os.WriteFile(filepath.Join(h.dir, "rules.cert"), half, 0o600))
		r.Round(t.Context(), h.store, time.Now().Add(time.Hour))
		if got := h.signs(r); got != old {
			t.Errorf("with the certificate %q it signs with %q, want %q", half, got, old)
		}
	}
	must(t, os.WriteFile(filepath.Join(h.dir, "rules.cert"), whole, 0o600))
	r.Round(t.Context(), h.store, time.Now().Add(time.Hour))
	r.Round(t.Context(), h.store, time.Now().Add(2*time.Hour))
	if got := h.signs(r); got != pair.ID() {
		t.Errorf("signs with %q, want %q", got, pair.ID())
	}
}

func TestRing_GivesTheDatabaseANewerSet(t *testing.T) {
	t.Parallel()
	h := setup(t)
	old := h.enrol()
	h.rotate()
	must(t, h.authority.Publish(h.dir))
	r := h.open()
	newest := string(h.authority.Trust().Raw())
	for _, restored := range [][]byte{nil, old} {
		h.store.signed = restored
		r.Round(t.Context(), h.store, time.Now())
		if string(h.store.signed) != newest || r.Verifier().Version() != 2 {
			t.Errorf("the database has another set, and version %d is in force", r.Verifier().Version())
		}
	}
	h.store.failed = errors.New("away")
	r.Round(t.Context(), h.store, time.Now())
	if h.signs(r) == "" {
		t.Error("with the database away nothing is signed")
	}
	// What no root of this fleet signed is not taken from there.
	h.store.failed, h.store.signed = nil, setup(t).enrol()
	r.Round(t.Context(), h.store, time.Now())
	if string(r.Verifier().Trust().Raw()) != newest {
		t.Error("took another fleet's set")
	}
}

func TestRing_FollowsARootThatIsRotated(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.store.signed = h.enrol()
	r := h.open()
	r.Round(t.Context(), h.store, time.Now())
	before := h.signs(r)
	signed, err := h.authority.RotateRoot(time.Now())
	must(t, err)
	must(t, h.authority.Learn(signed))
	h.store.signed = signed
	r.Round(t.Context(), h.store, time.Now())
	if got := h.signs(r); got != before {
		t.Errorf("signs with %q, want %q", got, before)
	}
	// Configured with the new root: the old one's certificates are known by its word.
	if got := h.signs(h.open()); got != before {
		t.Errorf("started with the new root, it signs with %q, want %q", got, before)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
