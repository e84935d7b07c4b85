package licensing_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/rulefeed"
)

// Whatever two control planes write at once, in whatever order it commits: each write has an epoch of its own, answers with it, is in the audit and
// among the licence events under the next number, and the state's hash is that of the state.
func TestI6_ManyWritersKeepTheChainTheAuditAndTheStateHash(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.apply(sample(1000))
	customer := f.customer("one").ID
	db, err := postgres.Open(t.Context(), postgres.Config{URL: f.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	second, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	planes := []*licensing.Service{f.Service, second}

	before := f.epoch().Number
	const writers, each = 16, 5
	var mu sync.Mutex
	var numbers []uint64
	var wg sync.WaitGroup
	for n := range writers {
		s := planes[n%len(planes)]
		wg.Go(func() {
			took := func(e licensing.Epoch, err error) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				numbers = append(numbers, e.Number)
			}
			for i := range each {
				ctx := licensing.WithCall(t.Context(), licensing.Call{
					Procedure: "issue", RequestID: fmt.Sprintf("%d-%d", n, i), Fingerprint: []byte("same"),
				})
				l, epoch, err := s.IssueLicense(ctx, licensing.License{Customer: customer, Plan: "free"})
				took(epoch, err)
				// The same call at the other plane has the same answer.
				again, same, err := planes[(n+1)%len(planes)].IssueLicense(ctx, licensing.License{Customer: customer, Plan: "free"})
				if err != nil || again.ID != l.ID || same != epoch {
					t.Errorf("the same call again: licence %s at %v, %v; want %s at %v", again.ID, same, err, l.ID, epoch)
				}
				// A refused write in between leaves nothing.
				_, _, err = s.IssueLicense(t.Context(), licensing.License{Customer: customer, Plan: "none"})
				if licensing.CodeOf(err) != licensing.NotFound {
					t.Errorf("a licence of no plan: %v", err)
				}
				_, epoch, err = s.SuspendLicense(t.Context(), l.ID)
				took(epoch, err)
				_, epoch, err = s.RevokeLicense(t.Context(), l.ID)
				took(epoch, err)
			}
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != before+uint64(i)+1 {
			t.Fatalf("the %d. write answered epoch %d after %d", i+1, n, before)
		}
	}
	if all := f.chain(); len(all) != int(before)+3*writers*each {
		t.Errorf("%d envelopes, want %d", len(all), int(before)+3*writers*each)
	}
	f.stateHashIs(f.ruleState())

	log := audit.NewService(f.db.Audit())
	result, _, err := log.Verify(t.Context())
	if err != nil || len(result.Findings) > 0 {
		t.Errorf("the audit has findings %v, %v", result.Findings, err)
	}
	events, _, _, err := log.Events(t.Context(), audit.List{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	// The later event was written after the earlier one's epoch.
	slices.SortFunc(events, func(a, b audit.Event) int { return int(a.Sequence) - int(b.Sequence) })
	for i := 1; i < len(events); i++ {
		if events[i].Number < events[i-1].Number || !bytes.Equal(events[i].Previous, events[i-1].Hash) {
			t.Errorf("audit event %d of epoch %d follows one of epoch %d", events[i].Sequence, events[i].Number, events[i-1].Number)
		}
	}
	var revoked int
	for i := range events {
		if events[i].Number > before && bytes.Contains([]byte(events[i].After), []byte(`"revoked"`)) {
			revoked++
			if !bytes.Contains([]byte(events[i].Before), []byte(`"suspended"`)) {
				t.Errorf("a revocation was recorded as of %s", events[i].Before)
			}
		}
	}
	if revoked != writers*each {
		t.Errorf("%d revocations are in the audit, want %d", revoked, writers*each)
	}
	happened, err := db.Licensing().LicenseEvents(t.Context(), "", 0, 1000)
	if err != nil || len(happened) != 3*writers*each {
		t.Fatalf("%d licence events, %v", len(happened), err)
	}
	for i, e := range happened {
		if e.Number != int64(i+1) {
			t.Errorf("licence event %d has number %d", i+1, e.Number)
		}
	}
}
