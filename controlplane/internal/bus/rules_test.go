package bus_test

import (
	"fmt"
	"log/slog"
	"testing"

	"tollgate/controlplane/internal/bus"
	"tollgate/controlplane/internal/bus/bustest"
)

// Envelopes that are sent together stay together. Were the first refused, as another's message is where it was to be, the second would be at the very
// sequence that it expects, and what lies on the stream would have a hole.
func TestI6_PublishRules_RefusesAllThatComesAfterARefusedOne(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t)
	b, err := bus.Connect(bus.Config{URL: server.URL, Name: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	<-b.Ready()
	var epochs []string
	var data [][]byte
	for i := range 5 {
		epochs, data = append(epochs, fmt.Sprintf("1.%d", i+1)), append(data, []byte{byte(i)})
	}
	n, conflict, err := b.PublishRules(t.Context(), epochs[:2], data[:2], 0)
	if n != 2 || conflict || err != nil {
		t.Fatalf("appended %d, conflict %v, %v", n, conflict, err)
	}
	// As a publisher does that took over.
	if n, conflict, err = b.PublishRules(t.Context(), epochs[2:3], data[2:3], 2); n != 1 || conflict || err != nil {
		t.Fatalf("appended %d, conflict %v, %v", n, conflict, err)
	}
	if n, conflict, err = b.PublishRules(t.Context(), epochs[2:], data[2:], 2); n != 0 || !conflict || err != nil {
		t.Errorf("after another's message: appended %d, conflict %v, %v", n, conflict, err)
	}
	if first, last, err := b.RulesBounds(t.Context()); first != 1 || last != 3 || err != nil {
		t.Errorf("the stream holds %d to %d, %v", first, last, err)
	}
	if n, conflict, err = b.PublishRules(t.Context(), epochs[3:], data[3:], 3); n != 2 || conflict || err != nil {
		t.Errorf("from the stream's end: appended %d, conflict %v, %v", n, conflict, err)
	}
	for i := range data {
		if got, ok, err := b.RulesMessage(t.Context(), uint64(i+1)); len(got) != 1 || got[0] != byte(i) || !ok || err != nil {
			t.Errorf("message %d is %v, %v, %v", i+1, got, ok, err)
		}
	}
}
