package licensing

import (
	"context"
	"strings"
	"time"
)

// NodeBlock stops a node: it gets no loans and no new certificate, and nothing of what its key signs is taken. It is the key that is blocked: what
// was stolen with a node is of no use under another name, and whoever takes the name over by a key of its own is not blocked.
type NodeBlock struct {
	Node string
	// PublicKey and NATSUser are those of who held the name; empty where the node did not join by a token: then all keys are meant but one that joins
	// under its name later.
	PublicKey []byte
	NATSUser  string
	Reason    string
	BlockedBy string // A token's id.
	BlockTime time.Time
}

func (b *NodeBlock) validate() error {
	if strings.TrimSpace(b.Reason) == "" {
		return invalid("reason", "is required: it tells whoever finds the node blocked why")
	}
	return checkText("reason", b.Reason, 500)
}

// refuse says why a node that is blocked gets nothing.
func (b *NodeBlock) refuse(field string) error {
	return &Error{
		Code: PermissionDenied, Field: field, Details: map[string]string{"kind": string(KindNode), "id": b.Node},
		Message: "node " + b.Node + " is blocked: " + b.Reason + ". An owner can take it back by `tollgate fleet unblock`, " +
			"or have a node with new keys take the name over by a join token that says replace",
	}
}

// BlockNode stops a node that has joined or reported itself. One that is blocked already stays as it is.
func (s *Service) BlockNode(ctx context.Context, name, reason string) (NodeBlock, error) {
	var out NodeBlock
	_, err := s.write(ctx, &out, func(w *write) error {
		made := NodeBlock{Node: name, Reason: reason, BlockedBy: w.call.Actor, BlockTime: w.now}
		if err := made.validate(); err != nil {
			return err
		}
		if err := w.knownNode(ctx, name); err != nil {
			return err
		}
		old, err := w.NodeBlock(ctx, name)
		if err == nil {
			out = old
			return nil
		}
		if CodeOf(err) != NotFound {
			return err
		}
		holder, err := w.NodeIdentity(ctx, name)
		if err != nil && CodeOf(err) != NotFound {
			return err
		}
		made.PublicKey, made.NATSUser = holder.PublicKey, holder.NATSUser
		out = made
		return w.InsertNodeBlock(ctx, made)
	})
	return out, err
}

// UnblockNode takes a node back. One that is not blocked stays as it is. Keys that were blocked when others took their name stay blocked for good.
func (s *Service) UnblockNode(ctx context.Context, name string) error {
	var out struct{}
	_, err := s.write(ctx, &out, func(w *write) error {
		if err := w.knownNode(ctx, name); err != nil {
			return err
		}
		old, err := w.NodeBlock(ctx, name)
		if CodeOf(err) == NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return w.DeleteNodeBlock(ctx, old)
	})
	return err
}

// knownNode refuses a name that no node has: a block by a mistyped name would stop nothing.
func (w *write) knownNode(ctx context.Context, name string) error {
	if err := checkText("name", name, 128); err != nil {
		return err
	}
	reported, err := w.NodeReported(ctx, name)
	if err != nil || reported {
		return err
	}
	_, err = w.NodeIdentity(ctx, name)
	return err
}

// unblocked refuses keys that are blocked, whatever name they had.
func (w *write) unblocked(ctx context.Context, publicKey []byte, natsUser, field string) error {
	b, err := w.KeysBlock(ctx, publicKey, natsUser)
	switch {
	case err == nil:
		return b.refuse(field)
	case CodeOf(err) == NotFound:
		return nil
	}
	return err
}

func (r *recorder) InsertNodeBlock(ctx context.Context, b NodeBlock) error {
	err := r.Tx.InsertNodeBlock(ctx, b)
	if err == nil {
		r.note(KindNode, b.Node, nil, b)
	}
	return err
}

func (r *recorder) DeleteNodeBlock(ctx context.Context, b NodeBlock) error {
	err := r.Tx.DeleteNodeBlock(ctx, b)
	if err == nil {
		r.note(KindNode, b.Node, b, NodeBlock{Node: b.Node})
	}
	return err
}
