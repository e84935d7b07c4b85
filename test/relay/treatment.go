package relay

import (
	"bytes"
	"math/rand/v2"
)

// Treatment is what becomes of a message: the messages that are sent instead, in order. None: it is lost. It is called for one message
// at a time.
type Treatment func(Message) []Message

// Drop loses everything.
func Drop(Message) []Message { return nil }

// Flip flips one bit of each message.
func Flip(m Message) []Message {
	data := bytes.Clone(m.Data)
	if len(data) > 0 {
		data[rand.IntN(len(data))] ^= 1 << rand.IntN(8)
	}
	return []Message{{m.Name, data}}
}

// Truncate cuts the second half off.
func Truncate(m Message) []Message { return []Message{{m.Name, m.Data[:len(m.Data)/2]}} }

// Repeat sends each message twice.
func Repeat(m Message) []Message { return []Message{m, m} }

// Reorder exchanges each message with the next.
func Reorder() Treatment {
	var held *Message
	return func(m Message) []Message {
		if held == nil {
			held = &m
			return nil
		}
		first := *held
		held = nil
		return []Message{m, first}
	}
}

// Lag sends for each message the one that came so many before it.
func Lag(by int) Treatment {
	var held []Message
	return func(m Message) []Message {
		held = append(held, m)
		if len(held) <= by {
			return nil
		}
		m, held = held[0], held[1:]
		return []Message{m}
	}
}
