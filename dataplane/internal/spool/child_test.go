package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/dataplane/envelope"
)

// childJob names, in the environment, what a test's child process is to do.
const childJob = "SPOOL_TEST_CHILD"

func TestMain(m *testing.M) {
	job := os.Getenv(childJob)
	if job != "" {
		go endWithParent()
	}
	switch job {
	case "":
		os.Exit(m.Run())
	case "append":
		childAppends()
	case "limit":
		childMeetsALimit()
	}
}

// endWithParent ends a child when its parent has, whatever way that went.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// child starts this test binary as another process on the house's directory.
func (h *house) child(t *testing.T, job string, boot string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childJob+"="+job, "SPOOL_DIR="+h.dir, "SPOOL_BOOT="+boot,
		"SPOOL_KEYS="+h.keyDir(t), "SPOOL_ROOT="+envelope.EncodeRoot(h.keys.root))
	cmd.Stderr = h.logs
	if _, err := cmd.StdinPipe(); err != nil { // Held open for as long as this process lives.
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func (h *house) keyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := envelope.WriteKey(filepath.Join(dir, "key.pem"), h.keys.nodeKey); err != nil {
		t.Fatal(err)
	}
	if err := envelope.WriteCertificate(filepath.Join(dir, "cert.pem"), h.keys.nodeCertificate); err != nil {
		t.Fatal(err)
	}
	if err := envelope.TrustFile(filepath.Join(dir, "trust")).StoreTrust(h.keys.trust); err != nil {
		t.Fatal(err)
	}
	return dir
}

// must ends a child that cannot do its job.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return v
}

func childConfig(sender Sender) Config {
	keys := os.Getenv("SPOOL_KEYS")
	verifier := envelope.NewVerifier(testFleet, must(envelope.ParseRoot(os.Getenv("SPOOL_ROOT"))))
	must(struct{}{}, verifier.Keep(envelope.TrustFile(filepath.Join(keys, "trust"))))
	return Config{
		Dir: os.Getenv("SPOOL_DIR"), Node: testNode, Boot: os.Getenv("SPOOL_BOOT"), Fleet: testFleet,
		Signer: envelope.NewSigner(must(envelope.ReadKey(filepath.Join(keys, "key.pem"))),
			must(envelope.ReadCertificate(filepath.Join(keys, "cert.pem")))),
		Verifier: verifier, Sender: sender, Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	}
}

// childAppends writes records as fast as it can, and says of each that its call has returned.
func childAppends() {
	cfg := childConfig(&wire{send: lost})
	cfg.SegmentRecords = 64
	l := must(Open(cfg))
	l.Start(context.Background())
	var out sync.Mutex
	say := func(sequence uint64, id string) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(sequence, id)
	}
	for range 4 {
		go func() {
			for {
				d, no := intent(), denial()
				must(d, l.Begin(d))
				say(d.Sequence, d.ID)
				must(no, l.Deny(no))
				say(no.Sequence, no.ID)
				s := settlement(d)
				must(s, l.Settle(s))
				say(0, d.ID)
			}
		}()
	}
	select {}
}

func TestI4_KillNineLosesNothingThatReturned(t *testing.T) {
	t.Parallel()
	h := setupIn(t, t.TempDir())
	const lives = 6
	said := map[string]map[uint64]string{}
	settled := map[string][]string{}
	var boots []string
	for life := range lives {
		h.boots++
		id := boot(h.boots)
		boots = append(boots, id)
		said[id] = map[uint64]string{}
		cmd, lines := h.child(t, "append", id)
		take := func() bool {
			if !lines.Scan() {
				return false
			}
			sequence, decision, whole := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseUint(sequence, 10, 64)
			switch {
			case err != nil || !whole || len(decision) != idLength:
				return true // The last line may be torn.
			case n == 0:
				settled[id] = append(settled[id], decision)
			default:
				said[id][n] = decision
			}
			return true
		}
		for range 50 + 311*life {
			if !take() {
				t.Fatalf("the child has ended: %s", h.logs)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for take() {
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("Wait: %v", err)
		}
	}
	closeIn(t, h.open(t, nil), time.Minute)
	h.plane.check(t)
	h.plane.checkChain(t, append(boots, boot(h.boots))...)
	for _, id := range boots {
		got := h.plane.of(id)
		in := map[string]bool{}
		for _, r := range got.records {
			if s := r.GetSettlement(); s != nil {
				in[s.GetDecision()] = true
			}
		}
		for sequence, decision := range said[id] {
			if sequence > uint64(len(got.records)) {
				t.Fatalf("boot %s: record %d returned and is missing, there are %d", id, sequence, len(got.records))
			}
			r := got.records[sequence-1]
			if r.GetIntent().GetId() != decision && r.GetDenial().GetId() != decision {
				t.Fatalf("boot %s: record %d is not decision %s", id, sequence, decision)
			}
		}
		for _, decision := range settled[id] {
			if !in[decision] {
				t.Fatalf("boot %s: the settlement of %s returned and is missing", id, decision)
			}
		}
		t.Logf("boot %s: %d records in %d segments, %d heard of", id, len(got.records), got.number, len(said[id])+len(settled[id]))
	}
}

// childMeetsALimit appends while the size of its files is limited, and answers on stdout what happened. It is a
// process of its own since the limit is a process's.
func childMeetsALimit() {
	signal.Ignore(syscall.SIGXFSZ)
	l := must(Open(childConfig(&wire{send: down})))
	l.Start(context.Background())
	limit := func(bytes uint64) {
		var old syscall.Rlimit
		must(0, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
		must(0, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: old.Max}))
	}
	written := 0
	for range 10 {
		d := intent()
		must(d, l.Begin(d))
		written++
	}
	// Not a multiple of a record's size: the write at the limit is torn.
	limit(8_000)
	for {
		d := intent()
		err := l.Begin(d)
		if errors.Is(err, ErrUnavailable) && d.ID == "" && d.Sequence == 0 {
			break
		}
		must(d, err)
		written++
	}
	fmt.Println("blocked", written)
	for range 1000 {
		if err := l.Deny(denial()); !errors.Is(err, ErrUnavailable) {
			fmt.Println("not blocked:", err)
			os.Exit(2)
		}
	}
	limit(1 << 40)
	for range time.Tick(10 * time.Millisecond) {
		d := intent()
		if l.Begin(d) == nil {
			written++
			fmt.Println("again", written)
			break
		}
	}
	select {}
}

func TestWriteError_BlocksUntilTheDiskTakesRecordsAgain(t *testing.T) {
	t.Parallel()
	h := setupIn(t, t.TempDir())
	h.boots++
	cmd, lines := h.child(t, "limit", boot(h.boots))
	var blocked, again int
	if !lines.Scan() {
		t.Fatalf("the child has ended: %s", h.logs)
	}
	if _, err := fmt.Sscanf(lines.Text(), "blocked %d", &blocked); err != nil {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	if !lines.Scan() {
		t.Fatalf("the child has ended: %s", h.logs)
	}
	if _, err := fmt.Sscanf(lines.Text(), "again %d", &again); err != nil {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed.
	if blocked <= 10 || again != blocked+1 {
		t.Errorf("blocked after %d records, again at %d", blocked, again)
	}
	closeIn(t, h.open(t, nil), time.Minute)
	h.plane.check(t)
	if got := len(h.plane.of(boot(1)).records); got != again {
		t.Errorf("%d records, want %d", got, again)
	}
	for _, want := range []string{"the log cannot be written", "the log can be written again"} {
		if !strings.Contains(h.logs.String(), want) {
			t.Errorf("nothing logged says %q", want)
		}
	}
}
