package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// The forms in which a licence's phases, overrides, add-ons and grants are stored. Statements look for "plan", "version", "feature",
// "add_on" and "ends_at".

type phaseJSON struct {
	At                time.Time `json:"at,omitzero"`
	Plan              string    `json:"plan"`
	Version           uint32    `json:"version"`
	CounterGeneration uint64    `json:"counter_generation"`
}

type overrideJSON struct {
	ID         string          `json:"id"`
	Feature    string          `json:"feature,omitempty"`
	Enabled    bool            `json:"enabled,omitempty"`
	Value      json.RawMessage `json:"value,omitempty"`
	Quota      *quotaJSON      `json:"quota,omitempty"`
	RateLimit  *rateLimitJSON  `json:"rate_limit,omitempty"`
	StartsAt   time.Time       `json:"starts_at"`
	EndsAt     time.Time       `json:"ends_at,omitzero"`
	Reason     string          `json:"reason"`
	CreateTime time.Time       `json:"create_time"`
}

type grantJSON struct {
	ID         string    `json:"id"`
	Feature    string    `json:"feature"`
	Units      int64     `json:"units"`
	Priority   int32     `json:"priority,omitempty"`
	StartsAt   time.Time `json:"starts_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	CreateTime time.Time `json:"create_time"`
}

type attachmentJSON struct {
	AddOn    string    `json:"add_on"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at,omitzero"`
}

func toAttachments(raw []byte) ([]licensing.Attachment, error) {
	var stored []attachmentJSON
	if err := json.Unmarshal(raw, &stored); err != nil {
		return nil, err
	}
	var out []licensing.Attachment
	for _, a := range stored {
		out = append(out, licensing.Attachment(a))
	}
	return out, nil
}

func fromAttachments(all []licensing.Attachment) ([]byte, error) {
	out := make([]attachmentJSON, len(all))
	for i, a := range all {
		out[i] = attachmentJSON(a)
	}
	return json.Marshal(out)
}

func toLicense(r query.License) (licensing.License, error) {
	l := licensing.License{
		ID: r.ID, ExternalID: text(r.ExternalID), Customer: r.Customer, Plan: r.Plan, PlanVersion: uint32(r.PlanVersion),
		CounterGeneration: uint64(r.CounterGeneration), Decided: licensing.LicenseStatus(r.Status),
		StartsAt: r.StartsAt.UTC(), EndsAt: instant(r.EndsAt), TrialEndsAt: instant(r.TrialEndsAt),
		CancelsAt: instant(r.CancelsAt), GraceUntil: instant(r.GraceUntil), Anchor: r.Anchor.UTC(), DueAt: instant(r.DueAt),
		Meta: meta(r.Revision, r.CreatedAt, r.UpdatedAt, nil),
	}
	var phases []phaseJSON
	if err := json.Unmarshal(r.Phases, &phases); err != nil {
		return l, fmt.Errorf("phases of licence %s: %w", r.ID, err)
	}
	for _, p := range phases {
		l.Phases = append(l.Phases, licensing.Phase{At: p.At, Plan: p.Plan, Version: p.Version, CounterGeneration: p.CounterGeneration})
	}
	var overrides []overrideJSON
	if err := json.Unmarshal(r.Overrides, &overrides); err != nil {
		return l, fmt.Errorf("overrides of licence %s: %w", r.ID, err)
	}
	for _, o := range overrides {
		value, err := licensing.ParseValue(string(o.Value))
		if err != nil {
			return l, fmt.Errorf("override %s of licence %s: %w", o.ID, r.ID, err)
		}
		l.Overrides = append(l.Overrides, licensing.Override{
			ID: o.ID, License: r.ID, Feature: o.Feature, Enabled: o.Enabled, Value: value, Quota: o.Quota.quota(), RateLimit: o.RateLimit.rateLimit(),
			StartsAt: o.StartsAt, EndsAt: o.EndsAt, Reason: o.Reason, CreateTime: o.CreateTime,
		})
	}
	var err error
	if l.AddOns, err = toAttachments(r.AddOns); err != nil {
		return l, fmt.Errorf("add-ons of licence %s: %w", r.ID, err)
	}
	var grants []grantJSON
	if err := json.Unmarshal(r.Grants, &grants); err != nil {
		return l, fmt.Errorf("grants of licence %s: %w", r.ID, err)
	}
	for _, g := range grants {
		l.Grants = append(l.Grants, licensing.Grant{
			ID: g.ID, License: r.ID, Feature: g.Feature, Units: g.Units, Priority: g.Priority,
			StartsAt: g.StartsAt, ExpiresAt: g.ExpiresAt, Reason: g.Reason, CreateTime: g.CreateTime,
		})
	}
	return l, nil
}

// termsOf are the forms of a licence's phases, overrides and grants.
func termsOf(l *licensing.License) (phases, overrides, grants []byte, err error) {
	p := make([]phaseJSON, len(l.Phases))
	for i, x := range l.Phases {
		p[i] = phaseJSON{At: x.At, Plan: x.Plan, Version: x.Version, CounterGeneration: x.CounterGeneration}
	}
	if phases, err = json.Marshal(p); err != nil {
		return nil, nil, nil, err
	}
	o := make([]overrideJSON, len(l.Overrides))
	for i, x := range l.Overrides {
		o[i] = overrideJSON{
			ID: x.ID, Feature: x.Feature, Enabled: x.Enabled, Value: json.RawMessage(x.Value.JSON()), Quota: fromQuota(x.Quota), RateLimit: fromRateLimit(x.RateLimit),
			StartsAt: x.StartsAt, EndsAt: x.EndsAt, Reason: x.Reason, CreateTime: x.CreateTime,
		}
	}
	if overrides, err = json.Marshal(o); err != nil {
		return nil, nil, nil, err
	}
	g := make([]grantJSON, len(l.Grants))
	for i, x := range l.Grants {
		g[i] = grantJSON{
			ID: x.ID, Feature: x.Feature, Units: x.Units, Priority: x.Priority,
			StartsAt: x.StartsAt, ExpiresAt: x.ExpiresAt, Reason: x.Reason, CreateTime: x.CreateTime,
		}
	}
	grants, err = json.Marshal(g)
	return phases, overrides, grants, err
}

func toEvent(r query.LicenseEvent) (licensing.LicenseEvent, error) {
	e := licensing.LicenseEvent{Number: r.Number, License: r.License, Time: r.Time.UTC(), Kind: licensing.EventKind(r.Kind)}
	if err := json.Unmarshal(r.Detail, &e.Detail); err != nil {
		return e, fmt.Errorf("licence event %d: %w", r.Number, err)
	}
	e.Status = licensing.LicenseStatus(e.Detail["status"])
	delete(e.Detail, "status")
	return e, nil
}

func toMigration(r query.PlanMigration) (licensing.PlanMigration, error) {
	m := licensing.PlanMigration{
		Plan: r.Plan, Version: uint32(r.Version), Kind: licensing.Migration(r.Kind), EffectiveAt: r.EffectiveAt.UTC(),
		Progress: r.Progress, Moved: r.Moved, Total: -1, Done: r.Done,
		Epoch: licensing.Epoch{Generation: uint64(r.Generation), Number: uint64(r.Number)},
	}
	if r.Total != nil {
		m.Total = *r.Total
	}
	if err := json.Unmarshal(r.Filter, &m.Filter); err != nil {
		return m, fmt.Errorf("filter of the migration to %s: %w", licensing.VersionID(m.Plan, m.Version), err)
	}
	return m, nil
}
