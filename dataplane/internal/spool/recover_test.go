package spool

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// crashed leaves a boot of three records, none sealed, and returns its log file.
func crashed(t *testing.T, h *house) string {
	t.Helper()
	l := h.open(t, nil)
	for range 3 {
		if err := l.Deny(denial()); err != nil {
			t.Fatal(err)
		}
	}
	crash(l)
	return l.writer.log.path
}

func TestRecover_CutsATornTail(t *testing.T) {
	t.Parallel()
	frame := func(raw []byte, n int) (start, end int) {
		for range n {
			start, end = end, end+frameHeader+int(binary.LittleEndian.Uint32(raw[end:]))
		}
		return start, end
	}
	for name, c := range map[string]struct {
		tear func([]byte) []byte
		kept int
	}{
		"whole":            {func(raw []byte) []byte { return raw }, 3},
		"one byte short":   {func(raw []byte) []byte { return raw[:len(raw)-1] }, 2},
		"header only":      {func(raw []byte) []byte { s, _ := frame(raw, 3); return raw[:s+frameHeader] }, 2},
		"half a header":    {func(raw []byte) []byte { s, _ := frame(raw, 3); return raw[:s+3] }, 2},
		"zeros after":      {func(raw []byte) []byte { return append(raw, make([]byte, 4096)...) }, 3},
		"garbage after":    {func(raw []byte) []byte { return append(raw, "\x04\x00\x00\x00not a record"...) }, 3},
		"huge length":      {func(raw []byte) []byte { return append(raw, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1) }, 3},
		"last one flipped": {func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }, 2},
		"first one lost":   {func(raw []byte) []byte { _, e := frame(raw, 1); clear(raw[:e]); return raw }, 0},
		"nothing":          {func([]byte) []byte { return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			path := crashed(t, h)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			torn := c.tear(append([]byte(nil), raw...))
			if err := os.WriteFile(path, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			l := h.open(t, nil)
			_, end := frame(raw, c.kept)
			if want := int64(len(torn) - end); l.counts.tornBytes.Load() != want {
				t.Errorf("%d torn bytes counted, want %d", l.counts.tornBytes.Load(), want)
			}
			closeIn(t, l, time.Minute)
			h.plane.check(t)
			h.plane.checkChain(t, boot(1), boot(2))
			if got := len(h.plane.of(boot(1)).records); got != c.kept {
				t.Errorf("%d records, want %d", got, c.kept)
			}
		})
	}
}

// Each is a point at which a process may die; the files are put as it would leave them.
func TestRecover_GoesOnFromEachStepOfSealingAndReceipting(t *testing.T) {
	t.Parallel()
	for name, die := range map[string]func(t *testing.T, l *Log){
		"before the segment has its name": func(t *testing.T, l *Log) {
			write(t, l.writer.dir.file(1, sealedEnd)+tempEnd, "half a segm")
		},
		"before the log file is removed": func(t *testing.T, l *Log) {
			log := l.writer.dir.file(1, logEnd)
			raw := read(t, log)
			sealFirst(t, l)
			write(t, log, raw)
		},
		"before the segment is removed": func(t *testing.T, l *Log) {
			sealFirst(t, l)
			segment := l.writer.dir.file(1, sealedEnd)
			raw := read(t, segment)
			l.shipper.receipt(committed(t, l))
			if !l.shipper.writeReceipts() {
				t.Fatal("the receipt is not written")
			}
			write(t, segment, raw)
		},
		"before the head is renamed": func(t *testing.T, l *Log) {
			sealFirst(t, l)
			write(t, filepath.Join(l.writer.dir.path, headName+tempEnd), `{"ordinal":`)
		},
		"before the directory is removed": func(t *testing.T, l *Log) {
			l.writer.close()
			sealFirst(t, l)
			r := committed(t, l)
			l.shipper.receipt(r)
			_, h := l.shipper.lanes[0].receipted()
			if err := writeHead(l.writer.dir.path, h); err != nil {
				t.Fatal(err)
			}
		},
		"before the next log file has a record": func(_ *testing.T, l *Log) {
			l.writer.tick(true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			l := h.open(t, nil)
			mustForward(t, l)
			die(t, l)
			crash(l)
			closeIn(t, h.open(t, nil), time.Minute)
			h.plane.check(t)
			h.plane.checkChain(t, boot(1), boot(2))
			if got := len(h.plane.of(boot(1)).records); got != 2 {
				t.Errorf("%d records, want 2", got)
			}
			if boots, err := listBoots(h.dir); err != nil || len(boots) > 0 {
				t.Errorf("left: %v, %v", boots, err)
			}
		})
	}
}

// sealFirst cuts, if the log is open, and seals the first log file as the background would.
func sealFirst(t *testing.T, l *Log) {
	t.Helper()
	l.writer.tick(true)
	if err := l.sealer.seal(l.sealer.first()); err != nil {
		t.Fatal(err)
	}
}

// committed gives the boot's first segment to the plane, and returns the receipt.
func committed(t *testing.T, l *Log) *ledgerv1.Receipt {
	t.Helper()
	s, _ := l.shipper.lanes[0].at(1)
	raw, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.openReceipt(l.cfg.Sender.(*wire).plane.ingest(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A boot whose files do not fit together is kept as it is, and does not stop the node.
func TestRecover_HoldsABootThatDoesNotFitTogether(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(d bootDir) error{
		"segment missing":    func(d bootDir) error { return os.Remove(d.file(1, sealedEnd)) },
		"segment cut short":  func(d bootDir) error { return os.Truncate(d.file(1, sealedEnd), 40) },
		"segment's body cut": func(d bootDir) error { return os.Truncate(d.file(2, sealedEnd), 600) },
		"log file missing":   func(d bootDir) error { return os.Rename(d.file(3, logEnd), d.file(4, logEnd)) },
		"head missing":       func(d bootDir) error { return os.Remove(filepath.Join(d.path, headName)) },
		"segments swapped": func(d bootDir) error {
			return errors.Join(os.Rename(d.file(1, sealedEnd), d.file(9, "")),
				os.Rename(d.file(2, sealedEnd), d.file(1, sealedEnd)), os.Rename(d.file(9, ""), d.file(2, sealedEnd)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			l := h.open(t, nil)
			mustForward(t, l)
			sealFirst(t, l)
			mustForward(t, l)
			l.writer.tick(true)
			if err := l.sealer.seal(l.sealer.queue[1]); err != nil {
				t.Fatal(err)
			}
			mustForward(t, l)
			crash(l)
			if err := spoil(l.writer.dir); err != nil {
				t.Fatal(err)
			}
			next := h.open(t, nil)
			mustForward(t, next)
			next.Start(t.Context())
			if err := next.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "held") {
				t.Errorf("Close: %v", err)
			}
			if b := h.plane.of(boot(2)); len(b.records) != 2 || !b.final {
				t.Errorf("the next boot: %d records, final %t", len(b.records), b.final)
			}
			if _, err := os.Stat(l.writer.dir.path); errors.Is(err, fs.ErrNotExist) {
				t.Error("the held boot's files are gone")
			}
			if !strings.Contains(h.logs.String(), "is held") {
				t.Error("nothing logged says so")
			}
		})
	}
}

func TestRecover_ForgetsABootThatNeverBegan(t *testing.T) {
	t.Parallel()
	h := setup(t)
	if err := os.Mkdir(filepath.Join(h.dir, bootDirName(1, boot(77))), 0o700); err != nil {
		t.Fatal(err)
	}
	closeIn(t, h.open(t, nil), time.Minute)
	h.plane.check(t)
	h.plane.checkChain(t, boot(1))
	if len(h.plane.of(boot(77)).hash) > 0 {
		t.Error("it was sent")
	}
}
