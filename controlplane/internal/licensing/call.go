package licensing

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Call is what a write has to know of the call that asks for it, beside its arguments.
type Call struct {
	Actor     string // The token's id. Empty: the control plane itself.
	ActorName string
	Role      Role
	Procedure string
	// RequestID is the caller's name for the call. The same again has one effect and the same answer. Empty: none.
	RequestID string
	// CallID is the control plane's name for it.
	CallID string
	// Fingerprint covers all that was asked for, but RequestID. Required where there is a RequestID.
	Fingerprint []byte
	// ValidateOnly: everything is checked, nothing is kept.
	ValidateOnly bool
	// Etag is that of the object which the call names, where the arguments hold no object. Empty: any.
	Etag string
}

type callKey struct{}

// WithCall is a context in which writes are made for c.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallOf is the call that ctx is of; the zero Call where there is none.
func CallOf(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(Call)
	return c
}

// CallKey names a call. Ids of one caller mean nothing for another, or for another procedure.
type CallKey struct{ Actor, Procedure, RequestID string }

// Answer is a stored answer.
type Answer struct {
	CallKey
	Fingerprint []byte
	Epoch       Epoch
	Sealed      []byte // The result, encrypted.
	CreateTime  time.Time
}

// How long answers are kept, and how many are dropped by each call that adds one: more than one, so that they can't
// pile up.
const (
	answerLife  = 24 * time.Hour
	answerSweep = 20
)

func (c *Call) key() CallKey { return CallKey{c.Actor, c.Procedure, c.RequestID} }

// replay puts the answer that the same call got before into result. False where there was none.
func (w *write) replay(ctx context.Context, result any) (bool, error) {
	if w.call.RequestID == "" || w.call.ValidateOnly {
		return false, nil
	}
	a, found, err := w.Answer(ctx, w.call.key(), w.now.Add(-answerLife))
	if err != nil || !found {
		return false, err
	}
	if !bytes.Equal(a.Fingerprint, w.call.Fingerprint) {
		return false, invalid("request_id", "named another call before: use one id for one call")
	}
	box, err := w.answerBox(ctx)
	if err != nil {
		return false, err
	}
	if len(a.Sealed) < box.NonceSize() {
		return false, errors.New("stored answer is cut")
	}
	plain, err := box.Open(nil, a.Sealed[:box.NonceSize()], a.Sealed[box.NonceSize():], a.bound())
	if err != nil {
		return false, fmt.Errorf("open stored answer: %w", err)
	}
	if err := json.Unmarshal(plain, result); err != nil {
		return false, fmt.Errorf("read stored answer: %w", err)
	}
	w.head.Epoch = a.Epoch
	return true, nil
}

// remember keeps the answer for when the same call comes again.
func (w *write) remember(ctx context.Context, result any) error {
	if w.call.RequestID == "" {
		return nil
	}
	plain, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	box, err := w.answerBox(ctx)
	if err != nil {
		return err
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := io.ReadFull(w.svc.random, nonce); err != nil {
		return err
	}
	a := Answer{CallKey: w.call.key(), Fingerprint: w.call.Fingerprint, Epoch: w.head.Epoch, CreateTime: w.now}
	a.Sealed = box.Seal(nonce, nonce, plain, a.bound())
	if err := w.InsertAnswer(ctx, a); err != nil {
		return err
	}
	return w.ExpireAnswers(ctx, w.now.Add(-answerLife), answerSweep)
}

// answerBox encrypts all answers alike, so that no one has to say which of them hold a secret.
func (w *write) answerBox(ctx context.Context) (cipher.AEAD, error) {
	fleet, err := w.identity(ctx)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, fleet.Pepper, nil, "tollgate stored answers 1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// bound ties a sealed answer to its call.
func (a *Answer) bound() []byte {
	var b []byte
	for _, s := range [][]byte{[]byte(a.Actor), []byte(a.Procedure), []byte(a.RequestID), a.Fingerprint} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}
