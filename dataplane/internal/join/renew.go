package join

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"time"

	"tollgate/dataplane/envelope"
	"tollgate/dataplane/jointoken"
	joinv1 "tollgate/gen/go/tollgate/join/v1"
)

// Due says whether a certificate is to be renewed: two thirds of its time are over.
func Due(c envelope.Certified, now time.Time) bool {
	return now.After(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3))
}

// Renew has the node's key certified anew, and stores the certificate and what NATS admits the node by. It asks once.
func Renew(ctx context.Context, dir string, verifier *envelope.Verifier, key ed25519.PrivateKey, certificate []byte) ([]byte, envelope.Certified, error) {
	none := envelope.Certified{}
	j, err := Read(dir)
	if err != nil {
		return nil, none, err
	}
	if j.Server == "" {
		return nil, none, fmt.Errorf("the node did not join by a token, so nobody is known who could renew its certificate: put another one in %s", filepath.Join(dir, CertificateFile))
	}
	old, err := verifier.Known(certificate)
	if err != nil {
		return nil, none, err
	}
	seed, user, err := natsUser(dir)
	if err != nil {
		return nil, none, err
	}
	req := &joinv1.RenewRequest{Certificate: certificate, NatsUser: user, Proof: ed25519.Sign(key, jointoken.RenewChallenge(certificate, user))}
	res := &joinv1.RenewResponse{}
	if err := call(ctx, j.Server, "Renew", req, res); err != nil {
		return nil, none, fmt.Errorf("renew the node's certificate: %w", err)
	}
	c, err := verify(verifier, res.GetCertificate(), old.PublicKey, old.Subject, time.Now())
	if err != nil {
		return nil, none, fmt.Errorf("%s answered with a certificate that the node does not take: %w", j.Server, err)
	}
	if err := checkJWT(res.GetNatsJwt(), user); err != nil {
		return nil, none, fmt.Errorf("%s answered with %w", j.Server, err)
	}
	// The keys are the same, so old and new ones of the two files fit together.
	if err := storeCreds(dir, res.GetNatsJwt(), seed); err != nil {
		return nil, none, err
	}
	if err := envelope.WriteCertificate(filepath.Join(dir, CertificateFile), res.GetCertificate()); err != nil {
		return nil, none, err
	}
	return res.GetCertificate(), c, nil
}
