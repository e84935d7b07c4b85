package lender_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// month is the current month of the customer of setup.
func month(t *testing.T) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	return decision.SpanAt(decision.Month, zone, time.Time{}, time.Now()).Start
}

func ask(key *lendv1.LoanKey, waiting, want int64) *lendv1.Ask {
	return &lendv1.Ask{Key: key, Waiting: waiting, Want: want}
}

func monthly(limit int64) licensing.Quota {
	return licensing.Quota{Limit: limit, Period: licensing.Month, Mode: licensing.Hard}
}

func TestLender_LendsWithinTheLimitAndShares(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(100))
	l := w.lender()
	// One node and nobody else: half of what is left at once, so that loans shrink near the end.
	got := lend(t, l.Renew, bootID("a"), ask(w.key(month(t)), 0, 1000))[0]
	if got.GetState() != lendv1.LoanState_LOAN_STATE_OPEN || got.GetGrant() != 50 || got.GetGranted() != 50 {
		t.Errorf("first loan %v, want 50 units", got)
	}
	// Those who wait come first.
	got = lend(t, l.Cold, bootID("a"), ask(w.key(month(t)), 40, 40))[0]
	if got.GetGrant() != 40 || got.GetGranted() != 90 {
		t.Errorf("loan for 40 that wait: %v", got)
	}
	got = lend(t, l.Cold, bootID("a"), ask(w.key(month(t)), 40, 40))[0]
	if got.GetGrant() != 10 || got.GetState() != lendv1.LoanState_LOAN_STATE_EXHAUSTED {
		t.Errorf("loan for 40 that wait with 10 left: %v", got)
	}
}

func TestLender_DoesNotKnowOtherPeriodsLimitsAndLicences(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(100))
	l := w.lender()
	known := w.key(month(t))
	for name, change := range map[string]func(*lendv1.LoanKey){
		"the period before": func(k *lendv1.LoanKey) { k.PeriodStart = month(t).AddDate(0, -1, 0).Unix() },
		"no period":         func(k *lendv1.LoanKey) { k.PeriodStart++ },
		"a UTC month":       func(k *lendv1.LoanKey) { k.PeriodStart = month(t).Add(2 * time.Hour).Unix() },
		"another feature":   func(k *lendv1.LoanKey) { k.Limit = "other" },
		"another licence":   func(k *lendv1.LoanKey) { k.License = "lic_none" },
		"an old generation": func(k *lendv1.LoanKey) { k.CounterGeneration = 0 },
		"no kind":           func(k *lendv1.LoanKey) { k.Kind = 0 },
		"a rate":            func(k *lendv1.LoanKey) { k.Kind = lendv1.LoanKind_LOAN_KIND_RATE },
	} {
		key := w.key(month(t))
		change(key)
		got := lend(t, l.Cold, bootID("a"), ask(key, 1, 1), ask(known, 1, 1))
		if got[0].GetState() != lendv1.LoanState_LOAN_STATE_UNKNOWN || got[0].GetGrant() != 0 {
			t.Errorf("%s: %v, want unknown", name, got[0])
		}
		if got[1].GetGrant() != 1 {
			t.Errorf("%s: the ask beside it got %v", name, got[1])
		}
	}
}

// A node's clock may be a little off at the boundary: a minute begins or ends for it some seconds earlier.
func TestLender_TakesTheNeighbourPeriodAtItsBoundary(t *testing.T) {
	t.Parallel()
	w := setup(t, licensing.Quota{Limit: 100, Period: licensing.Minute, Mode: licensing.Hard})
	l := w.lender()
	now := time.Now()
	minute := func(ago time.Duration) *lendv1.LoanKey {
		k := w.key(now.Add(-ago).Truncate(time.Minute))
		k.PeriodEnd = k.GetPeriodStart() + 60
		return k
	}
	key := minute(4 * time.Second)
	if got := lend(t, l.Cold, bootID("a"), ask(key, 1, 1))[0]; got.GetGrant() != 1 {
		t.Errorf("the minute of 4 s ago: %v", got)
	}
	key = minute(2 * time.Minute)
	if got := lend(t, l.Cold, bootID("a"), ask(key, 1, 1))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_UNKNOWN {
		t.Errorf("the minute of 2 min ago: %v", got)
	}
}

// One node holds everything idle. Another's request waits until that has come back through another control plane.
func TestLender_RecallsIdleUnitsBeforeItDenies(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10))
	key := w.key(month(t))
	first, second := w.lender(), w.lender()
	if got := lend(t, first.Cold, bootID("a"), ask(key, 10, 10))[0]; got.GetGrant() != 10 {
		t.Fatalf("first node got %v", got)
	}
	w.onRecall = func(k *lendv1.LoanKey) {
		lend(t, second.Renew, bootID("a"), &lendv1.Ask{Key: k, Spent: 4, Returned: 6})
	}
	got := lend(t, first.Cold, bootID("b"), ask(key, 2, 5))[0]
	if got.GetGrant() != 2 || got.GetState() != lendv1.LoanState_LOAN_STATE_OPEN {
		t.Errorf("second node got %v, want the 2 that waited", got)
	}
	if w.recalled() != 1 {
		t.Errorf("%d recalls, want 1", w.recalled())
	}
}

func TestLender_DeniesOnlyAfterTheRecall(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10))
	l := w.lender()
	key := w.key(month(t))
	lend(t, l.Cold, bootID("a"), ask(key, 10, 10))
	// A renewal must not stop a node from asking cold: nobody was asked to give back.
	if got := lend(t, l.Renew, bootID("b"), ask(key, 0, 5))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_OPEN || got.GetGrant() != 0 {
		t.Errorf("renewal with idle units elsewhere: %v", got)
	}
	if got := lend(t, l.Cold, bootID("b"), ask(key, 1, 1))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_EXHAUSTED {
		t.Errorf("nobody gave back: %v", got)
	}
	before := w.recalled()
	if before == 0 {
		t.Error("denied without a recall")
	}
	// Once all is spent there is nothing to recall.
	lend(t, l.Renew, bootID("a"), &lendv1.Ask{Key: key, Spent: 10})
	if got := lend(t, l.Renew, bootID("b"), ask(key, 0, 5))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_EXHAUSTED {
		t.Errorf("all is spent: %v", got)
	}
	if w.recalled() != before {
		t.Errorf("%d recalls, want %d", w.recalled(), before)
	}
}

func TestLender_RecallsAKeyRarely(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10))
	l := w.lender()
	key := w.key(month(t))
	lend(t, l.Cold, bootID("a"), ask(key, 10, 10))
	start := time.Now()
	for i := range 3 {
		lend(t, l.Cold, bootID(string(rune('b'+i))), ask(key, 1, 1))
	}
	if most := 1 + int(time.Since(start)/(200*time.Millisecond)); w.recalled() > most {
		t.Errorf("%d recalls in %s, at most %d", w.recalled(), time.Since(start), most)
	}
}

func TestLender_TellsAClosedBoot(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10))
	l := w.lender()
	key := w.key(month(t))
	lend(t, l.Cold, bootID("a"), ask(key, 10, 10))
	must(t, closeBoot(t.Context(), w.db, bootID("a"), loanKey(key), 10))
	if got := lend(t, l.Cold, bootID("a"), ask(key, 1, 1))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_CLOSED {
		t.Errorf("a closed boot: %v", got)
	}
}

func TestLender_LendsTokensWithTheirLife(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10), licensing.RateLimit{Key: "free-rate", Limit: 5, Per: time.Second, Burst: 5})
	l := w.lender()
	key := &lendv1.LoanKey{Kind: lendv1.LoanKind_LOAN_KIND_RATE, License: w.license, Limit: "free-rate"}
	got := lend(t, l.Cold, bootID("a"), ask(key, 5, 5))[0]
	if got.GetGrant() != 5 || got.GetLives().AsDuration() != time.Second || got.GetRetryAfter().AsDuration() != 0 {
		t.Errorf("full pool: %v", got)
	}
	got = lend(t, l.Cold, bootID("b"), ask(key, 5, 5))[0]
	if after := got.GetRetryAfter().AsDuration(); got.GetGrant() == 5 || after <= 0 || after > 200*time.Millisecond {
		t.Errorf("empty pool: %v, want to be told when the next token can be there", got)
	}
}

func TestLender_StaysSilentOnWhatItCannotRead(t *testing.T) {
	t.Parallel()
	l := setup(t, monthly(10)).lender()
	for _, raw := range [][]byte{nil, []byte("junk"), {0x0a, 0x01, 'n'}} {
		if reply := l.Cold(t.Context(), "n", raw); reply != nil {
			t.Errorf("%q was answered", raw)
		}
	}
}

func TestLender_LendsABlockedNodeNothing(t *testing.T) {
	t.Parallel()
	w := setup(t, monthly(10))
	l := w.lender()
	block := licensing.NodeBlock{Node: "n", Reason: "stolen", BlockTime: time.Now()}
	change := func(f func(tx licensing.Tx) error) { t.Helper(); must(t, w.db.Licensing().Update(t.Context(), f)) }
	change(func(tx licensing.Tx) error { return tx.InsertNodeBlock(t.Context(), block) })
	answer := func(listener string) *lendv1.LendResponse {
		t.Helper()
		raw, err := proto.Marshal(&lendv1.LendRequest{Node: "n", Boot: bootID("a"), Asks: []*lendv1.Ask{ask(w.key(month(t)), 1, 5)}})
		must(t, err)
		reply := l.Cold(t.Context(), listener, raw)
		if reply == nil {
			return nil
		}
		res := &lendv1.LendResponse{}
		must(t, proto.Unmarshal(reply, res))
		return res
	}
	if res := answer("n"); res.GetBlocked() != "stolen" || len(res.GetLoans()) != 0 {
		t.Errorf("blocked: %v", res)
	}
	change(func(tx licensing.Tx) error { return tx.DeleteNodeBlock(t.Context(), block) })
	if res := answer("n"); res.GetBlocked() != "" || res.GetLoans()[0].GetGrant() == 0 {
		t.Errorf("unblocked: %v", res)
	}
	// By another's name it would go on: whose inbox the answer goes to says who asks.
	if res := answer("thief"); res != nil {
		t.Errorf("another node's request in its name: %v", res)
	}
}
