package lender_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/controlplane/internal/lending"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
)

// TestI2_WhatWasMeasuredElsewhereIsNotLent has nodes borrow from a hard quota while others bring in usage of the same period, from before its pool
// is made on. Together they take the limit and not a unit more, and what a correction takes back can be lent again.
func TestI2_WhatWasMeasuredElsewhereIsNotLent(t *testing.T) {
	t.Parallel()
	const limit, callers, batches, size, boots = 1000, 4, 5, 10, 4
	w := setup(t, licensing.Quota{Limit: limit, Period: licensing.Year})
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	first, err := api.GetLicense(t.Context(), w.license)
	must(t, err)
	// Which comes first, the pool or the usage, is another matter for each licence.
	for round := range 8 {
		l, _, err := api.IssueLicense(t.Context(), licensing.License{Customer: first.Customer, Plan: "free", StartsAt: time.Now().AddDate(0, 0, -1)})
		must(t, err)
		zone, err := time.LoadLocation("Europe/Berlin")
		must(t, err)
		start, end := decision.SpanAt(licensing.Year.Rule(), zone, l.Anchor, time.Now()).Unix()
		key := decision.LoanKey{Kind: decision.QuotaLoan, License: l.ID, Limit: "requests", PeriodStart: start, PeriodEnd: end, Generation: 1}
		borrowed := func(boot string, want int64) int64 {
			loans, err := w.db.Lending().Lend(t.Context(), boot, boots, []lending.Ask{{
				Ask: decision.Ask{Key: key, Waiting: want, Want: want}, Quota: lending.Quota{Units: limit},
			}})
			if err != nil {
				t.Error(err)
				return 0
			}
			return loans[0].Grant
		}
		now := time.Now()
		var lent atomic.Int64
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				for b := range batches {
					var events []licensing.UsageEvent
					for i := range size {
						events = append(events, licensing.UsageEvent{
							Source: l.ID, ID: fmt.Sprint(c, b, i), Type: "requests", Subject: l.ID, Time: now.Add(-time.Duration(i) * time.Minute),
						})
					}
					out, _, err := api.IngestEvents(t.Context(), events)
					if err != nil || out[0].Outcome != licensing.Accepted {
						t.Errorf("%+v, %v", out, err)
					}
				}
			})
		}
		for b := range boots {
			all.Go(func() {
				for range 10 {
					lent.Add(borrowed(bootID(fmt.Sprint(round, b)), 3))
				}
			})
		}
		all.Wait()
		const elsewhere = callers * batches * size
		if got := lent.Load(); got != boots*10*3 {
			t.Errorf("%d units were lent of a quota that has enough", got)
		}
		for boot := bootID(fmt.Sprint(round, 0)); ; {
			n := borrowed(boot, 50)
			if lent.Add(n); n == 0 {
				break
			}
		}
		if got := lent.Load(); got != limit-elsewhere {
			t.Errorf("round %d: %d units were lent and %d came from elsewhere, of %d", round, got, elsewhere, limit)
		}
		correct := func(units int64) {
			_, _, _, err := api.CorrectUsage(t.Context(), licensing.UsageCorrection{License: l.ID, Meter: "requests", Units: units, Minute: now, Reason: "r"})
			must(t, err)
		}
		correct(-7)
		if got := borrowed(bootID(fmt.Sprint(round, 0)), 50); got != 7 {
			t.Errorf("round %d: of 7 units that were taken back %d are lent", round, got)
		}
		// More than there is: nothing is lent, and what comes back does not go below that.
		correct(20)
		correct(-15)
		if got := borrowed(bootID(fmt.Sprint(round, 0)), 50); got != 0 {
			t.Errorf("round %d: %d units are lent of what is overdrawn", round, got)
		}
	}
}
