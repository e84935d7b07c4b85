package postgres

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// InsertCustomers implements licensing.Tx.
func (t *licensingTx) InsertCustomers(ctx context.Context, all []licensing.Customer) ([]licensing.Customer, error) {
	params := make([]query.InsertCustomersParams, len(all))
	for i := range all {
		c := &all[i]
		metadata, err := metadataJSON(c.Metadata)
		if err != nil {
			return nil, err
		}
		params[i] = query.InsertCustomersParams{
			ID: c.ID, ExternalID: c.ExternalID, DisplayName: c.DisplayName, TimeZone: c.TimeZone, Metadata: metadata,
			CreatedAt: c.CreateTime, UpdatedAt: c.UpdateTime,
		}
	}
	return batched(len(all), t.q.InsertCustomers(ctx, params).QueryRow, toCustomer, func(i int, err error) error {
		return taken(err, licensing.KindCustomer, "external_id", all[i].ExternalID)
	})
}

// UpdateCustomers implements licensing.Tx.
func (t *licensingTx) UpdateCustomers(ctx context.Context, all []licensing.Customer) ([]licensing.Customer, error) {
	params := make([]query.UpdateCustomersParams, len(all))
	for i := range all {
		c := &all[i]
		metadata, err := metadataJSON(c.Metadata)
		if err != nil {
			return nil, err
		}
		params[i] = query.UpdateCustomersParams{
			ID: c.ID, DisplayName: c.DisplayName, TimeZone: c.TimeZone, Metadata: metadata, UpdatedAt: c.UpdateTime,
		}
	}
	return batched(len(all), t.q.UpdateCustomers(ctx, params).QueryRow, toCustomer, func(i int, err error) error {
		return missing(err, licensing.KindCustomer, all[i].ID)
	})
}

// InsertLicenses implements licensing.Tx.
func (t *licensingTx) InsertLicenses(ctx context.Context, all []licensing.License) ([]licensing.License, error) {
	params := make([]query.InsertLicensesParams, len(all))
	for i := range all {
		l := &all[i]
		params[i] = query.InsertLicensesParams{
			ID: l.ID, ExternalID: nullText(l.ExternalID), Customer: l.Customer, Plan: l.Plan, PlanVersion: int32(l.PlanVersion), Status: string(l.Decided),
			StartsAt: l.StartsAt, EndsAt: nullable(l.EndsAt), Anchor: l.Anchor, CounterGeneration: int64(l.CounterGeneration),
			TrialEndsAt: nullable(l.TrialEndsAt), DueAt: nullable(l.DueAt), CreatedAt: l.CreateTime, UpdatedAt: l.UpdateTime,
		}
	}
	return batched(len(all), t.q.InsertLicenses(ctx, params).QueryRow, toLicense, func(i int, err error) error {
		if constraint, _ := violated(err, "23505"); constraint == "license_external_id" {
			return licensing.Taken(licensing.KindLicense, "external_id", all[i].ExternalID)
		}
		return taken(err, licensing.KindLicense, "id", all[i].ID)
	})
}

// CustomersNamed implements licensing.Reader.
func (r reader) CustomersNamed(ctx context.Context, ids, externalIDs []string) ([]licensing.Customer, error) {
	return list(ctx, r, licensing.KindCustomer, func(ctx context.Context, q *query.Queries) ([]query.Customer, error) {
		return q.CustomersNamed(ctx, query.CustomersNamedParams{Ids: filled(ids), ExternalIds: filled(externalIDs)})
	}, toCustomer)
}

// LicensesNamed implements licensing.Reader.
func (r reader) LicensesNamed(ctx context.Context, ids, externalIDs []string) ([]licensing.License, error) {
	return list(ctx, r, licensing.KindLicense, func(ctx context.Context, q *query.Queries) ([]query.License, error) {
		return q.LicensesNamed(ctx, query.LicensesNamedParams{Ids: filled(ids), ExternalIds: filled(externalIDs)})
	}, toLicense)
}
