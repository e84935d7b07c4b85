package licensing

import "context"

// Offer is what a licence needs that is to be issued.
type Offer struct {
	Customer Customer
	Plan     Plan
	Version  PlanVersion
	Features []Feature // Of the version's entitlements.
	Meters   []Meter   // Of the features.
}

// offered finds a new licence's customer and plan version, and sees that both can be used. All is read at once, as others wait for the head of the
// rules meanwhile; only where something is in the way it is looked at one by one, so that what is said of it is the same whatever asks for it.
func (w *write) offered(ctx context.Context, l *License) (Customer, PlanVersion, error) {
	o, ok, err := w.Offer(ctx, l.Customer, l.Plan, l.PlanVersion, w.now)
	if err != nil {
		return Customer{}, PlanVersion{}, err
	}
	if ok && o.usable() {
		return o.Customer, o.Version, nil
	}
	c, err := w.Customer(ctx, l.Customer)
	if err == nil {
		err = current(KindCustomer, c.ID, "", &c.Meta)
	}
	if err != nil {
		return Customer{}, PlanVersion{}, at("customer", err)
	}
	v, err := w.sellable(ctx, l.Plan, l.PlanVersion)
	return c, v, err
}

func (o *Offer) usable() bool {
	if o.Customer.Archived() || o.Plan.Archived() || o.Version.State != Published {
		return false
	}
	if o.Version.Validate() != nil {
		return false
	}
	o.Version.normalize()
	features, meters := make(map[string]*Feature, len(o.Features)), make(map[string]*Meter, len(o.Meters))
	for i := range o.Features {
		features[o.Features[i].Key] = &o.Features[i]
	}
	for i := range o.Meters {
		meters[o.Meters[i].Key] = &o.Meters[i]
	}
	for i := range o.Version.Entitlements {
		if f := features[o.Version.Entitlements[i].Feature]; f == nil || f.Archived() {
			return false
		}
	}
	return o.Version.fits(features, meters) == nil
}
