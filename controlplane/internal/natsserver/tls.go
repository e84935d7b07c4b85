package natsserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of TLS, in the identity's folder. The CA certifies this deployment's NATS servers and nothing else; clients are given its certificate.
const (
	caFile         = "ca.pem"
	caKeyFile      = "ca.key"
	serverFile     = "server.pem"
	serverKeyFile  = "server.key"
	caLifetime     = 20 * 365 * 24 * time.Hour
	serverLifetime = 2 * 365 * 24 * time.Hour
	// renewWithin: a server's certificate that ends sooner is made anew when the server starts.
	renewWithin = serverLifetime / 2
	tlsSkew     = time.Hour
)

// localHosts are the names that every server's certificate has.
var localHosts = []string{"127.0.0.1", "::1", "localhost"}

// CA is the path of the CA's certificate, which clients verify the server by.
func (id *Identity) CA() string { return filepath.Join(id.dir, caFile) }

// AccountSeed is the path of the seed that signs users of the nodes' account.
func (id *Identity) AccountSeed() string { return filepath.Join(id.dir, nodesFile+".nk") }

// ensureTLS sees that dir holds a CA, and a server's certificate for hosts that does not end soon.
func ensureTLS(dir string, hosts []string, now time.Time) error {
	ca, caKey, err := readPair(dir, caFile, caKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		ca, caKey, err = createCA(dir, now)
	}
	if err != nil {
		return fmt.Errorf("NATS's CA: %w", err)
	}
	hosts = append(slices.Clone(localHosts), hosts...)
	server, _, err := readPair(dir, serverFile, serverKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("NATS's certificate: %w", err)
	case serves(server, ca, hosts, now):
		return nil
	}
	if err := certifyServer(dir, ca, caKey, hosts, now); err != nil {
		return fmt.Errorf("NATS's certificate: %w", err)
	}
	return nil
}

// serves reports whether a server's certificate is still of use.
func serves(server, ca *x509.Certificate, hosts []string, now time.Time) bool {
	for _, h := range hosts {
		if server.VerifyHostname(h) != nil {
			return false
		}
	}
	return server.CheckSignatureFrom(ca) == nil && now.Add(renewWithin).Before(server.NotAfter) && now.After(server.NotBefore)
}

func createCA(dir string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, serial, err := newCertificate()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Tollgate NATS CA"},
		NotBefore: now.Add(-tlsSkew), NotAfter: now.Add(caLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	// The certificate is written last: where it is, the key is.
	if err := storePair(dir, caFile, caKeyFile, raw, key); err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read back: %w", err)
	}
	return c, key, nil
}

func certifyServer(dir string, ca *x509.Certificate, caKey *ecdsa.PrivateKey, hosts []string, now time.Time) error {
	key, serial, err := newCertificate()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Tollgate NATS"},
		NotBefore: now.Add(-tlsSkew), NotAfter: now.Add(serverLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return storePair(dir, serverFile, serverKeyFile, raw, key)
}

func newCertificate() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return key, serial, nil
}

// storePair writes the key before the certificate. One that is renewed has another key: a start between the two finds that they don't fit,
// which readPair takes for not there.
func storePair(dir, certificate, keyName string, raw []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	if err := store(filepath.Join(dir, keyName), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return err
	}
	return store(filepath.Join(dir, certificate), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// readPair is fs.ErrNotExist where a file is missing, or the server's two don't fit together.
func readPair(dir, certificate, keyName string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	for _, f := range []string{certificate, keyName} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			return nil, nil, err
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certificate), filepath.Join(dir, keyName))
	if err != nil && certificate == serverFile {
		return nil, nil, errors.Join(fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", certificate, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s holds a %T, not an ECDSA key", keyName, pair.PrivateKey)
	}
	return pair.Leaf, key, nil
}

// serverTLS is what the server serves by: TLS 1.3 alone, as all its clients are Tollgate's.
func serverTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, serverFile), filepath.Join(dir, serverKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read NATS's certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}, nil
}
