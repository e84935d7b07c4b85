package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// leftovers is what earlier boots left, sealed and final but for the boots that are held.
type leftovers struct {
	lanes []*lane
	bytes int64
	// last is the end of the newest boot, which the new one chains to; zero with none.
	last head
	// removed is the end of the newest boot whose directory is gone.
	removed head
}

// recovery seals what the boots before this one left.
type recovery struct {
	stamp  stamp
	logger *slog.Logger
	counts *counts
}

func recoverBoots(dir, boot string, st stamp, logger *slog.Logger, counts *counts) (leftovers, error) {
	removed, _, err := readHead(dir)
	if err != nil {
		return leftovers{}, err
	}
	left := leftovers{last: removed, removed: removed}
	boots, err := listBoots(dir)
	if err != nil {
		return leftovers{}, err
	}
	r := recovery{stamp: st, logger: logger, counts: counts}
	for _, d := range boots {
		if d.boot == boot {
			return leftovers{}, fmt.Errorf("boot %s has been here before; a boot is one life of a process", boot)
		}
		l, err := r.boot(d)
		if err != nil {
			return leftovers{}, fmt.Errorf("recover boot %s: %w", d.boot, err)
		}
		if l == nil {
			continue
		}
		left.lanes = append(left.lanes, l)
		size, err := d.size()
		if err != nil {
			return leftovers{}, err
		}
		left.bytes += size
		if d.ordinal > left.last.Ordinal {
			left.last = head{Ordinal: d.ordinal, Boot: d.boot, Hash: l.end().hash}
		}
	}
	return left, nil
}

// boot makes a lane of a boot's directory. It returns nil, and removes the directory, where the boot never got as far as its first log
// file. An error says that the disk refused; what does not fit together holds the lane instead.
func (r recovery) boot(d bootDir) (*lane, error) {
	h, found, err := readHead(d.path)
	if err != nil {
		return nil, err
	}
	if err := removeTemps(d.path); err != nil {
		return nil, err
	}
	sealed, err := d.list(sealedEnd)
	if err != nil {
		return nil, err
	}
	logs, err := d.list(logEnd)
	if err != nil {
		return nil, err
	}
	if !found && len(sealed)+len(logs) == 0 {
		return nil, os.RemoveAll(d.path)
	}
	l := newLane(d, h)
	if !found {
		return r.hold(l, errors.New("its head is missing")), nil
	}
	for _, n := range sealed {
		if n <= h.Number {
			if err := os.Remove(d.file(n, sealedEnd)); err != nil {
				return nil, err
			}
			continue
		}
		s, err := readSegment(d, n, l.end())
		if err != nil {
			return r.hold(l, err), nil
		}
		l.add(s)
	}
	return l, r.sealLogs(l, logs)
}

// readSegment reads a sealed segment's header and checks that it follows t.
func readSegment(d bootDir, number uint64, t tail) (segment, error) {
	path := d.file(number, sealedEnd)
	if number != t.number+1 {
		return segment{}, fmt.Errorf("segment %d is missing", t.number+1)
	}
	info, err := os.Stat(path)
	if err != nil {
		return segment{}, err
	}
	h, hash, err := readHeader(path)
	if err != nil {
		return segment{}, err
	}
	if h.GetBoot() != d.boot || h.GetNumber() != number || !bytes.Equal(h.GetPreviousHash(), t.hash) {
		return segment{}, fmt.Errorf("%s does not follow the segment before it", path)
	}
	return segment{
		number: number, hash: hash, path: path, size: info.Size(),
		next: h.GetFirstSequence() + uint64(h.GetRecords()), final: h.GetFinal(),
	}, nil
}

// sealLogs seals the log files that are left, in order, so that the boot ends in one final segment.
func (r recovery) sealLogs(l *lane, logs []uint64) error {
	var open []uint64
	for _, n := range logs {
		if n > l.end().number {
			open = append(open, n)
			continue
		}
		// It was sealed, and its removal was cut short.
		if err := os.Remove(l.dir.file(n, logEnd)); err != nil {
			return err
		}
	}
	if l.final() {
		if len(open) > 0 {
			r.hold(l, fmt.Errorf("log file %d lies after the final segment", open[0]))
		}
		return nil
	}
	for i, n := range open {
		if n != l.end().number+1 {
			r.hold(l, fmt.Errorf("log file %d is missing", l.end().number+1))
			return nil
		}
		if err := r.seal(l, n, i == len(open)-1); err != nil {
			return err
		}
	}
	if len(open) > 0 {
		return nil
	}
	s, err := r.stamp.seal(l.dir, l.end(), contents{}, true)
	if err != nil {
		return err
	}
	l.add(s)
	return nil
}

func (r recovery) seal(l *lane, number uint64, final bool) error {
	path := l.dir.file(number, logEnd)
	c, err := scan(path, -1)
	if err != nil {
		return err
	}
	if c.torn > 0 {
		r.counts.tornBytes.Add(c.torn)
		r.logger.Warn("a log file ends in bytes that are no whole record, they are left out",
			"file", path, "bytes", c.torn, "records", c.records)
	}
	if c.records > 0 && c.first != l.end().next {
		r.logger.Error("records are missing between two log files",
			"boot", l.dir.boot, "log_file", number, "from", l.end().next, "to", c.first-1)
	}
	s, err := r.stamp.seal(l.dir, l.end(), c, final)
	if err != nil {
		return err
	}
	l.add(s)
	r.logger.Info("a log file of an earlier boot is sealed", "boot", l.dir.boot, "number", s.number, "records", c.records, "final", final)
	return os.Remove(path)
}

func (r recovery) hold(l *lane, why error) *lane {
	l.held = why
	r.logger.Error("a boot's log is held: nothing of it is sent or removed until someone has looked", "boot", l.dir.boot, "dir", l.dir.path, "error", why)
	return l
}

// removeTemps removes files whose writing was cut short: none of them has been named.
func removeTemps(dir string) error {
	temps, err := filepath.Glob(filepath.Join(dir, "*"+tempEnd))
	if err != nil {
		return err
	}
	for _, t := range temps {
		if err := os.Remove(t); err != nil {
			return err
		}
	}
	return nil
}
