package controlplane

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/internal/bus/bustest"
	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/trust"
	"tollgate/dataplane/envelope"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/gen/go/tollgate/admin/v1/adminv1connect"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// freeAddr is an address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// equip is a configuration with keys of a new fleet.
func equip(t *testing.T, database, natsURL string) Config {
	t.Helper()
	dir := t.TempDir()
	authority, err := trust.Open(filepath.Join(dir, "trust"))
	must(t, err)
	must(t, authority.Equip(dir, "rules", envelope.UsageRules, "rules"))
	must(t, authority.Equip(dir, "receipts", envelope.UsageReceipts, "receipts"))
	signed, err := authority.Enrol(dir, time.Now())
	must(t, err)
	must(t, authority.Learn(signed))
	must(t, authority.Publish(dir))
	secret, err := licensing.NewTokenSecret()
	must(t, err)
	return Config{
		Name: "cp-1", DatabaseURL: database, AdminAddr: freeAddr(t), OpsAddr: freeAddr(t), NATSURL: natsURL,
		DataDir: dir, TrustRoot: authority.Root(), Env: "live", BootstrapToken: secret,
	}
}

// start runs a control plane until the test ends; stop ends it earlier, and returns what Run did.
func start(t *testing.T, cfg Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, slog.New(slog.DiscardHandler)) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("the control plane does not stop")
			return nil
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return stop
}

func status(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// createMeter makes a change through the API, and says whether that worked.
func createMeter(t *testing.T, cfg Config, key string) bool {
	t.Helper()
	client := adminv1connect.NewCatalogServiceClient(http.DefaultClient, "http://"+cfg.AdminAddr)
	ctx, call := connect.NewClientContext(t.Context())
	call.RequestHeader().Set("Authorization", "Bearer "+cfg.BootstrapToken)
	_, err := client.CreateMeter(ctx, &adminv1.CreateMeterRequest{
		Meter: &adminv1.Meter{Key: key, Aggregation: adminv1.Aggregation_AGGREGATION_COUNT},
	})
	return err == nil
}

func TestRun_ServesAndStopsCleanly(t *testing.T) {
	t.Parallel()
	cfg := equip(t, pgtest.Database(t), bustest.Start(t).URL)
	stop := start(t, cfg)
	until(t, "ready", func() bool { return status(t, "http://"+cfg.OpsAddr+"/readyz") == http.StatusOK })
	if !createMeter(t, cfg, "m") {
		t.Error("the API does not take a change")
	}
	for _, url := range []string{cfg.OpsAddr + "/healthz", cfg.OpsAddr + "/metrics", cfg.AdminAddr + "/", cfg.AdminAddr + "/errors/rate_limited"} {
		if got := status(t, "http://"+url); got != http.StatusOK {
			t.Errorf("%s answers %d", url, got)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := status(t, "http://"+cfg.AdminAddr+"/"); got != 0 {
		t.Errorf("still listens: %d", got)
	}
	// The same data, again: nothing is founded twice, and the token is still good.
	start(t, cfg)
	until(t, "ready again", func() bool { return status(t, "http://"+cfg.OpsAddr+"/readyz") == http.StatusOK })
	if !createMeter(t, cfg, "n") {
		t.Error("the token is not good any more")
	}
}

func TestRun_OutlivesPostgresAndNATS(t *testing.T) {
	t.Parallel()
	database, broker := pgtest.Start(t), bustest.Start(t)
	cfg := equip(t, database.Database(t), broker.URL)
	start(t, cfg)
	until(t, "ready", func() bool { return status(t, "http://"+cfg.OpsAddr+"/readyz") == http.StatusOK })
	published := func() uint64 {
		_, last, err := broker.Connect(t).RulesBounds(t.Context())
		must(t, err)
		return last
	}
	before := published()
	database.Kill(t)
	broker.Stop()
	if createMeter(t, cfg, "a") {
		t.Error("a change was taken without Postgres")
	}
	if got := status(t, "http://"+cfg.OpsAddr+"/healthz"); got != http.StatusOK {
		t.Errorf("healthz %d", got)
	}
	database.Restart(t)
	broker.Again(t)
	until(t, "a change to be taken", func() bool { return createMeter(t, cfg, "b") })
	until(t, "the change on the stream", func() bool { return published() > before })
}

func TestRun_StartsBeforeNATS(t *testing.T) {
	t.Parallel()
	broker := bustest.Start(t)
	broker.Stop()
	cfg := equip(t, pgtest.Database(t), broker.URL)
	start(t, cfg)
	until(t, "the API", func() bool { return status(t, "http://"+cfg.AdminAddr+"/") == http.StatusOK })
	if got := status(t, "http://"+cfg.OpsAddr+"/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("readyz %d without NATS", got)
	}
	broker.Again(t)
	until(t, "ready", func() bool { return status(t, "http://"+cfg.OpsAddr+"/readyz") == http.StatusOK })
}

func TestRun_SaysInOneLineWhyItCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	good := equip(t, "postgres://u:secret@"+freeAddr(t)+"/db", "nats://127.0.0.1:1")
	for want, spoil := range map[string]func(*Config){
		"is Postgres running there":            func(*Config) {},
		"admin_addr " + taken.Addr().String():  func(c *Config) { c.AdminAddr = taken.Addr().String() },
		"ops_addr " + taken.Addr().String():    func(c *Config) { c.OpsAddr = taken.Addr().String() },
		"`tollgate trust init` makes":          func(c *Config) { c.DataDir = t.TempDir() },
		"not certified by trust_root":          func(c *Config) { c.TrustRoot = equip(t, "", "").TrustRoot },
		"database_url is not a postgres:// UR": func(c *Config) { c.DatabaseURL = "secret" },
	} {
		cfg := good
		spoil(&cfg)
		err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	}
}
