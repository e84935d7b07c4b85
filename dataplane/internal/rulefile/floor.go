package rulefile

import (
	"encoding/binary"
	"time"

	"tollgate/dataplane/decision"
)

// Files of their own: they outlive rules that are dropped, and versions that do not know them leave them alone.
const (
	floorName = "floor"
	leastName = "least"
)

// KeepFloor keeps a date which the node's does not fall behind any more. Without durable it survives the process, and not a power cut.
func (s *Store) KeepFloor(date time.Time, durable bool) error {
	return s.writeFile(floorName, binary.LittleEndian.AppendUint64(nil, uint64(date.UnixNano())), durable)
}

// Floor is the date that was kept last; zero: none was.
func (s *Store) Floor() time.Time {
	raw, err := s.readFile(floorName)
	if err != nil || len(raw) != 8 {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(raw))).UTC()
}

// keepLeast keeps that an epoch was enforced, on a disk that has no rules of it.
func (s *Store) keepLeast(at decision.Epoch) error {
	if at.Compare(s.Least()) <= 0 || at.Generation == unknownGeneration {
		return nil
	}
	return s.writeFile(leastName, withEpoch(at, nil), true)
}

// Least is the newest epoch that was enforced when rules were dropped; zero: none was.
func (s *Store) Least() decision.Epoch {
	raw, err := s.readFile(leastName)
	if err != nil || len(raw) != epochSize {
		return decision.Epoch{}
	}
	return epochOf(raw)
}
