package licensing

import (
	"context"
	"time"

	"tollgate/dataplane/decision"
)

// CreateTerm makes a term.
func (s *Service) CreateTerm(ctx context.Context, t Term) (Term, Epoch, error) {
	var out Term
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.createTerm(ctx, t)
		return err
	})
	return out, epoch, err
}

func (w *write) createTerm(ctx context.Context, t Term) (Term, error) {
	if err := w.checkTerm(ctx, &t, nil); err != nil {
		return t, err
	}
	t.Meta = Meta{CreateTime: w.now, UpdateTime: w.now}
	t, err := w.InsertTerm(ctx, t)
	if err == nil {
		w.rule(&t)
	}
	return t, err
}

// checkTerm validates and normalizes a term, and checks its subject. old is what it was; nil: it is new.
func (w *write) checkTerm(ctx context.Context, t, old *Term) error {
	if err := t.Validate(); err != nil {
		return err
	}
	t.normalize()
	if err := w.checkSubject(ctx, t.On); err != nil {
		return err
	}
	if old != nil && old.On == t.On {
		return nil
	}
	return w.roomOn(ctx, t.On)
}

// roomOn refuses one more term on a subject that has as many as it may.
func (w *write) roomOn(ctx context.Context, on string) error {
	others, err := w.Terms(ctx, List{PageSize: maxTermsOn, Filter: map[string]string{"on": on}})
	if err == nil && len(others) >= maxTermsOn {
		err = &Error{Code: FailedPrecondition, Field: "on", Message: "has its 32 terms already: archive one of them, or join conditions with ||"}
	}
	return err
}

// checkSubject refuses what is not there or is archived.
func (w *write) checkSubject(ctx context.Context, on string) error {
	subject, err := decision.ParseSubject(on)
	if err != nil {
		return invalid("on", "%s", err)
	}
	switch id := subject.ID; subject.Kind {
	case decision.SubjectPlan:
		p, err := w.Plan(ctx, id)
		return usable("on", KindPlan, id, &p.Meta, err)
	case decision.SubjectRoute:
		r, err := w.Route(ctx, id)
		return usable("on", KindRoute, id, &r.Meta, err)
	case decision.SubjectCustomer:
		c, err := w.Customer(ctx, id)
		return usable("on", KindCustomer, id, &c.Meta, err)
	case decision.SubjectLicense:
		_, err := w.License(ctx, id)
		return usable("on", KindLicense, id, &Meta{}, err)
	default:
		return nil
	}
}

// GetTerm finds a term by key.
func (s *Service) GetTerm(ctx context.Context, key string) (Term, error) {
	if err := checkKey("key", key); err != nil {
		return Term{}, err
	}
	return s.store.Term(ctx, key)
}

// ListTerms filters by on, effect, archived.
func (s *Service) ListTerms(ctx context.Context, l List) (Page[Term], error) {
	return page(l, []string{"on", "effect", "archived"},
		func(l List) ([]Term, error) { return s.store.Terms(ctx, l) },
		func(t *Term) string { return t.Key })
}

// UpdateTerm changes display_name, on, when, effect, priority, retry_after, cost, message: those in mask, or all.
func (s *Service) UpdateTerm(ctx context.Context, t Term, mask []string) (Term, Epoch, error) {
	has, err := masked(mask, "display_name", "on", "when", "effect", "priority", "retry_after", "cost", "message")
	if err != nil {
		return Term{}, Epoch{}, err
	}
	if err := checkKey("key", t.Key); err != nil {
		return Term{}, Epoch{}, err
	}
	var out Term
	epoch, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.Term(ctx, t.Key)
		if err != nil {
			return err
		}
		if err := current(KindTerm, t.Key, t.Etag, &old.Meta); err != nil {
			return err
		}
		out, _, err = w.updateTerm(ctx, old, t.onto(old, has))
		return err
	})
	return out, epoch, err
}

// onto puts the masked fields of t onto old. What belongs to an effect goes with it.
func (t *Term) onto(old Term, has func(string) bool) Term {
	next := old
	if has("display_name") {
		next.DisplayName = t.DisplayName
	}
	if has("on") {
		next.On = t.On
	}
	if has("when") {
		next.When = t.When
	}
	if has("effect") && next.Effect != t.Effect {
		next.Effect, next.RetryAfter, next.Cost = t.Effect, 0, nil
		if !t.Effect.denies() {
			next.Message = ""
		}
	}
	if has("priority") {
		next.Priority = t.Priority
	}
	if has("retry_after") {
		next.RetryAfter = t.RetryAfter
	}
	if has("cost") {
		next.Cost = t.Cost
	}
	if has("message") {
		next.Message = t.Message
	}
	return next
}

// updateTerm reports whether anything changed.
func (w *write) updateTerm(ctx context.Context, old, next Term) (Term, bool, error) {
	if err := w.checkTerm(ctx, &next, &old); err != nil || next.sameAs(&old) {
		return old, false, err
	}
	next.UpdateTime = w.now
	next, err := w.UpdateTerm(ctx, next)
	if err == nil && !next.sameRule(&old) {
		w.rule(&next)
	}
	return next, true, err
}

// ArchiveTerm takes a term out of use.
func (s *Service) ArchiveTerm(ctx context.Context, key string) (Term, Epoch, error) {
	if err := checkKey("key", key); err != nil {
		return Term{}, Epoch{}, err
	}
	var out Term
	epoch, err := s.write(ctx, &out, func(w *write) (err error) {
		out, err = w.archiveTerm(ctx, key)
		return err
	})
	return out, epoch, err
}

func (w *write) archiveTerm(ctx context.Context, key string) (Term, error) {
	out, err := w.Term(ctx, key)
	if err != nil {
		return out, err
	}
	if err := w.holds(KindTerm, key, out.Etag); err != nil || out.Archived() {
		return out, err
	}
	out.ArchiveTime, out.UpdateTime = w.now, w.now
	w.rule(&Removal{Kind: KindTerm, ID: key})
	return w.UpdateTerm(ctx, out)
}

// unarchiveTerm leaves it to the caller to look at what the term is on.
func (w *write) unarchiveTerm(ctx context.Context, t Term) (Term, error) {
	if err := w.roomOn(ctx, t.On); err != nil {
		return t, err
	}
	t.ArchiveTime, t.UpdateTime = time.Time{}, w.now
	w.rule(&t)
	return w.UpdateTerm(ctx, t)
}
