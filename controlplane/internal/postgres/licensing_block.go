package postgres

import (
	"context"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/query"
)

// NodeBlock implements licensing.Reader.
func (r reader) NodeBlock(ctx context.Context, node string) (licensing.NodeBlock, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.BlockedNode, error) { return q.NodeBlock(ctx, node) })
	if err != nil {
		return licensing.NodeBlock{}, missing(err, licensing.KindNode, node)
	}
	return toNodeBlock(query.NodeBlock(row)), nil
}

// KeysBlock implements licensing.Reader.
func (r reader) KeysBlock(ctx context.Context, publicKey []byte, natsUser string) (licensing.NodeBlock, error) {
	row, err := get(ctx, r, func(ctx context.Context, q *query.Queries) (query.NodeBlock, error) {
		return q.KeysBlock(ctx, query.KeysBlockParams{PublicKey: publicKey, NatsUser: natsUser})
	})
	if err != nil {
		return licensing.NodeBlock{}, missing(err, licensing.KindNode, "of these keys")
	}
	return toNodeBlock(row), nil
}

func (t *licensingTx) InsertNodeBlock(ctx context.Context, b licensing.NodeBlock) error {
	if err := t.q.LockBlocks(ctx); err != nil {
		return failed(err, "lock the blocks of", licensing.KindNode)
	}
	return failed(t.q.InsertNodeBlock(ctx, query.InsertNodeBlockParams{
		Node: b.Node, PublicKey: filledBytes(b.PublicKey), NatsUser: b.NATSUser, Reason: b.Reason, BlockedBy: b.BlockedBy, BlockedAt: b.BlockTime,
	}), "block", licensing.KindNode)
}

func (t *licensingTx) DeleteNodeBlock(ctx context.Context, b licensing.NodeBlock) error {
	if err := t.q.LockBlocks(ctx); err != nil {
		return failed(err, "lock the blocks of", licensing.KindNode)
	}
	return failed(t.q.DeleteNodeBlock(ctx, query.DeleteNodeBlockParams{Node: b.Node, PublicKey: filledBytes(b.PublicKey)}), "unblock", licensing.KindNode)
}

func toNodeBlock(r query.NodeBlock) licensing.NodeBlock {
	return licensing.NodeBlock{
		Node: r.Node, PublicKey: r.PublicKey, NATSUser: r.NatsUser, Reason: r.Reason, BlockedBy: r.BlockedBy, BlockTime: r.BlockedAt.UTC(),
	}
}
