// Package sample is a small HTTP service to put Tollgate before: it answers, echoes, and counts what reached it.
package sample

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// maxEcho bounds how much of a body is read and echoed.
const maxEcho = 1 << 20

// maxPaths bounds how many different paths are counted by name; further ones count as "other".
const maxPaths = 10_000

const otherPaths = "other"

// Handler answers every path and counts each request but those for its own statistics. Safe for concurrent use.
type Handler struct {
	mu       sync.Mutex
	requests int64
	byPath   map[string]int64
}

// NewHandler returns a handler that has counted nothing.
func NewHandler() *Handler { return &Handler{byPath: map[string]int64{}} }

// Stats is what reached the service.
type Stats struct {
	Requests int64            `json:"requests"`
	ByPath   map[string]int64 `json:"by_path"`
}

// echo is what the service received.
type echo struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // As sent: escapes are kept.
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// ServeHTTP answers `/stats` with Stats, `/echo` and `/echo/…` with the request, anything else with a line of text.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/stats" {
		writeJSON(w, h.Stats())
		return
	}
	h.count(r.URL.Path)
	if r.URL.Path == "/echo" || strings.HasPrefix(r.URL.Path, "/echo/") {
		serveEcho(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "hello from the sample service")
}

// Stats returns what was counted so far.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Requests: h.requests, ByPath: maps.Clone(h.byPath)}
}

func (h *Handler) count(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
	if _, known := h.byPath[path]; !known && len(h.byPath) >= maxPaths {
		path = otherPaths
	}
	h.byPath[path]++
}

func serveEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEcho))
	if err != nil {
		http.Error(w, "the body cannot be read, or is over 1 MiB", http.StatusBadRequest)
		return
	}
	e := echo{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Headers: map[string]string{"Host": r.Host}, Body: string(body)}
	for name, values := range r.Header {
		e.Headers[name] = strings.Join(values, ", ")
	}
	writeJSON(w, e)
}

func writeJSON(w http.ResponseWriter, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failing write means that the client is gone: there is no one to tell.
	_, _ = w.Write(append(raw, '\n'))
}
