package decision

import (
	"fmt"
	"maps"
)

// Editor makes the next State out of one, aside. It copies a kind's index at the first change of that
// kind, never the objects. Not safe for concurrent use.
type Editor struct {
	next   State
	routed bool
	// planned, termed: what is made of plans, of terms, has to be made anew.
	planned, termed bool
	cloned          map[string]bool
}

// Edit starts from s; nil starts from nothing.
func Edit(s *State) *Editor {
	e := &Editor{cloned: map[string]bool{}}
	if s != nil {
		e.next = *s
	}
	return e
}

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

// SetSettings replaces the fleet's settings.
func (e *Editor) SetSettings(s Settings) { e.next.settings = s }

// SetService adds or replaces a service. The editor owns v from here on, as in all setters.
func (e *Editor) SetService(v *Service) { own(e, "service", &e.next.services)[v.Key] = v }

// RemoveService removes a service, if it is there, as all removers do.
func (e *Editor) RemoveService(key string) { delete(own(e, "service", &e.next.services), key) }

// SetRoute adds or replaces a route.
func (e *Editor) SetRoute(v *Route) { own(e, "route", &e.next.routes)[v.Key] = v; e.routed = true }

// RemoveRoute removes a route.
func (e *Editor) RemoveRoute(key string) {
	delete(own(e, "route", &e.next.routes), key)
	e.routed = true
}

// SetMeter adds or replaces a meter.
func (e *Editor) SetMeter(v *Meter) { own(e, "meter", &e.next.meters)[v.Key] = v }

// RemoveMeter removes a meter.
func (e *Editor) RemoveMeter(key string) { delete(own(e, "meter", &e.next.meters), key) }

// SetFeature adds or replaces a feature.
func (e *Editor) SetFeature(v *Feature) {
	own(e, "feature", &e.next.features)[v.Key] = v
	e.planned = true
}

// RemoveFeature removes a feature.
func (e *Editor) RemoveFeature(key string) {
	delete(own(e, "feature", &e.next.features), key)
	e.planned = true
}

// SetPlanVersion adds or replaces a plan version.
func (e *Editor) SetPlanVersion(v *PlanVersion) {
	own(e, "plan", &e.next.versions)[planKey{v.Plan, v.Version}] = v
	e.planned = true
}

// RemovePlanVersion removes a plan version.
func (e *Editor) RemovePlanVersion(plan string, version uint32) {
	delete(own(e, "plan", &e.next.versions), planKey{plan, version})
	e.planned = true
}

// SetAddOn adds or replaces an add-on.
func (e *Editor) SetAddOn(v *AddOn) {
	own(e, "add-on", &e.next.addOns)[v.Key] = v
	e.planned = true
}

// RemoveAddOn removes an add-on.
func (e *Editor) RemoveAddOn(key string) {
	delete(own(e, "add-on", &e.next.addOns), key)
	e.planned = true
}

// SetCustomer adds or replaces a customer.
func (e *Editor) SetCustomer(v *Customer) { own(e, "customer", &e.next.customers)[v.ID] = v }

// RemoveCustomer removes a customer.
func (e *Editor) RemoveCustomer(id string) { delete(own(e, "customer", &e.next.customers), id) }

// SetLicense adds or replaces a licence.
func (e *Editor) SetLicense(v *License) { own(e, "license", &e.next.licenses)[v.ID] = v }

// RemoveLicense removes a licence.
func (e *Editor) RemoveLicense(id string) { delete(own(e, "license", &e.next.licenses), id) }

// SetCredential adds or replaces a credential.
func (e *Editor) SetCredential(v *Credential) {
	e.forget(v.ID)
	own(e, "credential", &e.next.credentials)[v.ID] = v
	if v.Imported {
		own(e, "imported", &e.next.imported)[v.Hash] = v
	}
}

// RemoveCredential removes a credential.
func (e *Editor) RemoveCredential(id string) {
	e.forget(id)
	delete(own(e, "credential", &e.next.credentials), id)
}

// forget takes a credential out of the index by hash, where it is the one that is found there.
func (e *Editor) forget(id string) {
	old := e.next.credentials[id]
	if old != nil && old.Imported && e.next.imported[old.Hash] == old {
		delete(own(e, "imported", &e.next.imported), old.Hash)
	}
}

// SetTerm adds or replaces a term.
func (e *Editor) SetTerm(v *Term) { own(e, "term", &e.next.terms)[v.Key] = v; e.termed = true }

// RemoveTerm removes a term.
func (e *Editor) RemoveTerm(key string) { delete(own(e, "term", &e.next.terms), key); e.termed = true }

// Build is the state at epoch. It fails, and says at which object, where a route's pattern cannot be
// read or two routes tie. A reference to an object that is not there is no failure: it denies when it is followed.
func (e *Editor) Build(epoch Epoch) (*State, error) {
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
