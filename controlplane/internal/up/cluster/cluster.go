package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	superuser = "tollgate"
	database  = "tollgate"
)

// Cluster is a Postgres cluster in a folder of its own.
type Cluster struct {
	Owner    Owner
	Binaries Binaries
	dir      string
	password string
}

// Major reads the version of the cluster in dir, 0 where there is none.
func Major(dir string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "data", "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	return major, nil
}

// New describes the cluster in dir. Nothing is made or changed: see Prepare.
func New(dir string, owner Owner, binaries Binaries, password string) *Cluster {
	return &Cluster{Owner: owner, Binaries: binaries, dir: dir, password: password}
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// Prepare makes the cluster where there is none, and reports whether it did. A cluster appears whole or not at all.
func (c *Cluster) Prepare(ctx context.Context) (made bool, err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return false, fmt.Errorf("make the Postgres folder: %w", err)
	}
	if err := c.Owner.give(c.dir); err != nil {
		return false, fmt.Errorf("give the Postgres folder to %s: %w", c.Owner.Name, err)
	}
	if err := c.Owner.Enter(c.dir, "the data dir", "choose a data dir elsewhere by --data-dir or TOLLGATE_DATA_DIR"); err != nil {
		return false, err
	}
	if err := c.Owner.Enter(c.Binaries.Dir, "the server programs in", "install Postgres for all users"); err != nil {
		return false, err
	}
	if major, err := Major(c.dir); err != nil || major != 0 {
		return false, err
	}
	fresh := filepath.Join(c.dir, "new")
	if err := os.RemoveAll(fresh); err != nil {
		return false, fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := c.initdb(ctx, fresh); err != nil {
		return false, err
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return false, fmt.Errorf("put the new cluster in its place: %w", err)
	}
	return true, nil
}

func (c *Cluster) initdb(ctx context.Context, dir string) error {
	secret := filepath.Join(c.dir, "initial-password")
	if err := os.WriteFile(secret, []byte(c.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand the password to initdb: %w", err)
	}
	defer os.Remove(secret)
	if err := c.Owner.give(secret); err != nil {
		return fmt.Errorf("hand the password to initdb: %w", err)
	}
	if err := c.run(ctx, "", c.Binaries.initdb(), "-D", dir, "-U", superuser, "--auth=scram-sha-256", "--pwfile="+secret, "-E", "UTF8", "--no-locale", "--data-checksums"); err != nil {
		return fmt.Errorf("create a Postgres cluster: %w", err)
	}
	if err := c.run(ctx, "CREATE DATABASE "+database+"\n", c.Binaries.Postgres(), "--single", "-D", dir, "postgres"); err != nil {
		return fmt.Errorf("create a Postgres database: %w", err)
	}
	return nil
}

// run runs a program as the owner. Its complaints become the error.
func (c *Cluster) run(ctx context.Context, input, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = environment(), c.dir, strings.NewReader(input)
	// In a group of its own: a Ctrl-C must end it by way of ctx, and its children with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.Owner.Credential()}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if err == nil && !bytes.Contains(said.Bytes(), []byte("ERROR:")) {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(path), errors.Join(err, ctx.Err()), strings.Join(strings.Fields(said.String()), " "))
}

// environment is all that the server's programs get: no PG… variable may steer them.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// Command is how the server runs at a port of 127.0.0.1. It opens no socket file. A run
// that follows a crash finds the lock file of the former server, which may name a process that is
// another one by now: the caller has to see that none of its own is running.
func (c *Cluster) Command(port int) (path string, args, env []string, dir string) {
	settings := [...]string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(port), "unix_socket_directories=",
		"max_connections=200", "shared_buffers=128MB", "fsync=on", "synchronous_commit=on",
		"timezone=UTC", "log_timezone=UTC", "logging_collector=off", "cluster_name=tollgate",
	}
	args = []string{"-D", c.data()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return c.Binaries.Postgres(), args, environment(), c.dir
}

// URL is where the database is while the server runs at port.
func (c *Cluster) URL(port int) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, c.password),
		Host: "127.0.0.1:" + strconv.Itoa(port), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}
