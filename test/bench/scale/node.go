package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tollgate/dataplane/envelope"
)

// process measures a node process: it starts from a snapshot in NATS, and again from its disk with nothing else there.
func process(ctx context.Context, bin, dir string, n int) (p Process, err error) {
	progress("put a snapshot of %d licences into NATS", n)
	f, err := newFleet(ctx, dir)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	size, err := f.publish(ctx, n)
	if err != nil {
		return p, err
	}
	p.SnapshotMiB = mib(uint64(size))
	data := filepath.Join(dir, "node")
	if err := f.equip(data); err != nil {
		return p, err
	}

	progress("start a node from NATS")
	node, err := f.node(ctx, bin, data, f.nats.ClientURL())
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, node.stop()) }()
	if p.FromNATSMillis, err = node.ready(ctx); err != nil {
		return p, err
	}
	if err := node.enforces(ctx, n-1); err != nil {
		return p, err
	}
	if p.RSSMiB, p.PeakMiB, err = node.memory(ctx); err != nil {
		return p, err
	}
	if p.ChangeMillis, err = f.changes(ctx, node, n); err != nil {
		return p, err
	}
	if err := node.stop(); err != nil {
		return p, err
	}

	progress("start the node from its disk")
	unused, err := freeAddr()
	if err != nil {
		return p, err
	}
	again, err := f.node(ctx, bin, data, "nats://"+unused)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, again.stop()) }()
	if p.FromDiskMillis, err = again.ready(ctx); err != nil {
		return p, err
	}
	if err := again.enforces(ctx, n-1); err != nil {
		return p, err
	}
	p.DiskRSSMiB, _, err = again.memory(ctx)
	return p, err
}

// node is a node process.
type node struct {
	cmd        *exec.Cmd
	began      time.Time
	proxy, ops string
	log        string
	exited     chan error
	ended      bool
}

func (f *fleet) node(ctx context.Context, bin, data, nats string) (*node, error) {
	proxy, err1 := freeAddr()
	ops, err2 := freeAddr()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(filepath.Dir(data), "node.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	n := &node{proxy: proxy, ops: ops, log: log.Name(), exited: make(chan error, 1)}
	n.cmd = exec.Command(bin, "--data-dir", data, "--proxy-addr", proxy, "--ops-addr", ops, "--nats-url", nats,
		"--trust-root", envelope.EncodeRoot(f.root), "--drain-timeout", "1s")
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.began = time.Now()
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { n.exited <- n.cmd.Wait() }()
	return n, ctx.Err()
}

// stop ends it, if it runs, and waits.
func (n *node) stop() error {
	if n.ended {
		return nil
	}
	n.ended = true
	return errors.Join(n.cmd.Process.Signal(syscall.SIGTERM), <-n.exited)
}

// wait looks until f says yes.
func (n *node) wait(ctx context.Context, what string, every time.Duration, f func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	deadline := time.After(5 * time.Minute)
	for {
		if ok, err := f(); err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-n.exited:
			n.ended = true
			log, _ := os.ReadFile(n.log)
			return fmt.Errorf("the node has ended: %w\n%s", err, log)
		case <-deadline:
			log, _ := os.ReadFile(n.log)
			return fmt.Errorf("waited in vain until %s\n%s", what, log)
		case <-tick.C:
		}
	}
}

// ready waits until the node is, and says how long after its start that is.
func (n *node) ready(ctx context.Context) (millis float64, err error) {
	err = n.wait(ctx, "the node is ready", 10*time.Millisecond, func() (bool, error) {
		status, _, err := get(ctx, "http://"+n.ops+"/readyz", "")
		return err == nil && status == http.StatusOK, nil
	})
	return float64(time.Since(n.began).Microseconds()) / 1000, err
}

// enforces looks that a licence's key is let through, as far as there is anything behind the node, and that another is not.
func (n *node) enforces(ctx context.Context, license int) error {
	made, err := key(license, 0)
	if err != nil {
		return err
	}
	stranger, err := key(1<<30, 0)
	if err != nil {
		return err
	}
	for whole, want := range map[string]int{made.Whole: http.StatusBadGateway, stranger.Whole: http.StatusUnauthorized} {
		status, body, err := get(ctx, "http://"+n.proxy+"/any", whole)
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("a request is answered with %d, not %d: %s", status, want, body)
		}
	}
	return nil
}

// rest is how long a process is left alone before it is measured.
const rest = 10 * time.Second

// memory is what the process holds after a rest, and the most that it held.
func (n *node) memory(ctx context.Context) (rss, peak float64, err error) {
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(rest):
	}
	f, err := os.Open("/proc/" + strconv.Itoa(n.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64) // Other lines are no numbers.
		switch fields[0] {
		case "VmRSS:":
			rss = kib / 1024
		case "VmHWM:":
			peak = kib / 1024
		}
	}
	return rss, peak, lines.Err()
}

func get(ctx context.Context, url, key string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if key != "" {
		r.Header.Set("X-Api-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
