package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// read is one kind of call. n is the licence that it is about, where it is about one.
type read struct {
	name string
	do   func(ctx context.Context, s *system, n int) error
}

// control is a call for which both systems have the same to look at. Where its ratio is not 1, the machine favours one of them.
const control = "GetPlan, for comparison"

func kinds() []read {
	licenses := func(name, filter string) read {
		return read{"ListLicenses, " + name, func(ctx context.Context, s *system, n int) error {
			f := filter
			if f == "customer" {
				f = fmt.Sprintf("customer = %q", customerID(n))
			}
			res, err := s.license.ListLicenses(ctx, &adminv1.ListLicensesRequest{Filter: f})
			return some(err, len(res.GetLicenses()))
		}}
	}
	return []read{
		{control, func(ctx context.Context, s *system, _ int) error {
			_, err := s.catalog.GetPlan(ctx, &adminv1.GetPlanRequest{Key: "enterprise"})
			return err
		}},
		licenses("first page", ""),
		{"GetLicense", func(ctx context.Context, s *system, n int) error {
			_, err := s.license.GetLicense(ctx, &adminv1.GetLicenseRequest{Id: licenseID(n)})
			return err
		}},
		{"GetEntitlements", func(ctx context.Context, s *system, n int) error {
			res, err := s.license.GetEntitlements(ctx, &adminv1.GetEntitlementsRequest{License: licenseID(n)})
			return some(err, len(res.GetEntitlements()))
		}},
		licenses("of a customer", "customer"),
		licenses("of a plan", `plan = "pro"`),
		licenses("of a plan's version", `plan = "pro" AND plan_version = "1"`),
		licenses("active", `status = "active"`),
		licenses("expired (1 in 10)", `status = "expired"`),
		licenses("canceled (1 in 25)", `status = "canceled"`),
		licenses("suspended (20)", `status = "suspended"`),
		licenses("revoked (20)", `status = "revoked"`),
		licenses("past due (20)", `status = "past_due"`),
		licenses("scheduled (20)", `status = "scheduled"`),
		licenses("trialing (20)", `status = "trialing"`),
		licenses("past due of a plan", `status = "past_due" AND plan = "free"`),
		{"ListCustomers, first page", func(ctx context.Context, s *system, _ int) error {
			res, err := s.customers.ListCustomers(ctx, &adminv1.ListCustomersRequest{})
			return some(err, len(res.GetCustomers()))
		}},
		{"ListCustomers, by external id", func(ctx context.Context, s *system, n int) error {
			res, err := s.customers.ListCustomers(ctx, &adminv1.ListCustomersRequest{Filter: fmt.Sprintf(`external_id = "customer-%d"`, n)})
			return some(err, len(res.GetCustomers()))
		}},
		{"ListApiKeys of a licence", func(ctx context.Context, s *system, n int) error {
			res, err := s.keys.ListApiKeys(ctx, &adminv1.ListApiKeysRequest{Filter: fmt.Sprintf("license = %q", licenseID(n))})
			return some(err, len(res.GetApiKeys()))
		}},
		{"ListLicenseEvents of a licence", func(ctx context.Context, s *system, n int) error {
			res, err := s.license.ListLicenseEvents(ctx, &adminv1.ListLicenseEventsRequest{License: licenseID(n)})
			return some(err, len(res.GetLicenseEvents()))
		}},
	}
}

// some fails where a call found nothing: its time would say nothing.
func some(err error, n int) error {
	if err == nil && n == 0 {
		return fmt.Errorf("nothing was found")
	}
	return err
}

// warm is how many calls of each kind come first and do not count.
const warm = 20

// patience bounds the reads where some are slow: fewer calls say the same.
const patience = 2 * time.Minute

// reads times every kind on both systems in turn, and all kinds in turn, so that what else the machine does in between falls on all alike.
func reads(ctx context.Context, o options, few, many *system) ([]Row, error) {
	all := kinds()
	type key struct {
		kind string
		s    *system
	}
	times := map[key][]time.Duration{}
	pick := rand.New(rand.NewPCG(1, 2))
	for start, i := time.Now(), 0; i < warm+o.calls; i++ {
		if i >= warm+10 && time.Since(start) > patience {
			progress("after %d calls of each kind the time is up", i)
			break
		}
		order := []*system{few, many}
		if i%2 == 1 {
			order = []*system{many, few}
		}
		for _, k := range all {
			for _, s := range order {
				n := 1 + pick.IntN(s.licenses)
				began := time.Now()
				if err := k.do(ctx, s, n); err != nil {
					return nil, fmt.Errorf("%s on %d licences: %w", k.name, s.licenses, err)
				}
				if i >= warm {
					times[key{k.name, s}] = append(times[key{k.name, s}], time.Since(began))
				}
			}
		}
	}
	rows := make([]Row, 0, len(all))
	for _, k := range all {
		row := compare(k.name, times[key{k.name, few}], times[key{k.name, many}], aimSame)
		if k.name == control {
			row.Aim = 0
		}
		rows = append(rows, row)
	}
	return rows, nil
}
