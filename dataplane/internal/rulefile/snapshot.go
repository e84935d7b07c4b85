package rulefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tollgate/dataplane/decision"
)

// Snapshots are the names of all objects of snapshots.
func (s *Store) Snapshots(context.Context) ([]string, error) { return s.names() }

func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list the snapshots on disk: %w", err)
	}
	var names []string
	for _, e := range entries {
		if epochNamed(e.Name()) != (decision.Epoch{}) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// isManifest tells a snapshot's manifest from its chunks.
func isManifest(name string) bool { return strings.Count(name, ".") == 1 }

// epochNamed is the epoch of a snapshot's object; zero where the name is another's.
func epochNamed(name string) decision.Epoch {
	parts := strings.Split(name, ".")
	if len(parts) < 2 {
		return decision.Epoch{}
	}
	g, err1 := strconv.ParseUint(parts[0], 10, 64)
	n, err2 := strconv.ParseUint(parts[1], 10, 64)
	if err1 != nil || err2 != nil {
		return decision.Epoch{}
	}
	return decision.Epoch{Generation: g, Number: n}
}

// Snapshot is one object of a snapshot.
func (s *Store) Snapshot(_ context.Context, name string) ([]byte, error) {
	if epochNamed(name) == (decision.Epoch{}) || strings.ContainsRune(name, filepath.Separator) {
		return nil, fmt.Errorf("%q is no snapshot's object", name)
	}
	return s.readFile(name)
}

// Put keeps one object of a snapshot. The manifest comes last: when Put returns of it, the whole is on disk. To make each chunk's name durable by itself
// would be to wait for the disk twice as often.
func (s *Store) Put(name string, object []byte) error {
	if epochNamed(name) == (decision.Epoch{}) || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("%q is no snapshot's object", name)
	}
	if !isManifest(name) {
		if err := s.replaceFile(name, object, true); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		return nil
	}
	if err := syncDir(s.dir); err != nil {
		return fmt.Errorf("write the chunks of %s: %w", name, err)
	}
	return s.writeFile(name, object, true)
}

// errBehind is why a snapshot is not what the next process begins with.
var errBehind = errors.New("the snapshot is older than what was enforced")

// Begin drops what is older than a snapshot that was put whole: other snapshots, and the change sets up to it. One that is older than what was
// enforced is dropped itself.
func (s *Store) Begin(at decision.Epoch) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ahead := s.missing.Compare(at) > 0 && s.missing.Generation != unknownGeneration
	for _, n := range names {
		ahead = ahead || isManifest(n) && epochNamed(n).Compare(at) > 0
	}
	if ahead {
		for _, n := range names {
			if epochNamed(n) == at {
				_ = os.Remove(s.path(n)) // It must not be what the next process begins with.
			}
		}
		return errBehind
	}
	if err := s.cutLog(at); err != nil {
		return fmt.Errorf("cut the change sets on disk: %w", err)
	}
	s.missing = decision.Epoch{}
	for _, n := range names {
		if epochNamed(n) != at {
			err = errors.Join(err, os.Remove(s.path(n)))
		}
	}
	return err
}
