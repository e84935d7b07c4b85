package decision

import (
	"fmt"
	"maps"
)

// Editor makes the next State out of one, aside. Of what lies in tables it copies the pages that it changes; of the rest a kind's index, at
// the first change of that kind, and never the objects. Not safe for concurrent use.
type Editor struct {
	next   State
	routed bool
	// planned, termed: what is made of plans, of terms, has to be made anew.
	planned, termed bool
	cloned          map[string]bool
	draft           *draft
	digest          Digest // Of the record that is set next.
	// waiting are changes of tables.
	waiting Batch
	// bulk: there are many of them, and tables in which nothing lies yet are built from stages.
	bulk    bool
	stages  [kinds]*stage
	scratch []byte
}

// Edit starts from s; nil starts from nothing.
func Edit(s *State) *Editor {
	e := &Editor{cloned: map[string]bool{}, draft: &draft{}}
	if s != nil {
		e.next = *s
	}
	return e
}

// Of says the digest of the record that the next call sets. One that is set without it adds nothing to the state's sum.
func (e *Editor) Of(d Digest) *Editor {
	e.digest = d
	return e
}

// named is a record that lies in a map.
type named struct{ kind, id string }

func own[K comparable, V any](e *Editor, kind string, m *map[K]V) map[K]V {
	if !e.cloned[kind] {
		e.cloned[kind] = true
		if *m == nil {
			*m = map[K]V{}
		} else {
			*m = maps.Clone(*m)
		}
	}
	return *m
}

// put puts a record into a map of the next state, and remove takes one away.
func put[K comparable, V any](e *Editor, kind, id string, m *map[K]V, key K, v V) {
	own(e, kind, m)[key] = v
	e.sums(named{kind, id}, e.digest)
}

func remove[K comparable, V any](e *Editor, kind, id string, m *map[K]V, key K) {
	delete(own(e, kind, m), key)
	e.sums(named{kind, id}, Digest{})
}

// sums replaces the digest of a record that lies in a map.
func (e *Editor) sums(n named, d Digest) {
	e.next.sum = e.next.sum.Minus(e.next.digests[n]).Plus(d)
	e.digest = Digest{}
	if digests := own(e, "digests", &e.next.digests); d == (Digest{}) {
		delete(digests, n)
	} else {
		digests[n] = d
	}
}

// The kinds as they are named within an editor.
const (
	kindSettings = "settings"
	kindService  = "service"
	kindRoute    = "route"
	kindMeter    = "meter"
	kindFeature  = "feature"
	kindPlan     = "plan"
	kindAddOn    = "add-on"
	kindTerm     = "term"
)

// SetSettings replaces the fleet's settings.
func (e *Editor) SetSettings(s Settings) {
	e.next.settings = s
	e.sums(named{kind: kindSettings}, e.digest)
}

// SetService adds or replaces a service. The editor owns v from here on, as in all setters.
func (e *Editor) SetService(v *Service) {
	put(e, kindService, v.Key, &e.next.services, v.Key, v)
}

// RemoveService removes a service, if it is there, as all removers do.
func (e *Editor) RemoveService(key string) {
	remove(e, kindService, key, &e.next.services, key)
}

// SetRoute adds or replaces a route.
func (e *Editor) SetRoute(v *Route) {
	put(e, kindRoute, v.Key, &e.next.routes, v.Key, v)
	e.routed = true
}

// RemoveRoute removes a route.
func (e *Editor) RemoveRoute(key string) {
	remove(e, kindRoute, key, &e.next.routes, key)
	e.routed = true
}

// SetMeter adds or replaces a meter.
func (e *Editor) SetMeter(v *Meter) { put(e, kindMeter, v.Key, &e.next.meters, v.Key, v) }

// RemoveMeter removes a meter.
func (e *Editor) RemoveMeter(key string) { remove(e, kindMeter, key, &e.next.meters, key) }

// SetFeature adds or replaces a feature.
func (e *Editor) SetFeature(v *Feature) {
	put(e, kindFeature, v.Key, &e.next.features, v.Key, v)
	e.planned = true
}

// RemoveFeature removes a feature.
func (e *Editor) RemoveFeature(key string) {
	remove(e, kindFeature, key, &e.next.features, key)
	e.planned = true
}

// SetPlanVersion adds or replaces a plan version.
func (e *Editor) SetPlanVersion(v *PlanVersion) {
	k := planKey{v.Plan, v.Version}
	put(e, kindPlan, k.String(), &e.next.versions, k, v)
	e.planned = true
}

// RemovePlanVersion removes a plan version.
func (e *Editor) RemovePlanVersion(plan string, version uint32) {
	k := planKey{plan, version}
	remove(e, kindPlan, k.String(), &e.next.versions, k)
	e.planned = true
}

// SetAddOn adds or replaces an add-on.
func (e *Editor) SetAddOn(v *AddOn) {
	put(e, kindAddOn, v.Key, &e.next.addOns, v.Key, v)
	e.planned = true
}

// RemoveAddOn removes an add-on.
func (e *Editor) RemoveAddOn(key string) {
	remove(e, kindAddOn, key, &e.next.addOns, key)
	e.planned = true
}

// SetTerm adds or replaces a term.
func (e *Editor) SetTerm(v *Term) {
	put(e, kindTerm, v.Key, &e.next.terms, v.Key, v)
	e.termed = true
}

// RemoveTerm removes a term.
func (e *Editor) RemoveTerm(key string) {
	remove(e, kindTerm, key, &e.next.terms, key)
	e.termed = true
}

// SetCustomer adds or replaces a customer. Of what lies in tables the editor keeps no pointer to v.
func (e *Editor) SetCustomer(v *Customer) {
	e.waiting.Of(e.digest).SetCustomer(v)
	e.waits()
}

// RemoveCustomer removes a customer.
func (e *Editor) RemoveCustomer(id string) {
	e.waiting.RemoveCustomer(id)
	e.waits()
}

// SetLicense adds or replaces a licence.
func (e *Editor) SetLicense(v *License) {
	e.waiting.Of(e.digest).SetLicense(v)
	e.waits()
}

// RemoveLicense removes a licence.
func (e *Editor) RemoveLicense(id string) {
	e.waiting.RemoveLicense(id)
	e.waits()
}

// SetCredential adds or replaces a credential.
func (e *Editor) SetCredential(v *Credential) {
	e.waiting.Of(e.digest).SetCredential(v)
	e.waits()
}

// RemoveCredential removes a credential.
func (e *Editor) RemoveCredential(id string) {
	e.waiting.RemoveCredential(id)
	e.waits()
}

// waits makes what waits where it is much.
func (e *Editor) waits() {
	e.digest = Digest{}
	if e.waiting.full() {
		e.bulk = true
		e.make(&e.waiting)
	}
}

// Take makes a batch's changes, as if each had been told to the editor now, and leaves the batch empty. A state that is built from nothing is
// built best by it.
func (e *Editor) Take(b *Batch) {
	e.bulk = true
	e.make(&e.waiting)
	e.make(b)
}

// make makes a batch's changes, and empties it.
func (e *Editor) make(b *Batch) {
	if len(b.changes) == 0 {
		return
	}
	staged := e.stage(b)
	for k := range ofImported {
		if !staged[k] {
			e.change(b, k)
		}
	}
	b.empty()
}

// table is that of a kind in the next state.
func (e *Editor) table(k kind) *table {
	return [kinds]*table{&e.next.customers, &e.next.licenses, &e.next.credentials, &e.next.imported}[k]
}

// change makes a batch's changes of one table, page by page.
func (e *Editor) change(b *Batch, k kind) {
	t := e.table(k)
	var id ident
	is := func(record string) bool { return k.id(record) == id }
	for _, o := range b.inOrder(k) {
		c := &b.changes[uint32(o)]
		var record []byte
		var old string
		if c.gone {
			r := reader(b.bytes[c.at : c.at+c.n])
			id = r.ident()
			old = e.draft.remove(t, c.hash, is)
		} else {
			var r *rare
			record, r = b.record(c, &e.next.zones, &e.scratch)
			id = k.id(string(record))
			old = e.draft.put(t, c.hash, record, r, is)
		}
		e.next.sum = e.next.sum.Minus(digestOf(old)).Plus(digestOf(string(record)))
		if k != ofCredential {
			continue
		}
		if hash, id, is := importedHash(old); is {
			e.draft.remove(&e.next.imported, hash, isIdent(id))
		}
		if hash, id, is := importedHash(string(record)); is {
			e.draft.put(&e.next.imported, hash, appendIdent(nil, id), nil, isIdent(id))
		}
	}
}

func isIdent(id ident) func(record string) bool {
	return func(record string) bool { return ofImported.id(record) == id }
}

// Build is the state at epoch. It fails, and says at which object, where a route's pattern cannot be
// read or two routes tie. A reference to an object that is not there is no failure: it denies when it is followed.
func (e *Editor) Build(epoch Epoch) (*State, error) {
	e.make(&e.waiting)
	e.settle()
	// What is in the state is nobody's to change: whoever edits on copies it.
	e.draft.end()
	e.draft = &draft{}
	clear(e.cloned)
	s := e.next
	s.epoch = epoch
	if e.routed {
		t, err := newRouter(s.routes)
		if err != nil {
			return nil, err
		}
		s.table = t
	}
	if e.planned {
		s.plans = make(map[planKey]*plan, len(s.versions))
		for k, v := range s.versions {
			p, err := compilePlan(v, s.Feature)
			if err != nil {
				return nil, err
			}
			s.plans[k] = p
		}
		s.extra = make(map[string]*Granted, len(s.addOns))
		for k, v := range s.addOns {
			g, err := Compile(v.Entitlements, s.Feature)
			if err != nil {
				return nil, fmt.Errorf("add-on %s: %w", k, err)
			}
			s.extra[k] = g
		}
	}
	if e.termed {
		s.termed = newTermTable(s.terms, &s.termed)
	}
	return &s, nil
}

func compilePlan(v *PlanVersion, feature func(key string) *Feature) (*plan, error) {
	if len(v.RateLimits) > MaxLimits-1 {
		return nil, fmt.Errorf("plan %s version %d: %d rate limits, at most %d", v.Plan, v.Version, len(v.RateLimits), MaxLimits-1)
	}
	g, err := Compile(v.Entitlements, feature)
	if err != nil {
		return nil, fmt.Errorf("plan %s version %d: %w", v.Plan, v.Version, err)
	}
	return &plan{v, g}, nil
}
