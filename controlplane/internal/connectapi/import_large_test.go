package connectapi

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/controlplane/internal/audit"
	"tollgate/controlplane/internal/licensing"
)

// Ten thousand rows: as many objects, few epochs, an audit event of the caller for each batch; and the same file again changes
// nothing.
func TestImport_TenThousandRowsAndThenNone(t *testing.T) {
	t.Parallel()
	const rows, batches = 10_000, 10
	a := setup(t)
	a.apply(demo)
	var customers, licenses strings.Builder
	customers.WriteString("external_id,display_name,time_zone,metadata.segment\n")
	licenses.WriteString("external_id,external_customer_id,plan,starts_at,ends_at\n")
	for i := range rows {
		fmt.Fprintf(&customers, "customer-%d,Customer %d,Europe/Berlin,smb\n", i, i)
		fmt.Fprintf(&licenses, "sub-%d,customer-%d,free,2026-01-%02d,2099-01-01\n", i, rows-1-i, 1+i%31)
	}
	number := func() uint64 {
		e, err := a.licensing.Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return e.Number
	}
	log := audit.NewService(a.db.Audit())
	events := func() int64 {
		_, _, head, err := log.Events(t.Context(), audit.List{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return int64(head.Sequence)
	}
	for _, f := range []struct{ call, file, kind string }{
		{"CustomerService/ImportCustomers", customers.String(), "customer"},
		{"LicenseService/ImportLicenses", licenses.String(), "license"},
	} {
		epoch, event := number(), events()
		if got := counts(a.streamed(f.call, f.file)); got != fmt.Sprintf("%d/0/0/0", rows) {
			t.Fatalf("%s: %s", f.call, got)
		}
		if got := number() - epoch; got < batches || got > 2*batches {
			t.Errorf("%s took %d epochs", f.call, got)
		}
		if got := events() - event; got != batches {
			t.Errorf("%s left %d audit events", f.call, got)
		}
		last, _, _, err := log.Events(t.Context(), audit.List{Limit: batches})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range last {
			if !strings.HasPrefix(e.Actor, "tok_") || !strings.HasSuffix(e.Procedure, f.call) || e.Kind != f.kind || strings.Count(e.After, f.kind[:3]) < rows/batches {
				t.Errorf("event by %s of %s: %.200s", e.Actor, e.Procedure, e.After)
			}
		}
		epoch, event = number(), events()
		if got := counts(a.streamed(f.call, f.file)); got != fmt.Sprintf("0/0/%d/0", rows) {
			t.Errorf("%s again: %s", f.call, got)
		}
		if number() != epoch || events() != event {
			t.Errorf("%s again took an epoch, or left an audit event", f.call)
		}
	}
	if n := a.count(func(l licensing.List) (int, string, error) {
		p, err := a.licensing.ListCustomers(t.Context(), l)
		return len(p.Items), p.Next, err
	}); n != rows {
		t.Errorf("%d customers", n)
	}
	if n := a.count(func(l licensing.List) (int, string, error) {
		p, err := a.licensing.ListLicenses(t.Context(), l)
		return len(p.Items), p.Next, err
	}); n != rows {
		t.Errorf("%d licences", n)
	}
	// Each is whose the file says.
	l := at(a.object("LicenseService/ListLicenses", `{"filter": "external_id = \"sub-42\""}`), "licenses").([]any)[0]
	c := a.object("CustomerService/GetCustomer", fmt.Sprintf(`{"id": %q}`, at(l, "customer")))
	if at(c, "customer", "externalId") != "customer-9957" || at(l, "startsAt") != "2026-01-12T00:00:00Z" || at(l, "planVersion") != 1.0 {
		t.Errorf("licence %v of %v", l, c)
	}
}

// count goes through the pages of a list.
func (a *api) count(read func(licensing.List) (int, string, error)) (n int) {
	a.t.Helper()
	for after := ""; ; {
		items, next, err := read(licensing.List{PageSize: 1000, After: after})
		if err != nil {
			a.t.Fatal(err)
		}
		if n, after = n+items, next; next == "" {
			return n
		}
	}
}
