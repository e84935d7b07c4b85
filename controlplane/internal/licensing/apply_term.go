package licensing

import (
	"context"
	"slices"
)

// terms come last: they refer to routes and plans.
func (a *apply) terms(ctx context.Context, c *Catalog) error {
	for _, t := range c.Terms {
		if err := a.term(ctx, t); err != nil {
			return at("terms["+t.Key+"]", err)
		}
	}
	return nil
}

func (a *apply) issuers(ctx context.Context, c *Catalog) error {
	for _, i := range c.Issuers {
		if err := a.issuer(ctx, i); err != nil {
			return at("issuers["+i.Key+"]", err)
		}
	}
	return nil
}

func (a *apply) term(ctx context.Context, t Term) error {
	old, err := a.Term(ctx, t.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindTerm, t.Key, string(t.Effect))
		_, err := a.createTerm(ctx, t)
		return err
	}
	if err := revived(ctx, a, KindTerm, t.Key, &old, &old.Meta, a.unarchiveTerm); err != nil {
		return err
	}
	next := t
	next.Meta = old.Meta
	if next.DisplayName == "" {
		next.DisplayName = old.DisplayName
	}
	next, changed, err := a.updateTerm(ctx, old, next)
	if changed {
		a.note("update", KindTerm, t.Key, differing(
			difference{"display_name", next.DisplayName != old.DisplayName},
			difference{"on", next.On != old.On},
			difference{"when", next.When != old.When},
			difference{"effect", next.Effect != old.Effect},
			difference{"priority", next.Priority != old.Priority},
			difference{"retry_after", next.RetryAfter != old.RetryAfter},
			difference{"cost", next.units() != old.units()},
			difference{"message", next.Message != old.Message})...)
	}
	return err
}

func (a *apply) issuer(ctx context.Context, i Issuer) error {
	old, err := a.Issuer(ctx, i.Key)
	have, err := stored(err)
	if err != nil {
		return err
	}
	if !have {
		a.note("create", KindIssuer, i.Key, i.Issuer)
		_, err := a.createIssuer(ctx, i)
		return err
	}
	if err := revived(ctx, a, KindIssuer, i.Key, &old, &old.Meta, a.unarchiveIssuer); err != nil {
		return err
	}
	next := i
	next.Meta = old.Meta
	if next.DisplayName == "" {
		next.DisplayName = old.DisplayName
	}
	next, changed, err := a.updateIssuer(ctx, old, next)
	if changed {
		a.note("update", KindIssuer, i.Key, differing(
			difference{"display_name", next.DisplayName != old.DisplayName},
			difference{"issuer", next.Issuer != old.Issuer},
			difference{"jwks_file", next.JwksFile != old.JwksFile},
			difference{"jwks_url", next.JwksURL != old.JwksURL},
			difference{"discovery", next.Discovery != old.Discovery},
			difference{"audiences", !slices.Equal(next.Audiences, old.Audiences)},
			difference{"customer_claim", next.CustomerClaim != old.CustomerClaim},
			difference{"license_claim", next.LicenseClaim != old.LicenseClaim},
			difference{"algorithms", !slices.Equal(next.Algorithms, old.Algorithms)})...)
	}
	return err
}
