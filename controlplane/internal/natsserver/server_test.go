package natsserver

import (
	"errors"
	"log/slog"
	"os"
	"testing"

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
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "TOLLGATE_RULES", Subjects: []string{"tollgate.rules"}, AllowDirect: true,
		RePublish: &jetstream.RePublish{Source: "tollgate.rules", Destination: "tollgate.rules.stored"},
	}); err != nil {
		t.Fatal(err)
	}
	return js
}
