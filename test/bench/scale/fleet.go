package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

const (
	fleetName = "scale"
	nodeName  = "node-1"
	// maxChunk is a chunk's size, as the control plane makes them.
	maxChunk = 1 << 20
	beat     = 100 * time.Millisecond
)

// fleet plays a control plane: it has keys, a NATS server, and the newest rules, of which its heartbeats tell.
type fleet struct {
	root   ed25519.PublicKey
	issuer ed25519.PrivateKey
	signer *envelope.Signer
	trust  []byte // The signed key set.
	nats   *server.Server
	nc     *nats.Conn
	js     jetstream.JetStream

	mu     sync.Mutex
	number uint64
	head   []byte
	lo, hi uint64 // The state's hash.

	end     context.CancelFunc
	beating sync.WaitGroup
}

func newFleet(ctx context.Context, dir string) (f *fleet, err error) {
	f = &fleet{}
	if f.root, f.issuer, err = ed25519.GenerateKey(nil); err != nil {
		return nil, err
	}
	key, certificate, err := f.certify(envelope.UsageRules, "publisher")
	if err != nil {
		return nil, err
	}
	f.signer = envelope.NewSigner(key, certificate)
	certified, err := f.signer.Certified()
	if err != nil {
		return nil, err
	}
	set := envelope.KeySet{Fleet: fleetName, Version: 1, CreatedAt: time.Now(), Keys: []envelope.Certified{certified}}
	if f.trust, err = envelope.SignTrust(f.issuer, set, nil); err != nil {
		return nil, err
	}
	f.nats, err = server.NewServer(&server.Options{
		ServerName: "scale", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, "nats"), NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	f.nats.Start()
	if !f.nats.ReadyForConnections(time.Minute) {
		return nil, errors.New("the NATS server does not listen")
	}
	if f.nc, err = nats.Connect(f.nats.ClientURL()); err != nil {
		return nil, err
	}
	if f.js, err = jetstream.New(f.nc, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		return nil, err
	}
	for _, c := range []jetstream.StreamConfig{
		{
			Name: "TOLLGATE_RULES", Subjects: []string{"tollgate.rules"}, AllowDirect: true,
			RePublish: &jetstream.RePublish{Source: "tollgate.rules", Destination: "tollgate.rules.stored"},
		},
		{Name: "TOLLGATE_SEGMENTS", Subjects: []string{"tollgate.segments.*"}},
	} {
		if _, err := f.js.CreateStream(ctx, c); err != nil {
			return nil, err
		}
	}
	ctx, f.end = context.WithCancel(ctx)
	f.beating.Go(func() { f.heartbeats(ctx) })
	return f, nil
}

func (f *fleet) stop() error {
	f.end()
	f.beating.Wait()
	f.nc.Close()
	f.nats.Shutdown()
	f.nats.WaitForShutdown()
	return nil
}

func (f *fleet) certify(usage envelope.Usage, subject string) (ed25519.PrivateKey, []byte, error) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := envelope.IssueCertificate(f.issuer, envelope.Certified{
		Fleet: fleetName, Usage: usage, Subject: subject, PublicKey: public, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	})
	return key, certificate, err
}

// equip puts a node's key and certificate, and the key set, into its data dir.
func (f *fleet) equip(data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	key, certificate, err := f.certify(envelope.UsageNode, nodeName)
	if err != nil {
		return err
	}
	return errors.Join(
		envelope.WriteKey(filepath.Join(data, "node.key"), key), envelope.WriteCertificate(filepath.Join(data, "node.cert"), certificate),
		envelope.TrustFile(filepath.Join(data, "key_set")).StoreTrust(f.trust),
	)
}

func (f *fleet) sign(kind envelope.Kind, m proto.Message) ([]byte, error) {
	payload, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return f.signer.Sign(kind, payload)
}

func (f *fleet) heartbeats(ctx context.Context) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		raw, err := f.sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{Fleet: fleetName, Time: timestamppb.Now(), Generation: 1, Number: f.number, HeadHash: f.head})
		f.mu.Unlock()
		if err != nil {
			progress("a heartbeat is not signed: %v", err)
			continue
		}
		_ = f.nc.Publish("tollgate.heartbeat", raw) // The next one comes soon.
	}
}

// add and take away a record in the state's hash.
func (f *fleet) add(encoded []byte) { f.sum(encoded, bits.Add64) }
func (f *fleet) sub(encoded []byte) { f.sum(encoded, bits.Sub64) }

func (f *fleet) sum(encoded []byte, op func(x, y, carry uint64) (uint64, uint64)) {
	d := sha256.Sum256(encoded)
	var carry uint64
	f.lo, carry = op(f.lo, binary.LittleEndian.Uint64(d[:8]), 0)
	f.hi, _ = op(f.hi, binary.LittleEndian.Uint64(d[8:16]), carry)
}

func (f *fleet) stateHash() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, f.lo), f.hi)
}

// publish puts a signed snapshot of n licences into the object store, a chunk at a time.
func (f *fleet) publish(ctx context.Context, n int) (size int, err error) {
	store, err := f.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: "TOLLGATE_SNAPSHOTS"})
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	f.number, f.head = 1, envelope.Hash([]byte("the change set that led there"))
	f.mu.Unlock()
	name := fmt.Sprintf("1.%020d", f.number)
	m := &rulesv1.SnapshotManifest{Fleet: fleetName, Generation: 1, Number: f.number, HeadHash: f.head, CreatedAt: timestamppb.Now()}
	var chunk []byte
	flush := func() error {
		sum := sha256.Sum256(chunk)
		// As a control plane does.
		meta := jetstream.ObjectMeta{Name: fmt.Sprintf("%s.%d", name, len(m.GetChunkSha256())), Opts: &jetstream.ObjectMetaOptions{ChunkSize: 512 << 10}}
		_, err := store.Put(ctx, meta, bytes.NewReader(chunk))
		m.ChunkSha256 = append(m.ChunkSha256, sum[:])
		size += len(chunk)
		chunk = chunk[:0]
		return err
	}
	err = records(n, func(r *rulesv1.Record) error {
		encoded, err := proto.Marshal(r)
		if err != nil {
			return err
		}
		f.add(encoded)
		chunk = protowire.AppendBytes(protowire.AppendTag(chunk, 1, protowire.BytesType), encoded)
		if len(chunk) >= maxChunk {
			return flush()
		}
		return nil
	})
	if err == nil && len(chunk) > 0 {
		err = flush()
	}
	if err != nil {
		return 0, err
	}
	m.StateHash = f.stateHash()
	raw, err := f.sign(envelope.KindSnapshot, m)
	if err != nil {
		return 0, err
	}
	_, err = store.PutBytes(ctx, name, raw)
	return size, err
}

// measuredChanges is how many change sets are timed.
const measuredChanges = 200

// changes publishes change sets of one licence each, and times each until the node says that it enforces it.
func (f *fleet) changes(ctx context.Context, n *node, licenses int) (millis float64, err error) {
	var took []time.Duration
	for i := range measuredChanges {
		at := i % licenses
		before := license(at)
		after := proto.CloneOf(before)
		after.GetLicense().Status = rulesv1.LicenseStatus_LICENSE_STATUS_SUSPENDED
		old, err1 := proto.Marshal(before)
		now, err2 := proto.Marshal(after)
		if err := errors.Join(err1, err2); err != nil {
			return 0, err
		}
		f.mu.Lock()
		if i < licenses { // One whose turn comes again is suspended already.
			f.sub(old)
			f.add(now)
		}
		payload, err := proto.Marshal(&rulesv1.Envelope{
			Fleet: fleetName, Generation: 1, From: f.number, To: f.number + 1, PreviousHash: f.head, CreatedAt: timestamppb.Now(),
			Records: []*rulesv1.Record{after}, StateHash: f.stateHash(),
		})
		f.number, f.head = f.number+1, envelope.Hash(payload)
		want := "tollgate_rules_epoch " + fmt.Sprint(f.number)
		f.mu.Unlock()
		if err != nil {
			return 0, err
		}
		raw, err := f.signer.Sign(envelope.KindEnvelope, payload)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if _, err := f.js.Publish(ctx, "tollgate.rules", raw); err != nil {
			return 0, err
		}
		err = n.wait(ctx, want, time.Millisecond, func() (bool, error) {
			_, metrics, err := get(ctx, "http://"+n.ops+"/metrics", "")
			return strings.Contains(metrics, "\n"+want+"\n"), err
		})
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	return float64(median(took).Microseconds()) / 1000, nil
}
