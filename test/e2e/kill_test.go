package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"tollgate/test/system"
)

// Each process is killed under load. Clients of a warm licence notice nothing but a node's own open requests, and usage
// is complete afterwards.
func TestI4I8_KilledProcessesLoseNothing(t *testing.T) {
	const connections = 32
	s := system.Start(t, system.Dir(t))
	c := s.Client(t)
	lic := licenseOf(t, c, "enterprise-co").GetId()
	// The enterprise plan needs no loan. This one lives on loans alone.
	newPlan(t, c, "lent", 100_000_000)
	lentLicense, lentKey := newLicense(t, c, "lent-co", "lent")
	for _, victim := range []struct {
		name    string
		allowed int // Requests that may break.
		within  time.Duration
	}{
		{"cp-1", 0, 30 * time.Second},
		{"nats", 0, 30 * time.Second},
		{"postgres", 0, 30 * time.Second},
		{"node-1", connections, 10 * time.Second},
		{"node-2", connections, 10 * time.Second},
	} {
		t.Run(victim.name, func(t *testing.T) {
			r := s.Ready(t)
			load := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: r.Demo.Keys["enterprise"], For: 6 * time.Second, Connections: connections / 2}
			lent := &system.Load{URLs: []string{r.ProxyURL + "/hello"}, Key: lentKey, For: 6 * time.Second, Connections: connections / 2}
			before, lentBefore := settledUsage(t, s, lic), settledUsage(t, s, lentLicense)
			upstream := upstreamCount(t, r)
			load.Start(t)
			lent.Start(t)
			// A loan is warm once demand has been seen for a moment.
			started := time.Now()
			system.Eventually(t, 5*time.Second, "load reaches the upstream", func() error {
				if n := upstreamCount(t, r) - upstream; n < 500 || time.Since(started) < 2*time.Second {
					return fmt.Errorf("%d requests in %s", n, time.Since(started))
				}
				return nil
			})
			old := s.Kill(t, victim.name)
			killed := time.Now()
			counts, lentCounts := load.Wait(), lent.Wait()
			broken := total(counts) - counts[http.StatusOK] + total(lentCounts) - lentCounts[http.StatusOK]
			t.Logf("answers %v, on loans %v", counts, lentCounts)
			if broken > victim.allowed {
				t.Errorf("answers %v, on loans %v: %d are not 200, at most %d may", counts, lentCounts, broken, victim.allowed)
			}
			s.WaitBack(t, victim.within, victim.name, old)
			t.Logf("%s was back and ready within %s", victim.name, time.Since(killed).Round(time.Millisecond))
			lo, hi := int64(counts[http.StatusOK]), int64(total(counts))
			system.Eventually(t, 20*time.Second, "usage is complete", func() error {
				if got := usage(t, s.Client(t), lic) - before; got < lo || got > hi {
					return fmt.Errorf("usage grew by %d, want %d to %d", got, lo, hi)
				}
				return nil
			})
			served := upstreamCount(t, r) - upstream
			got := settledUsage(t, s, lic) - before + settledUsage(t, s, lentLicense) - lentBefore
			if sent := hi + int64(total(lentCounts)); got < served || got > sent {
				t.Errorf("usage grew by %d, the upstream served %d, clients sent %d", got, served, sent)
			}
		})
	}
}

// settledUsage is the usage once two readings a second apart are the same: what was under way is in.
func settledUsage(t *testing.T, s *system.System, license string) int64 {
	t.Helper()
	var last, since = int64(-1), time.Now()
	system.Eventually(t, 30*time.Second, "usage stands still", func() error {
		now := usage(t, s.Client(t), license)
		if now != last || now < 0 {
			last, since = now, time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return fmt.Errorf("usage %d still moves", now)
		}
		return nil
	})
	return last
}
