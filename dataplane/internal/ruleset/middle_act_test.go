package ruleset_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// spoil is a message with a byte flipped, or cut off.
func (m *middle) spoil(raw []byte) []byte {
	raw = bytes.Clone(raw)
	at := m.rng.IntN(len(raw))
	if m.rng.IntN(3) == 0 {
		return raw[:at]
	}
	raw[at] ^= 1 << m.rng.IntN(8)
	return raw
}

// convey does with a change set what he likes.
func (m *middle) convey(raw []byte) {
	switch m.rng.IntN(12) {
	case 0: // It is lost.
	case 1:
		m.wire.rules(m.spoil(raw))
	case 2:
		m.wire.rules(raw)
		m.wire.rules(raw)
	case 3, 4:
		m.late = append(m.late, raw)
	case 5:
		m.release()
		m.wire.rules(raw)
	default:
		m.wire.rules(raw)
	}
}

// release sends what was held back, in any order.
func (m *middle) release() {
	m.rng.Shuffle(len(m.late), func(i, j int) { m.late[i], m.late[j] = m.late[j], m.late[i] })
	for _, raw := range m.late {
		m.wire.rules(raw)
	}
	m.late = nil
}

// store puts a snapshot where the node looks, or parts of it, or under another's name.
func (m *middle) store(s signedSnapshot) {
	own := s.objects[len(s.objects)-1].name
	as := own
	if m.rng.IntN(4) == 0 {
		as = fmt.Sprintf("%d.%020d", m.head.Generation+m.rng.Uint64N(2), m.head.Number+m.rng.Uint64N(9))
	}
	for _, o := range s.objects {
		o.name = as + strings.TrimPrefix(o.name, own)
		switch m.rng.IntN(20) {
		case 0:
		case 1:
			m.wire.put(o.name, m.spoil(o.raw))
		case 2:
			other := m.snapshots[m.rng.IntN(len(m.snapshots))].objects
			m.wire.put(o.name, other[m.rng.IntN(len(other))].raw)
		default:
			m.wire.put(o.name, o.raw)
		}
	}
}

// passBeat lets a heartbeat pass, or holds it back and lets through the oldest that he holds.
func (m *middle) passBeat(raw []byte) {
	m.lateBeats = append(m.lateBeats, raw)
	switch m.rng.IntN(8) {
	case 0:
		m.node.Heartbeat(m.spoil(raw))
	case 1:
	case 2:
		m.node.Heartbeat(m.lateBeats[0])
		m.lateBeats = m.lateBeats[1:]
	default:
		m.node.Heartbeat(raw)
		m.lateBeats = nil
	}
}

// crawl plays what was sent on at half its speed: no heartbeat is older than one before, and all fall behind.
func (m *middle) crawl() {
	m.wire.cut(false)
	for _, o := range m.snapshot().objects {
		m.wire.put(o.name, o.raw)
	}
	m.node.Heartbeat(m.beat())
	m.pass(3 * time.Second)
	var beats, changes [][]byte
	for i := range 12 {
		beats, changes = append(beats, m.beat()), append(changes, m.change().raw)
		if i%2 == 0 {
			m.wire.rules(changes[i/2])
			m.node.Heartbeat(beats[i/2])
		}
		m.settle()
		m.look(m.node)
		m.pass(4 * time.Minute)
	}
}

// act is one thing that happens.
func (m *middle) act() string {
	switch n := m.rng.IntN(100); {
	case n < 30:
		m.convey(m.change().raw)
		return "change"
	case n < 50:
		m.passBeat(m.beat())
		return "beat"
	case n < 58:
		m.store(m.snapshot())
		return "snapshot"
	case n < 59:
		if s, c := m.recover(); s != nil {
			m.store(*s)
		} else {
			m.convey(c.raw)
		}
		return "recover"
	case n < 64:
		m.release()
		return "release"
	case n < 69 && len(m.changes) > 0:
		m.wire.rules(m.changes[m.rng.IntN(len(m.changes))].raw)
		return "old change"
	case n < 73 && len(m.snapshots) > 0:
		m.store(m.snapshots[m.rng.IntN(len(m.snapshots))])
		return "old snapshot"
	case n < 78 && len(m.beats) > 0:
		m.node.Heartbeat(m.beats[m.rng.IntN(len(m.beats))])
		return "old beat"
	case n < 81:
		m.wire.wipe()
		return "wipe"
	case n < 83: // Yesterday, as if it were today.
		m.wire.wipe()
		for _, s := range m.snapshots[:m.rng.IntN(len(m.snapshots)+1)] {
			m.store(s)
		}
		for _, c := range m.changes[:m.rng.IntN(len(m.changes)+1)] {
			m.wire.rules(c.raw)
		}
		return "yesterday"
	case n < 84:
		m.wire.cut(true)
		return "cut"
	case n < 86:
		m.wire.cut(false)
		return "mend"
	case n < 90:
		m.node.disk.die(1+m.rng.IntN(2), m.rng.IntN(2) == 0)
		m.wire.rules(m.change().raw)
		return "change, die soon"
	case n < 93:
		kill := m.rng.IntN(2) == 0
		m.end(kill)
		beat := m.beat()
		m.late = append(m.late, m.change().raw)
		m.pass([]time.Duration{0, time.Second, time.Minute, 30 * time.Hour}[m.rng.IntN(4)])
		m.begin()
		if m.rng.IntN(2) == 0 {
			m.node.Heartbeat(beat) // None that it has heard is newer.
		}
		return fmt.Sprint("restart, kill ", kill)
	case n < 94:
		m.pass(16 * time.Minute)
		return "pause"
	case n < 95:
		m.crawl()
		return "crawl"
	default:
		m.pass(time.Duration(m.rng.IntN(4000)) * time.Millisecond)
		return "wait"
	}
}
