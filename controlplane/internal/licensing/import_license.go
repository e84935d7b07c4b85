package licensing

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// LicenseRow is a licence as a file has it. Its customer is named by an external id, or, where that is empty, by License.Customer.
type LicenseRow struct {
	License          License
	ExternalCustomer string
	// Columns are the file's. What has no column is as when issuing a licence; of one that is there, it is not looked at.
	Columns []string
}

// ImportLicenses issues the licences of rows whose external id is new. One that is there stays as it is: a row that says something
// else of it is wrong. A row that is wrong is left out. The epoch is that of the last batch.
func (s *Service) ImportLicenses(ctx context.Context, rows iter.Seq2[ImportRow[LicenseRow], error]) (Imported, Epoch, error) {
	m := importer[LicenseRow]{svc: s, store: importLicenses}
	return m.run(ctx, rows)
}

func importLicenses(ctx context.Context, w *write, batch []ImportRow[LicenseRow], out *Imported) error {
	l, err := newIssuing(ctx, w, batch)
	if err != nil {
		return err
	}
	var made []License
	for i := range batch {
		row := &batch[i]
		issued, old, err := l.license(ctx, row)
		bad, err := rowError(err)
		switch {
		case err != nil:
			return err
		case bad != nil:
			out.fail(row.Line, bad)
		case old:
			out.Unchanged++
		default:
			made = append(made, issued)
			out.Created++
		}
	}
	if len(made) == 0 {
		return nil
	}
	_, err = w.issue(ctx, made)
	return err
}

// issuing is what the licences of a batch refer to, each looked up once.
type issuing struct {
	w         *write
	customers map[string]*Customer // By id and by external id, the latter after a space: ids hold none.
	known     map[string]*License  // By external id.
	versions  map[soldVersion]sold
}

type soldVersion struct {
	plan    string
	version uint32
}

type sold struct {
	version PlanVersion
	err     error
}

func newIssuing(ctx context.Context, w *write, batch []ImportRow[LicenseRow]) (*issuing, error) {
	var ids, external []string
	for i := range batch {
		switch v := &batch[i].Value; {
		case batch[i].Err != nil || v.checkCustomer() != nil:
		case v.ExternalCustomer != "":
			external = append(external, v.ExternalCustomer)
		default:
			ids = append(ids, v.License.Customer)
		}
	}
	customers, err := w.CustomersNamed(ctx, ids, external)
	if err != nil {
		return nil, err
	}
	known, err := w.LicensesNamed(ctx, nil, externalIDs(batch))
	if err != nil {
		return nil, err
	}
	l := &issuing{w: w, customers: map[string]*Customer{}, known: map[string]*License{}, versions: map[soldVersion]sold{}}
	for i := range customers {
		c := &customers[i]
		l.customers[c.ID], l.customers[" "+c.ExternalID] = c, c
	}
	for i := range known {
		l.known[known[i].ExternalID] = &known[i]
	}
	return l, nil
}

// license is the licence that a row issues. old: it is there already, and as the row says.
func (l *issuing) license(ctx context.Context, row *ImportRow[LicenseRow]) (out License, old bool, err error) {
	if row.Err != nil {
		return out, false, row.Err
	}
	c, err := l.customer(&row.Value)
	if err != nil {
		return out, false, err
	}
	given := row.Value.License
	given.ExternalID, given.Customer = row.ExternalID, c.ID
	if known := l.known[row.ExternalID]; known != nil {
		return out, true, row.Value.differs(&given, known, l.w.now)
	}
	out = l.w.newLicense(given)
	if err := out.Validate(); err != nil {
		return out, false, err
	}
	if err := current(KindCustomer, c.ExternalID, "", &c.Meta); err != nil {
		return out, false, at(row.Value.customerField(), err)
	}
	v, err := l.sellable(ctx, out.Plan, out.PlanVersion)
	if err != nil {
		return out, false, err
	}
	return out, false, l.w.complete(&out, c, &v)
}

func (r *LicenseRow) customerField() string {
	if r.ExternalCustomer != "" {
		return "external_customer_id"
	}
	return "customer"
}

// checkCustomer checks what the customer is named by.
func (r *LicenseRow) checkCustomer() error {
	name := cmp.Or(r.ExternalCustomer, r.License.Customer)
	if name == "" {
		return invalid(r.customerField(), "is required: whose licence it is")
	}
	return checkText(r.customerField(), name, maxExternalID)
}

func (l *issuing) customer(row *LicenseRow) (*Customer, error) {
	if err := row.checkCustomer(); err != nil {
		return nil, err
	}
	name, key := row.License.Customer, row.License.Customer
	if row.ExternalCustomer != "" {
		name, key = row.ExternalCustomer, " "+row.ExternalCustomer
	}
	if c := l.customers[key]; c != nil {
		return c, nil
	}
	return nil, at(row.customerField(), Missing(KindCustomer, name))
}

// sellable is write.sellable, once for each version.
func (l *issuing) sellable(ctx context.Context, plan string, version uint32) (PlanVersion, error) {
	key := soldVersion{plan, version}
	s, there := l.versions[key]
	if !there {
		s.version, s.err = l.w.sellable(ctx, plan, version)
		if _, other := rowError(s.err); other != nil {
			return PlanVersion{}, other
		}
		l.versions[key] = s
	}
	return s.version, s.err
}

// differs refuses a row that says something else of a licence than what it is. An import issues licences, and changes none: what
// people or time did to a licence since is not undone by a file that is imported again.
func (r *LicenseRow) differs(given, stored *License, now time.Time) error {
	is := stored.seen(now)
	differs := func(field, is, how string) error {
		return invalid(field, "differs from the licence %s, which is there: %s; an import changes no licence: use %s", stored.ID, is, how)
	}
	when := func(t time.Time) string {
		if t.IsZero() {
			return "none"
		}
		return t.Format(time.RFC3339Nano)
	}
	has := func(column string) bool { return slices.Contains(r.Columns, column) }
	const anew = "RevokeLicense, and another external_id"
	switch {
	case given.Customer != is.Customer:
		return differs(r.customerField(), is.Customer, anew)
	case given.Plan != is.Plan:
		return differs("plan", is.Plan, "ChangePlan")
	case given.PlanVersion != 0 && given.PlanVersion != is.PlanVersion:
		return differs("plan_version", fmt.Sprint(is.PlanVersion), "ChangePlan")
	case !given.StartsAt.IsZero() && !micros(given.StartsAt).Equal(is.StartsAt):
		return differs("starts_at", when(is.StartsAt), anew)
	case has("ends_at") && !micros(given.EndsAt).Equal(is.EndsAt):
		return differs("ends_at", when(is.EndsAt), "RenewLicense")
	case !given.Anchor.IsZero() && !micros(given.Anchor).Equal(is.Anchor):
		return differs("anchor", when(is.Anchor), anew)
	}
	return nil
}
