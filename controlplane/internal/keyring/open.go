package keyring

import (
	"errors"
	"fmt"
	"strings"

	"tollgate/controlplane/internal/licensing"
	"tollgate/dataplane/envelope"
)

// OpenKeySet verifies key sets for the API by the roots that v knows: the configured one, and those that it has led to.
func OpenKeySet(v *envelope.Verifier) licensing.OpenKeySet {
	return func(signed, held []byte) (licensing.KeySet, error) {
		t, err := envelope.OpenTrust(v.Fleet(), v.Root(), signed)
		if err == nil && held != nil {
			err = t.Succeeds(v.Fleet(), v.Root(), held)
		}
		switch {
		case err == nil:
			return summary(t), nil
		case errors.Is(err, envelope.ErrSuperseded), errors.Is(err, envelope.ErrConflict):
			return licensing.KeySet{}, &licensing.Error{Code: licensing.FailedPrecondition, Field: "signed", Message: err.Error()}
		default:
			return licensing.KeySet{}, &licensing.Error{Code: licensing.InvalidArgument, Field: "signed", Message: fmt.Sprintf("is no key set of this fleet: %s", err)}
		}
	}
}

func summary(t *envelope.Trust) licensing.KeySet {
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
