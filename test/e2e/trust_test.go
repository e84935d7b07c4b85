package e2e

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/envelope"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
	"tollgate/test/system"
)

// The rules key is rotated and the old one revoked, and the root is rotated, while clients send requests: none fails, and no node's rules turn stale.
// Whatever the revoked key signs then is refused by every node. The system starts again from what is left.
func TestI6_KeysChangeUnderLoad(t *testing.T) {
	dir := system.Dir(t)
	s := system.Start(t, dir)
	r, c := s.Ready(t), s.Client(t)
	stolen, stolenID := rulesSigner(t, r)
	watch := watchRules(t, r)
	load := (&system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], Connections: 4}).Start(t)

	trust(t, r, "rotate", "rules")
	version := haveKeySet(t, r, c, 2)
	system.Eventually(t, 20*time.Second, "the publisher signs with the new key", func() error {
		if id := envelope.KeyID(watch.heard(t).signer); id == stolenID {
			return fmt.Errorf("still with %s", id)
		}
		return nil
	})
	change(t, c, "between")
	trust(t, r, "revoke", stolenID)
	version = haveKeySet(t, r, c, version+1)
	change(t, c, "revoked")
	trust(t, r, "rotate", "root")
	haveKeySet(t, r, c, version+1)
	epoch := change(t, c, "rooted")

	forgeWith(t, r, watch, stolen, epoch)
	for _, n := range r.Nodes {
		if got := system.Metric(t, n.OpsURL, "tollgate_rules_epoch", ""); got != int64(epoch.GetNumber()) {
			t.Errorf("%s enforces %d, %d is the newest", n.Name, got, epoch.GetNumber())
		}
	}
	change(t, c, "after") // The real publisher goes on.
	if counts := load.Stop(); len(counts) != 1 || counts[http.StatusOK] == 0 {
		t.Errorf("answers %v, want 200 alone", counts)
	}
	for i, n := range s.Ready(t).Nodes {
		if n.PID != r.Nodes[i].PID {
			t.Errorf("%s was restarted", n.Name)
		}
	}
	s.Stop(t)

	again := system.Start(t, dir)
	expect(t, again.Ready(t), again.Ready(t).Demo.Keys["enterprise"], "/hello", http.StatusOK)
	change(t, again.Client(t), "again")
}

// trust runs `tollgate trust` on the system's data dir.
func trust(t *testing.T, r system.Ready, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), system.Binary(t), append([]string{"trust"}, args...)...)
	cmd.Env = append(os.Environ(), "TOLLGATE_DATA_DIR="+r.DataDir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("trust %v: %v\n%s", args, err, out)
	}
}

// haveKeySet waits until the control plane and every node have a key set of that version, and sees that the nodes' rules are fresh.
func haveKeySet(t *testing.T, r system.Ready, c *system.Client, version uint64) uint64 {
	t.Helper()
	res, err := c.Fleet.GetKeySet(t.Context(), &adminv1.GetKeySetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.GetKeySet().GetVersion(); got != version {
		t.Fatalf("the control plane has key set %d, want %d", got, version)
	}
	for _, n := range r.Nodes {
		system.Eventually(t, 10*time.Second, n.Name+" has the key set", func() error {
			if got := system.Metric(t, n.OpsURL, "tollgate_key_set_version", ""); got != int64(version) {
				return fmt.Errorf("version %d", got)
			}
			return nil
		})
	}
	areFresh(t, r)
	return version
}

func areFresh(t *testing.T, r system.Ready) {
	t.Helper()
	for _, n := range r.Nodes {
		if system.Metric(t, n.OpsURL, "tollgate_rules_state", `state="fresh"`) != 1 {
			t.Errorf("the rules of %s are not fresh", n.Name)
		}
	}
}

// change makes a change and waits until every node enforces it.
func change(t *testing.T, c *system.Client, key string) *adminv1.Epoch {
	t.Helper()
	res, err := c.Catalog.CreateMeter(t.Context(), &adminv1.CreateMeterRequest{
		Meter: &adminv1.Meter{Key: "trust-" + key, Aggregation: adminv1.Aggregation_AGGREGATION_COUNT},
	})
	if err != nil {
		t.Fatal(err)
	}
	enforced(t, c, res.GetEpoch())
	return res.GetEpoch()
}

// rulesSigner is whoever got hold of the rules key's files.
func rulesSigner(t *testing.T, r system.Ready) (*envelope.Signer, string) {
	t.Helper()
	key, err := envelope.ReadKey(filepath.Join(r.DataDir, "controlplane", "rules.key"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := envelope.ReadCertificate(filepath.Join(r.DataDir, "controlplane", "rules.cert"))
	if err != nil {
		t.Fatal(err)
	}
	return envelope.NewSigner(key, certificate), envelope.KeyID(key.Public().(ed25519.PublicKey))
}

// rulesWatch sees what the publisher sends.
type rulesWatch struct {
	nc  *nats.Conn
	sub *nats.Subscription
}

type beat struct {
	*rulesv1.Heartbeat
	signer ed25519.PublicKey
}

func watchRules(t *testing.T, r system.Ready) *rulesWatch {
	t.Helper()
	nc, err := nats.Connect(r.NATSURL, r.AsAdmin()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync("tollgate.heartbeat")
	if err != nil {
		t.Fatal(err)
	}
	return &rulesWatch{nc, sub}
}

// heard is the next heartbeat.
func (w *rulesWatch) heard(t *testing.T) beat {
	t.Helper()
	m, err := w.sub.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var signed, certificate rulesv1.Signed
	var c rulesv1.Certificate
	b := beat{Heartbeat: &rulesv1.Heartbeat{}}
	for _, step := range []struct {
		raw func() []byte
		to  proto.Message
	}{
		{func() []byte { return m.Data }, &signed}, {signed.GetPayload, b.Heartbeat},
		{signed.GetCertificate, &certificate}, {certificate.GetPayload, &c},
	} {
		if err := proto.Unmarshal(step.raw(), step.to); err != nil {
			t.Fatal(err)
		}
	}
	b.signer = c.GetPublicKey()
	return b
}

// forgeWith sends the change set after an epoch, and a heartbeat that vouches for it, signed by a key that does not count. Every node refuses both.
func forgeWith(t *testing.T, r system.Ready, watch *rulesWatch, stolen *envelope.Signer, epoch *adminv1.Epoch) {
	t.Helper()
	var last beat
	for last.GetNumber() != epoch.GetNumber() {
		last = watch.heard(t)
	}
	sign := func(kind envelope.Kind, m proto.Message) []byte {
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := stolen.Sign(kind, payload)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	next := &rulesv1.Envelope{
		Fleet: last.GetFleet(), Generation: last.GetGeneration(), From: last.GetNumber(), To: last.GetNumber() + 1, PreviousHash: last.GetHeadHash(),
		CreatedAt: timestamppb.Now(), Records: []*rulesv1.Record{{Value: &rulesv1.Record_Removal{
			Removal: &rulesv1.Removal{Kind: rulesv1.Kind_KIND_ROUTE, Id: "hello"},
		}}},
	}
	rejected := func(n system.Process) int64 {
		return system.Metric(t, n.OpsURL, "tollgate_rules_rejected_total", `reason="signature"`)
	}
	var before []int64
	for _, n := range r.Nodes {
		before = append(before, rejected(n))
	}
	js, err := jetstream.New(watch.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "tollgate.rules", sign(envelope.KindEnvelope, next)); err != nil {
		t.Fatal(err)
	}
	for i, n := range r.Nodes {
		refuses := func(what string, more int64) {
			system.Eventually(t, 10*time.Second, n.Name+" refuses the "+what, func() error {
				if got := rejected(n); got < before[i]+more {
					return fmt.Errorf("%d refused, %d were before", got, before[i])
				}
				return nil
			})
		}
		refuses("change set", 1)
		before[i] = rejected(n)
	}
	heartbeat := sign(envelope.KindHeartbeat, &rulesv1.Heartbeat{
		Fleet: last.GetFleet(), Time: timestamppb.Now(), Generation: last.GetGeneration(), Number: next.GetTo(), KeySetVersion: last.GetKeySetVersion(),
	})
	if err := watch.nc.Publish("tollgate.heartbeat", heartbeat); err != nil {
		t.Fatal(err)
	}
	for i, n := range r.Nodes {
		system.Eventually(t, 10*time.Second, n.Name+" refuses the heartbeat", func() error {
			if got := rejected(n); got <= before[i] {
				return fmt.Errorf("%d refused", got)
			}
			return nil
		})
	}
}
