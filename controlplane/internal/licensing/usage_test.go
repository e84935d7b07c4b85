package licensing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/metering"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/rulefeed"
)

// measured is a fixture with a licence that has run for 60 days, and the meters requests (count), tokens (sum), peak (max).
func measured(t *testing.T) (*fixture, licensing.License) {
	t.Helper()
	f := setup(t)
	f.apply(sample(1000))
	for key, a := range map[string]licensing.Aggregation{"tokens": licensing.Sum, "peak": licensing.Max, "users": licensing.Unique} {
		if _, _, err := f.CreateMeter(t.Context(), licensing.Meter{Key: key, Aggregation: a}); err != nil {
			t.Fatal(err)
		}
	}
	l, _, err := f.IssueLicense(t.Context(), licensing.License{
		Customer: f.customer("acme").ID, Plan: "free", StartsAt: f.clock.Now().AddDate(0, 0, -60),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, l
}

// tokens is an event of so many units.
func tokens(l *licensing.License, id string, at time.Time, units string) licensing.UsageEvent {
	return licensing.UsageEvent{Source: "//gateway", ID: id, Type: "tokens", Subject: l.ID, Time: at, Units: units}
}

func (f *fixture) ingest(events ...licensing.UsageEvent) []licensing.IngestedEvent {
	f.t.Helper()
	out, _, err := f.IngestEvents(f.t.Context(), events)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(out) != len(events) {
		f.t.Fatalf("%d answers to %d events", len(out), len(events))
	}
	for i := range out {
		if out[i].ID != events[i].ID || out[i].Source != events[i].Source {
			f.t.Errorf("answer %d is to %v, not to %s", i, out[i].EventKey, events[i].ID)
		}
	}
	return out
}

// total is all that is counted of a meter.
func (f *fixture) total(l *licensing.License, meter string) int64 {
	f.t.Helper()
	u, err := metering.NewService(f.db.Metering()).QueryUsage(f.t.Context(), metering.UsageQuery{
		License: l.ID, Meter: meter, From: f.clock.Now().AddDate(-1, 0, 0), To: f.clock.Now().AddDate(0, 0, 1),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return u.Total
}

func outcomes(all []licensing.IngestedEvent) map[licensing.IngestOutcome]int {
	n := map[licensing.IngestOutcome]int{}
	for i := range all {
		n[all[i].Outcome]++
	}
	return n
}

func TestI4_AnEventCountsOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	var batch []licensing.UsageEvent
	for i := range 100 {
		batch = append(batch, tokens(&l, fmt.Sprint(i), f.clock.Now().Add(-time.Duration(i)*time.Minute), "3"))
	}
	if got := outcomes(f.ingest(batch...)); got[licensing.Accepted] != 100 {
		t.Errorf("the first time: %v", got)
	}
	// Again, with some new ones.
	more := append(slices.Clone(batch[:50]), tokens(&l, "new", f.clock.Now(), "7"))
	if got := outcomes(f.ingest(more...)); got[licensing.Accepted] != 1 || got[licensing.Duplicate] != 50 {
		t.Errorf("again: %v", got)
	}
	// To a control plane that has just started.
	db, err := postgres.Open(t.Context(), postgres.Config{URL: f.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	other, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}, Now: f.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := other.IngestEvents(t.Context(), batch)
	if err != nil || outcomes(out)[licensing.Duplicate] != 100 {
		t.Errorf("elsewhere: %v, %v", outcomes(out), err)
	}
	// Another source's event of the same id is another event.
	batch[0].Source = "//other"
	if got := outcomes(f.ingest(batch[0])); got[licensing.Accepted] != 1 {
		t.Errorf("of another source: %v", got)
	}
	if got := f.total(&l, "tokens"); got != 100*3+7+3 {
		t.Errorf("%d are counted", got)
	}
}

// Twenty callers send the same events, each in an order of its own.
func TestI4_AnEventCountsOnceInParallel(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	const callers, events = 20, 200
	var mu sync.Mutex
	accepted := map[string]int{}
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			var batch []licensing.UsageEvent
			for i := range events {
				batch = append(batch, tokens(&l, fmt.Sprint(i), f.clock.Now().Add(-time.Duration(i%7)*time.Minute), fmt.Sprint(i+1)))
			}
			rand.New(rand.NewPCG(1, uint64(c))).Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			out, _, err := f.IngestEvents(t.Context(), batch)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for i := range out {
				switch out[i].Outcome {
				case licensing.Accepted:
					accepted[out[i].ID]++
				case licensing.Rejected:
					t.Errorf("%s: %s", out[i].ID, out[i].Message)
				}
			}
		})
	}
	all.Wait()
	for id, n := range accepted {
		if n != 1 {
			t.Errorf("event %s was accepted %d times", id, n)
		}
	}
	if len(accepted) != events {
		t.Errorf("%d events were accepted", len(accepted))
	}
	if got, want := f.total(&l, "tokens"), int64(events*(events+1)/2); got != want {
		t.Errorf("%d are counted, want %d", got, want)
	}
}

func TestIngest_AnotherEventOfTheSameNameIsAConflict(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	now := f.clock.Now()
	other := f.license("other")
	f.ingest(tokens(&l, "a", now, "3"))
	count := tokens(&l, "a", now, "")
	count.Type = "requests"
	out := f.ingest(
		tokens(&l, "a", now, "4"), tokens(&l, "a", now.Add(-time.Second), "3"), tokens(&other, "a", now, "3"), count,
		tokens(&l, "a", now, "3"), tokens(&l, "a", now, "03"),
		// The first of a batch counts, and the others are held against it.
		tokens(&l, "b", now, "1"), tokens(&l, "b", now, "1"), tokens(&l, "b", now, "2"),
	)
	for i, want := range []licensing.IngestOutcome{
		licensing.Rejected, licensing.Rejected, licensing.Rejected, licensing.Rejected, licensing.Duplicate, licensing.Duplicate,
		licensing.Accepted, licensing.Duplicate, licensing.Rejected,
	} {
		if out[i].Outcome != want || want == licensing.Rejected && (out[i].Code != licensing.AlreadyExists || out[i].Field != fmt.Sprintf("events[%d].id", i)) {
			t.Errorf("event %d: %+v, want %s", i, out[i], want)
		}
	}
	if got := f.total(&l, "tokens"); got != 4 {
		t.Errorf("%d are counted", got)
	}
}

func TestIngest_TakesWhatIsLateAndNotWhatIsTooLate(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	now := f.clock.Now()
	const day = 24 * time.Hour
	events := []licensing.UsageEvent{
		tokens(&l, "ahead", now.Add(5*time.Minute), "1"), tokens(&l, "late", now.Add(-35*day), "1"),
		tokens(&l, "too far ahead", now.Add(5*time.Minute+time.Microsecond), "1"), tokens(&l, "too late", now.Add(-35*day-time.Microsecond), "1"),
	}
	out := f.ingest(events...)
	for i := range out {
		want := licensing.Accepted
		if i > 1 {
			want = licensing.Rejected
		}
		if out[i].Outcome != want || want == licensing.Rejected && (out[i].Code != licensing.InvalidArgument || out[i].Field != fmt.Sprintf("events[%d].time", i)) {
			t.Errorf("%s: %+v", events[i].ID, out[i])
		}
	}
	// What was counted in time stays counted: it is a duplicate for ever.
	f.clock.Add(100 * day)
	if got := outcomes(f.ingest(events[:2]...)); got[licensing.Duplicate] != 2 {
		t.Errorf("after 100 days: %v", got)
	}
	if got := f.total(&l, "tokens"); got != 2 {
		t.Errorf("%d are counted", got)
	}
}

// Counters that start anew don't take what belongs to those of before, whether people or time started them.
func TestIngest_CountsUnderTheGenerationOfItsTime(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	ctx := t.Context()
	used := func() int64 {
		t.Helper()
		e, err := f.GetEntitlements(ctx, l.ID, f.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return e.Features[0].Used
	}
	call := func(id string, at time.Time) licensing.UsageEvent {
		return licensing.UsageEvent{Source: "s", ID: id, Type: "requests", Subject: l.ID, Time: at}
	}
	// Of two plan changes that are planned, one is dropped.
	for range 2 {
		if _, _, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "free", When: licensing.PeriodEnd, ResetUsage: true}); err != nil {
			t.Fatal(err)
		}
	}
	first := f.clock.Now()
	f.clock.Add(time.Hour)
	anew, _, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "free", ResetUsage: true})
	if err != nil {
		t.Fatal(err)
	}
	reset := f.clock.Now()
	f.ingest(call("before", first.Add(time.Minute)), call("at", reset), call("after", reset.Add(time.Minute)))
	if got := used(); got != 2 {
		t.Errorf("%d are used since the reset, want 2", got)
	}
	// By time: nobody writes the licence when it happens, and it is recorded afterwards.
	planned, _, err := f.ChangePlan(ctx, licensing.PlanChange{License: l.ID, Plan: "free", When: licensing.PeriodEnd, ResetUsage: true})
	if err != nil {
		t.Fatal(err)
	}
	turn := planned.Phases[1].At
	f.clock.Add(turn.Sub(f.clock.Now()) + time.Hour)
	f.ingest(call("before the turn", turn.Add(-time.Minute)), call("after the turn", turn.Add(time.Minute)))
	if got := used(); got != 1 {
		t.Errorf("%d are used since the turn, want 1", got)
	}
	if _, _, err := f.Elapse(ctx); err != nil {
		t.Fatal(err)
	}
	f.ingest(call("before the turn, late", turn.Add(-2*time.Minute)), call("before the reset, late", first.Add(2*time.Minute)))
	if got := used(); got != 1 {
		t.Errorf("%d are used since the turn, want 1 still", got)
	}
	units, _, err := f.db.Licensing().Used(ctx, l.ID, "requests", anew.CounterGeneration, first.AddDate(0, 0, -30), turn.Add(time.Hour))
	if err != nil || units != 4 {
		t.Errorf("between the reset and the turn: %d, %v, want 4", units, err)
	}
	if got := f.total(&l, "requests"); got != 7 {
		t.Errorf("%d are counted in all", got)
	}
}

// A write that changes rules holds their lock as long as it likes.
func TestIngest_DoesNotWaitForRules(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	err := f.db.Licensing().Update(t.Context(), func(tx licensing.Tx) error {
		if _, err := tx.LockHead(t.Context()); err != nil {
			return err
		}
		if got := outcomes(f.ingest(tokens(&l, "a", f.clock.Now(), "1"))); got[licensing.Accepted] != 1 {
			t.Errorf("%v", got)
		}
		_, _, _, err := f.CorrectUsage(t.Context(), licensing.UsageCorrection{License: l.ID, Meter: "tokens", Units: 1, Minute: f.clock.Now(), Reason: "r"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A lender locks counters in their order and makes those that are not there on its way. Events wait for it, and hold nothing that it comes to later.
func TestIngest_WaitsForALenderAndNotTheOtherWayRound(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	lender, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	do := func(sql string, args ...any) {
		t.Helper()
		if _, err := lender.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	const made = "INSERT INTO quota_counter (license, meter) VALUES ($1, $2) ON CONFLICT DO NOTHING"
	do(made, l.ID, "requests")
	do("BEGIN")
	do("SELECT FROM quota_counter WHERE license = $1 AND meter = $2 FOR UPDATE", l.ID, "requests")
	var counting sync.WaitGroup
	t.Cleanup(func() {
		lender.Close(context.WithoutCancel(t.Context()))
		counting.Wait()
	})
	counting.Go(func() {
		request := tokens(&l, "a", f.clock.Now(), "")
		request.Type = "requests"
		if got := outcomes(f.ingest(request, tokens(&l, "b", f.clock.Now(), "5"))); got[licensing.Accepted] != 2 {
			t.Errorf("%v", got)
		}
	})
	for waits := 0; waits == 0; {
		if err := lender.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	do("SET LOCAL lock_timeout = '500ms'")
	do(made, l.ID, "tokens")
	do("COMMIT")
	counting.Wait()
}

func TestIngest_ACallThatNamesItselfHasOneAnswer(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	call := licensing.Call{Actor: "tok", Procedure: "/Ingest", RequestID: "once", Fingerprint: []byte("f"), CallID: "req"}
	ctx := licensing.WithCall(t.Context(), call)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			out, _, err := f.IngestEvents(ctx, []licensing.UsageEvent{tokens(&l, "a", f.clock.Now(), "1"), tokens(&l, "b", f.clock.Now(), "x")})
			if err != nil || out[0].Outcome != licensing.Accepted || out[1].Outcome != licensing.Rejected {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	all.Wait()
	call.RequestID, call.ValidateOnly = "", true
	out, _, err := f.IngestEvents(licensing.WithCall(t.Context(), call), []licensing.UsageEvent{tokens(&l, "c", f.clock.Now(), "1")})
	if err != nil || out[0].Outcome != licensing.Accepted {
		t.Errorf("to be checked: %+v, %v", out, err)
	}
	if got := f.total(&l, "tokens"); got != 1 {
		t.Errorf("%d are counted", got)
	}
}

func events(t *testing.T, f *fixture) (all []audit.Event) {
	t.Helper()
	all, _, _, err := audit.NewService(f.db.Audit()).Events(t.Context(), audit.List{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestIngest_LeavesOneAuditEventWhereItCounts(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	before := len(events(t, f))
	batch := []licensing.UsageEvent{tokens(&l, "a", f.clock.Now(), "1"), tokens(&l, "b", f.clock.Now(), "1"), tokens(&l, "c", f.clock.Now(), "x")}
	for range 2 {
		f.ingest(batch...)
	}
	all := events(t, f)
	if len(all) != before+1 || all[0].Kind != "usage_events" || !strings.Contains(all[0].After, `"accepted":2`) {
		t.Errorf("%d events, the last is %+v", len(all)-before, all[0])
	}
}

// What an ingestion runs in is not kept from ending.
func TestIngest_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	f, l := measured(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.IngestEvents(ctx, []licensing.UsageEvent{tokens(&l, "a", f.clock.Now(), "1")}); err == nil {
		t.Error("it was taken")
	}
	if got := f.total(&l, "tokens"); got != 0 {
		t.Errorf("%d are counted", got)
	}
}
