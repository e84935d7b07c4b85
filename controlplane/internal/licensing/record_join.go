package licensing

import (
	"context"
	"time"
)

func (r *recorder) InsertJoinToken(ctx context.Context, t JoinToken) (JoinToken, error) {
	out, err := r.Tx.InsertJoinToken(ctx, t)
	return inserted(r, KindJoinToken, out.ID, out, err)
}

func (r *recorder) RevokeJoinToken(ctx context.Context, id string, at time.Time) (JoinToken, error) {
	return updated(r, KindJoinToken, id,
		func() (JoinToken, error) { return r.JoinToken(ctx, id) }, func() (JoinToken, error) { return r.Tx.RevokeJoinToken(ctx, id, at) })
}

func (r *recorder) UseJoinToken(ctx context.Context, id string, now time.Time) (JoinToken, error) {
	return updated(r, KindJoinToken, id,
		func() (JoinToken, error) { return r.JoinToken(ctx, id) }, func() (JoinToken, error) { return r.Tx.UseJoinToken(ctx, id, now) })
}

func (r *recorder) SaveNodeIdentity(ctx context.Context, n NodeIdentity) error {
	var before any
	old, err := r.NodeIdentity(ctx, n.Node)
	switch {
	case err == nil:
		before = old
	case CodeOf(err) != NotFound:
		return err
	}
	if err := r.Tx.SaveNodeIdentity(ctx, n); err != nil {
		return err
	}
	r.note(kindNode, n.Node, before, n)
	return nil
}
