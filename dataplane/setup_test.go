package dataplane_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/bus/bustest"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

const (
	fleet    = "fleet-1"
	nodeName = "node-1"
)

// land is a fleet's keys, and a data dir with those of one node.
type land struct {
	t    *testing.T
	root ed25519.PrivateKey
	cfg  dataplane.Config
	// signers are the control plane's, one for each usage.
	signers map[envelope.Usage]*envelope.Signer
}

func newLand(t *testing.T) *land {
	t.Helper()
	public, root, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := &land{t: t, root: root, cfg: dataplane.Config{
		NodeName: nodeName, DataDir: t.TempDir(), ProxyAddr: freeAddr(t), OpsAddr: freeAddr(t), NATSURL: "nats://" + freeAddr(t),
		TrustRoot: envelope.EncodeRoot(public), ColdWait: 100 * time.Millisecond, DrainTimeout: 5 * time.Second, MaxInFlight: 100,
		Version: "test",
	}}
	l.equip(envelope.UsageNode, nodeName, time.Now().Add(time.Hour))
	l.signers = map[envelope.Usage]*envelope.Signer{}
	known := envelope.NewVerifier(fleet, public)
	for _, usage := range []envelope.Usage{envelope.UsageRules, envelope.UsageReceipts} {
		s := envelope.NewSigner(l.certify(usage, "control plane", time.Now().Add(time.Hour)))
		envelopetest.Admit(t, known, root, envelopetest.Certified(t, s))
		l.signers[usage] = s
	}
	// The node has heard it before: it need not wait for it.
	if err := envelope.TrustFile(filepath.Join(l.cfg.DataDir, "key_set")).StoreTrust(known.Trust().Raw()); err != nil {
		t.Fatal(err)
	}
	return l
}

// certify makes a key and its certificate.
func (l *land) certify(usage envelope.Usage, subject string, notAfter time.Time) (ed25519.PrivateKey, []byte) {
	l.t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	certificate, err := envelope.IssueCertificate(l.root, envelope.Certified{
		Fleet: fleet, Usage: usage, Subject: subject, PublicKey: public, NotBefore: notAfter.Add(-2 * time.Hour), NotAfter: notAfter,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return key, certificate
}

// equip puts a key and certificate into the data dir.
func (l *land) equip(usage envelope.Usage, subject string, notAfter time.Time) {
	l.t.Helper()
	key, certificate := l.certify(usage, subject, notAfter)
	if err := envelope.WriteKey(filepath.Join(l.cfg.DataDir, "node.key"), key); err != nil {
		l.t.Fatal(err)
	}
	if err := envelope.WriteCertificate(filepath.Join(l.cfg.DataDir, "node.cert"), certificate); err != nil {
		l.t.Fatal(err)
	}
}

func (l *land) sign(usage envelope.Usage, kind envelope.Kind, m proto.Message) []byte {
	l.t.Helper()
	raw, err := l.signers[usage].Sign(kind, l.encode(m))
	if err != nil {
		l.t.Fatal(err)
	}
	return raw
}

func (l *land) encode(m proto.Message) []byte {
	l.t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		l.t.Fatal(err)
	}
	return raw
}

// beat publishes a heartbeat for an epoch of generation 1.
func (l *land) beat(c *bustest.Control, number uint64, hash []byte) {
	l.t.Helper()
	c.Publish("tollgate.heartbeat", l.sign(envelope.UsageRules, envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: fleet, Time: timestamppb.Now(), Generation: 1, Number: number, HeadHash: hash,
	}))
}

// receipt publishes a receipt for a segment, and returns its header.
func (l *land) receipt(c *bustest.Control, segment []byte) *ledgerv1.SegmentHeader {
	l.t.Helper()
	var s ledgerv1.Segment
	var signed rulesv1.Signed
	var h ledgerv1.SegmentHeader
	if err := proto.Unmarshal(segment, &s); err != nil {
		l.t.Fatal(err)
	}
	if err := proto.Unmarshal(s.GetHeader(), &signed); err != nil {
		l.t.Fatal(err)
	}
	if err := proto.Unmarshal(signed.GetPayload(), &h); err != nil {
		l.t.Fatal(err)
	}
	c.Publish("tollgate.receipts."+nodeName, l.sign(envelope.UsageReceipts, envelope.KindReceipt, &ledgerv1.Receipt{
		Fleet: fleet, Node: nodeName, Boot: h.GetBoot(), Number: h.GetNumber(), Hash: envelope.Hash(signed.GetPayload()),
	}))
	return &h
}

// running is a node that runs.
type running struct {
	stop context.CancelFunc
	done chan error
	logs *buffer
}

func (l *land) run() *running {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	r := &running{stop: cancel, done: make(chan error, 1), logs: &buffer{}}
	go func() { r.done <- dataplane.Run(ctx, l.cfg, slog.New(slog.NewJSONHandler(r.logs, nil))) }()
	l.t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.done:
			l.t.Logf("the node stopped: %v", err)
		case <-time.After(bustest.Patience):
			l.t.Error("the node did not stop")
		}
		if l.t.Failed() {
			l.t.Logf("%s", r.logs.String())
		}
	})
	return r
}

// buffer may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// get returns status, header and body; status 0 where nothing answers.
func get(t *testing.T, url, key string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("X-Api-Key", key)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: bustest.Patience}
	res, err := c.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
