package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "tollgate/gen/go/tollgate/admin/v1"
	"tollgate/test/relay"
	"tollgate/test/system"
)

// One system whose nodes hear of the control plane through a man in the middle alone. The sub-tests run in order: the last one ends what the nodes take of the
// real publisher.
func TestMiddle(t *testing.T) {
	d := system.Divide(t, system.Dir(t), "--controlplanes", "2")
	m := &middle{Divided: d, node: d.Nodes["node-1"], customer: licenseOf(t, d.Client(t), "enterprise-co").GetCustomer()}
	t.Run("I6_HeldChangeSetsMakeNodesStale", func(t *testing.T) { heldChangeSetsMakeStale(t, m) })
	t.Run("I1I6_RefusedRulesChangeNothing", func(t *testing.T) { refusedRulesChangeNothing(t, m) })
	t.Run("I6_AGapIsClosed", func(t *testing.T) { aGapIsClosed(t, m) })
	t.Run("I6_AForkFreezes", func(t *testing.T) { aForkFreezes(t, m) })
}

// middle is a divided system, and the node that is looked at.
type middle struct {
	*system.Divided
	node     *system.Node
	customer string
}

// change makes a licence by the API, and returns a key for it: nodes that answer it have the change.
func (m *middle) change(t *testing.T) (key string) {
	t.Helper()
	c := m.Client(t)
	lic, err := c.Licenses.IssueLicense(t.Context(), &adminv1.IssueLicenseRequest{License: &adminv1.License{Customer: m.customer, Plan: "enterprise"}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.Keys.CreateApiKey(t.Context(), &adminv1.CreateApiKeyRequest{License: lic.GetLicense().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	return k.GetSecret()
}

// answers waits until the node answers a key with a status.
func (m *middle) answers(t *testing.T, key string, status int) {
	t.Helper()
	system.Eventually(t, 20*time.Second, fmt.Sprintf("%s answers %d", m.node.Name, status), func() error {
		if got, body, err := system.Get(m.node.ProxyURL+"/hello", key); err != nil || got != status {
			return fmt.Errorf("%d %s, %w; at epoch %d", got, body, err, m.node.Epoch(t))
		}
		return nil
	})
}

// shows waits until the control plane shows the node in a state.
func (m *middle) shows(t *testing.T, state string) {
	t.Helper()
	system.Eventually(t, 20*time.Second, fmt.Sprintf("%s is shown as %s", m.node.Name, state), func() error {
		nodes, err := m.Client(t).Fleet.ListNodes(t.Context(), &adminv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		for _, n := range nodes.GetNodes() {
			if n.GetName() == m.node.Name && n.GetState() == state {
				return nil
			}
		}
		return fmt.Errorf("%v", nodes.GetNodes())
	})
}

func (m *middle) is(t *testing.T, state string) {
	t.Helper()
	system.Eventually(t, 20*time.Second, m.node.Name+" is "+state, func() error { return m.node.Is(t, state) })
}

// beats waits until so many more heartbeats came to the relay, and what they changed is there to be seen.
func (m *middle) beats(t *testing.T, n int) {
	t.Helper()
	before := len(m.Relay.Sent(relay.Heartbeats))
	system.Eventually(t, 30*time.Second, "heartbeats come", func() error {
		if now := len(m.Relay.Sent(relay.Heartbeats)); now < before+n {
			return fmt.Errorf("%d of %d", now-before, n)
		}
		return nil
	})
}

// A broker that passes heartbeats and holds change sets back makes the node stale by its signed age, and so does one that does the reverse; the node
// says so, serves on, and is fresh again with no restart when everything passes.
func heldChangeSetsMakeStale(t *testing.T, m *middle) {
	m.ages(t, 3*time.Second, time.Hour, 2*time.Hour)
	pid, warm := m.node.PID, m.Ready(t).Demo.Keys["enterprise"]

	m.Relay.Hold(relay.Rules)
	m.beats(t, 5)
	if err := m.node.Is(t, "fresh"); err != nil {
		t.Errorf("nothing was held back yet: %v", err)
	}
	key := m.change(t)
	m.is(t, "stale")
	m.shows(t, "stale")
	m.answers(t, warm, http.StatusOK)
	m.answers(t, key, http.StatusUnauthorized)
	m.beats(t, 5)
	if err := m.node.Is(t, "stale"); err != nil {
		t.Errorf("heartbeats pass, and what they name does not: %v", err)
	}
	m.Relay.Release(relay.Rules)
	m.is(t, "fresh")
	m.shows(t, "fresh")
	m.answers(t, key, http.StatusOK)

	m.Relay.Hold(relay.Heartbeats)
	m.is(t, "stale")
	m.answers(t, m.change(t), http.StatusOK)
	if err := m.node.Is(t, "stale"); err != nil {
		t.Errorf("change sets pass, and heartbeats do not: %v", err)
	}
	m.Relay.Release(relay.Heartbeats)
	m.is(t, "fresh")
	m.ages(t, 15*time.Second, time.Hour, 2*time.Hour)
	if pid != m.node.PID || !system.Alive(pid) {
		t.Error("the node was restarted")
	}
}

// ages sets the ages at which the fleet's rules change their state, and waits until the nodes have them.
func (m *middle) ages(t *testing.T, stale, grace, block time.Duration) {
	t.Helper()
	c := m.Client(t)
	res, err := c.Fleet.UpdateFleetSettings(t.Context(), &adminv1.UpdateFleetSettingsRequest{Settings: &adminv1.FleetSettings{
		StaleAfter: durationpb.New(stale), GraceAfter: durationpb.New(grace), BlockAfter: durationpb.New(block), LoanHorizon: durationpb.New(time.Minute),
	}})
	if err != nil {
		t.Fatal(err)
	}
	enforced(t, c, res.GetEpoch())
}

// aGapIsClosed: a change set is lost on the way. What follows on it is refused, and the node gets to the head: by the one that was lost, should it come
// late, or by the snapshot that the next publisher makes.
func aGapIsClosed(t *testing.T, m *middle) {
	lose := func(t *testing.T) (lost relay.Message, first, second string) {
		t.Helper()
		before, gaps := len(m.Relay.Sent(relay.Rules)), m.node.Refused(t, "gap")
		m.Relay.Treat(relay.Rules, relay.Drop)
		first = m.change(t)
		system.Eventually(t, 20*time.Second, "the change sets came", func() error {
			if len(m.Relay.Sent(relay.Rules)) < before+2 {
				return errors.New("not all of them")
			}
			return nil
		})
		m.beats(t, 1)
		lost = m.Relay.Sent(relay.Rules)[before]
		m.Relay.Treat(relay.Rules, nil)
		for _, more := range m.Relay.Sent(relay.Rules)[before+1:] {
			m.Relay.Send(relay.Rules, more)
		}
		second = m.change(t)
		system.Eventually(t, 20*time.Second, "the gap is seen", func() error {
			if now := m.node.Refused(t, "gap"); now <= gaps {
				return fmt.Errorf("%d gaps", now)
			}
			return nil
		})
		m.answers(t, second, http.StatusUnauthorized)
		return lost, first, second
	}
	t.Run("by what comes late", func(t *testing.T) {
		lost, first, second := lose(t)
		m.Relay.Send(relay.Rules, lost)
		m.answers(t, first, http.StatusOK)
		m.answers(t, second, http.StatusOK)
		m.is(t, "fresh")
	})
	t.Run("by a snapshot", func(t *testing.T) {
		_, first, second := lose(t)
		for _, p := range m.Ready(t).ControlPlanes {
			if system.Metric(t, p.OpsURL, "tollgate_publisher_leader", "") == 1 {
				m.Kill(t, p.Name)
				break
			}
		}
		m.answers(t, first, http.StatusOK)
		m.answers(t, second, http.StatusOK)
		m.is(t, "fresh")
	})
}
