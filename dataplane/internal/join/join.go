package join

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
)

// Config is what a node joins with.
type Config struct {
	// Dir is the data dir.
	Dir string
	// Token is the join token, `tgj_…`.
	Token string
	// Node is the name that the node wants; empty: the token's.
	Node string
	// Root verifies the certificate, and the key set that is kept in Dir as TrustFile.
	Root      ed25519.PublicKey
	TrustFile string
	Logger    *slog.Logger
}

// How long it is waited between attempts.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 5 * time.Second
)

// Join makes keys and has them certified. It tries until ctx ends while the control plane cannot be reached; an answer that refuses
// the node is an error at once.
func Join(ctx context.Context, c Config) error {
	token, err := jointoken.Parse(c.Token)
	if err != nil {
		return fmt.Errorf("join_token %w", err)
	}
	key, err := nodeKey(c.Dir)
	if err != nil {
		return err
	}
	seed, user, err := natsUser(c.Dir)
	if err != nil {
		return err
	}
	// Keys that are used and then lost with the power would be another node's to the control plane.
	if err := syncDir(c.Dir); err != nil {
		return err
	}
	public := key.Public().(ed25519.PublicKey)
	req := &joinv1.JoinRequest{
		Token: c.Token, Node: c.Node, PublicKey: public, NatsUser: user,
		Proof: ed25519.Sign(key, jointoken.Challenge(token.ID, c.Node, user)),
	}
	c.Logger.Info("joining the fleet", "server", token.Server, "token", token.ID, "node", c.Node)
	res := &joinv1.JoinResponse{}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		if err = call(ctx, token.Server, "Join", req, res); err == nil {
			break
		}
		if final(err) {
			return fmt.Errorf("the node cannot join: %w; make a token with `tollgate fleet join-token create`", err)
		}
		c.Logger.Warn("cannot join yet", "server", token.Server, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node has not joined: %w", errors.Join(ctx.Err(), err))
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
	verifier, err := c.verifier(res)
	if err != nil {
		return fmt.Errorf("%s answered with a key set that the node does not take: %w: is trust_root that of the fleet?", token.Server, err)
	}
	certified, err := verify(verifier, res.GetCertificate(), public, c.Node, time.Now())
	if err != nil {
		return fmt.Errorf("%s answered with a certificate that the node does not take: %w: is trust_root that of the fleet, and the clock right?", token.Server, err)
	}
	if err := c.keep(token.Server, res, user, seed); err != nil {
		return err
	}
	c.Logger.Info("joined the fleet", "node", certified.Subject, "fleet", certified.Fleet, "until", certified.NotAfter)
	return nil
}

// verifier verifies by the node's own root, and the key set that came or is there already, whichever is newer. What verifies it keeps.
func (c Config) verifier(res *joinv1.JoinResponse) (*envelope.Verifier, error) {
	v := envelope.NewVerifier(res.GetFleet(), c.Root)
	// One on the disk that cannot be used is replaced by the one that came.
	kept := v.Keep(envelope.TrustFile(filepath.Join(c.Dir, c.TrustFile)))
	if len(res.GetTrust()) == 0 {
		return v, kept
	}
	_, err := v.Adopt(res.GetTrust())
	if errors.Is(err, envelope.ErrSuperseded) {
		return v, nil
	}
	return v, err
}

// keep stores an answer, the certificate last.
func (c Config) keep(server string, res *joinv1.JoinResponse, user string, seed []byte) error {
	if err := checkJWT(res.GetNatsJwt(), user); err != nil {
		return fmt.Errorf("%s answered with %w", server, err)
	}
	if err := keepCA(c.Dir, res.GetNatsCa()); err != nil {
		return err
	}
	if err := storeCreds(c.Dir, res.GetNatsJwt(), seed); err != nil {
		return err
	}
	raw, err := json.Marshal(Joined{Server: server, NATS: res.GetNatsUrls()})
	if err != nil {
		return fmt.Errorf("encode what was told at joining: %w", err)
	}
	if err := replace(filepath.Join(c.Dir, joinedFile), append(raw, '\n')); err != nil {
		return err
	}
	if err := syncDir(c.Dir); err != nil {
		return err
	}
	return envelope.WriteCertificate(filepath.Join(c.Dir, CertificateFile), res.GetCertificate())
}

// keepCA leaves none of an earlier attempt where there is none now.
func keepCA(dir, pem string) error {
	path := filepath.Join(dir, caFile)
	if pem != "" {
		return replace(path, []byte(pem))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// verify sees that a certificate is the fleet's word, now, for this key and, unless it is empty, this name. One of an issuer that the key set leaves out
// is not: what the node logged would be taken by nobody.
func verify(v *envelope.Verifier, raw []byte, key ed25519.PublicKey, node string, now time.Time) (envelope.Certified, error) {
	c, err := v.Certified(raw, now)
	switch {
	case err != nil:
		return c, err
	case c.Usage != envelope.UsageNode:
		return c, fmt.Errorf("it is for %s, not for a node", c.Usage)
	case !key.Equal(c.PublicKey):
		return c, errors.New("it is for another key")
	case c.Subject == "" || node != "" && c.Subject != node:
		return c, fmt.Errorf("it is for node %q, not %q", c.Subject, node)
	}
	return c, nil
}

// checkJWT sees that a JWT is for the node's own user, so that no answer that NATS would refuse is kept. Whether it is genuine is NATS's to say.
func checkJWT(text, user string) error {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return errors.New("no JWT for NATS")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return errors.New("a JWT for NATS that cannot be read")
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims.Subject != user {
		return errors.New("a JWT for NATS that is not for this node's user")
	}
	return nil
}
