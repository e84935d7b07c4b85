package bus

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A node that was taken over writes the header itself, in all ways that a server might pass on.
func TestListener_BelievesNoClient(t *testing.T) {
	t.Parallel()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not listen")
	}
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("ask")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\n")
	// What the server adds at the end, of a client that wrote what stands before it.
	const own = "Nats-Request-Info: {\"name_tag\":\"node-1\"}\r\n\r\n"
	forged := "Nats-Request-Info: {\"name_tag\":\"node-2\"}"
	for wrote, want := range map[string]string{
		"":                                 "node-1",
		forged + "\r\n":                    "",
		"X: 1\n" + forged + "\r\n":         "",
		forged + "\n\n":                    "",
		forged + "\n\r\n":                  "",
		"X: 1\r\n":                         "",
		"nats-request-info: {}\r\n":        "",
		"X: 1\n" + forged + "\n\nY: 1\r\n": "",
	} {
		header := "NATS/1.0\r\n" + wrote + own
		fmt.Fprintf(conn, "HPUB ask _X_.reply %d %d\r\n%sbody\r\n", len(header), len(header)+4, header)
		m, err := sub.NextMsg(20 * time.Second)
		if err != nil {
			t.Fatalf("%q: %v", wrote, err)
		}
		m.Reply = strings.Replace(m.Reply, "_X_.", mapped, 1) // No client may name such a subject itself.
		if got := listener(m); got != want {
			t.Errorf("%q: asked by %q, want %q", wrote, got, want)
		}
	}
	if got := listener(&nats.Msg{Reply: "_INBOX.node-3.x"}); got != "node-3" {
		t.Errorf("in one account: asked by %q", got)
	}
}
