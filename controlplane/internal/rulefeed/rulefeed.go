// Package rulefeed writes the domain's rule changes as what is signed and sent to nodes: records and envelopes of
// tollgate.rules.v1.
package rulefeed

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/decision"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

// Encoder is licensing.Encoder. The zero value is ready, and safe for concurrent use.
type Encoder struct{}

var _ licensing.Encoder = Encoder{}

// Record is a change as nodes read it, encoded. The same change gives the same bytes.
func (Encoder) Record(c licensing.Change) ([]byte, error) {
	r, err := Record(c)
	if err != nil {
		return nil, err
	}
	return deterministic.Marshal(r)
}

var deterministic = proto.MarshalOptions{Deterministic: true}

// Envelope is the encoded envelope of encoded records that leads from head to the next number. The records stay the bytes that they are.
func (Encoder) Envelope(fleet string, head licensing.Head, at time.Time, records [][]byte, stateHash *decision.Digest) ([]byte, error) {
	e := &rulesv1.Envelope{
		Fleet: fleet, Generation: head.Epoch.Generation, From: head.Epoch.Number, To: head.Epoch.Number + 1,
		PreviousHash: head.Hash, CreatedAt: timestamppb.New(at),
	}
	b, err := deterministic.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode change set %d.%d: %w", e.Generation, e.To, err)
	}
	for _, r := range records {
		b = protowire.AppendBytes(protowire.AppendTag(b, field("records"), protowire.BytesType), r)
	}
	if stateHash != nil {
		b = protowire.AppendBytes(protowire.AppendTag(b, field("state_hash"), protowire.BytesType), stateHash[:])
	}
	return b, nil
}

// field is the number of an Envelope's field.
func field(name protoreflect.Name) protowire.Number {
	return (&rulesv1.Envelope{}).ProtoReflect().Descriptor().Fields().ByName(name).Number()
}

// Record is a change as nodes read it.
func Record(c licensing.Change) (*rulesv1.Record, error) {
	switch c := c.(type) {
	case *licensing.Fleet:
		return &rulesv1.Record{Value: &rulesv1.Record_Settings{Settings: settings(c)}}, nil
	case *licensing.Upstream:
		return &rulesv1.Record{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{
			Key: c.Key, Endpoints: c.Endpoints,
		}}}, nil
	case *licensing.Route:
		return &rulesv1.Record{Value: &rulesv1.Record_Route{Route: route(c)}}, nil
	case *licensing.Meter:
		return &rulesv1.Record{Value: &rulesv1.Record_Meter{Meter: &rulesv1.Meter{
			Key: c.Key, Aggregation: aggregations[c.Aggregation],
		}}}, nil
	case *licensing.Feature:
		return &rulesv1.Record{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{
			Key: c.Key, Type: featureTypes[c.Type], Meter: c.Meter,
		}}}, nil
	case *licensing.PlanVersion:
		return &rulesv1.Record{Value: &rulesv1.Record_PlanVersion{PlanVersion: planVersion(c)}}, nil
	case *licensing.AddOn:
		a := &rulesv1.AddOn{Key: c.Key}
		for _, e := range c.Entitlements {
			a.Entitlements = append(a.Entitlements, entitlement(e.Feature, e.Enabled, e.Value, e.Quota))
		}
		return &rulesv1.Record{Value: &rulesv1.Record_AddOn{AddOn: a}}, nil
	case *licensing.Customer:
		return &rulesv1.Record{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{
			Id: c.ID, ExternalId: c.ExternalID, TimeZone: c.TimeZone,
		}}}, nil
	case *licensing.License:
		return &rulesv1.Record{Value: &rulesv1.Record_License{License: license(c)}}, nil
	case *licensing.APIKey:
		return &rulesv1.Record{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{
			Id: c.ID, License: c.License, Hash: c.Hash[:], ExpiresAt: instant(c.ExpiresAt), Revoked: !c.RevokeTime.IsZero(),
			Imported: c.Imported,
		}}}, nil
	case *licensing.Term:
		return &rulesv1.Record{Value: &rulesv1.Record_Term{Term: term(c)}}, nil
	case *licensing.Removal:
		kind, ok := kinds[c.Kind]
		if !ok {
			return nil, fmt.Errorf("nodes know no %s to remove", c.Kind)
		}
		return &rulesv1.Record{Value: &rulesv1.Record_Removal{Removal: &rulesv1.Removal{Kind: kind, Id: c.ID}}}, nil
	default:
		return nil, fmt.Errorf("nodes know no %T", c)
	}
}

func settings(f *licensing.Fleet) *rulesv1.Settings {
	return &rulesv1.Settings{
		Env: f.Env, Pepper: f.Pepper, ErrorBaseUrl: f.ErrorBaseURL,
		StaleAfter: durationpb.New(f.StaleAfter), GraceAfter: durationpb.New(f.GraceAfter),
		BlockAfter: durationpb.New(f.BlockAfter), LoanHorizon: durationpb.New(f.LoanHorizon), OfflineStart: f.OfflineStart,
	}
}

func route(r *licensing.Route) *rulesv1.Route {
	return &rulesv1.Route{
		Key: r.Key, Service: r.Service, Host: r.Match.Host, Path: r.Match.Path, Methods: r.Match.Methods,
		Requires: r.Requires, Meter: r.Meter, CostFixed: r.Units(), BillOpenIntents: r.BillsOpenIntents(),
	}
}

func planVersion(v *licensing.PlanVersion) *rulesv1.PlanVersion {
	out := &rulesv1.PlanVersion{Plan: v.Plan, Version: v.Version}
	for _, e := range v.Entitlements {
		out.Entitlements = append(out.Entitlements, entitlement(e.Feature, e.Enabled, e.Value, e.Quota))
	}
	for i := range v.RateLimits {
		out.RateLimits = append(out.RateLimits, rateLimit(&v.RateLimits[i]))
	}
	return out
}

func entitlement(feature string, enabled bool, value licensing.Value, q *licensing.Quota) *rulesv1.Entitlement {
	out := &rulesv1.Entitlement{Feature: feature}
	switch {
	case q != nil:
		out.Grant = &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{
			Limit: q.Limit, Period: periods[q.Period], Hard: q.Mode != licensing.Soft, Rollover: q.Rollover,
		}}
	case value.Kind != licensing.NoValue:
		out.Grant = &rulesv1.Entitlement_StaticValue{StaticValue: value.JSON()}
	case enabled:
		out.Grant = &rulesv1.Entitlement_Enabled{Enabled: true}
	}
	return out
}

func rateLimit(l *licensing.RateLimit) *rulesv1.RateLimit {
	return &rulesv1.RateLimit{Key: l.Key, Limit: l.Limit, Per: durationpb.New(l.Per), Burst: l.Burst}
}

func license(l *licensing.License) *rulesv1.License {
	out := &rulesv1.License{
		Id: l.ID, Customer: l.Customer, Plan: l.Plan, PlanVersion: l.PlanVersion, Status: statuses[l.Decided],
		StartsAt: instant(l.StartsAt), EndsAt: instant(l.EndsAt), Anchor: instant(l.Anchor),
		CounterGeneration: l.CounterGeneration, CancelsAt: instant(l.CancelsAt),
		PastDue: !l.GraceUntil.IsZero(), GraceUntil: instant(l.GraceUntil),
	}
	// A licence's own plan moves on with time; its record does not.
	for i, p := range l.Phases {
		if i == 0 {
			out.Plan, out.PlanVersion, out.CounterGeneration = p.Plan, p.Version, p.CounterGeneration
			continue
		}
		out.Phases = append(out.Phases, &rulesv1.Phase{
			At: instant(p.At), Plan: p.Plan, PlanVersion: p.Version, CounterGeneration: p.CounterGeneration,
		})
	}
	for i := range l.Overrides {
		out.Overrides = append(out.Overrides, override(&l.Overrides[i]))
	}
	for _, a := range l.AddOns {
		out.AddOns = append(out.AddOns, &rulesv1.Attachment{AddOn: a.AddOn, StartsAt: instant(a.StartsAt), EndsAt: instant(a.EndsAt)})
	}
	for i := range l.Grants {
		g := &l.Grants[i]
		out.Grants = append(out.Grants, &rulesv1.Grant{
			Id: g.ID, Feature: g.Feature, Units: g.Units, StartsAt: instant(g.StartsAt), ExpiresAt: instant(g.ExpiresAt),
		})
	}
	return out
}

func override(o *licensing.Override) *rulesv1.Override {
	out := &rulesv1.Override{Id: o.ID, StartsAt: instant(o.StartsAt), EndsAt: instant(o.EndsAt)}
	if o.RateLimit != nil {
		out.Term = &rulesv1.Override_RateLimit{RateLimit: rateLimit(o.RateLimit)}
		return out
	}
	en := entitlement(o.Feature, o.Enabled, o.Value, o.Quota)
	if !o.Enabled {
		// Without a grant, a metered feature would be unlimited.
		en.Grant = &rulesv1.Entitlement_Enabled{}
	}
	out.Term = &rulesv1.Override_Entitlement{Entitlement: en}
	return out
}

// instant leaves the zero time unset.
func instant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

var kinds = map[licensing.Kind]rulesv1.Kind{
	licensing.KindService:     rulesv1.Kind_KIND_SERVICE,
	licensing.KindRoute:       rulesv1.Kind_KIND_ROUTE,
	licensing.KindMeter:       rulesv1.Kind_KIND_METER,
	licensing.KindFeature:     rulesv1.Kind_KIND_FEATURE,
	licensing.KindPlanVersion: rulesv1.Kind_KIND_PLAN_VERSION,
	licensing.KindAddOn:       rulesv1.Kind_KIND_ADD_ON,
	licensing.KindCustomer:    rulesv1.Kind_KIND_CUSTOMER,
	licensing.KindLicense:     rulesv1.Kind_KIND_LICENSE,
	licensing.KindAPIKey:      rulesv1.Kind_KIND_CREDENTIAL,
	licensing.KindTerm:        rulesv1.Kind_KIND_TERM,
}

var aggregations = map[licensing.Aggregation]rulesv1.Aggregation{
	licensing.Count:  rulesv1.Aggregation_AGGREGATION_COUNT,
	licensing.Sum:    rulesv1.Aggregation_AGGREGATION_SUM,
	licensing.Max:    rulesv1.Aggregation_AGGREGATION_MAX,
	licensing.Unique: rulesv1.Aggregation_AGGREGATION_UNIQUE,
}

var featureTypes = map[licensing.FeatureType]rulesv1.FeatureType{
	licensing.Boolean: rulesv1.FeatureType_FEATURE_TYPE_BOOLEAN,
	licensing.Static:  rulesv1.FeatureType_FEATURE_TYPE_STATIC,
	licensing.Metered: rulesv1.FeatureType_FEATURE_TYPE_METERED,
}

var periods = map[licensing.Period]rulesv1.Period{
	licensing.Minute:   rulesv1.Period_PERIOD_MINUTE,
	licensing.Hour:     rulesv1.Period_PERIOD_HOUR,
	licensing.Day:      rulesv1.Period_PERIOD_DAY,
	licensing.Week:     rulesv1.Period_PERIOD_WEEK,
	licensing.Month:    rulesv1.Period_PERIOD_MONTH,
	licensing.Year:     rulesv1.Period_PERIOD_YEAR,
	licensing.Billing:  rulesv1.Period_PERIOD_BILLING,
	licensing.Lifetime: rulesv1.Period_PERIOD_LIFETIME,
}

var statuses = map[licensing.LicenseStatus]rulesv1.LicenseStatus{
	licensing.Active:    rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
	licensing.Suspended: rulesv1.LicenseStatus_LICENSE_STATUS_SUSPENDED,
	licensing.Canceled:  rulesv1.LicenseStatus_LICENSE_STATUS_CANCELED,
	licensing.Revoked:   rulesv1.LicenseStatus_LICENSE_STATUS_REVOKED,
}
