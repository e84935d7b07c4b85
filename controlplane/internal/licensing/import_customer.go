package licensing

import (
	"context"
	"iter"
	"maps"
	"slices"
)

// CustomerRow is a customer as a file has it.
type CustomerRow struct {
	Customer Customer
	// Columns are the file's: external_id, display_name, time_zone, metadata.<name>. What has no column stays as it is.
	Columns []string
}

// Has reports whether the file has a column.
func (r *CustomerRow) Has(column string) bool { return slices.Contains(r.Columns, column) }

// onto puts what the file says onto a customer. An empty cell empties; of metadata, it removes the entry.
func (r *CustomerRow) onto(c Customer) Customer {
	c.ExternalID = r.Customer.ExternalID
	if r.Has("display_name") {
		c.DisplayName = r.Customer.DisplayName
	}
	if r.Has("time_zone") {
		c.TimeZone = r.Customer.TimeZone
	}
	c.Metadata = maps.Clone(c.Metadata)
	for name, value := range r.Customer.Metadata {
		if value == "" {
			delete(c.Metadata, name)
			continue
		}
		if c.Metadata == nil {
			c.Metadata = map[string]string{}
		}
		c.Metadata[name] = value
	}
	return c
}

// ImportCustomers makes the customers of rows that are new, and updates those whose external id is known by what the file says. A row
// that is wrong is left out. The epoch is that of the last batch.
func (s *Service) ImportCustomers(ctx context.Context, rows iter.Seq2[ImportRow[CustomerRow], error]) (Imported, Epoch, error) {
	m := importer[CustomerRow]{svc: s, store: importCustomers}
	return m.run(ctx, rows)
}

func importCustomers(ctx context.Context, w *write, batch []ImportRow[CustomerRow], out *Imported) error {
	found, err := w.CustomersNamed(ctx, nil, externalIDs(batch))
	if err != nil {
		return err
	}
	known := make(map[string]*Customer, len(found))
	for i := range found {
		known[found[i].ExternalID] = &found[i]
	}
	var made, changed []Customer
	told := map[string]bool{} // Changed in what nodes know.
	for i := range batch {
		row := &batch[i]
		old := known[row.ExternalID]
		c, err := customerOf(row, old)
		bad, err := rowError(err)
		switch {
		case err != nil:
			return err
		case bad != nil:
			out.fail(row.Line, bad)
		case old == nil:
			if c.ID, err = w.svc.newID("cus_", w.now); err != nil {
				return err
			}
			c.CreateTime, c.UpdateTime = w.now, w.now
			made = append(made, c)
			out.Created++
		case c.sameAs(old):
			out.Unchanged++
		default:
			c.UpdateTime = w.now
			told[c.ID] = !c.sameRule(old)
			changed = append(changed, c)
			out.Updated++
		}
	}
	if made, err = w.InsertCustomers(ctx, made); err != nil {
		return err
	}
	for i := range made {
		w.rule(&made[i])
	}
	if changed, err = w.UpdateCustomers(ctx, changed); err != nil {
		return err
	}
	for i := range changed {
		if told[changed[i].ID] {
			w.rule(&changed[i])
		}
	}
	return nil
}

// customerOf is what a row makes of a customer; old is nil where there is none yet.
func customerOf(row *ImportRow[CustomerRow], old *Customer) (Customer, error) {
	if row.Err != nil {
		return Customer{}, row.Err
	}
	var c Customer
	if old != nil {
		c = *old
		if err := current(KindCustomer, old.ExternalID, "", &old.Meta); err != nil {
			return c, err
		}
	}
	c = row.Value.onto(c)
	return c, c.Validate()
}
