package licensing

import (
	"context"
	"io"
	"net/url"
	"time"

	"tollgate/dataplane/apikey"
)

// Founding is what a fleet is founded with.
type Founding struct {
	// ID is the fleet's name in every signed message. Fixed once founded; empty: one is drawn.
	ID string
	// Env is the deployment's label in API keys. Fixed once founded. Empty: "live", or what it was founded with.
	Env string
	// ErrorBaseURL is the base of the type of denials' bodies. Empty: as it was.
	ErrorBaseURL string
}

// Bootstrap founds the fleet where there is none, and publishes its settings as the first epoch. Several control
// planes may call it at once. Where there is a fleet, it sees that id and env are what was asked for, and publishes an
// ErrorBaseURL that differs.
func (s *Service) Bootstrap(ctx context.Context, f Founding) (Fleet, error) {
	if err := f.validate(); err != nil {
		return Fleet{}, err
	}
	ctx = WithCall(ctx, Call{Procedure: "bootstrap"})
	var out Fleet
	err := s.store.Update(ctx, func(tx Tx) error {
		proposed, err := s.newFleet(f)
		if err != nil {
			return err
		}
		w := s.newWrite(ctx, tx)
		founded, err := w.CreateFleet(ctx, proposed)
		if err != nil {
			return err
		}
		if w.head, err = tx.LockHead(ctx); err != nil {
			return err
		}
		if out, err = tx.Fleet(ctx); err != nil {
			return err
		}
		switch {
		case f.ID != "" && f.ID != out.ID:
			return refused("the database holds fleet %q, not %q", out.ID, f.ID)
		case f.Env != "" && f.Env != out.Env:
			return refused("the fleet's keys bear the label %q, not %q: it cannot change", out.Env, f.Env)
		}
		if f.ErrorBaseURL != "" && f.ErrorBaseURL != out.ErrorBaseURL {
			out.ErrorBaseURL = f.ErrorBaseURL
			if err := w.UpdateFleet(ctx, out); err != nil {
				return err
			}
			founded = true
		}
		if founded {
			w.rule(&out)
		}
		if err := w.publish(ctx); err != nil {
			return err
		}
		return w.audit(ctx)
	})
	return out, err
}

func (f *Founding) validate() error {
	if f.ID != "" {
		if err := checkKey("id", f.ID); err != nil {
			return err
		}
	}
	if f.Env != "" {
		if err := apikey.CheckEnv(f.Env); err != nil {
			return invalid("env", "%s", err)
		}
	}
	if f.ErrorBaseURL == "" {
		return nil
	}
	if err := checkText("error_base_url", f.ErrorBaseURL, 500); err != nil {
		return err
	}
	u, err := url.Parse(f.ErrorBaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return invalid("error_base_url", "%q is not an absolute http or https URL without query", f.ErrorBaseURL)
	}
	return nil
}

func (s *Service) newFleet(f Founding) (Fleet, error) {
	out := Fleet{
		ID: f.ID, Env: f.Env, ErrorBaseURL: f.ErrorBaseURL, Pepper: make([]byte, 32),
		StaleAfter: defaultStaleAfter, GraceAfter: defaultGraceAfter, BlockAfter: defaultBlockAfter,
		LoanHorizon: defaultLoanHorizon,
	}
	if out.Env == "" {
		out.Env = "live"
	}
	if _, err := io.ReadFull(s.random, out.Pepper); err != nil {
		return Fleet{}, err
	}
	if out.ID == "" {
		id := make([]byte, 10)
		if _, err := io.ReadFull(s.random, id); err != nil {
			return Fleet{}, err
		}
		out.ID = "fleet-" + base32Lower.EncodeToString(id)
	}
	return out, nil
}

// micros is t in what Postgres keeps of it.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
