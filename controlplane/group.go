package controlplane

import (
	"context"
	"sync"
)

// group runs things until its context ends or one of them fails.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// run starts f. If it fails before the group has ended, the group ends.
func (g *group) run(f func(ctx context.Context) error) {
	g.wg.Go(func() {
		err := f(g.ctx)
		if err == nil || g.ctx.Err() != nil {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.err == nil {
			g.err = err
		}
		g.cancel()
	})
}

// stop ends the group, waits for all that runs in it, and returns the failure that ended it, if one did. It
// may be called again.
func (g *group) stop() error {
	g.cancel()
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
