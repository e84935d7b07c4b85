// Package webui serves what people read in a browser: the app, from a file system that the build filled, and a page for
// each reason of a denial.
package webui

import (
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

const (
	index = "index.html"
	// assets holds what the bundler named by a hash of its content: a name never changes its meaning.
	assets = "assets/"
)

// policy lets the page load and call nothing but its own origin, and nobody frame it.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const unbuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Tollgate</title></head>
<body><h1>The web UI is not in this build</h1>
<p><code>make web</code> builds it, and the next <code>make build</code> embeds it. The admin API at this address works without it.</p></body></html>
`

// Handler serves the app in dist, and under /errors/ what the codes of decisions mean.
func Handler(dist fs.FS) (http.Handler, error) {
	app, err := app(dist)
	if err != nil {
		return nil, err
	}
	reasons, err := reasons()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.Handle("GET /errors/{code}", reasons)
	return mux, nil
}

// app serves dist. A path that names no file is a place within the app, and gets the app's page.
func app(dist fs.FS) (http.Handler, error) {
	page, err := fs.ReadFile(dist, index)
	if err != nil {
		if _, statErr := fs.Stat(dist, "."); statErr != nil {
			return nil, fmt.Errorf("read the web UI: %w", statErr)
		}
		page = []byte(unbuilt)
	}
	files := http.FileServerFS(dist)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the web UI is read with GET", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		switch {
		case isFile(dist, name) && name != index:
			if strings.HasPrefix(name, assets) {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			} else {
				w.Header().Set("Cache-Control", "no-cache")
			}
			r2 := r.Clone(r.Context())
			r2.URL.Path = "/" + name
			files.ServeHTTP(w, r2)
		case isAsset(name):
			// The page in the place of a missing asset would be run as a script.
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			if r.Method == http.MethodGet {
				_, _ = w.Write(page) // Whoever went away needs no page.
			}
		}
	}), nil
}

// protect sets the headers that keep a page of this origin from being turned against its reader.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// isAsset tells names that can only be files from places within the app, whose last element (a key) may hold a
// dot, too.
func isAsset(name string) bool {
	if name == index || path.Ext(name) == "" {
		return false
	}
	return strings.HasPrefix(name, assets) || !strings.Contains(name, "/")
}

// isFile: hidden files only keep folders in git.
func isFile(dist fs.FS, name string) bool {
	if name == "" || strings.HasPrefix(path.Base(name), ".") || !fs.ValidPath(name) {
		return false
	}
	info, err := fs.Stat(dist, name)
	return err == nil && info.Mode().IsRegular()
}
