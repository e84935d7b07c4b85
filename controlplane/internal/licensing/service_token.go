package licensing

import (
	"context"
	"crypto/rand"

	"tollgate/dataplane/apikey"
)

// CreateToken makes a token; DisplayName and Role are the caller's. The whole token is in secret, and nowhere else.
func (s *Service) CreateToken(ctx context.Context, t Token) (out Token, secret string, err error) {
	if secret, err = newToken(s.random); err != nil {
		return Token{}, "", err
	}
	return s.keepToken(ctx, t, secret)
}

// ImportToken keeps a token whose secret was made elsewhere by NewTokenSecret, so that a deployment can hand the same
// to its control planes and its operator. A token that is there already is returned as it is, revoked ones too.
func (s *Service) ImportToken(ctx context.Context, t Token, secret string) (Token, error) {
	if !isToken(secret) {
		return Token{}, invalid("secret", `is not a token: "tga_" and 47 characters, the last 7 of them a checksum`)
	}
	pepper, err := s.pepperOnce(ctx)
	if err != nil {
		return Token{}, err
	}
	out, err := s.store.TokenByHash(ctx, apikey.Hash(pepper, secret))
	if CodeOf(err) != NotFound {
		return out, err
	}
	ctx = WithCall(ctx, Call{Procedure: "import_token"})
	out, _, err = s.keepToken(ctx, t, secret)
	if CodeOf(err) == AlreadyExists { // Another control plane was faster.
		return s.store.TokenByHash(ctx, apikey.Hash(pepper, secret))
	}
	return out, err
}

// NewTokenSecret draws a token for ImportToken.
func NewTokenSecret() (string, error) { return newToken(rand.Reader) }

// keepToken returns the secret too: that of the first call, where this one is the same again.
func (s *Service) keepToken(ctx context.Context, t Token, secret string) (Token, string, error) {
	if err := t.Validate(); err != nil {
		return Token{}, "", err
	}
	pepper, err := s.pepperOnce(ctx)
	if err != nil {
		return Token{}, "", err
	}
	var out struct {
		Token  Token
		Secret string
	}
	_, err = s.write(ctx, &out, func(w *write) (err error) {
		made := Token{DisplayName: t.DisplayName, Role: t.Role, Hash: apikey.Hash(pepper, secret), CreateTime: w.now}
		if made.ID, err = s.newID("tok_", w.now); err != nil {
			return err
		}
		if !w.call.ValidateOnly {
			out.Secret = secret
		}
		out.Token, err = w.InsertToken(ctx, made)
		return err
	})
	if err != nil {
		return Token{}, "", err
	}
	return out.Token, out.Secret, nil
}

// pepperOnce reads the pepper the first time.
func (s *Service) pepperOnce(ctx context.Context) ([]byte, error) {
	if f := s.founded.Load(); f != nil {
		return f.Pepper, nil
	}
	fleet, err := s.store.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	s.founded.Store(&Fleet{ID: fleet.ID, Pepper: fleet.Pepper})
	return fleet.Pepper, nil
}

// identity is the fleet, of which ID and Pepper are filled in for sure. It is not kept from here: the write that founds the fleet may fail yet.
func (w *write) identity(ctx context.Context) (Fleet, error) {
	if f := w.svc.founded.Load(); f != nil {
		return *f, nil
	}
	return w.Fleet(ctx)
}

// ListTokens takes no filter. Revoked tokens are listed, too.
func (s *Service) ListTokens(ctx context.Context, l List) (Page[Token], error) {
	return page(l, nil,
		func(l List) ([]Token, error) { return s.store.Tokens(ctx, l) },
		func(t *Token) string { return t.ID })
}

// RevokeToken ends a token for good. One that is revoked already stays as it is.
func (s *Service) RevokeToken(ctx context.Context, id string) (Token, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return Token{}, err
	}
	var out Token
	_, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Token(ctx, id); err != nil {
			return err
		}
		if err := w.holds(KindToken, id, out.Etag); err != nil || !out.RevokeTime.IsZero() {
			return err
		}
		out, err = w.RevokeToken(ctx, id, w.now)
		return err
	})
	return out, err
}

// Authenticate finds whose token a secret is. Its answer says no more than that it is none, or revoked.
func (s *Service) Authenticate(ctx context.Context, secret string) (Token, error) {
	refusal := &Error{Code: Unauthenticated, Message: "the token is not valid"}
	if !isToken(secret) {
		return Token{}, refusal
	}
	pepper, err := s.pepperOnce(ctx)
	if err != nil {
		return Token{}, err
	}
	// The look-up is by keyed hash: its timing says nothing about the token.
	t, err := s.store.TokenByHash(ctx, apikey.Hash(pepper, secret))
	if CodeOf(err) == NotFound {
		return Token{}, refusal
	}
	if err != nil {
		return Token{}, err
	}
	if !t.RevokeTime.IsZero() {
		return Token{}, &Error{Code: Unauthenticated, Message: "the token is revoked"}
	}
	return t, nil
}
