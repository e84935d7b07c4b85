package controlplane

import (
	"context"

	"tollgate/controlplane/internal/licensing"
)

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
