package postgres_test

import (
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
)

// All writes wait for the one that holds the head of the rules, and that for each answer. A number that rises here is a rate of changes that falls.
func TestUpdate_WaitsForFewAnswers(t *testing.T) {
	t.Parallel()
	relay := newRelay(t, pgtest.Database(t))
	db, err := postgres.Open(t.Context(), postgres.Config{URL: relay.url, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s := service(t, db)
	customer := sell(t, s)
	// The fewest of some: the pool asks whether a connection is still there where it has been idle.
	issued, revoked := int64(100), int64(100)
	for range 5 {
		before := relay.asked.Load()
		l, _, err := s.IssueLicense(t.Context(), licensing.License{Customer: customer, Plan: "pro"})
		if err != nil {
			t.Fatal(err)
		}
		between := relay.asked.Load()
		if _, _, err := s.RevokeLicense(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
		issued, revoked = min(issued, between-before), min(revoked, relay.asked.Load()-between)
	}
	// The head; what is offered; the licence; the fleet; digests; envelope, events and the audit's head; the audit's event and the commit.
	if issued > 7 {
		t.Errorf("IssueLicense waits for %d answers", issued)
	}
	// The head; the licence; its change; the fleet; digests; envelope, events and the audit's head; the audit's event and the commit.
	if revoked > 7 {
		t.Errorf("RevokeLicense waits for %d answers", revoked)
	}
}

// relay stands before a server and counts how often it is asked.
type relay struct {
	url   string
	asked atomic.Int64
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u.Host = l.Addr().String()
	r := &relay{url: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(client, server)
		}
	}()
	return r
}

func (r *relay) carry(client net.Conn, server string) {
	defer client.Close()
	up, err := net.Dial("tcp", server)
	if err != nil {
		return // Whoever asks sees it.
	}
	defer up.Close()
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, up) // It ends with the connection.
	}()
	// What a client sends before it waits is small enough for one read, or it is counted more than once: it never is too few.
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if n > 0 {
			r.asked.Add(1)
			if _, err := up.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
