package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
	"tollgate/test/system"
)

// Postgres is restored to where it was 60 epochs ago. Nobody is led back: the publisher stops and says so, and after `tollgate recover` every node follows.
func TestI6_NodesNeverGoBackWhenPostgresIsRestored(t *testing.T) {
	s := system.Start(t, system.Dir(t))
	r, c := s.Ready(t), s.Client(t)
	revoked, good := r.Demo.Keys["pro"], r.Demo.Keys["enterprise"]
	backUp(t, r)

	key, err := c.Keys.ListApiKeys(t.Context(), &adminv1.ListApiKeysRequest{Filter: fmt.Sprintf("license = %q", licenseOf(t, c, "pro-co").GetId())})
	if err != nil || len(key.GetApiKeys()) != 1 {
		t.Fatalf("keys of pro-co: %v, %v", key, err)
	}
	id := key.GetApiKeys()[0].GetId()
	if _, err := c.Keys.RevokeApiKey(t.Context(), &adminv1.RevokeApiKeyRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	last := writes(t, c, 60)
	reaches(t, c, last, 2)
	forward := watchEpochs(t, r)
	asked := keepAsking(t, r, revoked)

	restore(t, r)
	system.Eventually(t, 30*time.Second, "the publisher says why it stopped", func() error {
		_, body, err := system.Get(s.Ready(t).ControlPlanes[0].OpsURL+"/readyz", "")
		if err != nil || !strings.Contains(body, "tollgate recover") {
			return fmt.Errorf("%s %w", body, err)
		}
		return nil
	})
	if n := system.Metric(t, s.Ready(t).ControlPlanes[0].OpsURL, "tollgate_publisher_stopped", ""); n != 1 {
		t.Errorf("tollgate_publisher_stopped is %d", n)
	}
	out, err := tollgate(t, r, "fleet")
	if err != nil || !strings.Contains(out, "NO RULES ARE PUBLISHED") {
		t.Errorf("tollgate fleet: %s %v", out, err)
	}
	// What is written now waits.
	writes(t, c, 3)
	for _, n := range r.Nodes {
		if status, body, err := system.Get(n.ProxyURL+"/hello", good); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s %v", n.Name, status, body, err)
		}
	}
	if n := asked(); n[http.StatusOK] > 0 || len(n) != 1 {
		t.Errorf("the revoked key was answered %v before the recovery", n)
	}

	out, err = tollgate(t, r, "recover", "--yes")
	if err != nil || !strings.Contains(out, id) || !strings.Contains(out, "lost 61 epochs") {
		t.Errorf("tollgate recover: %s %v; want it to name the key that was revoked, %s", out, err, id)
	}
	head := writes(t, c, 1)
	if head.GetGeneration() != 2 || head.GetNumber() <= last.GetNumber() {
		t.Errorf("after the recovery of %v the epoch is %v", last, head)
	}
	reaches(t, c, head, 2)
	// The database's word counts again: what it has lost has to be done again.
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		for _, n := range r.Nodes {
			if status, body, err := system.Get(n.ProxyURL+"/hello", revoked); err != nil || status != want && status != http.StatusTooManyRequests {
				t.Errorf("%s: %d %s %v, want %d", n.Name, status, body, err, want)
			}
		}
		if _, err := c.Keys.RevokeApiKey(t.Context(), &adminv1.RevokeApiKeyRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		reaches(t, c, nil, 2)
	}
	if out, err := tollgate(t, r, "recover", "--yes"); err != nil || !strings.Contains(out, "nothing to recover from") {
		t.Errorf("once more: %s %v", out, err)
	}
	forward()
}

// sql runs statements on the server's maintenance database.
func sql(t *testing.T, r system.Ready, statements ...string) {
	t.Helper()
	sqlIn(t, maintenance(r), statements...)
}

// sqlIn runs statements in a database.
func sqlIn(t *testing.T, url string, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if out, err := exec.CommandContext(t.Context(), "psql", "-X", "-v", "ON_ERROR_STOP=1", url, "-c", s).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", s, err, out)
		}
	}
}

func databaseOf(r system.Ready) string {
	rest := r.DatabaseURL[strings.LastIndexByte(r.DatabaseURL, '/')+1:]
	name, _, _ := strings.Cut(rest, "?")
	return name
}

// maintenance is the URL of the database that is always there.
func maintenance(r system.Ready) string {
	at := strings.LastIndexByte(r.DatabaseURL, '/') + 1
	return r.DatabaseURL[:at] + "postgres" + strings.TrimPrefix(r.DatabaseURL[at:], databaseOf(r))
}

// alone has nobody connected to a database while statements run.
func alone(t *testing.T, r system.Ready, name string, statements ...string) {
	t.Helper()
	sql(t, r, `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	system.Eventually(t, 10*time.Second, "nobody is connected", func() error {
		out, err := exec.CommandContext(t.Context(), "psql", "-X", maintenance(r), "-Atc", `SELECT count(*) FROM pg_stat_activity WHERE datname = '`+name+`'`).Output()
		if err != nil || strings.TrimSpace(string(out)) != "0" {
			return fmt.Errorf("%s %w", out, err)
		}
		return nil
	})
	sql(t, r, statements...)
}

// backUp keeps the database as it is, and restore brings that back: all of it, as a backup would.
func backUp(t *testing.T, r system.Ready) {
	t.Helper()
	name := databaseOf(r)
	alone(t, r, name, `CREATE DATABASE backup TEMPLATE "`+name+`"`, `ALTER DATABASE "`+name+`" ALLOW_CONNECTIONS true`)
}

func restore(t *testing.T, r system.Ready) {
	t.Helper()
	name := databaseOf(r)
	alone(t, r, name, `ALTER DATABASE "`+name+`" RENAME TO lost`, `ALTER DATABASE backup RENAME TO "`+name+`"`)
}

// writes makes n epochs, and returns the last. A call may fall into the time in which the database is away.
func writes(t *testing.T, c *system.Client, n int) *adminv1.Epoch {
	t.Helper()
	var epoch *adminv1.Epoch
	for i := range n {
		key := fmt.Sprintf("m%d-%d", i, time.Now().UnixNano())
		system.Eventually(t, 20*time.Second, "a change is taken", func() error {
			res, err := c.Catalog.CreateMeter(t.Context(), &adminv1.CreateMeterRequest{
				Meter: &adminv1.Meter{Key: key, Aggregation: adminv1.Aggregation_AGGREGATION_COUNT}, RequestId: key,
			})
			epoch = res.GetEpoch()
			return err
		})
	}
	return epoch
}

// reaches waits until that many nodes, which are all, enforce an epoch; nil: the newest.
func reaches(t *testing.T, c *system.Client, epoch *adminv1.Epoch, nodes int32) {
	t.Helper()
	system.Eventually(t, 60*time.Second, "every node follows", func() error {
		res, err := c.Fleet.WaitForEpoch(t.Context(), &adminv1.WaitForEpochRequest{Epoch: epoch})
		if err != nil || res.GetEnforced() != nodes || res.GetTotal() != nodes {
			return fmt.Errorf("%v %w", res, err)
		}
		return nil
	})
}

// watchEpochs follows what nodes say that they enforce; the returned function fails the test where one went back.
func watchEpochs(t *testing.T, r system.Ready) func() {
	t.Helper()
	nc, err := nats.Connect(r.NATSURL, append(r.AsAdmin(), nats.ReconnectWait(50*time.Millisecond), nats.MaxReconnects(-1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	var mu sync.Mutex
	last, back := map[string][2]uint64{}, []string{}
	if _, err := nc.Subscribe("tollgate.fleet.*", func(m *nats.Msg) {
		var s rulesv1.NodeStatus
		if err := proto.Unmarshal(m.Data, &s); err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		now, was := [2]uint64{s.GetGeneration(), s.GetNumber()}, last[s.GetNode()]
		if now[0] < was[0] || now[0] == was[0] && now[1] < was[1] {
			back = append(back, fmt.Sprintf("%s from %v to %v", s.GetNode(), was, now))
		}
		last[s.GetNode()] = now
	}); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		system.Eventually(t, 10*time.Second, "every node has reported", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(last) != len(r.Nodes) {
				return fmt.Errorf("%v", last)
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		if len(back) > 0 {
			t.Errorf("went back: %v", back)
		}
	}
}

// keepAsking asks each node with a key, again and again; the returned function ends that and says how often each status came.
func keepAsking(t *testing.T, r system.Ready, key string) func() map[int]int {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	counts, done := map[int]int{}, make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, n := range r.Nodes {
				status, _, err := system.Get(n.ProxyURL+"/hello", key)
				if err != nil {
					status = 0
				}
				counts[status]++
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(stop)
	return func() map[int]int { stop(); <-done; return counts }
}

// tollgate runs the CLI as a user of the machine would.
func tollgate(t *testing.T, r system.Ready, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), system.Binary(t), args...)
	cmd.Env = append(os.Environ(), "TOLLGATE_DATA_DIR="+r.DataDir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
