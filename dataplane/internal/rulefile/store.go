package rulefile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tollgate/dataplane/decision"
)

// The files that are no snapshots.
const (
	logName       = "log"
	heartbeatName = "heartbeat"
	cleanName     = "clean"
	frozenName    = "frozen"
	tempEnd       = ".tmp"
)

// Config is what a Store works with.
type Config struct {
	Dir string
	// Key seals what is written. Empty: it is not sealed.
	Key []byte
}

// Store is the rules on disk. See the package comment.
type Store struct {
	dir string
	box box
	// clean is the epoch that the process before enforced, where it ended as it should.
	clean decision.Epoch

	mu  sync.Mutex
	log *os.File
	// end is where the log's whole frames end; kept are the epochs that they lead to, with their places.
	end  int64
	kept []place
	// missing is the newest epoch that could not be appended; zero: none.
	missing decision.Epoch
}

// unknownGeneration is that of an epoch which is missing, and of which no more is known.
const unknownGeneration = 1<<64 - 1

// place is where a change set stands in the log.
type place struct {
	to           decision.Epoch
	offset, size int64
}

// Open takes stock of a folder, and makes it where it is missing. What was left in the middle of being written is cut off.
func Open(cfg Config) (*Store, error) {
	s := &Store{dir: cfg.Dir}
	var err error
	if s.box, err = newBox(cfg.Key); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the rules: %w", err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of the rules: %w", err)
	}
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), tempEnd):
			err = errors.Join(err, os.Remove(s.path(e.Name())))
		case e.Name() == cleanName:
			if raw, failed := s.readFile(cleanName); failed == nil && len(raw) == epochSize {
				s.clean = epochOf(raw)
			}
			// From now on this process may enforce more than it leaves.
			err = errors.Join(err, os.Remove(s.path(cleanName)))
		}
	}
	if err == nil {
		err = syncDir(s.dir)
	}
	if err == nil {
		err = s.openLog()
	}
	if err != nil {
		return nil, fmt.Errorf("open the rules on disk: %w", err)
	}
	return s, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// openLog finds the log's change sets, and cuts a torn one off. One that cannot be opened at all ends the log, too: whoever loads it sees that
// it ends too early, where it does.
func (s *Store) openLog() error {
	f, err := os.OpenFile(s.path(logName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	s.log, s.end, s.kept = f, 0, nil
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		payload, size, err := s.box.next(logName, r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && len(payload) < epochSize {
			err = errTorn
		}
		if err != nil {
			if !errors.Is(err, errTorn) {
				s.missing = decision.Epoch{Generation: unknownGeneration} // What follows is not known.
			}
			return f.Truncate(s.end)
		}
		s.kept = append(s.kept, place{epochOf(payload), s.end, size})
		s.end += size
	}
}

// A change set is kept behind the epoch that it leads to, so that the log can be cut without reading what was signed.
const epochSize = 16

func epochOf(payload []byte) decision.Epoch {
	return decision.Epoch{Generation: binary.LittleEndian.Uint64(payload), Number: binary.LittleEndian.Uint64(payload[8:])}
}

func withEpoch(e decision.Epoch, raw []byte) []byte {
	out := make([]byte, epochSize, epochSize+len(raw))
	binary.LittleEndian.PutUint64(out, e.Generation)
	binary.LittleEndian.PutUint64(out[8:], e.Number)
	return append(out, raw...)
}

// errHole is why what is appended after a change set that could not be does not count.
var errHole = errors.New("a change set is missing on disk: waiting for a snapshot after it")

// Append keeps a change set that leads to an epoch. durable: it is on disk when Append returns; otherwise when a later durable one has.
func (s *Store) Append(to decision.Epoch, raw []byte, durable bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := s.box.frame(logName, withEpoch(to, raw))
	_, err := s.log.WriteAt(frame, s.end)
	if err == nil && durable {
		err = s.log.Sync()
	}
	if err != nil {
		s.lost(to)
		return fmt.Errorf("append a change set: %w", err)
	}
	s.kept = append(s.kept, place{to, s.end, int64(len(frame))})
	s.end += int64(len(frame))
	if s.missing != (decision.Epoch{}) {
		return errHole // It counts once a snapshot covers what is missing before it.
	}
	return nil
}

// Lost says that an epoch is enforced, and not here: what is here is older.
func (s *Store) Lost(at decision.Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost(at)
}

func (s *Store) lost(at decision.Epoch) {
	s.missing = later(s.missing, at)
	s.forgetAt(s.missing)
}

// Missing is the newest epoch that is enforced and of which this is not known to be here; zero: there is none. A snapshot at it or after it mends that.
func (s *Store) Missing() decision.Epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

func later(a, b decision.Epoch) decision.Epoch {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// forget removes what is older than what was enforced. Where that fails, at least the process does not end clean.
func (s *Store) forget() {
	names, err := s.names()
	if err != nil {
		return
	}
	for _, n := range append(names, heartbeatName) {
		_ = os.Remove(s.path(n))
	}
	_ = s.log.Truncate(0)
	s.end, s.kept, s.clean = 0, nil, decision.Epoch{}
}

// Forget removes everything, but that an epoch was enforced; zero: none is known to have been.
func (s *Store) Forget(enforced decision.Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = decision.Epoch{}
	s.forgetAt(enforced)
}

// forgetAt forgets, and keeps as least what was enforced: first, where there is room for it.
func (s *Store) forgetAt(enforced decision.Epoch) {
	err := s.keepLeast(enforced)
	s.forget()
	if err != nil {
		_ = s.keepLeast(enforced) // There is room now, or this disk takes nothing.
	}
}

// ChangeSets hands over what was appended, in order, until yield returns false.
func (s *Store) ChangeSets(yield func(raw []byte) bool) error {
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	r := bufio.NewReaderSize(io.NewSectionReader(s.log, 0, end), 1<<20)
	for {
		payload, _, err := s.box.next(logName, r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the change sets on disk: %w", err)
		}
		if !yield(payload[epochSize:]) {
			return nil
		}
	}
}

// Newest is the epoch to which what is on disk leads, by its own account; zero where there is nothing. whole: nothing is missing up to there, nor up
// to where the process before said that it left it.
func (s *Store) Newest() (newest decision.Epoch, whole bool) {
	names, err := s.names()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		// Chunks without their manifest are of a copy that broke off, and was not enforced; where it was all the same, Lost was called.
		if isManifest(n) {
			newest = later(newest, epochNamed(n))
		}
	}
	if n := len(s.kept); n > 0 {
		newest = later(newest, s.kept[n-1].to)
	}
	return newest, err == nil && s.missing == (decision.Epoch{}) && s.clean.Compare(newest) <= 0
}

// Logged is how much the log holds.
func (s *Store) Logged() (bytes int64, changeSets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end, len(s.kept)
}

// cutLog makes a log of the change sets after an epoch.
func (s *Store) cutLog(at decision.Epoch) error {
	from := len(s.kept)
	for from > 0 && s.kept[from-1].to.Compare(at) > 0 {
		from--
	}
	f, err := os.OpenFile(s.path(logName+tempEnd), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var kept []place
	var end int64
	if from < len(s.kept) {
		offset := s.kept[from].offset
		if end, err = io.Copy(f, io.NewSectionReader(s.log, offset, s.end-offset)); err != nil {
			return errors.Join(err, f.Close())
		}
		for _, p := range s.kept[from:] {
			p.offset -= offset
			kept = append(kept, p)
		}
	}
	err = errors.Join(f.Sync(), os.Rename(s.path(logName+tempEnd), s.path(logName)))
	if err == nil {
		err = syncDir(s.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_ = s.log.Close() // All that it holds is elsewhere.
	s.log, s.end, s.kept = f, end, kept
	return nil
}

// Seen keeps the last heartbeat that said that the rules are current, and how old it is by now: a clock that is set back later does not make it
// younger. It survives the process, and not a power cut.
func (s *Store) Seen(raw []byte, age time.Duration) error { return s.seen(raw, age, false) }

func (s *Store) seen(raw []byte, age time.Duration, durable bool) error {
	return s.writeFile(heartbeatName, append(binary.LittleEndian.AppendUint64(nil, uint64(age)), raw...), durable)
}

// ageSize is what stands before a heartbeat: its age in nanoseconds.
const ageSize = 8

// LastSeen is the last heartbeat that was kept, and how old it was then; nil where there is none. clean: the process that kept it ended as it should, and
// left all that it enforced.
func (s *Store) LastSeen() (raw []byte, age time.Duration, clean bool) {
	kept, err := s.readFile(heartbeatName)
	if err != nil || len(kept) < ageSize {
		return nil, 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return kept[ageSize:], time.Duration(binary.LittleEndian.Uint64(kept)), s.clean != (decision.Epoch{})
}

// Freeze keeps that nothing more of a generation is to be taken. It outlives what is dropped.
func (s *Store) Freeze(generation uint64) error {
	return s.writeFile(frozenName, withEpoch(decision.Epoch{Generation: generation}, nil), true)
}

// Frozen is the generation for which Freeze was last called; 0: it never was.
func (s *Store) Frozen() uint64 {
	raw, err := s.readFile(frozenName)
	if err != nil || len(raw) != epochSize {
		return 0
	}
	return epochOf(raw).Generation
}

// Close ends the use. last is the last heartbeat, if there was one, of that age. Where clean is set and nothing is missing, the next process finds that this one
// ended as it should.
func (s *Store) Close(last []byte, age time.Duration, clean bool) error {
	newest, whole := s.Newest()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.log.Sync()
	if last != nil {
		err = errors.Join(err, s.seen(last, age, true))
	}
	if err == nil && clean && whole {
		err = s.writeFile(cleanName, withEpoch(newest, nil), true)
	}
	return errors.Join(err, s.log.Close())
}
