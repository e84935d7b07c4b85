package natsserver

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestNodeCredentials_LetANodeSpeakOnlyForItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, s := start(t, dir)
	id, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := id.NodeCredentials("node-1")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 16)
	node := connect(t, s, creds, nats.CustomInboxPrefix("_INBOX.node-1"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))

	subjects := func(list []string, publish bool) (denied []string) {
		for _, subject := range list {
			if publish {
				err = node.Publish(subject, []byte("x"))
			} else {
				_, err = node.SubscribeSync(subject)
			}
			if err := errors.Join(err, node.Flush()); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-refused:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					t.Fatalf("%s: %v", subject, err)
				}
				denied = append(denied, subject)
			case <-time.After(50 * time.Millisecond):
			}
		}
		return denied
	}
	may := []string{"tollgate.lend", "tollgate.lend.cold", "tollgate.segments.node-1", "tollgate.fleet.node-1"}
	if denied := subjects(may, true); denied != nil {
		t.Errorf("a node may not publish %v", denied)
	}
	mayNot := []string{
		"tollgate.rules", "tollgate.rules.stored", "tollgate.heartbeat", "tollgate.trust", "tollgate.recall", "tollgate.receipts.node-1", "tollgate.receipts.node-2",
		"tollgate.segments.node-2", "tollgate.fleet.node-2", "$JS.API.STREAM.DELETE.TOLLGATE_RULES", "$JS.API.STREAM.PURGE.TOLLGATE_SEGMENTS",
		"$JS.API.CONSUMER.CREATE.TOLLGATE_SEGMENTS.x", "_INBOX.of.another", "$JS.API.STREAM.PURGE.TOLLGATE_RULES", "$JS.API.STREAM.DELETE.OBJ_TOLLGATE_SNAPSHOTS", "$JS.API.STREAM.UPDATE.TOLLGATE_RULES",
		"$JS.API.STREAM.MSG.DELETE.TOLLGATE_RULES", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.MSG.GET.TOLLGATE_SEGMENTS", "$JS.API.DIRECT.GET.TOLLGATE_SEGMENTS",
		"$O.TOLLGATE_SNAPSHOTS.C.x", "$O.TOLLGATE_SNAPSHOTS.M.x", "tollgate.trust", "$SYS.REQ.SERVER.PING",
		"$JS.API.CONSUMER.CREATE.TOLLGATE_RULES.x", "$JS.API.CONSUMER.MSG.NEXT.TOLLGATE_RULES.x", "$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$JS.ACK.TOLLGATE_SEGMENTS.ingest.1.1.1.1.0", "_R_.x",
	}
	if denied := subjects(mayNot, true); !slices.Equal(denied, mayNot) {
		t.Errorf("of %v only %v are denied", mayNot, denied)
	}
	hidden := []string{"tollgate.receipts.node-2", "tollgate.segments.>", "tollgate.lend", "tollgate.>", "_INBOX.>", "_INBOX.node-2.>"}
	if denied := subjects(hidden, false); !slices.Equal(denied, hidden) {
		t.Errorf("of %v only %v are denied", hidden, denied)
	}
}

// fleetUnderAttack is a server with the streams of a control plane, and a node that means harm.
type fleetUnderAttack struct {
	t       *testing.T
	control *nats.Conn
	js      jetstream.JetStream
	node    *nats.Conn
	refused chan error
}

func attacked(t *testing.T) *fleetUnderAttack {
	t.Helper()
	dir := t.TempDir()
	admin, s := start(t, dir)
	creds, err := s.id.NodeCredentials("node-1")
	must(t, err)
	f := &fleetUnderAttack{t: t, control: connect(t, s, admin), refused: make(chan error, 64)}
	f.js = stream(t, f.control)
	_, err = f.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "TOLLGATE_SEGMENTS", Subjects: []string{"tollgate.segments.*"}, Retention: jetstream.WorkQueuePolicy})
	must(t, err)
	_, err = f.js.CreateConsumer(t.Context(), "TOLLGATE_SEGMENTS", jetstream.ConsumerConfig{Durable: "ingest", AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	store, err := f.js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "TOLLGATE_SNAPSHOTS"})
	must(t, err)
	_, err = store.PutBytes(t.Context(), "1.1", make([]byte, 300_000))
	must(t, err)
	_, err = f.js.Publish(t.Context(), "tollgate.rules", []byte("change"))
	must(t, err)
	_, err = f.control.QueueSubscribe("tollgate.lend", "lender", func(m *nats.Msg) {
		var of struct {
			Name string `json:"name_tag"`
		}
		_ = json.Unmarshal([]byte(m.Header.Get("Nats-Request-Info")), &of)
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Asker": {of.Name}}}) // An empty answer is the worst one.
	})
	must(t, err)
	must(t, f.control.Flush())
	f.node = connect(t, s, creds, nats.CustomInboxPrefix("_INBOX.node-1"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case f.refused <- err:
		default:
		}
	}))
	return f
}

// What a node lives on.
func TestNodeAccount_ANodeDoesAllThatItHasTo(t *testing.T) {
	t.Parallel()
	f := attacked(t)
	js, err := jetstream.New(f.node)
	must(t, err)
	news, err := f.node.SubscribeSync("tollgate.rules.stored")
	must(t, err)
	must(t, f.node.Flush())
	_, err = f.js.Publish(t.Context(), "tollgate.rules", []byte("another"))
	must(t, err)
	m, err := news.NextMsg(20 * time.Second)
	must(t, err)
	if string(m.Data) != "another" || m.Header.Get(jetstream.SequenceHeader) != "2" {
		t.Errorf("%q at %v", m.Data, m.Header)
	}
	rules, err := js.Stream(t.Context(), "TOLLGATE_RULES")
	must(t, err)
	if m, err := rules.GetMsg(t.Context(), 1, jetstream.WithGetMsgSubject("tollgate.rules")); err != nil || string(m.Data) != "change" {
		t.Errorf("change set %v, %v", m, err)
	}
	if _, err := rules.GetMsg(t.Context(), 3); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("a change set that is not there: %v", err)
	}
	snapshots, err := js.Stream(t.Context(), "OBJ_TOLLGATE_SNAPSHOTS")
	must(t, err)
	info, err := snapshots.Info(t.Context(), jetstream.WithSubjectFilter("$O.TOLLGATE_SNAPSHOTS.M.>"))
	must(t, err)
	if len(info.State.Subjects) != 1 {
		t.Errorf("objects %v", info.State.Subjects)
	}
	for subject := range info.State.Subjects {
		if m, err := snapshots.GetLastMsgForSubject(t.Context(), subject); err != nil || !json.Valid(m.Data) {
			t.Errorf("object %v, %v", m, err)
		}
	}
	if _, err := js.Publish(t.Context(), "tollgate.segments.node-1", []byte("segment")); err != nil {
		t.Errorf("segment: %v", err)
	}
	// The lender is told who asks, whatever the node says of itself.
	lied := &nats.Msg{Subject: "tollgate.lend", Header: nats.Header{"Nats-Request-Info": {`{"name_tag":"node-2"}`}}}
	for range 2 {
		m, err := f.node.RequestMsg(lied, 20*time.Second)
		must(t, err)
		if got := m.Header.Get("Asker"); got != "node-1" {
			t.Errorf("the lender is asked by %q", got)
		}
		lied = &nats.Msg{Subject: "tollgate.lend"}
	}
	// Without a lender the answer is at once that there is none.
	if _, err := f.node.Request("tollgate.lend.cold", nil, 20*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("lend without a lender: %v", err)
	}
}

// NATS does not ask whether a node may publish at the subject where it wants its answer.
func TestI6_NoAnswerToANodeChangesAStream(t *testing.T) {
	t.Parallel()
	f := attacked(t)
	stolen, err := f.control.SubscribeSync(">")
	must(t, err)
	must(t, f.control.Flush())
	const rules, snapshots = "TOLLGATE_RULES", "OBJ_TOLLGATE_SNAPSHOTS"
	asks := map[string][]byte{
		"tollgate.lend": nil, "tollgate.lend.cold": nil, "tollgate.segments.node-1": []byte("segment"),
		streamInfo + rules: nil, streamInfo + snapshots: nil,
		directGet + rules: []byte(`{"seq":1}`), directGet + snapshots: []byte(`{"seq":99}`), // Its answer is empty.
		directGet + snapshots + ".$O.TOLLGATE_SNAPSHOTS.M.x": nil,
	}
	replies := []string{
		"$JS.API.STREAM.DELETE." + rules, "$JS.API.STREAM.PURGE." + rules, "$JS.API.STREAM.DELETE." + snapshots, "$JS.API.STREAM.DELETE.TOLLGATE_SEGMENTS",
		"$JS.API.CONSUMER.DELETE.TOLLGATE_SEGMENTS.ingest", "tollgate.rules", "tollgate.recall", "tollgate.heartbeat", "tollgate.trust",
		"tollgate.receipts.node-2", "$O.TOLLGATE_SNAPSHOTS.M.x", "tollgate.segments.node-2", "tollgate.fleet.node-2",
	}
	for subject, body := range asks {
		for _, reply := range replies {
			must(t, f.node.PublishRequest(subject, reply, body))
		}
	}
	must(t, f.node.Flush())
	// The lender answers in order: what came before is answered.
	if _, err := f.node.Request("tollgate.lend", nil, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	must(t, f.control.Publish("the.end", nil))
	for {
		m, err := stolen.NextMsg(20 * time.Second)
		must(t, err)
		if m.Subject == "the.end" {
			break
		}
		if slices.Contains(replies, m.Subject) {
			t.Errorf("%q came at %s in the control plane's account", m.Data, m.Subject)
		}
	}
	for name, messages := range map[string]uint64{rules: 1, snapshots: 4, "TOLLGATE_SEGMENTS": uint64(len(replies))} {
		s, err := f.js.Stream(t.Context(), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := s.CachedInfo().State.Msgs; n != messages {
			t.Errorf("%s has %d messages, not %d", name, n, messages)
		}
	}
	if _, err := f.js.Consumer(t.Context(), "TOLLGATE_SEGMENTS", "ingest"); err != nil {
		t.Errorf("the ingest's consumer: %v", err)
	}
}

// An acknowledgement would take another node's segment away.
func TestNodeAccount_AnswersToNoAcknowledgement(t *testing.T) {
	t.Parallel()
	f := attacked(t)
	for _, reply := range []string{"$JS.ACK.TOLLGATE_SEGMENTS.ingest.1.1.1.1.0", "_R_.x"} {
		must(t, f.node.PublishRequest(directGet+rules, reply, []byte(`{"seq":99}`)))
		must(t, f.node.Flush())
		select {
		case err := <-f.refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", reply, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s is let through", reply)
		}
	}
}

// A folder of an earlier release has no nodes' account.
func TestOpen_MakesTheNodesAccountBesideTheOneThatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, err := Open(dir)
	must(t, err)
	for _, f := range []string{"nodes.nk", "nodes.jwt"} {
		must(t, os.Remove(filepath.Join(dir, f)))
	}
	again, err := Open(dir)
	must(t, err)
	if again.control.claims.Subject != id.control.claims.Subject || again.nodes.claims.Subject == id.nodes.claims.Subject {
		t.Error("the control plane's account is another one, or the nodes' is the same")
	}
}
