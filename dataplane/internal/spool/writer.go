package spool

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"tollgate/dataplane/internal/record"
)

// settlementRoom is set aside for each open intent when a decision asks for room, since the settlements of requests
// that were let through are always taken. A settlement repeats the ids and the charge, and is rarely longer.
const settlementRoom = 512

// logFile is one log file. Its numbers belong to the writer's lock until it is handed to the sealer.
type logFile struct {
	number  uint64
	path    string
	size    int64 // Of whole frames.
	records int
	first   uint64 // The sequence of its first record, if it gets one.
	final   bool

	// use is held to sync or close the file.
	use    sync.Mutex
	f      *os.File
	closed bool
}

// sync makes durable what was written. A closed file has been.
func (l *logFile) sync() error {
	l.use.Lock()
	defer l.use.Unlock()
	if l.closed {
		return nil
	}
	return syncData(l.f)
}

func (l *logFile) close() error {
	l.use.Lock()
	defer l.use.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.f.Close()
}

// writer appends to the current log file, and cuts.
type writer struct {
	boot    string
	dir     bootDir
	bounds  bounds
	logger  *slog.Logger
	bytes   *atomic.Int64
	handOff func(*logFile)
	entries sync.Pool

	// toSync has a token when something is to be synced or the log has failed.
	toSync chan struct{}

	mu   sync.Mutex
	log  *logFile // nil once the boot is closed.
	next uint64   // Sequence.
	open int64    // Intents without settlement.
	// dirty: written since the last sync. newName: the log file's name may not be durable.
	dirty, newName bool
	failed         error // Wraps ErrUnavailable.
	fullLog        seldom
}

type bounds struct {
	spoolBytes, segmentBytes int64
	segmentRecords           int
}

func newWriter(cfg Config, dir bootDir, bytes *atomic.Int64, handOff func(*logFile)) (*writer, error) {
	w := &writer{
		boot: cfg.Boot, dir: dir, logger: cfg.Logger, bytes: bytes, handOff: handOff, next: 1,
		bounds: bounds{spoolBytes: cfg.MaxBytes, segmentBytes: cfg.SegmentBytes, segmentRecords: cfg.SegmentRecords},
		toSync: make(chan struct{}, 1),
	}
	w.entries.New = func() any { return new(entry) }
	return w, w.openLog(1)
}

// openLog makes a log file the current one. The caller holds the lock.
func (w *writer) openLog(number uint64) error {
	path := w.dir.file(number, logEnd)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.log = &logFile{number: number, path: path, f: f, first: w.next}
	w.newName = true
	return nil
}

func (w *writer) decision(kind protowire.Number, d *record.Decision) error {
	e := w.entries.Get().(*entry)
	defer w.entries.Put(e)
	e.decision(d)

	w.mu.Lock()
	defer w.mu.Unlock()
	id := record.ID(d.Time, w.boot, w.next)
	e.setID(id)
	sequence := w.next
	frame := e.frame(kind, sequence)
	reserved := w.open * settlementRoom
	if kind == intentField {
		reserved += settlementRoom
	}
	if w.bytes.Load()+int64(len(frame))+reserved > w.bounds.spoolBytes {
		return w.fullError()
	}
	if err := w.append(frame); err != nil {
		return err
	}
	if kind == intentField {
		w.open++
	}
	d.ID, d.Sequence = id, sequence
	return nil
}

func (w *writer) settlement(s *record.Settlement) error {
	e := w.entries.Get().(*entry)
	defer w.entries.Put(e)
	e.settlement(s)

	w.mu.Lock()
	defer w.mu.Unlock()
	// The room set aside for it is given back even if it cannot be written: nobody tries again.
	w.open--
	return w.append(e.frame(settlementField, w.next))
}

// append writes one frame, the next sequence's. The caller holds the lock.
func (w *writer) append(frame []byte) error {
	if w.log == nil {
		return fmt.Errorf("%w: the spool is closed", ErrUnavailable)
	}
	if w.failed != nil {
		return w.failed
	}
	size := int64(len(frame))
	if w.log.records > 0 && w.log.size+size > w.bounds.segmentBytes {
		if err := w.cut(); err != nil {
			return w.fail("open the next log file", err)
		}
	}
	if n, err := w.log.f.WriteAt(frame, w.log.size); err != nil {
		if n > 0 {
			w.truncate()
		}
		return w.fail("write", err)
	}
	w.log.size += size
	w.log.records++
	w.bytes.Add(size)
	w.next++
	if !w.dirty {
		w.dirty = true
		w.wakeSync()
	}
	if w.log.records >= w.bounds.segmentRecords {
		if err := w.cut(); err != nil {
			_ = w.fail("open the next log file", err) // This record is written: the next one gets the error.
		}
	}
	return nil
}

func (w *writer) fullError() error {
	if w.fullLog.now() {
		w.logger.Error("the spool is full, requests are blocked until the control plane takes segments",
			"bytes", w.bytes.Load(), "max_bytes", w.bounds.spoolBytes)
	}
	return errFull
}

var errFull = fmt.Errorf("%w: the spool is full", ErrUnavailable)

// fail makes the log unavailable until a probe succeeds. The caller holds the lock.
func (w *writer) fail(doing string, err error) error {
	if w.failed == nil {
		w.failed = fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
		w.logger.Error("the log cannot be written, requests are blocked until it can be", "doing", doing, "error", err)
		w.wakeSync()
	}
	return w.failed
}

// truncate cuts off what a torn write left. Should that fail too, the torn bytes stay, and the file gets no
// more records: its reader stops at its size, or at the torn frame.
func (w *writer) truncate() {
	if err := w.log.f.Truncate(w.log.size); err != nil {
		w.logger.Error("a torn write cannot be cut off", "file", w.log.path, "size", w.log.size, "error", err)
	}
}

// cut hands the current log file to the sealer, once the next one is there. The caller holds the lock.
func (w *writer) cut() error {
	done := w.log
	if err := w.openLog(done.number + 1); err != nil {
		return err
	}
	w.dirty = false // The sealer syncs what it gets.
	w.handOff(done)
	return nil
}

// tick cuts what the last second has brought. An empty log file is cut only if show is set.
func (w *writer) tick(show bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log == nil || w.failed != nil || (w.log.records == 0 && !show) {
		return
	}
	if err := w.cut(); err != nil {
		_ = w.fail("open the next log file", err) // Logged there; no record is waiting for it.
	}
}

// close hands the last log file to the sealer as final. It does nothing when called again.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log == nil {
		return
	}
	w.log.final = true
	w.handOff(w.log)
	w.log = nil
}

// available reports whether the log would take an intent.
func (w *writer) available() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log != nil && w.failed == nil && w.bytes.Load()+(w.open+1)*settlementRoom <= w.bounds.spoolBytes
}
