package lender_test

import (
	"testing"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/rulefeed"
	"tollgate/dataplane/decision"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

// shop is the world with add-ons that its licence may have.
type shop struct {
	*world
	t   *testing.T
	api *licensing.Service
}

func addOnShop(t *testing.T, plan licensing.Quota, addOns map[string]licensing.Entitlement) *shop {
	t.Helper()
	w := setup(t, plan)
	api, err := licensing.New(licensing.Config{Store: w.db.Licensing(), Encoder: rulefeed.Encoder{}})
	must(t, err)
	_, _, err = api.CreateFeature(t.Context(), licensing.Feature{Key: "bulk", Type: licensing.Metered, Meter: "requests"})
	must(t, err)
	for key, e := range addOns {
		_, _, err := api.CreateAddOn(t.Context(), licensing.AddOn{Key: key, Entitlements: []licensing.Entitlement{e}})
		must(t, err)
	}
	return &shop{world: w, t: t, api: api}
}

// attach gives the licence an add-on since so long ago that no node's clock is behind it.
func (s *shop) attach(key string) {
	s.t.Helper()
	_, _, err := s.api.AttachAddOn(s.t.Context(), s.license, licensing.Attachment{AddOn: key, StartsAt: time.Now().Add(-time.Minute)})
	must(s.t, err)
}

func (s *shop) detach(key string) {
	s.t.Helper()
	_, _, err := s.api.DetachAddOn(s.t.Context(), s.license, key, licensing.WhenNow)
	must(s.t, err)
}

// takes asks for more units of a period's quota than there are, and wants to get so many.
func (s *shop) takes(what string, key *lendv1.LoanKey, want int64) {
	s.t.Helper()
	got := lend(s.t, s.lender().Cold, bootID("a"), ask(key, 1000, 1000))[0]
	if got.GetGrant() != want || got.GetState() != lendv1.LoanState_LOAN_STATE_EXHAUSTED {
		s.t.Errorf("%s: %d units, %s, want %d", what, got.GetGrant(), got.GetState(), want)
	}
}

// An add-on's quota stands for the plan's, for whatever feature counts on the meter, and what was used stays used when it comes and goes.
func TestI2_AnAddOnsQuotaReplacesThePlansAndUsageIsCarriedOver(t *testing.T) {
	t.Parallel()
	quota := func(limit int64) *licensing.Quota { q := monthly(limit); return &q }
	s := addOnShop(t, monthly(10), map[string]licensing.Entitlement{
		"extra": {Feature: "calls", Quota: quota(30)}, "bulk": {Feature: "bulk", Quota: quota(50)}, "free": {Feature: "calls"},
	})
	key := s.key(month(t))
	s.takes("the plan's", key, 10)
	s.attach("extra")
	s.takes("with an add-on", key, 20)
	s.attach("bulk")
	s.takes("with one that was attached later, of another feature", key, 20)
	_, _, err := s.api.UpdateAddOn(t.Context(), licensing.AddOn{Key: "bulk", Entitlements: []licensing.Entitlement{{Feature: "bulk", Quota: quota(55)}}}, []string{"entitlements"})
	must(t, err)
	s.takes("with more of it", key, 5)
	s.detach("bulk")
	s.takes("without it", key, 0)
	// Boot a gives back what it has not spent: 55 were lent, 25 stay used.
	returned := ask(key, 0, 0)
	returned.Spent, returned.Returned = 25, 30
	lend(t, s.lender().Renew, bootID("a"), returned)
	s.takes("when 25 are used of 30", key, 5)
	s.detach("extra")
	s.takes("the plan's, long used up", key, 0)
	_, _, err = s.api.CreateOverride(t.Context(), licensing.Override{License: s.license, Feature: "calls", Quota: quota(33), Reason: "test"})
	must(t, err)
	s.attach("extra")
	s.takes("an override stands before an add-on", key, 3)
	s.attach("free")
	s.takes("before one without a quota, too", key, 0)
}

// A quota of other periods begins with what is used in them already.
func TestI2_AnAddOnsPeriodBeginsWithWhatIsUsed(t *testing.T) {
	t.Parallel()
	s := addOnShop(t, monthly(10), map[string]licensing.Entitlement{"daily": {Feature: "calls", Quota: &licensing.Quota{Limit: 14, Period: licensing.Day}}})
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	start, end := decision.SpanAt(decision.Day, zone, time.Time{}, time.Now()).Unix()
	day := s.key(month(t))
	day.PeriodStart, day.PeriodEnd = start, end
	s.takes("the month's", s.key(month(t)), 10)
	s.attach("daily")
	s.takes("the day's", day, 4)
	s.detach("daily")
	s.takes("the month's again", s.key(month(t)), 0)
	if got := lend(t, s.lender().Cold, bootID("a"), ask(day, 1, 1))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_UNKNOWN {
		t.Errorf("a day's quota that is gone: %v", got)
	}
}

// What is soft, unlimited or withheld is not lent.
func TestLender_LendsNothingOfAnAddOnWithoutAHardQuota(t *testing.T) {
	t.Parallel()
	soft := monthly(30)
	soft.Mode = licensing.Soft
	s := addOnShop(t, monthly(10), map[string]licensing.Entitlement{"soft": {Feature: "calls", Quota: &soft}, "free": {Feature: "bulk"}})
	key := s.key(month(t))
	for _, addOn := range []string{"soft", "free"} {
		s.attach(addOn)
		if got := lend(t, s.lender().Cold, bootID("a"), ask(key, 1, 1))[0]; got.GetState() != lendv1.LoanState_LOAN_STATE_UNKNOWN {
			t.Errorf("with %s: %v", addOn, got)
		}
	}
	// The plan's own again, for what withholds bulk says nothing of calls; and soft is gone.
	s.detach("soft")
	_, _, err := s.api.CreateOverride(t.Context(), licensing.Override{
		License: s.license, Feature: "bulk", Value: licensing.Value{Kind: licensing.BoolValue}, Reason: "test",
	})
	must(t, err)
	s.takes("with bulk withheld", key, 10)
}
