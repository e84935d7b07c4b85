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
	if licensing.CodeOf(err) == licensing.NotFound {
		return nil, nil
	}
	// One of another root is an error, and not nothing: control planes that are configured with two roots would replace each other's for ever. People
	// replace it, by the API.
	return k.Signed, err
}

// SetKeySet implements keyring.Store.
func (s keySets) SetKeySet(ctx context.Context, signed []byte) error {
	_, err := s.api.SetKeySet(licensing.WithCall(ctx, licensing.Call{Procedure: "key_set"}), signed)
	return err
}
