package dataplane_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane"
	"tollgate/dataplane/apikey"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/internal/bus/bustest"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

func TestRun_SaysInOneLineWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := newLand(t)
	for name, c := range map[string]struct {
		change func(*land)
		want   []string
	}{
		"no trust root":        {func(l *land) { l.cfg.TrustRoot = "" }, []string{"trust_root is not set", "tollgate trust show", "TOLLGATE_TRUST_ROOT"}},
		"bad trust root":       {func(l *land) { l.cfg.TrustRoot = "abc" }, []string{"trust_root", "43 characters"}},
		"another fleet's root": {func(l *land) { l.cfg.TrustRoot = other.cfg.TrustRoot }, []string{"node.cert does not verify with trust_root"}},
		"no data dir":          {func(l *land) { l.cfg.DataDir = "" }, []string{"data_dir is not set", "--data-dir"}},
		"data dir is a file": {func(l *land) {
			l.cfg.DataDir = filepath.Join(l.cfg.DataDir, "node.key")
		}, []string{"data_dir: cannot write in ", "not a directory", "choose another folder"}},
		"no key":            {func(l *land) { _ = os.Remove(filepath.Join(l.cfg.DataDir, "node.key")) }, []string{"the node has no key", "node.key", "no such file"}},
		"no certificate":    {func(l *land) { _ = os.Remove(filepath.Join(l.cfg.DataDir, "node.cert")) }, []string{"the node has no certificate", "node.cert"}},
		"other name":        {func(l *land) { l.cfg.NodeName = "node-2" }, []string{`node_name is "node-2"`, `for node "node-1"`}},
		"other usage":       {func(l *land) { l.equip(envelope.UsageRules, nodeName, time.Now().Add(time.Hour)) }, []string{"not for a node"}},
		"expired":           {func(l *land) { l.equip(envelope.UsageNode, nodeName, time.Now().Add(-time.Minute)) }, []string{"is valid from "}},
		"proxy port taken":  {func(l *land) { l.cfg.ProxyAddr = taken.Addr().String() }, []string{"proxy_addr: ", "is taken by another process", "--proxy-addr"}},
		"ops port taken":    {func(l *land) { l.cfg.OpsAddr = taken.Addr().String() }, []string{"ops_addr: ", "is taken by another process"}},
		"nowhere to listen": {func(l *land) { l.cfg.ProxyAddr = "" }, []string{"proxy_addr is empty"}},
		"no address":        {func(l *land) { l.cfg.ProxyAddr = "8080" }, []string{`proxy_addr: "8080" is not host:port`}},
		"bad NATS URL":      {func(l *land) { l.cfg.NATSURL = "http://secret@x" }, []string{"nats_url", "nats://127.0.0.1:4222"}},
		"no NATS creds":     {func(l *land) { l.cfg.NATSCreds = "/nonexistent/creds" }, []string{"nats_creds", "no such file"}},
		"bad CIDR":          {func(l *land) { l.cfg.TrustedProxies = []string{"10.0.0.0/99"} }, []string{"trusted_proxies", "10.0.0.0/8"}},
		"bad index":         {func(l *land) { l.cfg.SharedListeners, l.cfg.SharedIndex = 2, 2 }, []string{"shared_index: 2 is not 0 to 1"}},
		"no epoch":          {func(l *land) { l.cfg.ConfirmEpoch = "57" }, []string{"confirm_epoch", "1.57"}},
		"epoch and more":    {func(l *land) { l.cfg.ConfirmEpoch = "1.57x" }, []string{"confirm_epoch"}},
		"zero wait":         {func(l *land) { l.cfg.ColdWait = 0 }, []string{"cold_wait"}},
		"zero drain":        {func(l *land) { l.cfg.DrainTimeout = 0 }, []string{"drain_timeout"}},
		"nothing in flight": {func(l *land) { l.cfg.MaxInFlight = 0 }, []string{"max_in_flight"}},
	} {
		l := newLand(t)
		c.change(l)
		r := l.run()
		var err error
		select {
		case err = <-r.done:
			r.done <- err
		case <-time.After(bustest.Patience):
			t.Fatalf("%s: runs", name)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
		if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q", name, err)
		}
	}
}

func TestCommand_UnknownKeyAndFlagAreErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte("data_dirr: /x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--config", path}, `unknown key "data_dirr"; known keys: cold_wait confirm_epoch data_dir drain_timeout`},
		{[]string{"--data-dirr", "x"}, "unknown flag: --data-dirr"},
	} {
		cmd := dataplane.Command()
		cmd.SetArgs(c.args)
		cmd.SilenceErrors = true
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}

func TestI1_NodeWithoutRulesForwardsNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	l := newLand(t) // Nothing listens at its NATS URL.
	r := l.run()
	bustest.Eventually(t, "the ops port answers", func() bool {
		status, _, _ := get(t, "http://"+l.cfg.OpsAddr+"/healthz", "")
		return status == http.StatusOK
	})
	if status, _, body := get(t, "http://"+l.cfg.OpsAddr+"/readyz", ""); status != 503 || !strings.Contains(body, "NATS cannot be reached") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	bustest.Eventually(t, "the proxy answers", func() bool {
		status, header, body := get(t, "http://"+l.cfg.ProxyAddr+"/hello", "")
		return status == 503 && strings.Contains(body, `"code":"rules_unavailable"`) && header.Get("Tollgate-Decision") != ""
	})
	r.stop()
	err := <-r.done
	r.done <- err
	if err != nil {
		t.Errorf("stopping: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "spool", "*", "*.seg")); err != nil || len(left) == 0 {
		t.Errorf("the denial is not kept for the next start: %v, %v", left, err)
	}
}

// rules makes an envelope of everything that one licence needs for /hello.
func (l *land) rules(endpoint string, key apikey.Key) *rulesv1.Envelope {
	pepper := []byte("pepper")
	hash := apikey.Hash(pepper, key.Whole)
	now := timestamppb.Now()
	return &rulesv1.Envelope{Fleet: fleet, Generation: 1, From: 0, To: 1, CreatedAt: now, Records: []*rulesv1.Record{
		{Value: &rulesv1.Record_Settings{Settings: &rulesv1.Settings{Env: "live", Pepper: pepper, ErrorBaseUrl: "https://admin.example"}}},
		{Value: &rulesv1.Record_Service{Service: &rulesv1.Service{Key: "sample", Endpoints: []string{endpoint}}}},
		{Value: &rulesv1.Record_Route{Route: &rulesv1.Route{Key: "hello", Service: "sample", Path: "/hello", Meter: "requests", CostFixed: 1}}},
		{Value: &rulesv1.Record_Meter{Meter: &rulesv1.Meter{Key: "requests", Aggregation: rulesv1.Aggregation_AGGREGATION_COUNT}}},
		{Value: &rulesv1.Record_Feature{Feature: &rulesv1.Feature{Key: "calls", Type: rulesv1.FeatureType_FEATURE_TYPE_METERED, Meter: "requests"}}},
		{Value: &rulesv1.Record_PlanVersion{PlanVersion: &rulesv1.PlanVersion{Plan: "pro", Version: 1, Entitlements: []*rulesv1.Entitlement{
			{Feature: "calls", Grant: &rulesv1.Entitlement_Quota{Quota: &rulesv1.Quota{Limit: 10, Period: rulesv1.Period_PERIOD_MONTH}}},
		}}}},
		{Value: &rulesv1.Record_Customer{Customer: &rulesv1.Customer{Id: "cus_1", ExternalId: "acme"}}},
		{Value: &rulesv1.Record_License{License: &rulesv1.License{
			Id: "lic_1", Customer: "cus_1", Plan: "pro", PlanVersion: 1, Status: rulesv1.LicenseStatus_LICENSE_STATUS_ACTIVE,
			StartsAt: timestamppb.New(time.Now().Add(-time.Hour)), Anchor: now, CounterGeneration: 1,
		}}},
		{Value: &rulesv1.Record_Credential{Credential: &rulesv1.Credential{Id: key.ID, License: "lic_1", Hash: hash[:]}}},
	}}
}

func TestRun_EnforcesForwardsLogsAndDrains(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Tollgate-License")) }))
	t.Cleanup(up.Close)
	l := newLand(t)
	nats := bustest.Start(t)
	control := nats.Control(t)
	control.MakeStreams()
	l.cfg.NATSURL = nats.URL
	r := l.run()

	key, err := apikey.Generate("live", time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	change := l.rules(up.URL, key)
	hash := envelope.Hash(l.encode(change))
	control.Rules(l.sign(envelope.UsageRules, envelope.KindEnvelope, change))
	bustest.Eventually(t, "the node is ready", func() bool {
		l.beat(control, 1, hash)
		status, _, _ := get(t, "http://"+l.cfg.OpsAddr+"/readyz", "")
		return status == http.StatusOK
	})
	status, header, body := get(t, "http://"+l.cfg.ProxyAddr+"/hello", key.Whole)
	if status != 200 || body != "lic_1" || !strings.HasPrefix(header.Get("Tollgate-Decision"), "dec_") {
		t.Fatalf("%d %v %s", status, header, body)
	}
	_, _, metrics := get(t, "http://"+l.cfg.OpsAddr+"/metrics", "")
	for _, want := range []string{"tollgate_decisions_total{", "tollgate_rules_epoch", "tollgate_spool_bytes", "tollgate_lend_requests_total", "go_goroutines"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if strings.Contains(metrics, "lic_1") || strings.Contains(metrics, "cus_1") {
		t.Error("/metrics names customers")
	}
	r.stop()
	final := false
	for running := true; running; {
		select {
		case err := <-r.done:
			r.done <- err
			running = false
			if err != nil {
				t.Errorf("stopping: %v", err)
			}
		default:
			if n, last := control.Segments(); n > 0 {
				final = l.receipt(control, last.Data).GetFinal() || final
			}
		}
	}
	if !final {
		t.Error("the boot's final segment was not sent")
	}
	for line := range bytes.Lines([]byte(r.logs.String())) {
		var entry map[string]any
		if err := json.Unmarshal(line, &entry); err != nil || entry["node"] != nodeName {
			t.Errorf("log line %s: %v", line, err)
		}
	}
	if strings.Contains(r.logs.String(), key.Whole) {
		t.Error("I12: the key was logged")
	}
	if left, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "spool", "*", "*.seg")); err != nil || len(left) > 0 {
		t.Errorf("left after receipts: %v, %v", left, err)
	}
}

func TestI4_LogThatCouldNotBeSentIsSentByTheNextBoot(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	first := l.run()
	bustest.Eventually(t, "a denial is logged", func() bool {
		status, _, _ := get(t, "http://"+l.cfg.ProxyAddr+"/hello", "")
		return status == 503
	})
	first.stop()
	err := <-first.done
	first.done <- err
	nats := bustest.Start(t)
	control := nats.Control(t)
	control.MakeStreams()
	l.cfg.NATSURL = nats.URL
	l.run()
	boots := map[string]bool{}
	bustest.Eventually(t, "both boots' segments are sent", func() bool {
		if n, last := control.Segments(); n > 0 {
			boots[l.receipt(control, last.Data).GetBoot()] = true
		}
		return len(boots) == 2
	})
}

// Of two processes on one data dir the second is refused, before it touches what the first one writes.
func TestRun_ASecondProcessTouchesNothing(t *testing.T) {
	t.Parallel()
	l := newLand(t)
	l.run()
	rules := filepath.Join(l.cfg.DataDir, "rules")
	bustest.Eventually(t, "the first one holds its rules", func() bool { _, err := os.Stat(filepath.Join(rules, "log")); return err == nil })
	writing := filepath.Join(rules, "heartbeat.tmp")
	if err := os.WriteFile(writing, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := *l
	second.cfg.ProxyAddr, second.cfg.OpsAddr = freeAddr(t), freeAddr(t)
	r := second.run()
	err := <-r.done
	r.done <- err
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("the second one: %v", err)
	}
	if _, err := os.Stat(writing); err != nil {
		t.Errorf("what the first one was writing is gone: %v", err)
	}
}
