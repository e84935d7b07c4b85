package up

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tollgate/dataplane/envelope"
)

// nodeDrain is how long a node's open requests may take once it is told to stop: less than it is given to stop altogether.
const nodeDrain = 5 * time.Second

// nodeColdWait is longer than a node's default: everything, the clients too, shares this machine's cores, and the lender may
// be a while in getting its turn.
const nodeColdWait = 500 * time.Millisecond

// joiner makes tokens by which nodes join.
type joiner interface {
	// JoinToken makes a token for one node, by which it may take back a name that it held.
	JoinToken(ctx context.Context, node string) (string, error)
}

// startNodes starts the nodes that are part of the fleet, and leaves the others to join.
func (s *system) startNodes(ctx context.Context) error {
	for i := range s.opts.Nodes {
		n := &node{name: fmt.Sprintf("node-%d", i+1), index: i}
		var err error
		if n.proxy, err = s.ports.take(); err != nil {
			return err
		}
		if n.ops, err = s.ports.take(); err != nil {
			return err
		}
		s.nodes = append(s.nodes, n)
	}
	for _, n := range s.nodes {
		// A node that starts with everything else down finds the set on its disk.
		dir := s.dir.join("nodes", n.name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the data dir of %s: %w", n.name, err)
		}
		if err := s.authority.Publish(dir); err != nil {
			return err
		}
		if joined, err := s.joined(n); err != nil {
			return err
		} else if joined {
			if err := s.runNode(ctx, n, nil); err != nil {
				return err
			}
		} else if err := s.certifies(); err != nil {
			return fmt.Errorf("%s cannot join: %w", n.name, err)
		}
	}
	return nil
}

// joinNodes starts the nodes that startNodes left, each with a token of its own.
func (s *system) joinNodes(ctx context.Context, by joiner) error {
	for _, n := range s.nodes {
		if n.child != nil {
			continue
		}
		if err := s.runNode(ctx, n, by); err != nil {
			return err
		}
		s.console.step(n.name, "joins the fleet")
	}
	return nil
}

// joined says whether a node has a certificate that counts.
func (s *system) joined(n *node) (bool, error) {
	certificate, err := envelope.ReadCertificate(s.dir.join("nodes", n.name, "node.cert"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !s.authority.Counts(certificate, time.Now()) {
		s.console.step(n.name, "has a certificate that counts no longer, and joins again")
		return false, nil
	}
	return true, nil
}

// certifies says why control planes can let no node in. A key that was revoked and has no successor is not replaced here: somebody has said that
// none should count.
func (s *system) certifies() error {
	dir := s.dir.join("controlplane")
	certificate, err := envelope.ReadCertificate(filepath.Join(dir, "issuer.cert"))
	if err != nil {
		return err
	}
	if !s.authority.Counts(certificate, time.Now()) {
		return fmt.Errorf("the issuer's key in %s counts no longer, and there is no other: make one by `tollgate trust rotate issuer --out set.pem`, and start again", dir)
	}
	return nil
}

// runNode starts a node; by is nil where it has joined.
func (s *system) runNode(ctx context.Context, n *node, by joiner) error {
	args := []string{
		"dataplane", "--node-name", n.name, "--data-dir", s.dir.join("nodes", n.name),
		"--proxy-addr", local(n.proxy), "--ops-addr", local(n.ops), "--nats-url", s.file.NATSURL, "--nats-ca", s.file.NATSCA,
		"--trust-root", s.authority.Root(), "--drain-timeout", nodeDrain.String(), "--cold-wait", nodeColdWait.String(),
		"--shared-listeners", strconv.Itoa(len(s.shared.files)), "--shared-index", strconv.Itoa(n.index % len(s.shared.files)),
	}
	var env []string
	if by != nil {
		token, err := by.JoinToken(ctx, n.name)
		if err != nil {
			return fmt.Errorf("make a join token for %s: %w", n.name, err)
		}
		// Secrets are not on command lines, which every user of the machine can read.
		env = append(env, "TOLLGATE_JOIN_TOKEN="+token)
	} else if _, err := os.Stat(s.dir.join("nodes", n.name, "nats.creds")); errors.Is(err, fs.ErrNotExist) {
		// A node from before there was joining: its certificate is the root's, and its credentials lie with NATS.
		creds, err := s.identity.NodeCredentials(n.name)
		if err != nil {
			return err
		}
		args = append(args, "--nats-creds", creds)
	}
	spec, err := s.spec(n.name, env, args...)
	if err != nil {
		return err
	}
	spec.Files = s.shared.files
	spec.Ready = answers(urlOf(local(n.ops)) + "/readyz")
	n.child = s.supervisor.Start(spec)
	return nil
}
