package natsserver

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestOpen_KeepsIdentityCredentialsAndStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	creds, s := start(t, dir)
	js := stream(t, connect(t, s, creds))
	if _, err := js.Publish(t.Context(), "tollgate.rules", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	s.Stop()

	again, s := start(t, dir)
	if again != creds {
		t.Errorf("credentials at %s, were at %s", again, creds)
	}
	if st, err := os.Stat(creds); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("credentials: mode %v, %v; want 0600", st.Mode(), err)
	}
	kept, err := stream(t, connect(t, s, creds)).Stream(t.Context(), "TOLLGATE_RULES")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := kept.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
		t.Errorf("message %v, %v", m, err)
	}
}

func TestStart_AdmitsNobodyWithoutCredentials(t *testing.T) {
	t.Parallel()
	_, s := start(t, t.TempDir())
	other, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Credentials("admin")
	if err != nil {
		t.Fatal(err)
	}
	for name, option := range map[string]nats.Option{"none": nats.Name("x"), "another deployment's": nats.UserCredentials(foreign)} {
		if c, err := nats.Connect(s.URL(), option, nats.RootCAs(s.id.CA())); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("with credentials %s: %v, %v", name, c, err)
		}
	}
}

func TestNodeCredentials_LetANodeSpeakOnlyForItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	admin, s := start(t, dir)
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
		"tollgate.rules", "tollgate.heartbeat", "tollgate.trust", "tollgate.recall", "tollgate.receipts.node-1", "tollgate.receipts.node-2",
		"tollgate.segments.node-2", "tollgate.fleet.node-2", "$JS.API.STREAM.DELETE.TOLLGATE_RULES", "$JS.API.STREAM.PURGE.TOLLGATE_SEGMENTS",
		"$JS.API.CONSUMER.CREATE.TOLLGATE_SEGMENTS.x", "_INBOX.of.another", "$JS.API.STREAM.PURGE.TOLLGATE_RULES", "$JS.API.STREAM.DELETE.OBJ_TOLLGATE_SNAPSHOTS", "$JS.API.STREAM.UPDATE.TOLLGATE_RULES",
		"$JS.API.STREAM.MSG.DELETE.TOLLGATE_RULES", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.MSG.GET.TOLLGATE_SEGMENTS", "$JS.API.DIRECT.GET.TOLLGATE_SEGMENTS",
		"$O.TOLLGATE_SNAPSHOTS.C.x", "$O.TOLLGATE_SNAPSHOTS.M.x", "tollgate.trust", "$SYS.REQ.SERVER.PING",
	}
	if denied := subjects(mayNot, true); !slices.Equal(denied, mayNot) {
		t.Errorf("of %v only %v are denied", mayNot, denied)
	}
	hidden := []string{"tollgate.receipts.node-2", "tollgate.segments.>", "tollgate.lend", "tollgate.>", "_INBOX.>", "_INBOX.node-2.>"}
	if denied := subjects(hidden, false); !slices.Equal(denied, hidden) {
		t.Errorf("of %v only %v are denied", hidden, denied)
	}
	readsRules(t, node, stream(t, connect(t, s, admin)))
}

// readsRules has a node do what it lives on: follow the rules and fetch a snapshot.
func readsRules(t *testing.T, node *nats.Conn, admin jetstream.JetStream) {
	t.Helper()
	store, err := admin.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "TOLLGATE_SNAPSHOTS"})
	if err != nil {
		t.Fatal(err)
	}
	// The bucket's stream is OBJ_TOLLGATE_SNAPSHOTS.
	if _, err := store.PutBytes(t.Context(), "1.1", make([]byte, 300_000)); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(node)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := js.ObjectStore(t.Context(), "TOLLGATE_SNAPSHOTS")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := mine.GetBytes(t.Context(), "1.1"); err != nil || len(b) != 300_000 {
		t.Errorf("snapshot of %d bytes, %v", len(b), err)
	}
	rules, err := js.OrderedConsumer(t.Context(), "TOLLGATE_RULES", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	came := make(chan struct{})
	consuming, err := rules.Consume(func(jetstream.Msg) {
		if got.Add(1) == 1 {
			close(came)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer consuming.Stop()
	if _, err := admin.Publish(t.Context(), "tollgate.rules", []byte("change")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-came:
	case <-time.After(10 * time.Second):
		t.Error("the node saw no change set")
	}
}

func start(t *testing.T, dir string) (admin string, s *Server) {
	t.Helper()
	id, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if admin, err = id.Credentials("admin"); err != nil {
		t.Fatal(err)
	}
	if s, err = Start(id, "127.0.0.1:0", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return admin, s
}

func connect(t *testing.T, s *Server, creds string, options ...nats.Option) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.URL(), append(options, nats.UserCredentials(creds), nats.RootCAs(s.id.CA()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func stream(t *testing.T, c *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "TOLLGATE_RULES", Subjects: []string{"tollgate.rules"}}); err != nil {
		t.Fatal(err)
	}
	return js
}
