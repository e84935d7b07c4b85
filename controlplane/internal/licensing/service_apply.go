package licensing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

// ApplyCatalog makes the stored objects match c, in one transaction, and publishes the plans that differ. It deletes
// nothing, and archives what c does not name where c.Prune says so; a display name that c leaves empty stays as it is. It says what it changed, or would change in a dry run,
// and takes no epoch where that is nothing. A plan's open draft stays open, behind the version that is published.
func (s *Service) ApplyCatalog(ctx context.Context, c Catalog, dryRun bool, m Migration) ([]CatalogChange, Epoch, error) {
	how := Publication{Migration: m, Affected: c.Affected}
	if err := how.check(MigrationNow); err != nil {
		return nil, Epoch{}, err
	}
	if err := c.Validate(); err != nil {
		return nil, Epoch{}, err
	}
	var changes []CatalogChange
	var before Epoch
	epoch, err := s.write(ctx, &changes, func(w *write) error {
		a := &apply{write: w, how: how}
		before = w.head.Epoch
		if err := a.all(ctx, &c); err != nil {
			return err
		}
		changes = a.changed
		if dryRun {
			return errDryRun
		}
		return w.confirmed(ctx, how.Affected)
	})
	if errors.Is(err, errDryRun) {
		return changes, before, nil
	}
	if err != nil {
		return nil, Epoch{}, err
	}
	return changes, epoch, nil
}

type apply struct {
	*write
	how     Publication
	changed []CatalogChange
	// version is the last that was published, moved how many licences it took over.
	version PlanVersion
	moved   int64
}

func (a *apply) note(action string, kind Kind, key string, detail ...string) {
	a.changed = append(a.changed, CatalogChange{Action: action, Kind: kind, Key: key, Detail: strings.Join(detail, ", ")})
}

// all goes in the order in which objects refer to each other.
func (a *apply) all(ctx context.Context, c *Catalog) error {
	for _, m := range c.Meters {
		if err := a.meter(ctx, m); err != nil {
			return at("meters["+m.Key+"]", err)
		}
	}
	for _, f := range c.Features {
		if err := a.feature(ctx, f); err != nil {
			return at("features["+f.Key+"]", err)
		}
	}
	for _, p := range c.Plans {
		if err := a.plan(ctx, p); err != nil {
			return at("plans["+p.Key+"]", err)
		}
	}
	for _, n := range c.AddOns {
		if err := a.addOn(ctx, n); err != nil {
			return at("addons["+n.Key+"]", err)
		}
	}
	for _, u := range c.Services {
		if err := a.upstream(ctx, u); err != nil {
			return at("services["+u.Key+"]", err)
		}
	}
	for _, r := range c.Routes {
		if err := a.route(ctx, r); err != nil {
			return at("routes["+r.Key+"]", err)
		}
	}
	if c.Prune {
		if err := a.pruneTerms(ctx, c); err != nil {
			return at("prune", err)
		}
	}
	if err := a.terms(ctx, c); err != nil {
		return err
	}
	if err := a.issuers(ctx, c); err != nil {
		return err
	}
	if c.Prune {
		if err := a.prune(ctx, c); err != nil {
			return at("prune", err)
		}
	}
	if slices.ContainsFunc(a.changed, func(c CatalogChange) bool { return c.Kind == KindRoute }) {
		return at("routes", a.checkTies(ctx))
	}
	return nil
}

// stored tells an object that is to be made from one that is there.
func stored(err error) (bool, error) {
	if CodeOf(err) == NotFound {
		return false, nil
	}
	return err == nil, err
}

// revived brings an object back that a file names again.
func revived[T any](ctx context.Context, a *apply, kind Kind, key string, old *T, m *Meta, unarchive func(context.Context, T) (T, error)) (err error) {
	if !m.Archived() {
		return nil
	}
	a.note("unarchive", kind, key)
	*old, err = unarchive(ctx, *old)
	return err
}

func (a *apply) meter(ctx context.Context, m Meter) error {
	old, err := a.Meter(ctx, m.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindMeter, m.Key, string(m.Aggregation))
		_, err := a.createMeter(ctx, m)
		return err
	}
	if err := revived(ctx, a, KindMeter, m.Key, &old, &old.Meta, a.unarchiveMeter); err != nil {
		return err
	}
	if err := fixed("aggregation", m.Aggregation, old.Aggregation); err != nil {
		return err
	}
	if m.DisplayName == "" || m.DisplayName == old.DisplayName {
		return nil
	}
	old.DisplayName, old.UpdateTime = m.DisplayName, a.now
	if err := old.Validate(); err != nil {
		return err
	}
	a.note("update", KindMeter, m.Key, "display_name")
	_, err = a.UpdateMeter(ctx, old)
	return err
}

func (a *apply) feature(ctx context.Context, f Feature) error {
	old, err := a.Feature(ctx, f.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindFeature, f.Key, string(f.Type))
		_, err := a.createFeature(ctx, f)
		return err
	}
	if err := revived(ctx, a, KindFeature, f.Key, &old, &old.Meta, a.unarchiveFeature); err != nil {
		return err
	}
	if err := fixed("type", f.Type, old.Type); err != nil {
		return err
	}
	if err := fixed("meter", f.Meter, old.Meter); err != nil {
		return err
	}
	if f.DisplayName == "" || f.DisplayName == old.DisplayName {
		return nil
	}
	old.DisplayName, old.UpdateTime = f.DisplayName, a.now
	if err := old.Validate(); err != nil {
		return err
	}
	a.note("update", KindFeature, f.Key, "display_name")
	_, err = a.UpdateFeature(ctx, old)
	return err
}

func (a *apply) plan(ctx context.Context, p CatalogPlan) error {
	old, err := a.Plan(ctx, p.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindPlan, p.Key)
		if old, err = a.createPlan(ctx, Plan{Key: p.Key, DisplayName: p.DisplayName}); err != nil {
			return err
		}
	} else if err := revived(ctx, a, KindPlan, p.Key, &old, &old.Meta, a.restorePlan); err != nil {
		return err
	}
	if have && p.DisplayName != "" {
		var renamed bool
		if old, renamed, err = a.renamePlan(ctx, old, p.DisplayName); err != nil {
			return err
		}
		if renamed {
			a.note("update", KindPlan, p.Key, "display_name")
		}
	}
	next := p.version()
	next.State, next.CreateTime, next.PublishTime, next.EffectiveAt = Published, a.now, a.now, a.now
	if err := a.checkVersion(ctx, &next); err != nil {
		return err
	}
	var was PlanVersion
	if old.PublishedVersion != 0 {
		if was, err = a.PlanVersion(ctx, p.Key, old.PublishedVersion); err != nil {
			return err
		}
		if next.grantsAs(&was) {
			return nil
		}
	}
	return a.publishNext(ctx, old, was, next)
}

// restorePlan brings a plan back as it was. What its newest version grants is not looked at: the file says what is granted next.
func (a *apply) restorePlan(ctx context.Context, p Plan) (Plan, error) {
	p, _, err := a.unarchivePlan(ctx, p)
	return p, err
}

// publishNext publishes a version that never was a draft. An open draft moves behind it, so that versions stay in the
// order in which they are published.
func (a *apply) publishNext(ctx context.Context, p Plan, was, next PlanVersion) error {
	newest, err := a.NewestVersion(ctx, p.Key)
	if err != nil {
		return err
	}
	next.Version = newest + 1
	if p.DraftVersion != 0 {
		if err := a.RenumberDraft(ctx, p.Key, newest+1); err != nil {
			return err
		}
		next.Version = p.DraftVersion
	}
	if next, err = a.InsertPlanVersion(ctx, next); err != nil {
		return err
	}
	moved, err := a.published(ctx, &next, a.how)
	if err != nil {
		return err
	}
	a.version, a.moved = next, moved
	detail := []string{fmt.Sprintf("version %d", next.Version)}
	if was.Version != 0 {
		detail = append(detail, next.differences(&was)...)
	}
	if moved > 0 {
		detail = append(detail, fmt.Sprintf("licences moved: %d", moved))
	}
	a.note("publish", KindPlan, p.Key, detail...)
	return nil
}

// differences are the parts of a version that differ.
func (v *PlanVersion) differences(o *PlanVersion) []string {
	var parts []string
	for _, c := range v.diff(o) {
		part, _, _ := strings.Cut(c.Path, "[")
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

func (a *apply) upstream(ctx context.Context, u Upstream) error {
	old, err := a.Upstream(ctx, u.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindService, u.Key)
		_, err := a.createUpstream(ctx, u)
		return err
	}
	if err := revived(ctx, a, KindService, u.Key, &old, &old.Meta, a.unarchiveUpstream); err != nil {
		return err
	}
	next := old
	next.Endpoints = u.Endpoints
	if u.DisplayName != "" {
		next.DisplayName = u.DisplayName
	}
	next, changed, err := a.updateUpstream(ctx, old, next)
	if changed {
		a.note("update", KindService, u.Key, differing(
			difference{"display_name", next.DisplayName != old.DisplayName},
			difference{"endpoints", !next.sameRule(&old)})...)
	}
	return err
}

func (a *apply) route(ctx context.Context, r Route) error {
	old, err := a.Route(ctx, r.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindRoute, r.Key)
		_, err := a.createRoute(ctx, r)
		return err
	}
	if err := revived(ctx, a, KindRoute, r.Key, &old, &old.Meta, a.unarchiveRoute); err != nil {
		return err
	}
	next := r
	next.Meta = old.Meta
	if next.DisplayName == "" {
		next.DisplayName = old.DisplayName
	}
	next, changed, err := a.updateRoute(ctx, old, next)
	if changed {
		a.note("update", KindRoute, r.Key, differing(
			difference{"display_name", next.DisplayName != old.DisplayName},
			difference{"service", next.Service != old.Service},
			difference{"match", next.Match.Host != old.Match.Host || next.Match.Path != old.Match.Path || !slices.Equal(next.Match.Methods, old.Match.Methods)},
			difference{"requires", !slices.Equal(next.Requires, old.Requires)},
			difference{"meter", next.Meter != old.Meter},
			difference{"cost", next.Units() != old.Units()},
			difference{"bill_open_intents", next.BillsOpenIntents() != old.BillsOpenIntents()},
			difference{"on_stale", next.StalePolicy() != old.StalePolicy()})...)
	}
	return err
}

type difference struct {
	name string
	is   bool
}

func differing(d ...difference) []string {
	var names []string
	for _, x := range d {
		if x.is {
			names = append(names, x.name)
		}
	}
	return names
}
