package up

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tollgate/controlplane/internal/up/cluster"
	"tollgate/controlplane/internal/up/process"
	"tollgate/dataplane/envelope"
)

// startDatabase starts Postgres, or checks that the one named answers, and returns its URL.
func (s *system) startDatabase(ctx context.Context) (string, error) {
	if s.opts.DatabaseURL != "" {
		s.file.DatabaseURL = s.opts.DatabaseURL
		return s.opts.DatabaseURL, checkDatabase(ctx, s.opts.DatabaseURL)
	}
	c, err := s.cluster(ctx)
	if err != nil {
		return "", err
	}
	made, err := c.Prepare(ctx)
	if err != nil {
		return "", err
	}
	if made {
		s.console.step("postgres", "made a Postgres %d cluster", c.Binaries.Major)
	}
	if err := c.Unlock(ctx); err != nil {
		return "", err
	}
	port, err := s.ports.take()
	if err != nil {
		return "", err
	}
	log, err := s.log("postgres")
	if err != nil {
		return "", err
	}
	spec := process.Spec{
		Name: "postgres", LogPath: log, Credential: c.Owner.Credential(),
		// Fast shutdown, then immediate shutdown. An orphan ends at once: a crash is what it is made for.
		Stop: []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}, Orphan: syscall.SIGQUIT,
		// Processes of a server that was killed may hold its memory for a moment, and no other starts until then.
		Deaths: 10,
		Ready:  func(ctx context.Context) error { return cluster.Probe(ctx, local(port)) },
	}
	spec.Path, spec.Args, spec.Env, spec.Dir = c.Command(port)
	s.postgres = s.supervisor.Start(spec)
	s.file.DatabaseURL = c.URL(port)
	return s.file.DatabaseURL, nil
}

func (s *system) cluster(ctx context.Context) (*cluster.Cluster, error) {
	dir := s.dir.join("postgres")
	major, err := cluster.Major(dir)
	if err != nil {
		return nil, err
	}
	owner, err := cluster.ChooseOwner(dir)
	if err != nil {
		return nil, err
	}
	var near []string
	if cwd, err := os.Getwd(); err == nil {
		near = append(near, cwd)
	}
	bin := filepath.Dir(s.opts.Executable)
	binaries, err := cluster.Find(ctx, s.opts.SearchPath, append(near, bin, filepath.Dir(bin)), major)
	if err != nil {
		return nil, err
	}
	password, err := s.dir.secret("postgres-password", func() (string, error) { return rand.Text(), nil })
	if err != nil {
		return nil, err
	}
	return cluster.New(dir, owner, binaries, password), nil
}

// checkDatabase finds out early, and says in a line, that nothing answers there. The URL may hold a password, so it is not repeated.
func checkDatabase(ctx context.Context, database string) error {
	u, err := url.Parse(database)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("TOLLGATE_DATABASE_URL is not an address like postgres://user:password@host:5432/database: correct it, or unset it to have a Postgres started")
	}
	if u.Hostname() == "" || strings.HasPrefix(u.Host, "/") {
		return nil // A socket file.
	}
	port := u.Port()
	if port == "" {
		port = "5432"
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return fmt.Errorf("the database of TOLLGATE_DATABASE_URL at %s does not answer: %w: start it, or unset the variable to have a Postgres started", addr, err)
	}
	return conn.Close()
}

func (s *system) startNATS() error {
	addr := s.opts.NATSAddr
	if addr == "" {
		port, err := s.ports.take()
		if err != nil {
			return err
		}
		addr = local(port)
	}
	spec, err := s.spec("nats", nil, "nats-server", "--dir", s.dir.join("nats"), "--addr", addr)
	if err != nil {
		return err
	}
	// What the server says before it wants TLS.
	spec.Ready = func(ctx context.Context) error { return greets(ctx, addr, "INFO ") }
	s.nats = s.supervisor.Start(spec)
	s.file.NATSURL = "tls://" + addr
	return nil
}

func (s *system) startUpstream() error {
	port, err := s.ports.take()
	if err != nil {
		return err
	}
	spec, err := s.spec("upstream", nil, "sample", "--addr", local(port))
	if err != nil {
		return err
	}
	s.file.UpstreamStatsURL = urlOf(local(port)) + "/stats"
	spec.Ready = answers(s.file.UpstreamStatsURL)
	s.upstream = s.supervisor.Start(spec)
	return nil
}

// migrate brings the schema up before any control plane runs, once for all of them.
func (s *system) migrate(ctx context.Context, database string) error {
	spec, err := s.spec("migrate", []string{"TOLLGATE_DATABASE_URL=" + database}, "migrate")
	if err != nil {
		return err
	}
	if err := s.supervisor.Run(ctx, spec); err != nil {
		return fmt.Errorf("the database's schema cannot be brought up to date: %w\n%s", err, endOf(spec.LogPath))
	}
	s.console.step("database", "has this version's schema")
	return nil
}

// forward opens the admin address: it leads to whichever control plane lives.
func (s *system) forward(ctx context.Context) error {
	l, err := listen(ctx, net.ListenConfig{}, s.opts.AdminAddr, "--admin-addr")
	if err != nil {
		return err
	}
	var targets []string
	for _, p := range s.planes {
		targets = append(targets, local(p.admin))
	}
	s.forwarder = startForwarder(ctx, l, targets)
	s.file.AdminURL = urlOf(l.Addr().String())
	return nil
}

func (s *system) startPlanes(database string) error {
	dir := s.dir.join("controlplane")
	if err := s.authority.Equip(dir, "rules", envelope.UsageRules, "controlplane"); err != nil {
		return err
	}
	if err := s.authority.Equip(dir, "receipts", envelope.UsageReceipts, "controlplane"); err != nil {
		return err
	}
	if err := s.authority.Equip(dir, "issuer", envelope.UsageIssuer, "controlplane"); err != nil {
		return err
	}
	// A data dir from before there were key sets gets its first; keys that were rotated or revoked stay as they are.
	signed, err := s.authority.Enrol(dir, time.Now())
	if err != nil {
		return err
	}
	if signed != nil {
		if err := s.authority.Learn(signed); err != nil {
			return err
		}
	}
	if err := s.authority.Publish(dir); err != nil {
		return err
	}
	creds, err := s.identity.Credentials("controlplane")
	if err != nil {
		return err
	}
	// Secrets are not on command lines, which every user of the machine can read.
	env := []string{
		"TOLLGATE_DATABASE_URL=" + database, "TOLLGATE_BOOTSTRAP_TOKEN_FILE=" + s.dir.join("admin-token"),
		"TOLLGATE_NATS_ACCOUNT_SEED_FILE=" + s.identity.AccountSeed(),
	}
	for _, p := range s.planes {
		spec, err := s.spec(p.name, env, "controlplane", "--name", p.name, "--data-dir", dir,
			"--admin-addr", local(p.admin), "--ops-addr", local(p.ops), "--nats-url", s.file.NATSURL, "--nats-creds", creds,
			"--nats-ca", s.file.NATSCA, "--trust-root", s.authority.Root(), "--error-base-url", s.file.AdminURL, "--admin-url", s.file.AdminURL)
		if err != nil {
			return err
		}
		spec.Ready = answers(urlOf(local(p.ops)) + "/readyz")
		p.child = s.supervisor.Start(spec)
	}
	return nil
}

// probeTimeout bounds one probe.
const probeTimeout = 2 * time.Second

// answers makes a probe that wants 200 from url.
func answers(url string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, res.Status)
		}
		return nil
	}
}

// greets succeeds where the server at addr speaks first, and begins with prefix.
func greets(ctx context.Context, addr, prefix string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	got, err := bufio.NewReader(conn).Peek(len(prefix))
	if err != nil {
		return fmt.Errorf("%s says nothing: %w", addr, err)
	}
	if string(got) != prefix {
		return fmt.Errorf("%s says %q, not %q", addr, got, prefix)
	}
	return nil
}
