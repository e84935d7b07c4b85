package dataplane

import (
	"context"
	"time"

	"tollgate/dataplane/internal/join"
)

// renewEvery is how often it is tried to renew the node's certificate: there are months for it. lookEvery is how often it is looked whether it counts.
const (
	renewEvery = time.Hour
	lookEvery  = time.Minute
)

// keepCertified has the node's certificate renewed in the last third of its time, at the control plane where it joined. It goes on trying: until the
// certificate ends, nothing is lost. A node whose key somebody else certified is left to him.
func (n *node) keepCertified(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	s := n.settings
	certificate, certified := s.certificate, s.certified
	var asked time.Time
	counted := true
	for {
		now := time.Now()
		if join.Due(certified, now) && now.Sub(asked) >= renewEvery {
			asked = now
			raw, c, err := join.Renew(ctx, s.DataDir, s.verifier, s.key, certificate)
			if err != nil {
				n.logger.Warn("the node's certificate is not renewed yet", "until", certified.NotAfter, "error", err)
			} else {
				// NATS's client reads the credentials' file whenever it connects.
				certificate, certified = raw, c
				n.signer.Renew(raw)
				n.logger.Info("renewed the node's certificate", "until", c.NotAfter)
			}
		}
		_, err := s.verifier.Certified(certificate, now)
		counts := err == nil || s.verifier.Version() == 0
		if counted && !counts {
			n.logger.Error("the node's certificate counts no longer, and nobody takes its log: start it with a new join token", "error", err)
		}
		counted = counts
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
