package postgres_test

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/postgres/query"
)

// many are 50,000 customers with a licence, a key, usage and an event each. Every status but active, expired and canceled is that of
// 20 licences. The plan big has nearly all of them, and small 50.
const many = `
SET session_replication_role = replica;
INSERT INTO customer (id, external_id, display_name, time_zone, archived_at)
SELECT 'cus_' || n, 'c-' || n, 'C', 'UTC', CASE WHEN n % 2500 = 9 THEN now() END FROM generate_series(1, 50000) n;
INSERT INTO license (id, customer, plan, plan_version, status, starts_at, ends_at, anchor, trial_ends_at, cancels_at, past_due, grace_until, due_at)
SELECT 'lic_' || lpad(n::text, 8, '0'), 'cus_' || n, CASE WHEN n % 1000 = 8 THEN 'small' ELSE 'big' END, 1,
       CASE WHEN n % 2500 = 11 THEN 'revoked' WHEN n % 25 = 3 THEN 'canceled' WHEN n % 2500 = 12 THEN 'suspended' ELSE 'active' END,
       CASE WHEN n % 2500 = 14 THEN now() + interval '30 days' ELSE now() - interval '400 days' END,
       CASE WHEN n % 10 = 5 THEN now() - interval '20 days' WHEN n % 10 < 5 THEN now() + interval '200 days' + n * interval '1 second' END, now(),
       CASE WHEN n % 2500 = 16 THEN now() + interval '10 days' END, CASE WHEN n % 2500 = 17 THEN now() + interval '40 days' END,
       n % 2500 = 18, CASE WHEN n % 2500 = 18 THEN now() + interval '5 days' END, CASE WHEN n % 2500 = 16 THEN now() - interval '1 second' END
FROM generate_series(1, 50000) n;
INSERT INTO api_key (id, license, display_name, prefix, hash)
SELECT 'key_' || n, 'lic_' || lpad(n::text, 8, '0'), 'k', 'p', sha256(n::text::bytea) FROM generate_series(1, 50000) n;
INSERT INTO license_event (number, license, time, recorded_at, kind, detail)
SELECT n, 'lic_' || lpad(n::text, 8, '0'), now(), now(), 'issued', '{}' FROM generate_series(1, 50000) n;
INSERT INTO usage_minute (license, meter, counter_generation, minute, units)
SELECT 'lic_' || lpad(n::text, 8, '0'), 'requests', 1, date_trunc('minute', now()), 1 FROM generate_series(1, 50000) n;
INSERT INTO usage_event (source, id, license, meter, counter_generation, time, units, created_at)
SELECT 's', n::text, 'lic_' || lpad(n::text, 8, '0'), 'requests', 1, now(), 1, now() FROM generate_series(1, 50000) n;
INSERT INTO usage_correction (id, license, meter, counter_generation, minute, units, reason, actor, created_at)
SELECT 'cor_' || n, 'lic_' || lpad(n::text, 8, '0'), 'requests', 1, now(), 1, 'r', 'a', now() FROM generate_series(1, 50000) n;
INSERT INTO counter_start (license, counter_generation, starts_at, before)
SELECT 'lic_' || lpad(n::text, 8, '0'), 2, now(), 1 FROM generate_series(1, 50000) n;
ANALYZE`

// explaining runs queries as the API does, planned for their arguments, and keeps how each was done.
type explaining struct {
	query.DBTX
	t    *testing.T
	plan *string
}

func (e explaining) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	row := e.DBTX.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...)
	if err := row.Scan(e.plan); err != nil {
		e.t.Errorf("explain: %v", err)
	}
	return e.DBTX.Query(ctx, sql, args...)
}

func (e explaining) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := e.Query(ctx, sql, args...)
	if err != nil {
		e.t.Errorf("query: %v", err)
	}
	rows.Close()
	return e.DBTX.QueryRow(ctx, sql, args...)
}

// node is a node of a plan.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Filtered float64 `json:"Rows Removed by Filter"`
	Plans    []node  `json:"Plans"`
}

// looked is how many rows of tables were looked at, and which tables were gone through from end to end.
func (n *node) looked() (rows float64, whole []string) {
	for i := range n.Plans {
		r, w := n.Plans[i].looked()
		rows, whole = rows+r, append(whole, w...)
	}
	if n.Relation != "" {
		rows += (n.Rows + n.Filtered) * n.Loops
	}
	if n.Type == "Seq Scan" {
		whole = append(whole, n.Relation)
	}
	return rows, whole
}

// What a call of the API looks at is a page, or what it asks for, and not how much there is.
func TestQueries_LookAtWhatTheyReturn(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Exec(t, url, many)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	// The test's own context is over when this runs.
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	var plan string
	q := query.New(explaining{conn, t, &plan})
	ctx, now := t.Context(), time.Now()
	const license, page = "lic_00025018", 51
	large := regexp.MustCompile("^(license|customer|api_key|license_event|usage_minute|usage_event|usage_correction|counter_start)$")

	licenses := func(change func(*query.LicensesParams)) func() (int, error) {
		return func() (int, error) {
			p := query.LicensesParams{Now: now, PageSize: page}
			change(&p)
			rows, err := q.Licenses(ctx, p)
			return len(rows), err
		}
	}
	status := func(word string) func() (int, error) {
		return licenses(func(p *query.LicensesParams) { p.Status = &word })
	}
	for name, c := range map[string]struct {
		run func() (int, error)
		// want is how many it returns, most how many rows it may look at.
		want int
		most float64
	}{
		"licences":                 {licenses(func(*query.LicensesParams) {}), page, page},
		"licences, a later page":   {licenses(func(p *query.LicensesParams) { p.After = license }), page, page},
		"licences of a customer":   {licenses(func(p *query.LicensesParams) { p.Customer = new("cus_25018") }), 1, 10},
		"licences of a plan":       {licenses(func(p *query.LicensesParams) { p.Plan = new("big") }), page, 200},
		"licences of a small plan": {licenses(func(p *query.LicensesParams) { p.Plan = new("small") }), 50, 200},
		"licences of a version":    {licenses(func(p *query.LicensesParams) { p.Plan, p.PlanVersion = new("small"), new(int32(1)) }), 50, 200},
		"active ones":              {status("active"), page, 500},
		"active ones of a plan":    {licenses(func(p *query.LicensesParams) { p.Status, p.Plan = new("active"), new("small") }), 50, 500},
		"expired ones":             {status("expired"), page, 2000},
		"canceled ones":            {status("canceled"), page, 2500},
		"revoked ones":             {status("revoked"), 20, 200},
		"suspended ones":           {status("suspended"), 20, 200},
		"ones that are past due":   {status("past_due"), 20, 200},
		"scheduled ones":           {status("scheduled"), 20, 200},
		"trialing ones":            {status("trialing"), 20, 200},
		"of a status that is none": {status("nothing"), 0, 0},
		"past due ones of a plan":  {licenses(func(p *query.LicensesParams) { p.Status, p.Plan = new("past_due"), new("big") }), 20, 200},
		"a licence":                {func() (int, error) { _, err := q.License(ctx, license); return 1, err }, 1, 1},
		"licences by id": {func() (int, error) {
			r, err := q.LicensesNamed(ctx, query.LicensesNamedParams{Ids: []string{license}, ExternalIds: []string{}})
			return len(r), err
		}, 1, 1},
		"a customer": {func() (int, error) { _, err := q.Customer(ctx, "cus_7"); return 1, err }, 1, 1},
		"customers": {func() (int, error) {
			r, err := q.Customers(ctx, query.CustomersParams{PageSize: page})
			return len(r), err
		}, page, 200},
		"archived customers": {func() (int, error) {
			r, err := q.Customers(ctx, query.CustomersParams{PageSize: page, Archived: true})
			return len(r), err
		}, 20, 200},
		"a customer by external id": {func() (int, error) {
			r, err := q.Customers(ctx, query.CustomersParams{PageSize: page, ExternalID: new("c-7")})
			return len(r), err
		}, 1, 1},
		"keys": {func() (int, error) { r, err := q.APIKeys(ctx, query.APIKeysParams{PageSize: page}); return len(r), err }, page, page},
		"keys of a licence": {func() (int, error) {
			r, err := q.APIKeys(ctx, query.APIKeysParams{PageSize: page, License: new(license)})
			return len(r), err
		}, 1, 10},
		"events": {func() (int, error) {
			r, err := q.LicenseEvents(ctx, query.LicenseEventsParams{After: 40_000, PageSize: page})
			return len(r), err
		}, page, page},
		"events of a licence": {func() (int, error) {
			r, err := q.LicenseEvents(ctx, query.LicenseEventsParams{PageSize: page, License: new(license)})
			return len(r), err
		}, 1, 10},
		"what a licence used": {func() (int, error) {
			_, err := q.UsedUnits(ctx, query.UsedUnitsParams{License: license, Meter: "requests", Generation: 1, Since: now.AddDate(0, -1, 0), Until: now})
			return 1, err
		}, 1, 10},
		"usage": {func() (int, error) {
			_, err := q.UsageTotal(ctx, query.UsageTotalParams{License: license, Meter: "requests", Since: now.AddDate(0, -1, 0), Until: now})
			return 1, err
		}, 1, 10},
		"licences that are due": {func() (int, error) {
			r, err := q.LockDueLicenses(ctx, query.LockDueLicensesParams{Now: now, PageSize: 500})
			return len(r), err
		}, 20, 200},
		"the next that move": {func() (int, error) {
			r, err := q.LockMovingLicenses(ctx, query.LockMovingLicensesParams{After: license, Plan: "big", Now: now, PageSize: 1000})
			return len(r), err
		}, 1000, 6000},
		"the next of few that move": {func() (int, error) {
			r, err := q.LockMovingLicenses(ctx, query.LockMovingLicensesParams{Plan: "small", Now: now, PageSize: 1000})
			return len(r), err
		}, 50, 400},
		"events of usage": {func() (int, error) {
			r, err := q.UsageEvents(ctx, query.UsageEventsParams{Sources: []string{"s", "s"}, Ids: []string{"7", "x"}})
			return len(r), err
		}, 1, 10},
		"corrections": {func() (int, error) {
			r, err := q.UsageCorrections(ctx, query.UsageCorrectionsParams{PageSize: page})
			return len(r), err
		}, page, page},
		"corrections of a licence": {func() (int, error) {
			r, err := q.UsageCorrections(ctx, query.UsageCorrectionsParams{PageSize: page, License: new(license)})
			return len(r), err
		}, 1, 10},
		"starts of counters": {func() (int, error) { r, err := q.CounterStarts(ctx, []string{license}); return len(r), err }, 1, 10},
		"what a page of the rules is": {func() (int, error) {
			r, err := q.RuleLicenses(ctx, query.RuleLicensesParams{After: license, PageSize: page})
			return len(r), err
		}, page, page},
	} {
		got, err := c.run()
		if err != nil || got != c.want {
			t.Errorf("%s: %d rows, %v, want %d", name, got, err, c.want)
			continue
		}
		var plans []struct{ Plan node }
		if err := json.Unmarshal([]byte(plan), &plans); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		looked, whole := plans[0].Plan.looked()
		for _, table := range whole {
			if large.MatchString(table) {
				t.Errorf("%s: goes through %s from end to end: %s", name, table, plan)
			}
		}
		if looked > c.most {
			t.Errorf("%s: looks at %.0f rows for %d, want %.0f at most: %s", name, looked, got, c.most, plan)
		}
	}
}
