package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

// catalog is what the licences are for. Most are on free.
const catalog = `version: 1
meters: [{key: requests, aggregation: count}]
features: [{key: calls, type: metered, meter: requests}, {key: reports, type: boolean}]
plans:
- key: free
  entitlements: [{feature: calls, quota: {limit: 1000, period: month, mode: hard}}]
  rate_limits: [{key: free-rate, limit: 5, per: 1s}]
- key: pro
  entitlements: [{feature: calls, quota: {limit: 100000, period: month, mode: hard}}, {feature: reports}]
- key: enterprise
  entitlements: [{feature: calls, quota: {limit: 1000000, period: month, mode: soft}}, {feature: reports}]
`

//go:embed fill.sql
var fillSQL string

// fill puts licences into the tables, where the API would take hours.
func (s *system) fill(ctx context.Context) error {
	if _, err := s.catalog.ApplyCatalog(ctx, &adminv1.ApplyCatalogRequest{Yaml: catalog}); err != nil {
		return fmt.Errorf("apply the catalog: %w", err)
	}
	_, err := s.sql(ctx, strings.ReplaceAll(fillSQL, ":licenses", fmt.Sprint(s.licenses)))
	if err != nil {
		return fmt.Errorf("fill the tables: %w", err)
	}
	return nil
}

// The ids that fill.sql makes, of the n-th licence from 1 on.
func licenseID(n int) string  { return fmt.Sprintf("lic_01%024X", n) }
func customerID(n int) string { return fmt.Sprintf("cus_01%024X", n) }
