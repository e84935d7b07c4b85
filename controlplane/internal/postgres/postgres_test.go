package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/internal/licensing"
	"tollgate/controlplane/internal/postgres"
	"tollgate/controlplane/internal/postgres/pgtest"
	"tollgate/controlplane/internal/rulefeed"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func service(t *testing.T, db *postgres.DB) *licensing.Service {
	t.Helper()
	s, err := licensing.New(licensing.Config{Store: db.Licensing(), Encoder: rulefeed.Encoder{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bootstrap(t.Context(), licensing.Founding{ID: "test", ErrorBaseURL: "http://errors.test"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// Control planes that start together migrate once.
func TestMigrate_RunsOnceForManyProcesses(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	var steps atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			n, err := postgres.Migrate(t.Context(), url)
			if err != nil {
				t.Error(err)
			}
			if n > 0 {
				steps.Add(1)
			}
		})
	}
	wg.Wait()
	if steps.Load() != 1 {
		t.Errorf("%d processes migrated", steps.Load())
	}
	if n, err := postgres.Migrate(t.Context(), url); n != 0 || err != nil {
		t.Errorf("migrated again: %d steps, %v", n, err)
	}
}

func TestOpen_SaysWhatIsWrongWithoutThePassword(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	l.Close()
	for _, url := range []string{
		"postgres://u:hunter2@" + free + "/db?sslmode=disable",
		"postgres://u:hunter2@host:notaport/db",
		"postgres://u:hunter2@host/db?sslmode=perhaps",
		"host=x password=hunter2 port=y",
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		_, migrating := postgres.Migrate(t.Context(), url)
		for _, err := range []error{err, migrating} {
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v", url, err)
			}
		}
	}
}

// After the server was killed and came back, the pool works again by itself, and no commit that was answered is gone.
func TestI8_PoolRecoversAfterPostgresWasKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s := service(t, db)

	// Writers go on through the outage, so that connections of all states are cut.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered := map[string]bool{}
	wrote := make(chan struct{}, 1)
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				c, _, err := s.CreateCustomer(ctx, licensing.Customer{ExternalID: fmt.Sprintf("%d-%d", w, i)})
				if err != nil {
					continue
				}
				mu.Lock()
				answered[c.ID] = true
				mu.Unlock()
				select {
				case wrote <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 3 {
		<-wrote
		server.Kill(t)
		if err := db.Ping(t.Context()); err == nil {
			t.Error("the killed server answers")
		}
		server.Restart(t)
		// What was written before the kill may have waited in the channel.
		for range 3 {
			<-wrote
		}
	}
	stop()
	wg.Wait()
	for id := range answered {
		if _, err := s.GetCustomer(t.Context(), id); err != nil {
			t.Errorf("customer %s was answered and is gone: %v", id, err)
		}
	}
	head, err := s.Epoch(t.Context())
	if err != nil || head.Number < uint64(len(answered))+1 {
		t.Errorf("head is %v after %d writes, %v", head, len(answered), err)
	}
}

// A transaction that loses a deadlock is run again, and both writers get their way.
func TestUpdate_RunsAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := service(t, db)
	for _, key := range []string{"a", "b"} {
		if _, _, err := s.CreateMeter(t.Context(), licensing.Meter{Key: key, Aggregation: licensing.Count}); err != nil {
			t.Fatal(err)
		}
	}
	var runs atomic.Int64
	var both sync.WaitGroup
	both.Add(2)
	var wg sync.WaitGroup
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			var once sync.Once
			err := db.Licensing().Update(t.Context(), func(tx licensing.Tx) error {
				runs.Add(1)
				for i, key := range order {
					m, err := tx.Meter(t.Context(), key)
					if err != nil {
						return err
					}
					m.DisplayName += "x"
					if _, err := tx.UpdateMeter(t.Context(), m); err != nil {
						return err
					}
					if i == 0 {
						once.Do(func() { both.Done(); both.Wait() })
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if runs.Load() < 3 {
		t.Errorf("%d runs: there was no deadlock", runs.Load())
	}
	for _, key := range []string{"a", "b"} {
		if m, err := s.GetMeter(t.Context(), key); err != nil || m.DisplayName == "" || m.Etag != "3" {
			t.Errorf("meter %s is %+v, %v", key, m, err)
		}
	}
}

// A process that stops in the middle of a write does not keep others from writing.
func TestUpdate_EndsATransactionThatIdles(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	// The same limit, shortened for the test by the URL.
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url + "&idle_in_transaction_session_timeout=500ms"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s := service(t, db)
	locked, done := make(chan struct{}), make(chan struct{})
	stalled := make(chan error, 1)
	go func() {
		stalled <- db.Licensing().Update(t.Context(), func(tx licensing.Tx) error {
			if _, err := tx.LockHead(t.Context()); err != nil {
				return err
			}
			close(locked)
			<-done
			_, err := tx.Head(t.Context())
			return errors.Join(err, errors.New("stalled"))
		})
	}()
	<-locked
	if _, _, err := s.CreateMeter(t.Context(), licensing.Meter{Key: "m", Aggregation: licensing.Count}); err != nil {
		t.Errorf("write while another stalls: %v", err)
	}
	close(done)
	if err := <-stalled; err == nil || err.Error() == "stalled" {
		t.Errorf("the stalled transaction could go on: %v", err)
	}
}

// A rule state is one state: what it holds is what its head says, though writers go on.
func TestI6_RuleStateIsOfOneHead(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := service(t, db)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, _, err := s.CreateCustomer(ctx, licensing.Customer{ExternalID: strconv.Itoa(i)}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	var newest uint64
	for range 20 {
		var records uint64
		head, err := db.RuleState(t.Context(), func(licensing.Head, licensing.Change) error { records++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		// Each epoch made one record.
		if records != head.Epoch.Number || head.Epoch.Number < newest {
			t.Errorf("%d records at %v, after %d", records, head.Epoch, newest)
		}
		newest = head.Epoch.Number
	}
	stop()
	wg.Wait()
	boom := errors.New("boom")
	if _, err := db.RuleState(t.Context(), func(licensing.Head, licensing.Change) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

// More licences than fit into one page are all there, once.
func TestRuleState_ReadsLargeTablesInPages(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	service(t, db)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	const n = 2500
	if _, err := conn.Exec(t.Context(), `INSERT INTO customer (id, external_id, display_name, time_zone)
		SELECT 'cus_' || i, 'x' || i, '', '' FROM generate_series(1, $1) i`, n); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	_, err = db.RuleState(t.Context(), func(_ licensing.Head, c licensing.Change) error {
		if c, ok := c.(*licensing.Customer); ok {
			seen[c.ID]++
		}
		return nil
	})
	if err != nil || len(seen) != n {
		t.Errorf("%d customers, %v", len(seen), err)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s %d times", id, times)
		}
	}
}

// A read ends with its caller.
func TestRead_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	s := service(t, db)
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := s.ListMeters(ctx, licensing.List{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := s.ListMeters(t.Context(), licensing.List{}); err != nil {
		t.Errorf("the next read: %v", err)
	}
}
