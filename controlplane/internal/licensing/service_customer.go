package licensing

import "context"

// CreateCustomer makes a customer; the id is the service's.
func (s *Service) CreateCustomer(ctx context.Context, c Customer) (Customer, Epoch, error) {
	if err := c.Validate(); err != nil {
		return Customer{}, Epoch{}, err
	}
	epoch, err := s.write(ctx, &c, func(w *write) (err error) {
		if c.ID, err = s.newID("cus_", w.now); err != nil {
			return err
		}
		c.CreateTime, c.UpdateTime = w.now, w.now
		if c, err = w.InsertCustomer(ctx, c); err != nil {
			return err
		}
		w.rule(&c)
		return nil
	})
	return c, epoch, err
}

// GetCustomer finds a customer by id.
func (s *Service) GetCustomer(ctx context.Context, id string) (Customer, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return Customer{}, err
	}
	return s.store.Customer(ctx, id)
}

// ListCustomers filters by external_id, archived.
func (s *Service) ListCustomers(ctx context.Context, l List) (Page[Customer], error) {
	return page(l, []string{"external_id", "archived"},
		func(l List) ([]Customer, error) { return s.store.Customers(ctx, l) },
		func(c *Customer) string { return c.ID })
}

// UpdateCustomer changes external_id, display_name, time_zone, metadata: those in mask, or all.
func (s *Service) UpdateCustomer(ctx context.Context, c Customer, mask []string) (Customer, Epoch, error) {
	has, err := masked(mask, "external_id", "display_name", "time_zone", "metadata")
	if err != nil {
		return Customer{}, Epoch{}, err
	}
	if err := checkText("id", c.ID, maxKey); err != nil {
		return Customer{}, Epoch{}, err
	}
	var out Customer
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Customer(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := current(KindCustomer, c.ID, c.Etag, &old.Meta); err != nil {
			return err
		}
		out = old
		if has("external_id") {
			out.ExternalID = c.ExternalID
		}
		if has("display_name") {
			out.DisplayName = c.DisplayName
		}
		if has("time_zone") {
			out.TimeZone = c.TimeZone
		}
		if has("metadata") {
			out.Metadata = c.Metadata
		}
		if err := out.Validate(); err != nil || out.sameAs(&old) {
			return err
		}
		out.UpdateTime = w.now
		if out, err = w.UpdateCustomer(ctx, out); err != nil {
			return err
		}
		if !out.sameRule(&old) {
			w.rule(&out)
		}
		return nil
	})
	return out, epoch, err
}

// ArchiveCustomer takes a customer out of use. Refused while licences that have not ended are the customer's.
func (s *Service) ArchiveCustomer(ctx context.Context, id string) (Customer, Epoch, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return Customer{}, Epoch{}, err
	}
	var out Customer
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Customer(ctx, id); err != nil {
			return err
		}
		if err := w.holds(KindCustomer, id, out.Etag); err != nil || out.Archived() {
			return err
		}
		if err := w.unreferenced(ctx, KindCustomer, id); err != nil {
			return err
		}
		out.ArchiveTime, out.UpdateTime = w.now, w.now
		w.rule(&Removal{Kind: KindCustomer, ID: id})
		out, err = w.UpdateCustomer(ctx, out)
		return err
	})
	return out, epoch, err
}
