package dataplane

import (
	"context"
	"time"

	"tollgate/dataplane/internal/join"
)

// renewEvery is how often it is looked whether the node's certificate is to be renewed: there are months for it.
const renewEvery = time.Hour

// keepCertified has the node's certificate renewed in the last third of its time, at the control plane where it joined. It goes on trying: until the
// certificate ends, nothing is lost. A node whose key somebody else certified is left to him.
func (n *node) keepCertified(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	s := n.settings
	certificate, certified := s.certificate, s.certified
	for {
		if join.Due(certified, time.Now()) {
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
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
