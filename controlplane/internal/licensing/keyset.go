package licensing

import (
	"bytes"
	"context"
	"strconv"
	"time"
)

// KeySet is the word of the fleet's root which online keys count.
type KeySet struct {
	Version uint64
	// Signed is all of it as nodes get it, to the byte.
	Signed []byte
	// Root is the id of the root that signed it.
	Root       string
	Keys       []TrustedKey
	CreateTime time.Time
}

// TrustedKey is a key that counts.
type TrustedKey struct {
	ID, Usage, Subject  string
	NotBefore, NotAfter time.Time
}

// OpenKeySet verifies a key set by the fleet's roots, and that it may follow on the one that is held; nil: none is. What is wrong
// is an *Error; held is at fault for nothing.
type OpenKeySet func(signed, held []byte) (KeySet, error)

// KeySet is the newest; NotFound where there is none, FailedPrecondition where it does not verify by the configured root.
func (s *Service) KeySet(ctx context.Context) (KeySet, error) {
	signed, err := s.store.SignedKeySet(ctx)
	if err != nil {
		return KeySet{}, err
	}
	if signed == nil {
		return KeySet{}, &Error{Code: NotFound, Message: "there is no key set yet: `tollgate trust init` makes the first"}
	}
	k, err := s.keySets(signed, nil)
	if CodeOf(err) == InvalidArgument {
		err = refused("the key set in the database is of another root than the configured one: `tollgate trust` makes one that is not")
	}
	return k, err
}

// SetKeySet takes a key set that is newer than what is there; exactly that again has no effect.
func (s *Service) SetKeySet(ctx context.Context, signed []byte) (KeySet, error) {
	var out KeySet
	_, err := s.write(ctx, &out, func(w *write) error {
		held, err := w.SignedKeySet(ctx)
		if err != nil {
			return err
		}
		if out, err = s.keySets(signed, held); err != nil || bytes.Equal(signed, held) {
			return err
		}
		return w.InsertKeySet(ctx, out)
	})
	return out, err
}

// noRoots is where no root is configured.
func noRoots([]byte, []byte) (KeySet, error) {
	return KeySet{}, refused("no root is configured to verify a key set by")
}

func (r *recorder) InsertKeySet(ctx context.Context, k KeySet) error {
	id := strconv.FormatUint(k.Version, 10)
	if err := r.Tx.InsertKeySet(ctx, k); err != nil {
		return err
	}
	k.Signed = nil // It is kept, and says no more than the rest.
	r.note(KindKeySet, id, nil, k)
	return nil
}
