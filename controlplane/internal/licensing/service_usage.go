package licensing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// record runs a write that touches no rules: it does not wait for those that do, nor they for it. Otherwise it is as write is. The audit's end is
// locked last, so that it is held for a moment only.
func (s *Service) record(ctx context.Context, result any, f func(*write) error) (Epoch, error) {
	var epoch Epoch
	err := s.store.Update(ctx, func(tx Tx) (err error) {
		w := s.newWrite(ctx, tx)
		if w.call.RequestID != "" {
			if err := tx.LockCall(ctx, w.call.key()); err != nil {
				return err
			}
		}
		if w.head, err = tx.Head(ctx); err != nil {
			return err
		}
		again, err := w.replay(ctx, result)
		epoch = w.head.Epoch
		if err != nil || again {
			return err
		}
		if err := f(w); err != nil {
			return err
		}
		if len(w.changes) > 0 || len(w.events) > 0 {
			return errors.New("a write without the rules' lock changes rules")
		}
		if w.call.ValidateOnly {
			return errValidateOnly
		}
		if err := w.remember(ctx, result); err != nil {
			return err
		}
		return w.audit(ctx)
	})
	if errors.Is(err, errValidateOnly) {
		err = nil
	}
	return epoch, err
}

// IngestEvents counts usage that was measured elsewhere, each event once by its source and id. The answers are in the order of the events; one
// that is rejected stops no other.
func (s *Service) IngestEvents(ctx context.Context, events []UsageEvent) ([]IngestedEvent, Epoch, error) {
	switch {
	case len(events) == 0:
		return nil, Epoch{}, invalid("events", "is required")
	case len(events) > MaxEvents:
		return nil, Epoch{}, invalid("events", "are %d: a call takes %d", len(events), MaxEvents)
	}
	var out []IngestedEvent
	epoch, err := s.record(ctx, &out, func(w *write) error {
		in := ingestion{write: w, events: events, out: make([]IngestedEvent, len(events))}
		err := in.run(ctx)
		out = in.out
		return err
	})
	return out, epoch, err
}

// ingestion is one call's events on their way.
type ingestion struct {
	*write
	events []UsageEvent
	out    []IngestedEvent

	meters   map[string]*Meter
	licenses map[string]*License
	starts   map[string][]CounterStart
	known    map[EventKey]CountedEvent
}

func (in *ingestion) run(ctx context.Context) error {
	var sound []int
	for i := range in.events {
		in.out[i].EventKey = EventKey{in.events[i].Source, in.events[i].ID}
		if err := in.events[i].validate(); err != nil {
			in.reject(i, err)
			continue
		}
		sound = append(sound, i)
	}
	if err := in.read(ctx, sound); err != nil {
		return err
	}
	// The first event of a name that is not known, and that can be counted; the others of that name are held against it.
	firsts := map[EventKey]int{}
	var again []int
	var rows []CountedEvent
	for _, i := range sound {
		e, err := in.counted(i)
		if err != nil {
			in.reject(i, err)
			continue
		}
		_, known := in.known[e.EventKey]
		if _, here := firsts[e.EventKey]; known || here {
			again = append(again, i)
			continue
		}
		if err := in.timely(i); err != nil {
			in.reject(i, err)
			continue
		}
		firsts[e.EventKey] = i
		rows = append(rows, e)
	}
	taken, err := in.insert(ctx, rows)
	if err != nil {
		return err
	}
	for k, i := range firsts {
		if taken[k] {
			in.out[i].Outcome = Accepted
		} else {
			again = append(again, i) // Another call was first.
		}
	}
	return in.compare(ctx, again)
}

// read looks up what the events refer to.
func (in *ingestion) read(ctx context.Context, sound []int) error {
	in.meters, in.licenses, in.starts = map[string]*Meter{}, map[string]*License{}, map[string][]CounterStart{}
	in.known = map[EventKey]CountedEvent{}
	var meters, licenses []string
	var keys []EventKey
	for _, i := range sound {
		meters, licenses = append(meters, in.events[i].Type), append(licenses, in.events[i].Subject)
		keys = append(keys, in.out[i].EventKey)
	}
	if len(sound) == 0 {
		return nil
	}
	foundMeters, err := in.MetersNamed(ctx, unique(meters))
	if err != nil {
		return err
	}
	for i := range foundMeters {
		in.meters[foundMeters[i].Key] = &foundMeters[i]
	}
	foundLicenses, starts, err := in.CountingLicenses(ctx, unique(licenses))
	if err != nil {
		return err
	}
	for i := range foundLicenses {
		in.licenses[foundLicenses[i].ID] = &foundLicenses[i]
	}
	for _, s := range starts {
		in.starts[s.License] = append(in.starts[s.License], s)
	}
	known, err := in.UsageEvents(ctx, keys)
	if err != nil {
		return err
	}
	for _, k := range known {
		in.known[k.EventKey] = k
	}
	return nil
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// counted is what an event counts. How late it is does not matter: it may have been counted in time.
func (in *ingestion) counted(i int) (CountedEvent, error) {
	e := &in.events[i]
	m := in.meters[e.Type]
	if m == nil {
		return CountedEvent{}, at("type", Missing(KindMeter, e.Type))
	}
	l := in.licenses[e.Subject]
	if l == nil {
		missing := Missing(KindLicense, e.Subject)
		missing.Message += ": the subject is a licence's id"
		return CountedEvent{}, at("subject", missing)
	}
	units, err := e.unitsFor(m)
	if err != nil {
		return CountedEvent{}, err
	}
	when := micros(e.Time)
	return CountedEvent{
		EventKey: in.out[i].EventKey, License: l.ID, Meter: m.Key, Units: units, Time: when,
		Generation: l.generationAt(when, in.starts[l.ID]),
	}, nil
}

// timely refuses what comes too late to be counted, or too soon, or for what is not in use.
func (in *ingestion) timely(i int) error {
	e := &in.events[i]
	switch {
	case e.Time.After(in.now.Add(eventsAhead)):
		return invalid("time", "is more than %d minutes ahead of %s", int(eventsAhead.Minutes()), in.now.Format(time.RFC3339))
	case e.Time.Before(in.now.Add(-eventsLate)):
		return invalid("time", "is more than %d days ago: what is older is brought in by a correction, which has a reason", int(eventsLate.Hours()/24))
	}
	if m := in.meters[e.Type]; m.Archived() {
		return at("type", refused("the meter %q is archived", m.Key))
	}
	return in.licenses[e.Subject].counts(e.Time)
}

// insert stores new events and counts them, but for those that another call has stored meanwhile.
func (in *ingestion) insert(ctx context.Context, rows []CountedEvent) (map[EventKey]bool, error) {
	taken := map[EventKey]bool{}
	if len(rows) == 0 {
		return taken, nil
	}
	slices.SortFunc(rows, func(a, b CountedEvent) int { return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID)) })
	stored, err := in.InsertUsageEvents(ctx, rows, in.now)
	if err != nil {
		return nil, err
	}
	for _, k := range stored {
		taken[k] = true
	}
	sums := map[Units]int64{}
	for i := range rows {
		if r := &rows[i]; taken[r.EventKey] {
			sums[Units{License: r.License, Meter: r.Meter, Generation: r.Generation, Minute: r.Time.Truncate(time.Minute)}] += r.Units
		}
	}
	moved := make([]Units, 0, len(sums))
	for u, n := range sums {
		u.Units = n
		moved = append(moved, u)
	}
	if len(moved) == 0 {
		return taken, nil
	}
	_, err = in.CountUnits(ctx, moved)
	return taken, err
}

// compare answers events whose names are taken.
func (in *ingestion) compare(ctx context.Context, again []int) error {
	var keys []EventKey
	for _, i := range again {
		if _, known := in.known[in.out[i].EventKey]; !known {
			keys = append(keys, in.out[i].EventKey)
		}
	}
	if len(keys) > 0 {
		found, err := in.UsageEvents(ctx, keys)
		if err != nil {
			return err
		}
		for _, k := range found {
			in.known[k.EventKey] = k
		}
	}
	for _, i := range again {
		was, known := in.known[in.out[i].EventKey]
		if !known {
			return fmt.Errorf("event %s of %s is neither new nor there", in.events[i].ID, in.events[i].Source)
		}
		e, err := in.counted(i)
		switch {
		case err != nil:
			in.reject(i, err)
		case was.same(&e):
			in.out[i].Outcome = Duplicate
		default:
			in.reject(i, &Error{Code: AlreadyExists, Field: "id", Message: "another event of this source and id was counted: this one is not the same"})
		}
	}
	return nil
}

// reject answers an event by an error that is the caller's.
func (in *ingestion) reject(i int, err error) {
	e, _ := errors.AsType[*Error](at("events["+strconv.Itoa(i)+"]", err))
	in.out[i].Outcome, in.out[i].Code, in.out[i].Message, in.out[i].Field = Rejected, e.Code, e.Message, e.Field
}

// CorrectUsage moves what was counted in a minute, and returns the correction with what is counted there then. Minute may be any time in the
// minute. What is taken back may be used again.
func (s *Service) CorrectUsage(ctx context.Context, c UsageCorrection) (UsageCorrection, int64, Epoch, error) {
	if err := c.Validate(); err != nil {
		return UsageCorrection{}, 0, Epoch{}, err
	}
	var out struct {
		Correction UsageCorrection
		Total      int64
	}
	epoch, err := s.record(ctx, &out, func(w *write) error {
		m, err := w.Meter(ctx, c.Meter)
		if err != nil {
			return at("meter", err)
		}
		if err := m.adds("meter"); err != nil {
			return err
		}
		licenses, starts, err := w.CountingLicenses(ctx, []string{c.License})
		if err != nil {
			return err
		}
		if len(licenses) == 0 {
			return at("license", Missing(KindLicense, c.License))
		}
		l := &licenses[0]
		if c.Minute.After(w.now) {
			return invalid("time", "is in the future")
		}
		if err := l.counts(c.Minute); err != nil {
			return err
		}
		next := c
		next.Generation = l.generationAt(c.Minute, starts)
		next.Minute, next.Actor, next.CreateTime = c.Minute.UTC().Truncate(time.Minute), w.call.Actor, w.now
		if next.ID, err = s.newID("cor_", w.now); err != nil {
			return err
		}
		if err := w.InsertUsageCorrection(ctx, next); err != nil {
			return err
		}
		totals, err := w.CountUnits(ctx, []Units{{License: next.License, Meter: next.Meter, Generation: next.Generation, Minute: next.Minute, Units: next.Units}})
		if err != nil {
			return err
		}
		if totals[0].Units < 0 {
			e := refused("only %d units are counted in that minute: no more can be taken back", totals[0].Units-next.Units)
			e.Field = "units"
			return e
		}
		out.Correction, out.Total = next, totals[0].Units
		return nil
	})
	return out.Correction, out.Total, epoch, err
}

// ListUsageCorrections filters by license, meter.
func (s *Service) ListUsageCorrections(ctx context.Context, l List) (Page[UsageCorrection], error) {
	return page(l, []string{"license", "meter"},
		func(l List) ([]UsageCorrection, error) { return s.store.UsageCorrections(ctx, l) },
		func(c *UsageCorrection) string { return c.ID })
}
