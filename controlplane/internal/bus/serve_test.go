package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/bus/bustest"
)

// An empty answer, which a lender has for a request without asks, is all that JetStream needs to purge or delete a stream.
func TestServe_AnswersAtNoSubjectButAnInbox(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t)
	b, err := bus.Connect(bus.Config{URL: server.URL, Name: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	<-b.Ready()
	if _, _, err := b.PublishRules(t.Context(), []string{"1.1"}, [][]byte{[]byte("change")}, 0); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, bus.SubjectLend, "lender", 1, func(context.Context, bus.Request) []byte { return []byte{} })
	}()
	node, err := nats.Connect(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	ask := func() error { _, err := node.Request(bus.SubjectLend, nil, 10*time.Second); return err }
	for err = ask(); errors.Is(err, nats.ErrNoResponders); err = ask() { // It does not serve yet.
	}
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := node.SubscribeSync(bus.SubjectRecall)
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{bus.SubjectRecall, "$JS.API.STREAM.PURGE.TOLLGATE_RULES", "$JS.API.STREAM.DELETE.TOLLGATE_RULES", "_INBOXES.of.none"} {
		if err := node.PublishRequest(bus.SubjectLend, reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	// One worker answers in order: what came before is dealt with.
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := stolen.Pending(); err != nil || n != 0 {
		t.Errorf("%d answers came as recalls, %v", n, err)
	}
	if first, last, err := b.RulesBounds(t.Context()); err != nil || first != 1 || last != 1 {
		t.Errorf("the stream is from %d to %d, %v; want its one message", first, last, err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
