package bus

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// A snapshot's objects are in a NATS object store (its ADR 20): what it says of an object is the last message on a subject with the object's
// name, and the object's bytes are the messages on another. The client library reads them by a consumer, which a node may not make; here they are got one by one.
const (
	streamSnapshots = "OBJ_" + snapshots
	subjectObject   = "$O." + snapshots + ".M."
	subjectBytes    = "$O." + snapshots + ".C."
	digestPrefix    = "SHA-256="
)

// maxObject bounds what is read of one object: a broker is not believed.
const maxObject = 256 << 20

// Snapshots are the names of all objects of all snapshots, in no order. Some may be gone.
func (b *Bus) Snapshots(ctx context.Context) ([]string, error) {
	s, err := b.snapshots(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subjectObject+">"))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	names := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		name, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(subject, subjectObject))
		if err != nil {
			continue // It is not of an object store.
		}
		names = append(names, string(name))
	}
	return names, nil
}

// Snapshot is one object of a snapshot.
func (b *Bus) Snapshot(ctx context.Context, name string) ([]byte, error) {
	s, err := b.snapshots(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := object(ctx, s, name)
	if err != nil {
		return nil, fmt.Errorf("read snapshot object %s: %w", name, err)
	}
	return raw, nil
}

func object(ctx context.Context, s jetstream.Stream, name string) ([]byte, error) {
	m, err := s.GetLastMsgForSubject(ctx, subjectObject+base64.URLEncoding.EncodeToString([]byte(name)))
	if err != nil {
		return nil, err
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return nil, fmt.Errorf("decode what the store says of it: %w", err)
	}
	if info.Deleted {
		return nil, jetstream.ErrObjectNotFound
	}
	if info.Size > maxObject {
		return nil, fmt.Errorf("it is of %d bytes, more than %d", info.Size, maxObject)
	}
	raw := make([]byte, 0, info.Size)
	for sequence := uint64(1); uint64(len(raw)) < info.Size; {
		m, err := s.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(subjectBytes+info.NUID))
		if err != nil {
			return nil, err
		}
		if m.Sequence < sequence || len(m.Data) == 0 || uint64(len(raw)+len(m.Data)) > info.Size {
			return nil, errDamaged
		}
		raw, sequence = append(raw, m.Data...), m.Sequence+1
	}
	sum := sha256.Sum256(raw)
	if want, found := strings.CutPrefix(info.Digest, digestPrefix); !found || want != base64.URLEncoding.EncodeToString(sum[:]) {
		return nil, errDamaged
	}
	return raw, nil
}

var errDamaged = errors.New("its bytes are not those that the store says it has")

func (b *Bus) snapshots(ctx context.Context) (jetstream.Stream, error) {
	if !b.nc.IsConnected() {
		return nil, fmt.Errorf("open the snapshots: %w", ErrDisconnected)
	}
	s, err := b.stream(ctx, streamSnapshots)
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	return s, nil
}
