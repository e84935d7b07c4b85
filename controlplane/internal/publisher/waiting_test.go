package publisher_test

import (
	"context"
	"testing"
)

// Envelopes that wait are sent together. Whatever others write in between, each is on the stream once, after the one before it.
func TestI6_WaitingEnvelopesStayInOrderThoughOthersWriteInBetween(t *testing.T) {
	t.Parallel()
	p := setup(t)
	stop := p.run(t, false)
	p.await(t, p.write(t, 1, "a"))
	stop()
	epoch := p.write(t, 150, "b") // More than are read at once.

	ctx, done := context.WithCancel(t.Context())
	junk := make(chan int)
	go func() {
		n := 0
		for ; n < 30 && ctx.Err() == nil; n++ {
			if _, last, err := p.bus.RulesBounds(ctx); err == nil {
				// Where it does not get there in time it is none.
				_, _, _ = p.bus.PublishRules(ctx, []string{"1.999"}, [][]byte{[]byte("junk")}, last)
			}
		}
		junk <- n
	}()
	p.run(t, true)
	p.run(t, true)
	p.await(t, epoch)
	done()
	if <-junk == 0 {
		t.Error("nobody wrote in between")
	}
	list := p.published(t)
	chained(t, list)
	if first := list[0].GetFrom(); len(list) != int(epoch.Number-first) {
		t.Errorf("%d envelopes from %d to %d", len(list), first, epoch.Number)
	}
}
