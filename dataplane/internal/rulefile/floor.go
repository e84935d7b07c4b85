package rulefile

import (
	"encoding/binary"
	"time"
)

// floorName is a file of its own: it outlives rules that are dropped, and versions that do not know it leave it alone.
const floorName = "floor"

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
