package borrow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/dataplane/decision"
)

func TestWait_FillsTheAccount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 10)
		n := newNode(t, l, "boot", rules{limit: 10, rate: 10}.state(t, 1))
		defer n.stop()
		if v := n.decide(0); !v.Cold {
			t.Fatalf("%s %s", v.Outcome, v.Code)
		}
		if v := n.serve(0); v.Code != decision.OK {
			t.Fatalf("%s %s", v.Outcome, v.Code)
		}
		calls := l.calls(true)
		if len(calls) != 1 || len(calls[0].req.GetAsks()) != 2 || calls[0].req.GetBoot() != "boot" || calls[0].req.GetNode() != "node" {
			t.Errorf("asked %v", calls)
		}
	})
}

func TestWait_ThoseWhoComeMeanwhileShareTheNextRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(1000, 0)
		l.way = takes(10 * time.Millisecond)
		n := newNode(t, l, "boot", rules{limit: 1000}.state(t, 1))
		defer n.stop()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if i > 0 {
					<-time.After(time.Millisecond)
				}
				if v := n.serve(0); v.Code != decision.OK {
					t.Errorf("%s %s", v.Outcome, v.Code)
				}
			})
		}
		all.Wait()
		calls := l.calls(true)
		if len(calls) != 2 {
			t.Fatalf("%d requests", len(calls))
		}
		for i, want := range []int64{1, 99} {
			if got := calls[i].req.GetAsks()[0].GetWaiting(); got != want {
				t.Errorf("request %d says that %d units are waited for, want %d", i, got, want)
			}
		}
	})
}

func TestWait_FailsAtOnceForAllAndRenewalsRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(1000, 0)
		n := newNode(t, l, "boot", rules{limit: 1000}.state(t, 2))
		defer n.stop()
		n.serve(0)
		pass(50 * time.Millisecond)
		l.set(func(l *lender) {
			l.seen = nil
			l.way = func(ctx context.Context, c call) error {
				l.set(func(l *lender) { l.seen = append(l.seen, c) })
				_ = takes(5*time.Millisecond)(ctx, c)
				return errUnreachable
			}
		})
		begin := time.Now()
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				<-time.After(time.Duration(i%5) * time.Millisecond)
				n.decide(1)
				if err := n.Wait(t.Context(), license(1), 1); !errors.Is(err, errUnreachable) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if d := time.Since(begin); d > 10*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		// What is warm goes on; what it asks for in the background rests between failures.
		for range 100 {
			n.decide(0)
			n.Renew(license(0))
			pass(10 * time.Millisecond)
		}
		if batches := len(l.calls(false)); batches < 2 || batches > 4 {
			t.Errorf("%d renewals in a second of failures", batches)
		}
		if n.metric("tollgate_lend_requests_total", "error") < 3 {
			t.Error("errors are not counted")
		}
		l.set(func(l *lender) { l.way = nil })
	})
}

func TestWait_ALenderThatIsSlowAnswersAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(1000, 0)
		l.back = takes(400 * time.Millisecond)
		n := newNode(t, l, "boot", rules{limit: 1000}.state(t, 1))
		defer n.stop()
		var codes []decision.Code
		for range 20 {
			codes = append(codes, n.serve(0).Code)
			pass(10 * time.Millisecond)
		}
		if codes[0] != decision.LimitsUnavailable || codes[len(codes)-1] != decision.OK {
			t.Errorf("decided %s", codes)
		}
	})
}

// An answer that comes after its request was given up is not applied: a rate's grants in it would be taken twice.
func TestWait_OvertakesABatchThatTakesLongAndDropsItsAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(0, 100)
		n := newNode(t, l, "boot", rules{rate: 10}.state(t, 1))
		defer n.stop()
		n.serve(0)
		underWay := 0
		l.set(func(l *lender) {
			l.way = func(ctx context.Context, c call) error {
				if c.cold {
					return nil
				}
				underWay++
				return takes(500*time.Millisecond)(ctx, c)
			}
		})
		n.Renew(license(0))
		pass(25 * time.Millisecond)
		if underWay != 1 {
			t.Fatalf("%d batches are under way", underWay)
		}
		for range 20 {
			if v := n.serve(0); v.Code == decision.LimitsUnavailable {
				t.Fatalf("%s: the batch that is under way was waited for", v.Code)
			}
		}
		held, _ := n.Account(license(0)).Totals(n.clock.Now())
		lent := l.lent()
		pass(480 * time.Millisecond)
		if l.lent() == lent {
			t.Fatal("the batch was not answered")
		}
		if after, _ := n.Account(license(0)).Totals(n.clock.Now()); after > held {
			t.Errorf("a late answer made %d held of %d", after, held)
		}
	})
}

func TestWait_GivesUpWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 0)
		l.way = takes(time.Hour)
		n := newNode(t, l, "boot", rules{limit: 10}.state(t, 1))
		defer n.stop()
		begin := time.Now()
		if v := n.serve(0); v.Code != decision.LimitsUnavailable {
			t.Errorf("%s", v.Code)
		}
		if d := time.Since(begin); d != coldWait {
			t.Errorf("waited %v", d)
		}
		// A second is what an answer has; then it is asked for anew.
		if err := n.Wait(t.Context(), license(0), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		l.set(func(l *lender) { l.way = nil })
		if v := n.serve(0); v.Code != decision.OK {
			t.Errorf("%s", v.Code)
		}
	})
}

func TestRenew_GathersLicencesIntoBoundedBatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const licenses = 600
		l := newLender(1000, 0)
		n := newNode(t, l, "boot", rules{limit: 1000}.state(t, licenses))
		defer n.stop()
		for i := range licenses {
			n.serve(i)
		}
		synctest.Wait()
		l.set(func(l *lender) { l.seen = nil })
		for i := range licenses {
			n.decide(i)
			n.Renew(license(i))
		}
		pass(25 * time.Millisecond)
		asks := 0
		for _, c := range l.calls(false) {
			if len(c.req.GetAsks()) > 256 {
				t.Errorf("%d asks at once", len(c.req.GetAsks()))
			}
			asks += len(c.req.GetAsks())
		}
		if len(l.calls(false)) != 3 || asks != licenses {
			t.Errorf("%d asks in %d batches", asks, len(l.calls(false)))
		}
	})
}

func TestReport_TellsOfSpentTokensWithoutBeingAsked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(0, 5)
		n := newNode(t, l, "boot", rules{rate: 5}.state(t, 1))
		defer n.stop()
		for range 5 {
			n.serve(0)
		}
		pass(250 * time.Millisecond)
		var reported int64
		for _, c := range append(l.calls(false), l.calls(true)...) {
			for _, ask := range c.req.GetAsks() {
				reported = max(reported, ask.GetSpent())
			}
		}
		if reported != 5 {
			t.Errorf("%d tokens are reported as spent, 5 were", reported)
		}
		quiet := len(l.calls(false))
		pass(10 * time.Second)
		if n := len(l.calls(false)) - quiet; n > 1 {
			t.Errorf("%d reports of nothing", n)
		}
	})
}

func TestAccount_FindsALicenceWithoutAllocating(t *testing.T) {
	n := newNode(t, newLender(10, 10), "boot", rules{rate: 10}.state(t, 1))
	defer n.stop()
	id := license(0)
	first := n.Account(id)
	if allocs := testing.AllocsPerRun(1000, func() {
		if n.Account(id) != first {
			t.Error("another account")
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// Three nodes, many requests at once, messages that are lost either way: never more than the limit; and with a network that works,
// and recalls, all of it.
