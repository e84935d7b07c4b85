package connectapi

import (
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/internal/licensing"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func toLicense(l *licensing.License) *adminv1.License {
	to := &adminv1.License{
		Id: l.ID, ExternalId: l.ExternalID, Customer: l.Customer, Plan: l.Plan, PlanVersion: l.PlanVersion, Status: toEnum[adminv1.LicenseStatus](l.Status),
		StartsAt: toTime(l.StartsAt), EndsAt: toTime(l.EndsAt), Anchor: toTime(l.Anchor), Etag: l.Etag,
		CreateTime: toTime(l.CreateTime), UpdateTime: toTime(l.UpdateTime), TrialEndsAt: toTime(l.TrialEndsAt),
		CancelsAt: toTime(l.CancelsAt), GraceUntil: toTime(l.GraceUntil), Overrides: each(l.Overrides, toOverride),
		AddOns: each(l.AddOns, toAttachment), Grants: each(l.Grants, toGrant),
	}
	generation := l.CounterGeneration
	for i, p := range l.Phases {
		if i == 0 {
			continue // The current one.
		}
		to.Upcoming = append(to.Upcoming, &adminv1.LicensePhase{
			StartsAt: toTime(p.At), Plan: p.Plan, PlanVersion: p.Version, ResetsUsage: p.CounterGeneration != generation,
		})
		generation = p.CounterGeneration
	}
	return to
}

func fromLicense(l *adminv1.License) licensing.License {
	return licensing.License{
		ExternalID: l.GetExternalId(), Customer: l.GetCustomer(), Plan: l.GetPlan(), PlanVersion: l.GetPlanVersion(), TrialEndsAt: fromTime(l.GetTrialEndsAt()),
		StartsAt: fromTime(l.GetStartsAt()), EndsAt: fromTime(l.GetEndsAt()), Anchor: fromTime(l.GetAnchor()),
	}
}

func toOverride(o *licensing.Override) *adminv1.Override {
	to := &adminv1.Override{
		Id: o.ID, License: o.License, Feature: o.Feature, Enabled: o.Enabled, Value: toValue(&o.Value), Quota: toQuota(o.Quota),
		StartsAt: toTime(o.StartsAt), EndsAt: toTime(o.EndsAt), Reason: o.Reason, CreateTime: toTime(o.CreateTime),
	}
	if o.RateLimit != nil {
		to.RateLimit = toRateLimit(o.RateLimit)
	}
	return to
}

func toGrant(g *licensing.Grant) *adminv1.Grant {
	return &adminv1.Grant{
		Id: g.ID, License: g.License, Feature: g.Feature, Units: g.Units, Priority: g.Priority,
		StartsAt: toTime(g.StartsAt), ExpiresAt: toTime(g.ExpiresAt), Reason: g.Reason, CreateTime: toTime(g.CreateTime),
	}
}

// fromOverride reads the value in any of its forms; which of them fits is the feature's to say.
func fromOverride(req *adminv1.CreateOverrideRequest) (o licensing.Override, err error) {
	o = licensing.Override{
		License: req.GetLicense(), Feature: req.GetFeature(), Reason: req.GetReason(),
		StartsAt: fromTime(req.GetStartsAt()), EndsAt: fromTime(req.GetEndsAt()),
	}
	if rl := req.GetRateLimit(); rl != nil {
		if req.GetValue() != nil {
			return o, invalidField("value", "is for a feature: a rate limit is replaced by rate_limit")
		}
		r := fromRateLimit(rl)
		o.RateLimit = &r
		return o, nil
	}
	if s := req.GetValue().GetStructValue(); s != nil {
		o.Quota, err = quotaOf(s)
		return o, err
	}
	o.Value = fromValue(req.GetValue())
	return o, nil
}

// quotaOf reads {limit, period, mode}; period and mode are the catalog file's words.
func quotaOf(s *structpb.Struct) (*licensing.Quota, error) {
	q := &licensing.Quota{}
	for name, v := range s.GetFields() {
		switch name {
		case "limit":
			n, ok := v.GetKind().(*structpb.Value_NumberValue)
			if !ok {
				return nil, invalidField("value.limit", "is not a number")
			}
			// JSON numbers are exact up to 2^53.
			if n.NumberValue != math.Trunc(n.NumberValue) || math.Abs(n.NumberValue) > 1<<53 {
				return nil, invalidField("value.limit", "%v is not a whole number", n.NumberValue)
			}
			q.Limit = int64(n.NumberValue)
		case "period":
			q.Period = licensing.Period(strings.ToLower(strings.TrimPrefix(v.GetStringValue(), "PERIOD_")))
			if !slices.Contains(licensing.Periods(), q.Period) {
				return nil, invalidField("value.period", "%q is not a period", v.GetStringValue())
			}
		case "mode":
			q.Mode = licensing.QuotaMode(strings.ToLower(strings.TrimPrefix(v.GetStringValue(), "QUOTA_MODE_")))
		default:
			return nil, invalidField("value."+name, "is not a field of a quota: use limit, period, mode")
		}
	}
	if s.GetFields()["limit"] == nil {
		return nil, invalidField("value.limit", "is required")
	}
	return q, nil
}

func toLicenseEvent(e *licensing.LicenseEvent) *adminv1.LicenseEvent {
	return &adminv1.LicenseEvent{
		Number: e.Number, License: e.License, Time: toTime(e.Time), Kind: string(e.Kind),
		Status: toEnum[adminv1.LicenseStatus](e.Status), Detail: e.Detail,
	}
}

func toLoan(l *licensing.Loan) *adminv1.Loan {
	return &adminv1.Loan{
		Node: l.Node, Boot: l.Boot, Meter: l.Meter, Lent: l.Lent, Spent: l.Spent, Stranded: l.Stranded,
		PeriodStart: toTime(l.PeriodStart), PeriodEnd: toTime(l.PeriodEnd),
	}
}
