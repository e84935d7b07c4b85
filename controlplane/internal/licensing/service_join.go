package licensing

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"io"
	"time"

	"tollgate/dataplane/apikey"
)

// joinSecretBytes is how much a join token's secret is drawn from.
const joinSecretBytes = 25

// CreateJoinToken makes a token; Node, Replace, Uses (0: 1) are the caller's, and ttl (0: an hour). The secret is in the answer and nowhere else.
func (s *Service) CreateJoinToken(ctx context.Context, t JoinToken, ttl time.Duration) (JoinToken, string, error) {
	var b [joinSecretBytes]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return JoinToken{}, "", err
	}
	secret := base32Lower.EncodeToString(b[:])
	pepper, err := s.pepperOnce(ctx)
	if err != nil {
		return JoinToken{}, "", err
	}
	if ttl == 0 {
		ttl = defaultJoinTTL
	}
	if t.Uses == 0 {
		t.Uses = 1
	}
	var out struct {
		Token  JoinToken
		Secret string
	}
	_, err = s.write(ctx, &out, func(w *write) (err error) {
		made := JoinToken{
			Hash: apikey.Hash(pepper, secret), Node: t.Node, Replace: t.Replace, Uses: t.Uses,
			ExpireTime: w.now.Add(ttl), CreatedBy: w.call.Actor, CreateTime: w.now,
		}
		if err := made.Validate(w.now); err != nil {
			return err
		}
		made.ExpireTime = micros(made.ExpireTime)
		if made.ID, err = s.newID("jtk_", w.now); err != nil {
			return err
		}
		if !w.call.ValidateOnly {
			out.Secret = secret
		}
		out.Token, err = w.InsertJoinToken(ctx, made)
		return err
	})
	if err != nil {
		return JoinToken{}, "", err
	}
	return out.Token, out.Secret, nil
}

// ListJoinTokens takes no filter. Those that ended are listed, too.
func (s *Service) ListJoinTokens(ctx context.Context, l List) (Page[JoinToken], error) {
	return page(l, nil,
		func(l List) ([]JoinToken, error) { return s.store.JoinTokens(ctx, l) },
		func(t *JoinToken) string { return t.ID })
}

// RevokeJoinToken ends a token for good. Who joined by it stays. One that is revoked already stays as it is.
func (s *Service) RevokeJoinToken(ctx context.Context, id string) (JoinToken, error) {
	if err := checkText("id", id, maxKey); err != nil {
		return JoinToken{}, err
	}
	var out JoinToken
	_, err := s.write(ctx, &out, func(w *write) (err error) {
		if out, err = w.JoinToken(ctx, id); err != nil {
			return err
		}
		if err := w.holds(KindJoinToken, id, out.Etag); err != nil || !out.RevokeTime.IsZero() {
			return err
		}
		out, err = w.RevokeJoinToken(ctx, id, w.now)
		return err
	})
	return out, err
}

// Join takes a node in. The same token with the same keys again, also once the token is used up or has expired, gets what it got
// before: an answer may be lost. A name that another node holds is given away only by a token that says so.
func (s *Service) Join(ctx context.Context, j Joining) (NodeIdentity, error) {
	if err := j.validate(); err != nil {
		return NodeIdentity{}, err
	}
	// Whoever guesses does not come as far as the lock that all writes take.
	t, err := s.joinToken(ctx, s.store, j)
	if err != nil {
		return NodeIdentity{}, err
	}
	if s.nodes == nil {
		return NodeIdentity{}, refused("this control plane takes no nodes in")
	}
	ctx = WithCall(ctx, Call{Actor: t.ID, ActorName: "join token", Role: "join", Procedure: CallOf(ctx).Procedure, CallID: CallOf(ctx).CallID})
	var out NodeIdentity
	_, err = s.write(ctx, &out, func(w *write) error {
		t, err := s.joinToken(ctx, w, j)
		if err != nil {
			return err
		}
		node, err := t.names(j.Node)
		if err != nil {
			return err
		}
		if err := w.unblocked(ctx, j.PublicKey, j.NATSUser, "public_key"); err != nil {
			return err
		}
		old, err := w.NodeIdentity(ctx, node)
		held := err == nil
		if err != nil && CodeOf(err) != NotFound {
			return err
		}
		if held && old.Token == t.ID && old.sameKeys(j.PublicKey, j.NATSUser) && t.RevokeTime.IsZero() && !begun(old.ExpireTime, w.now) {
			out = old
			return nil
		}
		if err := t.open(w.now); err != nil {
			return err
		}
		if !t.Replace {
			if err := w.free(ctx, node, old, held, j.PublicKey); err != nil {
				return err
			}
		}
		if err := w.unshared(ctx, node, j.PublicKey, j.NATSUser); err != nil {
			return err
		}
		issued, err := s.nodes.Issue(node, j.PublicKey, j.NATSUser, w.now)
		if err != nil {
			return err
		}
		out = NodeIdentity{
			Node: node, PublicKey: j.PublicKey, NATSUser: j.NATSUser, Token: t.ID, JoinTime: w.now,
			Certificate: issued.Certificate, NATSJWT: issued.NATSJWT, ExpireTime: micros(issued.ExpireTime),
		}
		if err := w.SaveNodeIdentity(ctx, out); err != nil {
			return err
		}
		_, err = w.UseJoinToken(ctx, t.ID, w.now)
		return err
	})
	return out, err
}

// RenewNode certifies the key that holds a node's name anew. That the caller has it, and a certificate for it that has not ended, was shown.
func (s *Service) RenewNode(ctx context.Context, node string, publicKey []byte, natsUser string) (NodeIdentity, error) {
	if err := checkJoiningKeys(publicKey, natsUser); err != nil {
		return NodeIdentity{}, err
	}
	if s.nodes == nil {
		return NodeIdentity{}, refused("this control plane certifies no nodes")
	}
	ctx = WithCall(ctx, Call{Actor: node, ActorName: "node", Role: "node", Procedure: CallOf(ctx).Procedure, CallID: CallOf(ctx).CallID})
	var out NodeIdentity
	_, err := s.write(ctx, &out, func(w *write) error {
		old, err := w.NodeIdentity(ctx, node)
		if CodeOf(err) == NotFound {
			return refused("node %q did not join by a token: who certified it has to renew it", node)
		}
		if err != nil {
			return err
		}
		if !hmac.Equal(old.PublicKey, publicKey) {
			return &Error{Code: PermissionDenied, Field: "certificate", Message: "another key holds the name of node " + node + " by now: join with a new token"}
		}
		if err := w.unblocked(ctx, publicKey, natsUser, "certificate"); err != nil {
			return err
		}
		if err := w.unshared(ctx, node, publicKey, natsUser); err != nil {
			return err
		}
		issued, err := s.nodes.Issue(node, publicKey, natsUser, w.now)
		if err != nil {
			return err
		}
		out = old
		out.NATSUser, out.RenewTime = natsUser, w.now
		out.Certificate, out.NATSJWT, out.ExpireTime = issued.Certificate, issued.NATSJWT, micros(issued.ExpireTime)
		return w.SaveNodeIdentity(ctx, out)
	})
	return out, err
}

func (j *Joining) validate() error {
	if j.Node != "" && !nodeName.MatchString(j.Node) {
		return invalid("node", nodeNameRule)
	}
	return checkJoiningKeys(j.PublicKey, j.NATSUser)
}

func checkJoiningKeys(publicKey []byte, user string) error {
	switch {
	case len(publicKey) != ed25519.PublicKeySize:
		return invalid("public_key", "is of %d bytes: an Ed25519 public key has %d", len(publicKey), ed25519.PublicKeySize)
	case !natsUser.MatchString(user):
		return invalid("nats_user", "is not the public key of a NATS user: U and 55 more characters")
	}
	return nil
}

// joinToken finds the token that a node came with. Nobody learns whether the id or the secret is wrong.
func (s *Service) joinToken(ctx context.Context, r Reader, j Joining) (JoinToken, error) {
	wrong := &Error{Code: Unauthenticated, Message: "the join token is not valid", Field: "token"}
	if checkText("token", j.TokenID, maxKey) != nil {
		return JoinToken{}, wrong
	}
	pepper, err := s.pepperOnce(ctx)
	if err != nil {
		return JoinToken{}, err
	}
	t, err := r.JoinToken(ctx, j.TokenID)
	if CodeOf(err) == NotFound {
		return JoinToken{}, wrong
	}
	if err != nil {
		return JoinToken{}, err
	}
	sum := apikey.Hash(pepper, j.Secret)
	if !hmac.Equal(sum[:], t.Hash[:]) {
		return JoinToken{}, wrong
	}
	return t, nil
}

// names is the name that a node gets which asks for one by the token.
func (t *JoinToken) names(asked string) (string, error) {
	switch {
	case asked == "" && t.Node == "":
		return "", invalid("node", "is required: the join token is for any name")
	case asked == "":
		return t.Node, nil
	case t.Node != "" && asked != t.Node:
		return "", &Error{Code: PermissionDenied, Message: "the join token is for another node", Field: "node"}
	}
	return asked, nil
}

// free refuses a name that another key holds. A node that reports itself and never joined has a key that was certified elsewhere.
func (w *write) free(ctx context.Context, node string, old NodeIdentity, held bool, publicKey []byte) error {
	if held {
		if hmac.Equal(old.PublicKey, publicKey) || begun(old.ExpireTime, w.now) {
			return nil
		}
	} else {
		reported, err := w.NodeReported(ctx, node)
		if err != nil || !reported {
			return err
		}
	}
	return &Error{
		Code: AlreadyExists, Field: "node", Details: map[string]string{"kind": string(kindNode), "id": node},
		Message: "another node is called " + node + ": choose another name, or take its own by a join token that says replace",
	}
}

// unshared refuses keys that another node has.
func (w *write) unshared(ctx context.Context, node string, publicKey []byte, natsUser string) error {
	shared, err := w.NodeKeysShared(ctx, node, publicKey, natsUser)
	if err != nil || !shared {
		return err
	}
	return &Error{Code: AlreadyExists, Field: "public_key", Message: "another node has these keys: each node makes its own, so give it a data dir of its own"}
}
