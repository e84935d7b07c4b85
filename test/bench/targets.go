package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is what wrk is run against.
type target struct {
	name, url, key string
}

// start brings up all targets. stop is good even where start failed.
func start(ctx context.Context, o options) (targets []target, stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for i := len(stops) - 1; i >= 0; i-- {
			errs = append(errs, stops[i]())
		}
		return errors.Join(errs...)
	}
	for _, tool := range []string{"wrk", "nginx"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, stop, fmt.Errorf("%s is not installed; on Debian: apt-get install wrk nginx-light", tool)
		}
	}
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return nil, stop, err
	}
	stops = append(stops, func() error { return os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, stop, err
	}
	ready, end, err := startTollgate(ctx, o.bin, dir)
	stops = append(stops, end)
	if err != nil {
		return nil, stop, err
	}
	upstream, err := url.Parse(ready.UpstreamStatsURL)
	if err != nil {
		return nil, stop, err
	}
	upstream.Path = ""
	nginx, end, err := startNginx(ctx, dir, upstream.Host)
	stops = append(stops, end)
	if err != nil {
		return nil, stop, err
	}
	plain, end, err := startReverseProxy(ctx, upstream.String())
	stops = append(stops, end)
	if err != nil {
		return nil, stop, err
	}
	return []target{
		{name: "direct", url: upstream.String()},
		{name: "nginx", url: nginx},
		{name: "reverseproxy", url: plain},
		{name: "tollgate", url: ready.ProxyURL, key: ready.Demo.Keys["enterprise"]},
	}, stop, nil
}

type readyFile struct {
	ProxyURL         string `json:"proxy_url"`
	UpstreamStatsURL string `json:"upstream_stats_url"`
	Demo             struct {
		Keys map[string]string `json:"keys"`
	} `json:"demo"`
}

func startTollgate(ctx context.Context, bin, dir string) (readyFile, func() error, error) {
	path := filepath.Join(dir, "ready.json")
	cmd := exec.Command(bin, "up", "--demo", "--data-dir", filepath.Join(dir, "data"),
		"--proxy-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--ready-file", path)
	cmd.Stderr = os.Stderr
	end, err := launch(cmd, syscall.SIGINT)
	if err != nil {
		return readyFile{}, end, err
	}
	for {
		if b, err := os.ReadFile(path); err == nil {
			var r readyFile
			return r, end, json.Unmarshal(b, &r)
		}
		select {
		case <-ctx.Done():
			return readyFile{}, end, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if cmd.Process.Signal(syscall.Signal(0)) != nil {
			return readyFile{}, end, errors.New("tollgate up ended before it was ready")
		}
	}
}

func startNginx(ctx context.Context, dir, upstream string) (string, func() error, error) {
	nothing := func() error { return nil }
	addr, err := freeAddr()
	if err != nil {
		return "", nothing, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`worker_processes auto; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.err;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  upstream u { server %[2]s; keepalive 256; keepalive_requests 1000000; }
  server { listen %[3]s; keepalive_requests 1000000; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`, dir, upstream, addr)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return "", nothing, err
	}
	cmd := exec.Command("nginx", "-c", conf, "-e", filepath.Join(dir, "nginx.err"))
	end, err := launch(cmd, syscall.SIGQUIT)
	if err != nil {
		return "", end, err
	}
	return "http://" + addr, end, answering(ctx, addr)
}

// startReverseProxy runs this program again, so that the peer is a process of its own as the others are.
func startReverseProxy(ctx context.Context, upstream string) (string, func() error, error) {
	nothing := func() error { return nil }
	self, err := os.Executable()
	if err != nil {
		return "", nothing, err
	}
	cmd := exec.Command(self, "-reverse-proxy", upstream)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nothing, err
	}
	end, err := launch(cmd, syscall.SIGINT)
	if err != nil {
		return "", end, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", end, fmt.Errorf("the plain ReverseProxy did not start: %w", err)
	}
	addr := strings.TrimSpace(line)
	return "http://" + addr, end, answering(ctx, addr)
}

func serveReverseProxy(ctx context.Context, upstream string) error {
	u, err := url.Parse(upstream)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u); r.SetXForwarded() },
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	srv := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close() // The process ends either way.
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// launch starts a process; stop ends it by sig, and by force after 40 s.
func launch(cmd *exec.Cmd, sig syscall.Signal) (stop func() error, err error) {
	if err := cmd.Start(); err != nil {
		return func() error { return nil }, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // How a peer ended is of no interest.
	}()
	return func() error {
		_ = cmd.Process.Signal(sig) // It may have ended.
		select {
		case <-done:
			return nil
		case <-time.After(40 * time.Second):
			return errors.Join(fmt.Errorf("%s did not stop", cmd.Path), cmd.Process.Kill())
		}
	}, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func answering(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", addr, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type wrkResult struct {
	rps, p50, p99 float64
	errors        int
}

// script makes wrk print what it measured as one line that can be read.
const script = `done = function(s, l, r)
  local e = s.errors
  io.write(string.format("RESULT %f %f %f %d\n", s.requests / (s.duration / 1e6), l:percentile(50), l:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`

func wrk(ctx context.Context, t target, o options) (wrkResult, error) {
	lua, err := os.CreateTemp("", "wrk-*.lua")
	if err != nil {
		return wrkResult{}, err
	}
	defer os.Remove(lua.Name())
	if _, err := lua.WriteString(script); err != nil {
		return wrkResult{}, errors.Join(err, lua.Close())
	}
	if err := lua.Close(); err != nil {
		return wrkResult{}, err
	}
	args := []string{"-t1", "-c" + strconv.Itoa(o.connections), "-d" + strconv.Itoa(o.seconds) + "s", "-s", lua.Name()}
	if t.key != "" {
		args = append(args, "-H", "Authorization: Bearer "+t.key)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, t.url+"/hello")...).CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	_, line, ok := strings.Cut(string(out), "RESULT ")
	if !ok {
		return wrkResult{}, fmt.Errorf("wrk printed no result: %s", out)
	}
	var r wrkResult
	_, err = fmt.Sscan(line, &r.rps, &r.p50, &r.p99, &r.errors)
	return r, err
}
