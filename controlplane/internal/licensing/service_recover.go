package licensing

import (
	"context"
	"time"
)

// Recovery is what Recover did.
type Recovery struct {
	// Found is the caller's account of what it found before: opaque, and part of the answer.
	Found []byte
	// Epoch is the first of the new generation, which changes nothing: nodes take the whole state with it. Zero: none was opened.
	Epoch Epoch
}

// Recover makes rules go on in a generation above one that nodes may have, with a number above its number. It is for after the database was
// restored to an earlier point: nodes follow nothing of a generation in which they are ahead of it. Where that is not needed it does nothing.
func (s *Service) Recover(ctx context.Context, needed bool, above Epoch, found []byte) (Recovery, error) {
	var out Recovery
	_, err := s.write(ctx, &out, func(w *write) error {
		out = Recovery{Found: found}
		if !needed {
			return nil
		}
		fleet, err := w.Fleet(ctx)
		if err != nil {
			return err
		}
		next := Epoch{Generation: max(above.Generation, w.head.Epoch.Generation) + 1, Number: max(above.Number, w.head.Epoch.Number)}
		if err := w.OpenGeneration(ctx, next); err != nil {
			return err
		}
		w.head.Epoch = next
		w.rule(&fleet)
		out.Epoch = Epoch{Generation: next.Generation, Number: next.Number + 1}
		return nil
	})
	return out, err
}

// Node is what an operator may say of a node.
type Node struct {
	Name string
	// Silent is how long it has not reported.
	Silent time.Duration `json:"-"`
	// DrainTime is when it was drained; zero: it counts among those that an epoch has to reach.
	DrainTime time.Time
}

// silentEnough is how long a node has to be silent before it can be said to be gone: it reports each second.
const silentEnough = 5 * time.Second

// DrainNode takes a node that is gone out of those that an epoch has to reach. One that still reports is refused: it serves, by whatever rules.
func (s *Service) DrainNode(ctx context.Context, name string) (Node, error) {
	var out Node
	_, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.Node(ctx, name); err != nil || !out.DrainTime.IsZero() {
			return err
		}
		if out.Silent < silentEnough {
			return refused("node %q still reports: stop it first, and it drains by itself", name)
		}
		out.DrainTime = w.now
		out, err = w.DrainNode(ctx, out)
		return err
	})
	return out, err
}

func (r *recorder) OpenGeneration(ctx context.Context, at Epoch) error {
	f, err := r.Fleet(ctx)
	if err != nil {
		return err
	}
	before, err := r.Head(ctx)
	if err != nil {
		return err
	}
	err = r.Tx.OpenGeneration(ctx, at)
	if err == nil {
		r.note(kindFleet, f.ID, before.Epoch, at)
	}
	return err
}

func (r *recorder) DrainNode(ctx context.Context, n Node) (Node, error) {
	return updated(r, KindNode, n.Name,
		func() (Node, error) { return r.Node(ctx, n.Name) }, func() (Node, error) { return r.Tx.DrainNode(ctx, n) })
}
