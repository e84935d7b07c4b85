package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/record"
)

// wire is a Sender that leads to a plane, and its receipts to a log.
type wire struct {
	plane *plane

	mu  sync.Mutex
	log *Log
	// send, if set, replaces the way of a segment; receipt that of a receipt.
	send    func(segment []byte) error
	receipt func(raw []byte)
	sends   int
}

var errDown = errors.New("the transport is down")

func (w *wire) Send(_ context.Context, segment []byte) error {
	w.mu.Lock()
	w.sends++
	send, receipt, log := w.send, w.receipt, w.log
	w.mu.Unlock()
	if send != nil {
		return send(segment)
	}
	raw := w.plane.ingest(segment)
	if receipt == nil {
		receipt = log.Receipt
	}
	receipt(raw)
	return nil
}

func (w *wire) set(send func([]byte) error, receipt func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send, w.receipt = send, receipt
}

func (w *wire) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sends
}

// down is a transport that does not work.
func down([]byte) error { return errDown }

// lost takes a segment and loses it.
func lost([]byte) error { return nil }

// house is a node's spool directory with all that is around it.
type house struct {
	dir   string
	keys  keys
	plane *plane
	wire  *wire
	logs  *lockedBuffer
	boots int
}

func setup(t testing.TB) *house {
	t.Helper()
	return setupIn(t, memoryDir(t))
}

// memoryDir is a directory in memory, where there is one: thousands of syncs are made where no disk is in question.
func memoryDir(t testing.TB) string {
	t.Helper()
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "spool-") //nolint:usetesting // t.TempDir is where TMPDIR says, on a disk.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func setupIn(t testing.TB, dir string) *house {
	t.Helper()
	k := newKeys(t)
	p := newPlane(k)
	return &house{dir: dir, keys: k, plane: p, wire: &wire{plane: p}, logs: &lockedBuffer{}}
}

// boot is the id of the nth boot.
func boot(n int) string { return fmt.Sprintf("%032x", n) }

func (h *house) config() Config {
	return Config{
		Dir: h.dir, Node: testNode, Boot: boot(h.boots), Fleet: testFleet,
		Signer: h.keys.node, Verifier: h.keys.verifier(), Sender: h.wire,
		Logger: slog.New(slog.NewJSONHandler(h.logs, nil)),
	}
}

// open begins the next boot. change may be nil.
func (h *house) open(t testing.TB, change func(*Config)) *Log {
	t.Helper()
	h.boots++
	cfg := h.config()
	if change != nil {
		change(&cfg)
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { crash(l) }) // A bubble has to be left empty, whatever goes wrong.
	h.wire.mu.Lock()
	h.wire.log = l
	h.wire.mu.Unlock()
	return l
}

// crash ends a log as the death of its process would: between two of its goroutines' steps.
func crash(l *Log) {
	l.start.Do(func() { l.stop = func() {} })
	l.stop()
	l.running.Wait()
	_ = unlockDir(l.lock) // As the end of a process does.
}

// closeIn closes a log and fails if that takes longer than allowed.
func closeIn(t testing.TB, l *Log, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// pass lets time pass in a bubble, and everything in it come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func intent() *record.Decision {
	return &record.Decision{
		Time: time.Date(2026, 11, 24, 10, 30, 0, 123456000, time.UTC), Epoch: decision.Epoch{Generation: 1, Number: 42},
		Outcome: decision.Forward, Code: decision.OK,
		Customer: "cus_01HZX8", License: "lic_01HZX9", Plan: "enterprise", PlanVersion: 3,
		Credential: "key_01HZXA", Route: "reports", Method: "GET", Path: "/v1/reports/2026", ClientIP: "192.0.2.7",
		Charge:   decision.Charge{Meter: "requests", Feature: "api", Units: 1, PeriodStart: 1793491200, PeriodEnd: 1796083200, Generation: 1, Lent: true},
		Overhead: 42 * time.Microsecond, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", BillIfOpen: true,
	}
}

func denial() *record.Decision {
	d := intent()
	d.Outcome, d.Code, d.Policy, d.Status, d.Charge = decision.Throttle, decision.RateLimited, "rate;k=free", 429, decision.Charge{}
	return d
}

func settlement(d *record.Decision) *record.Settlement {
	return &record.Settlement{
		Intent: d, Code: decision.OK, Status: 200, UpstreamStatus: 200,
		Duration: 3 * time.Millisecond, Overhead: 60 * time.Microsecond, BytesIn: 120, BytesOut: 4096, Billed: true,
	}
}

// mustForward writes an intent and its settlement.
func mustForward(t testing.TB, l *Log) *record.Decision {
	t.Helper()
	d := intent()
	if err := l.Begin(d); err != nil {
		t.Fatalf("Begin: %v", err)
	}
	if err := l.Settle(settlement(d)); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	return d
}

// lockedBuffer collects what is logged.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
