package dataplane

import (
	"context"
	"time"

	rulesv1 "tollgate/gen/go/tollgate/rules/v1"
)

const (
	reportEvery = time.Second
	// reportGap is the least time between two reports. Where rules change by the hundred each second, each says what those left out would have; and all of
	// a fleet's go to each control plane.
	reportGap = 5 * time.Millisecond
)

// stateFrozen is reported instead of the state by age where the rules stay as they are.
const stateFrozen = "frozen"

// report tells the fleet how the node is: each second, and when it enforces another epoch, at once or reportGap after the last report. When ctx ends the
// node has drained, which is its last word.
func (n *node) report(ctx context.Context) {
	enforced := n.rules.Enforced()
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	rate := requestRate{at: time.Now(), requests: n.front.Requests()}
	for number := uint64(1); ; number++ {
		status := n.status(number, rate.perSecond)
		status.Drained = ctx.Err() != nil
		if err := n.bus.PublishStatus(status); err != nil {
			// NATS is away, which the bus has logged. The next report says all that this one would have.
			n.logger.Debug("status not reported", "error", err)
		}
		if status.Drained {
			return
		}
		gap := time.NewTimer(reportGap)
		select {
		case <-ctx.Done():
		case <-enforced:
			select {
			case <-ctx.Done():
			case <-gap.C:
			}
			select {
			case <-enforced: // This report says it.
			default:
			}
		case now := <-tick.C:
			rate.measure(n.front.Requests(), now)
		}
	}
}

func (n *node) status(number uint64, perSecond float64) *rulesv1.NodeStatus {
	e := n.rules.Epoch()
	lag := int64(-1)
	if age, ok := n.rules.Age(); ok {
		lag = age.Milliseconds()
	}
	bytes, _ := n.log.Stats()
	state := n.rules.State()
	if n.rules.Frozen() {
		state = stateFrozen // Its age shows, too, how far it is behind; why it is shows here alone.
	}
	return &rulesv1.NodeStatus{
		Node: n.settings.NodeName, Boot: n.boot, Version: n.settings.Version,
		Generation: e.Generation, Number: e.Number, State: state, LagMs: lag,
		SpoolBytes: bytes, ProxyRps: perSecond, Report: number, Refuses: n.rules.Refuses(),
		Proof: n.rules.Vouched(), KeySet: n.rules.KeySet(),
	}
}

// requestRate is requests per second between the last two measurements.
type requestRate struct {
	at        time.Time
	requests  int64
	perSecond float64
}

func (r *requestRate) measure(requests int64, now time.Time) {
	if d := now.Sub(r.at); d > 0 {
		r.perSecond = float64(requests-r.requests) / d.Seconds()
	}
	r.at, r.requests = now, requests
}
