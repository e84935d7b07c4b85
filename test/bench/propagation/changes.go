package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// catalog is what the licences are for.
const catalog = `version: 1
meters: [{key: requests, aggregation: count}]
features: [{key: calls, type: metered, meter: requests}]
plans:
- key: free
  entitlements: [{feature: calls, quota: {limit: 1000, period: month, mode: hard}}]
- key: pro
  entitlements: [{feature: calls, quota: {limit: 100000, period: month, mode: hard}}]
`

// steady makes changes at a rate, whatever each takes, and measures when the last node enforces each.
func steady(ctx context.Context, o options, s *system) ([]Row, error) {
	if _, err := s.catalog.ApplyCatalog(ctx, &adminv1.ApplyCatalogRequest{Yaml: catalog}); err != nil {
		return nil, fmt.Errorf("apply the catalog: %w", err)
	}
	customer, err := s.customers.CreateCustomer(ctx, &adminv1.CreateCustomerRequest{Customer: &adminv1.Customer{ExternalId: "steady"}})
	if err != nil {
		return nil, err
	}
	issue := func() (*adminv1.IssueLicenseResponse, error) {
		return s.licenses.IssueLicense(ctx, &adminv1.IssueLicenseRequest{License: &adminv1.License{Customer: customer.GetCustomer().GetId(), Plan: "pro"}})
	}
	warm := o.changes / 10
	type change struct {
		begun, answered time.Time
		number          uint64
		err             error
	}
	all := make([]change, warm+o.changes)
	progress("make %d changes, %d a second", len(all), o.rate)
	tick := time.NewTicker(time.Second / time.Duration(o.rate))
	defer tick.Stop()
	var calls sync.WaitGroup
	for i := range all {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		calls.Go(func() {
			c := change{begun: time.Now()}
			var res *adminv1.IssueLicenseResponse
			res, c.err = issue()
			c.answered, c.number = time.Now(), res.GetEpoch().GetNumber()
			all[i] = c
		})
	}
	calls.Wait()
	var since, whole, api []time.Duration
	for _, c := range all[warm:] {
		if c.err != nil {
			return nil, c.err
		}
		last, err := s.nodes.await(ctx, c.number)
		if err != nil {
			return nil, err
		}
		// A node may be there before the caller has the answer.
		since = append(since, max(0, last.Sub(c.answered)))
		whole = append(whole, last.Sub(c.begun))
		api = append(api, c.answered.Sub(c.begun))
	}
	return []Row{
		rowOf("API answered to enforced on the last node", since, "p99", aimChange),
		rowOf("API called to enforced on the last node", whole, "", 0),
		rowOf("API called to answered", api, "", 0),
	}, nil
}

// behind publishes a version that all licences move to, and revokes some of them while they do.
func behind(ctx context.Context, o options, s *system) (Row, error) {
	began := time.Now()
	var customers, licenses bytes.Buffer
	fmt.Fprintln(&customers, "external_id")
	fmt.Fprintln(&licenses, "external_id,external_customer_id,plan")
	const each = 100
	for i := range o.licenses {
		if i%each == 0 {
			fmt.Fprintf(&customers, "c%d\n", i/each)
		}
		fmt.Fprintf(&licenses, "l%d,c%d,free\n", i, i/each)
	}
	if err := s.tollgate(ctx, customers.Bytes(), "customers", "import", "-f", "-"); err != nil {
		return Row{}, err
	}
	if err := s.tollgate(ctx, licenses.Bytes(), "licenses", "import", "-f", "-"); err != nil {
		return Row{}, err
	}
	progress("%d licences are in after %s", o.licenses, time.Since(began).Round(time.Second))
	// From the end: the move begins with the oldest.
	var ids []string
	for i := range o.revocations {
		res, err := s.licenses.ListLicenses(ctx, &adminv1.ListLicensesRequest{Filter: fmt.Sprintf("external_id = %q", fmt.Sprintf("l%d", o.licenses-1-i))})
		if err != nil || len(res.GetLicenses()) != 1 {
			return Row{}, fmt.Errorf("licence l%d: %d found, %w", o.licenses-1-i, len(res.GetLicenses()), err)
		}
		ids = append(ids, res.GetLicenses()[0].GetId())
	}
	draft, err := s.catalog.CreatePlanDraft(ctx, &adminv1.CreatePlanDraftRequest{Plan: "free"})
	if err != nil {
		return Row{}, err
	}
	v := draft.GetPlanVersion()
	v.Entitlements[0].Quota.Limit = 2000
	if _, err := s.catalog.UpdatePlanDraft(ctx, &adminv1.UpdatePlanDraftRequest{PlanVersion: v}); err != nil {
		return Row{}, err
	}
	began = time.Now()
	if _, err := s.catalog.PublishPlanVersion(ctx, &adminv1.PublishPlanVersionRequest{Plan: "free", Version: v.GetVersion(), Migration: adminv1.Migration_MIGRATION_NOW}); err != nil {
		return Row{}, err
	}
	moving := func() (moved int64, done bool, err error) {
		m, err := s.catalog.GetMigration(ctx, &adminv1.GetMigrationRequest{Plan: "free", Version: v.GetVersion()})
		return m.GetMoved(), m.GetDone(), err
	}
	var times []time.Duration
	for _, id := range ids {
		at := time.Now()
		res, err := s.licenses.RevokeLicense(ctx, &adminv1.RevokeLicenseRequest{Id: id})
		if err != nil {
			return Row{}, err
		}
		last, err := s.nodes.await(ctx, res.GetEpoch().GetNumber())
		if err != nil {
			return Row{}, err
		}
		moved, done, err := moving()
		if err != nil {
			return Row{}, err
		}
		if done {
			break
		}
		times = append(times, last.Sub(at))
		progress("revoked after %.0f ms, with %d licences moved", millis(last.Sub(at)), moved)
	}
	if len(times) == 0 {
		return Row{}, errors.New("the move was over before the first revocation: give it more licences")
	}
	for {
		_, done, err := moving()
		if err != nil {
			return Row{}, err
		}
		if done {
			progress("%d licences moved within %s", o.licenses, time.Since(began).Round(time.Millisecond))
			return rowOf("RevokeLicense called to enforced, behind a move", times, "max", aimRevocation), nil
		}
		select {
		case <-ctx.Done():
			return Row{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
