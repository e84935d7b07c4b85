package ruleset

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // Periods are cut in customers' zones, on machines without a zone database, too.

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// zones are those already loaded, so that customers of one zone share it. Used by all goroutines that read records.
type zones struct {
	loaded atomic.Pointer[map[string]*time.Location] // Never changed: a zone that is new is put into a copy.
}

// known is a zone that was loaded before; nil: it was not.
func (z *zones) known(name string) *time.Location {
	if m := z.loaded.Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

func (z *zones) load(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" {
		return nil, errors.New(`time zone "Local" is not the same everywhere`)
	}
	for {
		if l := z.known(name); l != nil {
			return l, nil
		}
		l, err := time.LoadLocation(name)
		if err != nil {
			return nil, fmt.Errorf("time zone: %w", err)
		}
		m, next := z.loaded.Load(), map[string]*time.Location{name: l}
		if m != nil {
			maps.Copy(next, *m)
		}
		if z.loaded.CompareAndSwap(m, &next) {
			return l, nil
		}
	}
}

// tables take what there may be millions of: an Editor does, and a Batch.
type tables interface {
	SetCustomer(v *decision.Customer)
	RemoveCustomer(id string)
	SetLicense(v *decision.License)
	RemoveLicense(id string)
	SetCredential(v *decision.Credential)
	RemoveCredential(id string)
}

// setMany puts a record into t, if it is of a kind of which there may be millions; false: it is of another.
func (z *zones) setMany(t tables, r *rulesv1.Record) (is bool, err error) {
	switch v := r.GetValue().(type) {
	case *rulesv1.Record_Customer:
		zone, err := z.load(v.Customer.GetTimeZone())
		if err != nil {
			// Its periods cannot be told: that is for it alone to suffer.
			zone = decision.UnknownZone
		}
		t.SetCustomer(&decision.Customer{ID: v.Customer.GetId(), ExternalID: v.Customer.GetExternalId(), Zone: zone})
	case *rulesv1.Record_License:
		l, err := license(v.License)
		if err != nil {
			return true, err
		}
		t.SetLicense(l)
	case *rulesv1.Record_Credential:
		c, err := credential(v.Credential)
		if err != nil {
			return true, err
		}
		t.SetCredential(c)
	case *rulesv1.Record_Removal:
		switch id := v.Removal.GetId(); v.Removal.GetKind() {
		case rulesv1.Kind_KIND_CUSTOMER:
			t.RemoveCustomer(id)
		case rulesv1.Kind_KIND_LICENSE:
			t.RemoveLicense(id)
		case rulesv1.Kind_KIND_CREDENTIAL:
			t.RemoveCredential(id)
		default:
			return false, nil
		}
	default:
		return false, nil
	}
	return true, nil
}

// set puts one record into e.
func (z *zones) set(e *decision.Editor, r *rulesv1.Record) error {
	if is, err := z.setMany(e, r); is {
		return err
	}
	switch v := r.GetValue().(type) {
	case *rulesv1.Record_Removal:
		return remove(e, v.Removal)
	case *rulesv1.Record_Settings:
		e.SetSettings(settings(v.Settings))
	case *rulesv1.Record_Service:
		e.SetService(&decision.Service{
			Key: v.Service.GetKey(), Endpoints: v.Service.GetEndpoints(),
			ResponseTimeout: v.Service.GetResponseTimeout().AsDuration(),
		})
	case *rulesv1.Record_Route:
		rt, err := route(v.Route)
		if err != nil {
			return err
		}
		e.SetRoute(rt)
	case *rulesv1.Record_Meter:
		e.SetMeter(&decision.Meter{Key: v.Meter.GetKey()})
	case *rulesv1.Record_Feature:
		f, err := feature(v.Feature)
		if err != nil {
			return err
		}
		e.SetFeature(f)
	case *rulesv1.Record_PlanVersion:
		p, err := planVersion(v.PlanVersion)
		if err != nil {
			return err
		}
		e.SetPlanVersion(p)
	case *rulesv1.Record_AddOn:
		a, err := addOn(v.AddOn)
		if err != nil {
			return err
		}
		e.SetAddOn(a)
	case *rulesv1.Record_Term:
		t, err := term(v.Term)
		if err != nil {
			return err
		}
		e.SetTerm(t)
	default:
		return unknownKind(r)
	}
	return nil
}

func remove(e *decision.Editor, r *rulesv1.Removal) error {
	id := r.GetId()
	switch r.GetKind() {
	case rulesv1.Kind_KIND_SERVICE:
		e.RemoveService(id)
	case rulesv1.Kind_KIND_ROUTE:
		e.RemoveRoute(id)
	case rulesv1.Kind_KIND_METER:
		e.RemoveMeter(id)
	case rulesv1.Kind_KIND_FEATURE:
		e.RemoveFeature(id)
	case rulesv1.Kind_KIND_PLAN_VERSION:
		plan, version, ok := strings.Cut(id, "@")
		n, err := strconv.ParseUint(version, 10, 32)
		if !ok || err != nil {
			return fmt.Errorf("removal of plan version %q", id)
		}
		e.RemovePlanVersion(plan, uint32(n))
	case rulesv1.Kind_KIND_ADD_ON:
		e.RemoveAddOn(id)
	case rulesv1.Kind_KIND_TERM:
		e.RemoveTerm(id)
	case rulesv1.Kind_KIND_UNSPECIFIED:
		return errors.New("a removal of no kind")
	default:
		return fmt.Errorf("%w: the removal of kind %d", errNeeds, r.GetKind())
	}
	return nil
}

func settings(s *rulesv1.Settings) decision.Settings {
	return decision.Settings{
		Env: s.GetEnv(), Pepper: s.GetPepper(), ErrorBaseURL: s.GetErrorBaseUrl(),
		StaleAfter: s.GetStaleAfter().AsDuration(), GraceAfter: s.GetGraceAfter().AsDuration(), BlockAfter: s.GetBlockAfter().AsDuration(),
		LoanHorizon: s.GetLoanHorizon().AsDuration(), OfflineStart: s.GetOfflineStart(),
	}
}

func route(r *rulesv1.Route) (*decision.Route, error) {
	onStale, ok := map[rulesv1.OnStale]decision.OnStale{
		rulesv1.OnStale_ON_STALE_UNSPECIFIED:    decision.StaleBlock,
		rulesv1.OnStale_ON_STALE_SERVE:          decision.StaleServe,
		rulesv1.OnStale_ON_STALE_BLOCK_AT_GRACE: decision.StaleBlockAtGrace,
	}[r.GetOnStale()]
	if !ok {
		return nil, fmt.Errorf("route %s does %s by old rules", r.GetKey(), r.GetOnStale())
	}
	return &decision.Route{
		Key: r.GetKey(), Service: r.GetService(), Host: r.GetHost(), Path: r.GetPath(), Methods: r.GetMethods(),
		Requires: r.GetRequires(), Meter: r.GetMeter(), Cost: r.GetCostFixed(),
		StripCredential: r.GetStripCredential(), BillOpenIntents: r.GetBillOpenIntents(),
		OnStale: onStale,
	}, nil
}

func feature(f *rulesv1.Feature) (*decision.Feature, error) {
	types := map[rulesv1.FeatureType]decision.FeatureType{
		rulesv1.FeatureType_FEATURE_TYPE_BOOLEAN: decision.Boolean,
		rulesv1.FeatureType_FEATURE_TYPE_METERED: decision.Metered,
		rulesv1.FeatureType_FEATURE_TYPE_STATIC:  decision.Static,
	}
	t, ok := types[f.GetType()]
	if !ok {
		return nil, fmt.Errorf("feature %s is of type %s", f.GetKey(), f.GetType())
	}
	return &decision.Feature{Key: f.GetKey(), Type: t, Meter: f.GetMeter()}, nil
}

func planVersion(p *rulesv1.PlanVersion) (*decision.PlanVersion, error) {
	v := &decision.PlanVersion{Plan: p.GetPlan(), Version: p.GetVersion()}
	for _, en := range p.GetEntitlements() {
		d, granted, err := entitlement(en)
		if err != nil {
			return nil, fmt.Errorf("plan %s version %d: %w", v.Plan, v.Version, err)
		}
		if granted {
			v.Entitlements = append(v.Entitlements, d)
		}
	}
	for _, rl := range p.GetRateLimits() {
		d, err := rateLimit(rl)
		if err != nil {
			return nil, fmt.Errorf("plan %s version %d: %w", v.Plan, v.Version, err)
		}
		v.RateLimits = append(v.RateLimits, d)
	}
	return v, nil
}

func addOn(a *rulesv1.AddOn) (*decision.AddOn, error) {
	out := &decision.AddOn{Key: a.GetKey()}
	for _, en := range a.GetEntitlements() {
		d, granted, err := entitlement(en)
		if err != nil {
			return nil, fmt.Errorf("add-on %s: %w", out.Key, err)
		}
		if granted {
			out.Entitlements = append(out.Entitlements, d)
		}
	}
	return out, nil
}

// entitlement reports whether the feature is granted at all: enabled: false grants it to nobody, metered features included.
func entitlement(en *rulesv1.Entitlement) (d decision.Entitlement, granted bool, err error) {
	d = decision.Entitlement{Feature: en.GetFeature(), Enabled: en.GetEnabled()}
	switch g := en.GetGrant().(type) {
	case *rulesv1.Entitlement_Enabled:
		return d, g.Enabled, nil
	case *rulesv1.Entitlement_StaticValue:
		if !json.Valid([]byte(g.StaticValue)) {
			return d, false, fmt.Errorf("the value of %s is not JSON", d.Feature)
		}
		d.Value = g.StaticValue
	case *rulesv1.Entitlement_Quota:
		period, ok := periods[g.Quota.GetPeriod()]
		if !ok {
			return d, false, fmt.Errorf("a quota per %s", g.Quota.GetPeriod())
		}
		d.Quota = &decision.Quota{Limit: g.Quota.GetLimit(), Period: period, Hard: g.Quota.GetHard(), Rollover: g.Quota.GetRollover()}
	}
	return d, true, nil
}

func rateLimit(rl *rulesv1.RateLimit) (decision.RateLimit, error) {
	per := rl.GetPer().AsDuration()
	if per <= 0 || rl.GetLimit() < 0 || rl.GetBurst() < 0 {
		return decision.RateLimit{}, fmt.Errorf("rate limit %s is %d per %s, burst %d", rl.GetKey(), rl.GetLimit(), per, rl.GetBurst())
	}
	return decision.RateLimit{Key: rl.GetKey(), Limit: rl.GetLimit(), Per: per, Burst: rl.GetBurst()}, nil
}

var periods = map[rulesv1.Period]decision.Period{
	rulesv1.Period_PERIOD_MINUTE:   decision.Minute,
	rulesv1.Period_PERIOD_HOUR:     decision.Hour,
	rulesv1.Period_PERIOD_DAY:      decision.Day,
	rulesv1.Period_PERIOD_WEEK:     decision.Week,
	rulesv1.Period_PERIOD_MONTH:    decision.Month,
	rulesv1.Period_PERIOD_YEAR:     decision.Year,
	rulesv1.Period_PERIOD_BILLING:  decision.Billing,
	rulesv1.Period_PERIOD_LIFETIME: decision.Lifetime,
}

var statuses = map[rulesv1.LicenseStatus]decision.Status{
	rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE:    decision.Active,
	rulesv1.LicenseStatus_LICENSE_STATUS_SUSPENDED: decision.Suspended,
	rulesv1.LicenseStatus_LICENSE_STATUS_CANCELED:  decision.Canceled,
	rulesv1.LicenseStatus_LICENSE_STATUS_REVOKED:   decision.Revoked,
}

func license(l *rulesv1.License) (*decision.License, error) {
	status, ok := statuses[l.GetStatus()]
	if !ok {
		return nil, fmt.Errorf("license %s has status %s", l.GetId(), l.GetStatus())
	}
	d := &decision.License{
		ID: l.GetId(), Customer: l.GetCustomer(), Status: status,
		Phase:    decision.Phase{Plan: l.GetPlan(), PlanVersion: l.GetPlanVersion(), CounterGeneration: l.GetCounterGeneration()},
		StartsAt: instant(l.GetStartsAt()), EndsAt: instant(l.GetEndsAt()), CancelsAt: instant(l.GetCancelsAt()),
		PastDue: l.GetPastDue(), GraceUntil: instant(l.GetGraceUntil()), Anchor: instant(l.GetAnchor()),
	}
	for _, ph := range l.GetPhases() {
		d.Next = append(d.Next, decision.Phase{
			At: instant(ph.GetAt()), Plan: ph.GetPlan(), PlanVersion: ph.GetPlanVersion(), CounterGeneration: ph.GetCounterGeneration(),
		})
	}
	for _, o := range l.GetOverrides() {
		v, err := override(o)
		if err != nil {
			return nil, fmt.Errorf("license %s: override %s: %w", l.GetId(), o.GetId(), err)
		}
		d.Overrides = append(d.Overrides, v)
	}
	for _, g := range l.GetGrants() {
		d.Grants = append(d.Grants, decision.Grant{
			ID: g.GetId(), Feature: g.GetFeature(), Units: g.GetUnits(), From: instant(g.GetStartsAt()), To: instant(g.GetExpiresAt()),
		})
	}
	for _, a := range l.GetAddOns() {
		d.AddOns = append(d.AddOns, decision.Attachment{AddOn: a.GetAddOn(), From: instant(a.GetStartsAt()), To: instant(a.GetEndsAt())})
	}
	if d.Anchor.IsZero() {
		d.Anchor = d.StartsAt
	}
	return d, nil
}

func override(o *rulesv1.Override) (decision.Override, error) {
	d := decision.Override{ID: o.GetId(), From: instant(o.GetStartsAt()), To: instant(o.GetEndsAt())}
	switch t := o.GetTerm().(type) {
	case *rulesv1.Override_Entitlement:
		en, granted, err := entitlement(t.Entitlement)
		d.Feature, d.Withheld, d.Quota = en.Feature, !granted, en.Quota
		return d, err
	case *rulesv1.Override_RateLimit:
		rl, err := rateLimit(t.RateLimit)
		d.RateLimit = &rl
		return d, err
	default:
		return d, errors.New("a term of an unknown kind")
	}
}

func credential(c *rulesv1.Credential) (*decision.Credential, error) {
	d := &decision.Credential{
		ID: c.GetId(), License: c.GetLicense(), ExpiresAt: instant(c.GetExpiresAt()), Revoked: c.GetRevoked(),
		Imported: c.GetImported(),
	}
	if copy(d.Hash[:], c.GetHash()) != len(d.Hash) || len(c.GetHash()) != len(d.Hash) {
		return nil, fmt.Errorf("credential %s has a hash of %d bytes", c.GetId(), len(c.GetHash()))
	}
	return d, nil
}

// instant is zero where t is unset.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
