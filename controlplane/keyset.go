package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/envelope"
)

// opener verifies key sets for the API by the roots that v knows: the configured one, and those that it has led to.
func opener(v *envelope.Verifier) licensing.OpenKeySet {
	return func(signed, held []byte) (licensing.KeySet, error) {
		t, err := envelope.OpenTrust(v.Fleet(), v.Root(), signed)
		if err == nil && held != nil {
			err = t.Succeeds(v.Fleet(), v.Root(), held)
		}
		switch {
		case err == nil:
			return toKeySet(t), nil
		case errors.Is(err, envelope.ErrSuperseded), errors.Is(err, envelope.ErrConflict):
			return licensing.KeySet{}, &licensing.Error{Code: licensing.FailedPrecondition, Field: "signed", Message: err.Error()}
		default:
			return licensing.KeySet{}, &licensing.Error{Code: licensing.InvalidArgument, Field: "signed", Message: fmt.Sprintf("is no key set of this fleet: %s", err)}
		}
	}
}

func toKeySet(t *envelope.Trust) licensing.KeySet {
	set := t.KeySet()
	out := licensing.KeySet{Version: set.Version, Signed: t.Raw(), Root: envelope.KeyID(t.Root()), CreateTime: set.CreatedAt}
	for _, k := range set.Keys {
		out.Keys = append(out.Keys, licensing.TrustedKey{
			ID: envelope.KeyID(k.PublicKey), Usage: strings.ToLower(strings.TrimPrefix(k.Usage.String(), "USAGE_")),
			Subject: k.Subject, NotBefore: k.NotBefore, NotAfter: k.NotAfter,
		})
	}
	return out
}

// keySets is keyring.Store.
type keySets struct{ api *licensing.Service }

// KeySet implements keyring.Store.
func (s keySets) KeySet(ctx context.Context) ([]byte, error) {
	k, err := s.api.KeySet(ctx)
	switch licensing.CodeOf(err) {
	case licensing.NotFound, licensing.FailedPrecondition:
		return nil, nil // Of another root, it is no set for this control plane.
	}
	return k.Signed, err
}

// SetKeySet implements keyring.Store.
func (s keySets) SetKeySet(ctx context.Context, signed []byte) error {
	_, err := s.api.SetKeySet(licensing.WithCall(ctx, licensing.Call{Procedure: "key_set"}), signed)
	return err
}
