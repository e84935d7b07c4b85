package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
)

// What writes cost that wait for the head of the rules, with 16 writers at two control planes. The server does not sync here, so what is measured is
// statements and waits for them.
func BenchmarkWrite(b *testing.B) {
	url := pgtest.Database(b)
	var planes []*licensing.Service
	for range 2 {
		db, err := postgres.Open(b.Context(), postgres.Config{URL: url})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(db.Close)
		s, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Bootstrap(b.Context(), licensing.Founding{ID: "test", ErrorBaseURL: "http://errors.test"}); err != nil {
			b.Fatal(err)
		}
		planes = append(planes, s)
	}
	customer := sell(b, planes[0])
	issue := func(s *licensing.Service) (string, error) {
		l, _, err := s.IssueLicense(b.Context(), licensing.License{Customer: customer, Plan: "pro"})
		return l.ID, err
	}
	b.Run("IssueLicense", func(b *testing.B) {
		write(b, planes, func(s *licensing.Service, _ int) error {
			_, err := issue(s)
			return err
		})
	})
	b.Run("RevokeLicense", func(b *testing.B) {
		ids := make([]string, b.N)
		write(b, planes, func(s *licensing.Service, i int) (err error) {
			ids[i], err = issue(s)
			return err
		})
		b.ResetTimer()
		write(b, planes, func(s *licensing.Service, i int) error {
			_, _, err := s.RevokeLicense(b.Context(), ids[i])
			return err
		})
	})
}

// sell makes a plan "pro" and a customer, and returns the customer's id.
func sell(tb testing.TB, s *licensing.Service) string {
	tb.Helper()
	_, _, err := s.ApplyCatalog(tb.Context(), licensing.Catalog{
		Meters:   []licensing.Meter{{Key: "requests", Aggregation: licensing.Count}},
		Features: []licensing.Feature{{Key: "calls", Type: licensing.Metered, Meter: "requests"}},
		Plans: []licensing.CatalogPlan{{Key: "pro", Entitlements: []licensing.Entitlement{
			{Feature: "calls", Quota: &licensing.Quota{Limit: 100_000, Period: licensing.Month}},
		}}},
	}, false, licensing.MigrationDefault)
	if err != nil {
		tb.Fatal(err)
	}
	c, _, err := s.CreateCustomer(tb.Context(), licensing.Customer{ExternalID: "c"})
	if err != nil {
		tb.Fatal(err)
	}
	return c.ID
}

// write makes b.N writes, by as many writers at once as wait for an API that is busy.
func write(b *testing.B, planes []*licensing.Service, f func(s *licensing.Service, i int) error) {
	const writers = 16
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := f(planes[w%len(planes)], int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
