package connectapi

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
)

// eventsPath is where REST takes usage events.
const eventsPath = restPrefix + "usage/events"

// The media types of one CloudEvent and of a batch (CloudEvents 1.0, JSON event format §3 and §4).
const (
	eventType = "application/cloudevents+json"
	batchType = "application/cloudevents-batch+json"
)

// withEvents makes a request that brings CloudEvents one that brings the message of IngestEvents. The body is read by whoever reads it, behind
// the gate.
func withEvents(r *http.Request) *http.Request {
	if r.Method != http.MethodPost || r.URL.Path != eventsPath {
		return r
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != eventType && media != batchType {
		return r
	}
	out := r.Clone(r.Context())
	out.Header.Set("Content-Type", "application/json")
	out.Header.Del("Content-Length")
	out.ContentLength = -1
	out.Body = &eventsBody{from: r.Body, batch: media == batchType}
	return out
}

// eventsBody is the message, made when it is first read.
type eventsBody struct {
	from  io.ReadCloser
	batch bool
	made  io.Reader
}

func (b *eventsBody) Read(p []byte) (int, error) {
	if b.made == nil {
		raw, err := io.ReadAll(b.from)
		if err != nil {
			return 0, err
		}
		b.made = bytes.NewReader(eventsMessage(raw, b.batch))
	}
	return b.made.Read(p)
}

func (b *eventsBody) Close() error { return b.from.Close() }

// attributes are those that an event is counted by. Others, extensions above all, are anyone's to send (§3.1).
func attributes() []string {
	return []string{"specversion", "id", "source", "type", "subject", "time", "data"}
}

// eventsMessage is the message of IngestEvents with these events. What is no event, or no JSON, is left for the message's own reader
// to refuse.
func eventsMessage(raw []byte, batch bool) []byte {
	var events []json.RawMessage
	if !batch {
		events = []json.RawMessage{raw}
	} else if err := json.Unmarshal(raw, &events); err != nil {
		return notEvents()
	}
	out := struct {
		Events []json.RawMessage `json:"events"`
	}{}
	for _, e := range events {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(e, &all); err != nil || all == nil {
			return notEvents()
		}
		kept := map[string]json.RawMessage{}
		for _, name := range attributes() {
			v, there := all[name]
			// Data of another form has no units.
			if there && (name != "data" || bytes.HasPrefix(bytes.TrimSpace(v), []byte("{"))) {
				kept[name] = v
			}
		}
		one, err := json.Marshal(kept)
		if err != nil {
			return notEvents()
		}
		out.Events = append(out.Events, one)
	}
	message, err := json.Marshal(out)
	if err != nil {
		return notEvents()
	}
	return message
}

// notEvents is what no reader of the message takes.
func notEvents() []byte { return []byte(`{"events": [not an event in JSON]}`) }
