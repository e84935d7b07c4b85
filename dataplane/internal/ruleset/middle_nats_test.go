package ruleset_test

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/dataplane/internal/bus"
	"tollgate/dataplane/internal/bus/bustest"
	"tollgate/dataplane/internal/ruleset"
)

// broker is a carrier that is a real NATS server. What is sent while it is down is lost.
type broker struct {
	t       *testing.T
	server  *bustest.Server
	control *bustest.Control
	down    bool
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t, server: bustest.Start(t)}
	b.control = b.server.Control(t)
	b.control.MakeStreams()
	return b
}

func (b *broker) rules(raw []byte) {
	if !b.down {
		b.control.Rules(raw)
	}
}

func (b *broker) put(name string, raw []byte) {
	if !b.down {
		b.control.Snapshot(name, raw)
	}
}

func (b *broker) wipe() {
	if !b.down {
		b.server.Wipe(b.t)
		b.control.MakeStreams()
	}
}

func (b *broker) cut(down bool) {
	if b.down == down {
		return
	}
	if b.down = down; down {
		b.server.Stop()
	} else {
		b.server.Again(b.t)
	}
}

func (b *broker) connect() ruleset.Source {
	c, err := bus.Connect(bus.Config{URL: b.server.URL, Name: "node-1", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// The same, over a real NATS server that is stopped, started and wiped, in real time: what a change of pace shows, and no ages.
func TestI1I6_AManInTheMiddleOfNATSReachesNothing(t *testing.T) {
	t.Parallel()
	first, _ := histories(t)
	m := &middle{
		history: newHistory(t, rand.New(rand.NewPCG(first, 1))), wire: newBroker(t), dir: t.TempDir(), refusals: map[string]float64{},
		pass: func(d time.Duration) { <-time.After(min(d, 100*time.Millisecond)) },
		await: func(holds func() bool) bool {
			over := time.After(bustest.Patience)
			for !holds() {
				select {
				case <-over:
					return false
				case <-time.After(time.Millisecond):
				}
			}
			return true
		},
	}
	// A busy machine must not turn them old.
	m.settings.StaleAfter, m.settings.GraceAfter, m.settings.BlockAfter = durationpb.New(time.Hour), durationpb.New(2*time.Hour), durationpb.New(3*time.Hour)
	m.live(60)
	t.Logf("refused %v", m.refusals)
}
