package ruleset

import (
	"crypto/ed25519"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/envelope"
	"tollgate/dataplane/envelope/envelopetest"
	"tollgate/dataplane/internal/clock"
	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

const (
	stateFresh = "fresh"
	stateStale = "stale"
	stateGrace = "grace"
	stateBlock = "block"
)

// clockwork is a follower in a bubble of synctest, that enforces what a test says.
type clockwork struct {
	*Follower
	t      *testing.T
	signer *envelope.Signer
	reg    *prometheus.Registry
}

func inBubble(t *testing.T, f func(t *testing.T, c *clockwork)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rootPublic, root, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		public, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := envelope.Certified{
			Fleet: "fleet", Usage: envelope.UsageRules, PublicKey: public,
			NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
		}
		certificate, err := envelope.IssueCertificate(root, c)
		if err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewRegistry()
		verifier := envelope.NewVerifier("fleet", rootPublic)
		envelopetest.Admit(t, verifier, root, c)
		follower, err := New(Config{
			Verifier: verifier, Clock: clock.New(clock.Monotonic()), Metrics: reg, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, &clockwork{follower, t, envelope.NewSigner(key, certificate), reg})
	})
}

func (c *clockwork) bring(number uint64, s decision.Settings) {
	c.t.Helper()
	e := decision.Edit(nil)
	e.SetSettings(s)
	state, err := e.Build(decision.Epoch{Generation: 1, Number: number})
	if err != nil {
		c.t.Fatal(err)
	}
	c.enforce(newEnforced(state, []byte{byte(number)}))
}

func (c *clockwork) beat(number uint64, at time.Time) []byte {
	c.t.Helper()
	payload, err := proto.Marshal(&rulesv1.Heartbeat{
		Fleet: "fleet", Time: timestamppb.New(at), Generation: 1, Number: number, HeadHash: []byte{byte(number)},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	raw, err := c.signer.Sign(envelope.KindHeartbeat, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return raw
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

func (c *clockwork) is(want string) {
	c.t.Helper()
	if got := c.State(); got != want {
		c.t.Errorf("the state is %s, want %s", got, want)
	}
	if _, age := c.Current(); age.String() != want {
		c.t.Errorf("the age is %v in state %s", age, want)
	}
	families, err := c.reg.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tollgate_rules_state" {
			continue
		}
		if len(f.GetMetric()) != 4 {
			c.t.Errorf("%d states", len(f.GetMetric()))
		}
		for _, m := range f.GetMetric() {
			if state := m.GetLabel()[0].GetValue(); (m.GetGauge().GetValue() == 1) != (state == want) {
				c.t.Errorf("tollgate_rules_state{state=%q} is %v in state %s", state, m.GetGauge().GetValue(), want)
			}
		}
	}
}

func TestFreshness_FollowsTheSignedAges(t *testing.T) {
	for name, tt := range map[string]struct {
		settings            decision.Settings
		stale, grace, block time.Duration
	}{
		"set":     {decision.Settings{StaleAfter: 2 * time.Second, GraceAfter: 5 * time.Second, BlockAfter: 9 * time.Second}, 2 * time.Second, 5 * time.Second, 9 * time.Second},
		"default": {decision.Settings{}, 15 * time.Second, 15 * time.Minute, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, c *clockwork) {
				c.is(stateBlock) // There is nothing to enforce.
				c.bring(1, tt.settings)
				pass(time.Second)
				c.is(stateBlock) // Nobody has said that it is current.
				c.Heartbeat(c.beat(1, time.Now()))
				c.is(stateFresh)
				pass(tt.stale - 1)
				c.is(stateFresh)
				pass(1)
				c.is(stateStale)
				pass(tt.grace - tt.stale)
				c.is(stateGrace)
				pass(tt.block - tt.grace)
				c.is(stateBlock)
				if age, ok := c.Age(); !ok || age != tt.block {
					c.t.Errorf("age %v, %v", age, ok)
				}
				c.Heartbeat(c.beat(1, time.Now()))
				c.is(stateFresh)
			})
		})
	}
}

// A broker that passes heartbeats and holds back change sets makes the node stale.
func TestFreshness_OnlyHeartbeatsOfWhatIsEnforcedCount(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(5, decision.Settings{})
		c.Heartbeat(c.beat(5, time.Now()))
		for range 20 {
			pass(time.Second)
			c.Heartbeat(c.beat(6, time.Now()))
		}
		c.is(stateStale)
		// The last of them came two seconds before what it names.
		pass(2 * time.Second)
		c.bring(6, decision.Settings{})
		c.is(stateFresh)
		if age, _ := c.Age(); age != 2*time.Second {
			c.t.Errorf("age %v", age)
		}
		// The node may be ahead of a heartbeat that was on its way.
		pass(time.Second)
		c.Heartbeat(c.beat(5, time.Now()))
		if age, _ := c.Age(); age != 0 {
			c.t.Errorf("age %v", age)
		}
	})
}

func TestFreshness_ReplayedHeartbeatsCountForNoLongerThanItTakesToTurnStale(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		raw := c.beat(1, time.Now())
		for range 35 {
			c.Heartbeat(raw)
			pass(time.Second)
		}
		c.is(stateStale)
	})
}

// A broker that passes everything on, each heartbeat later than the one before, must not keep a node fresh while its rules fall behind.
func TestI6_ASlowedStreamTurnsStale(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		start := time.Now()
		for i := range 60 {
			c.Heartbeat(c.beat(1, start.Add(time.Duration(i)*time.Second/2)))
			pass(time.Second)
		}
		c.is(stateStale)
		c.Heartbeat(c.beat(1, time.Now()))
		c.is(stateFresh)
	})
}

// A node whose clock is wrong goes by the publisher's.
func TestFreshness_AWrongClockIsNoOutage(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		for i := range 100 {
			jitter := time.Duration(i%7) * time.Second
			c.Heartbeat(c.beat(1, time.Now().Add(-10*time.Minute-jitter)))
			c.is(stateFresh)
			pass(8 * time.Second)
		}
	})
}

// Another publisher takes over whose clock is behind.
func TestFreshness_HeartbeatsOfASlowerClockCount(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		c.Heartbeat(c.beat(1, time.Now().Add(time.Hour)))
		pass(20 * time.Second)
		c.is(stateStale)
		c.Heartbeat(c.beat(1, time.Now().Add(-3*time.Second)))
		c.is(stateFresh)
	})
}

func TestFreshness_MissingChangeSetsAreLookedForAfterASecond(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		woken := func() bool {
			select {
			case <-c.wake:
				return true
			default:
				return false
			}
		}
		c.bring(1, decision.Settings{})
		c.Heartbeat(c.beat(2, time.Now()))
		pass(999 * time.Millisecond)
		c.Heartbeat(c.beat(2, time.Now()))
		if woken() {
			c.t.Error("woken before a second was over")
		}
		pass(time.Millisecond)
		c.Heartbeat(c.beat(2, time.Now()))
		if !woken() {
			c.t.Error("not woken after a second")
		}
		c.Heartbeat(c.beat(2, time.Now().Add(1)))
		if woken() {
			c.t.Error("woken again at once")
		}
		c.bring(2, decision.Settings{})
		pass(5 * time.Second)
		c.Heartbeat(c.beat(2, time.Now()))
		c.Heartbeat(c.beat(3, time.Now().Add(1)))
		if woken() {
			c.t.Error("woken by a new epoch at once")
		}
	})
}

func TestFreshness_ForgedHeartbeatsDoNotCount(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		raw := c.beat(1, time.Now())
		for i := range raw {
			raw[i] ^= 1
			c.Heartbeat(raw)
			raw[i] ^= 1
		}
		c.is(stateBlock)
	})
}

// A node that has just started must not take recorded heartbeats, however they follow on each other, for news.
func TestI6_RecordedHeartbeatsMakeNoNodeFresh(t *testing.T) {
	inBubble(t, func(_ *testing.T, c *clockwork) {
		c.bring(5, decision.Settings{})
		old := time.Now().Add(-30 * 24 * time.Hour)
		for i := range 3 {
			c.Heartbeat(c.beat(5, old.Add(time.Duration(i)*20*time.Second)))
			c.is(stateBlock)
		}
		c.Heartbeat(c.beat(5, time.Now()))
		c.is(stateFresh)
	})
}

// What was recorded while no process ran makes nothing fresh, though it is newer than what the last one heard.
func TestI6_AReplayedHeartbeatDoesNotReviveADisk(t *testing.T) {
	inBubble(t, func(t *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		heard := time.Now()
		c.fresh.resume(heard, 0, false, heard)
		time.Sleep(time.Hour)
		at := decision.Epoch{Generation: 1, Number: 1}
		if counts, _, _ := c.fresh.heartbeat(nil, at, heard.Add(5*time.Minute), defaultAges, c.clock.Tick()); counts {
			t.Error("a heartbeat of an hour ago counts")
		}
		if counts, _, _ := c.fresh.heartbeat(nil, at, time.Now(), defaultAges, c.clock.Tick()); !counts {
			t.Error("one of now does not")
		}
	})
}

// A clock that was set back behind what was heard revives nothing.
func TestI6_AClockSetBackDoesNotReviveADisk(t *testing.T) {
	inBubble(t, func(t *testing.T, c *clockwork) {
		c.bring(1, decision.Settings{})
		c.fresh.resume(time.Now().Add(time.Hour), 0, true, time.Now())
		if c.State() != stateBlock {
			t.Errorf("the rules are %s", c.State())
		}
		// Nor does one that was set back by less: the last process knew how old it was.
		c.fresh.resume(time.Now().Add(-time.Second), 20*time.Minute, true, time.Now())
		if c.State() != stateGrace {
			t.Errorf("heard 20 minutes before the clock was set back, and the rules are %s", c.State())
		}
		c.fresh.resume(time.Now().Add(-time.Minute), 0, true, time.Now())
		if c.State() != stateStale {
			t.Errorf("heard a minute ago, and the rules are %s", c.State())
		}
	})
}
