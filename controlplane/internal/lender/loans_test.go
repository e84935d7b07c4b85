package lender_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// What boots hold is listed, page by page; what they gave back is not. No node reports here, so what is not spent is stranded.
func TestI7_LoansAreListedAsTheyAreLent(t *testing.T) {
	t.Parallel()
	w := setup(t, licensing.Quota{Limit: 100, Period: licensing.Month, Mode: licensing.Hard})
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	span := decision.SpanAt(decision.Month, zone, time.Time{}, time.Now())
	start, end := span.Unix()
	key := &lendv1.LoanKey{Kind: lendv1.LoanKind_LOAN_KIND_QUOTA, License: w.license, Limit: "requests", PeriodStart: start, PeriodEnd: end, CounterGeneration: 1}
	l := w.lender()
	a, b, c := bootID("a"), bootID("b"), bootID("c")
	for boot, units := range map[string]int64{a: 7, b: 5, c: 3} {
		if got := lend(t, l.Cold, boot, ask(key, units, units))[0]; got.GetGranted() != units {
			t.Fatalf("%s was lent %d of %d", boot, got.GetGranted(), units)
		}
	}
	back := ask(key, 0, 0)
	back.Returned = 3
	lend(t, l.Cold, c, back)
	spent := ask(key, 0, 0)
	spent.Spent = 4
	lend(t, l.Cold, a, spent)

	var all []licensing.Loan
	for after := ""; ; {
		page, err := api.ListLoans(t.Context(), w.license, licensing.List{PageSize: 1, After: after})
		must(t, err)
		all = append(all, page.Items...)
		if after = page.Next; after == "" {
			break
		}
	}
	want := map[string][3]int64{a: {7, 4, 3}, b: {5, 0, 5}}
	for _, x := range all {
		if got := [3]int64{x.Lent, x.Spent, x.Stranded}; got != want[x.Boot] || x.Meter != "requests" || !x.PeriodStart.Equal(span.Start) || !x.PeriodEnd.Equal(span.End) {
			t.Errorf("boot %s: %+v, want %v", x.Boot, x, want[x.Boot])
		}
		delete(want, x.Boot)
	}
	if len(want) > 0 || len(all) != 2 {
		t.Errorf("%d loans, not listed: %v", len(all), want)
	}
	if _, err := api.ListLoans(t.Context(), "lic_0", licensing.List{}); licensing.CodeOf(err) != licensing.NotFound {
		t.Errorf("of no licence: %v", err)
	}
}
