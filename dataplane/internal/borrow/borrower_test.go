package borrow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/borrow"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
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
		held, _ := n.Account(license(0)).Totals(time.Now())
		lent := l.lent()
		pass(480 * time.Millisecond)
		if l.lent() == lent {
			t.Fatal("the batch was not answered")
		}
		if after, _ := n.Account(license(0)).Totals(time.Now()); after > held {
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

func TestUnknown_IsDeniedForASecondAndLoggedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 10)
		l.state = lendv1.LoanState_LOAN_STATE_UNKNOWN
		n := newNode(t, l, "boot", rules{limit: 10, rate: 10}.state(t, 1))
		defer n.stop()
		for range 20 {
			if v := n.serve(0); v.Code != decision.RateLimited && v.Code != decision.QuotaExhausted {
				t.Fatalf("%s", v.Code)
			}
		}
		if c := l.calls(true); len(c) != 1 {
			t.Errorf("asked %d times in no time", len(c))
		}
		pass(3 * time.Second)
		n.serve(0)
		l.set(func(l *lender) { l.state = lendv1.LoanState_LOAN_STATE_OPEN })
		pass(time.Second)
		if v := n.serve(0); v.Code != decision.OK {
			t.Errorf("%s", v.Code)
		}
		if len(n.logged.messages) != 2 {
			t.Errorf("logged %q, want one for each limit", n.logged.messages)
		}
	})
}

func TestClosed_StopsLendingAndIsFatalOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 0)
		l.state = lendv1.LoanState_LOAN_STATE_CLOSED
		n := newNode(t, l, "boot", rules{limit: 10}.state(t, 2))
		defer n.stop()
		for i := range 2 {
			n.decide(i)
			if err := n.Wait(t.Context(), license(i), 1); !errors.Is(err, borrow.ErrClosed) {
				t.Error(err)
			}
		}
		n.Renew(license(0))
		pass(time.Second)
		if calls := len(l.calls(true)) + len(l.calls(false)); calls != 1 {
			t.Errorf("asked %d times", calls)
		}
		if len(n.fatal) != 1 {
			t.Errorf("fatal %d times", len(n.fatal))
		}
	})
}

func TestRecalled_GivesBackWhatIsIdleAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(100, 0)
		n := newNode(t, l, "boot", rules{limit: 100}.state(t, 1))
		defer n.stop()
		for range 10 {
			n.serve(0)
			pass(time.Millisecond)
		}
		pass(time.Second)
		if l.lent() <= 10 {
			t.Fatalf("%d units are lent: nothing is idle", l.lent())
		}
		key := l.calls(true)[0].req.GetAsks()[0].GetKey()
		// The first report is lost: the units come back all the same.
		l.set(func(l *lender) {
			l.way = func(context.Context, call) error {
				l.set(func(l *lender) { l.way = nil })
				return errUnreachable
			}
		})
		n.Recalled(&lendv1.Recall{Key: key})
		synctest.Wait()
		pass(time.Second)
		if l.lent() != 10 {
			t.Errorf("%d units are lent, 10 are spent", l.lent())
		}
		n.Recalled(&lendv1.Recall{Key: &lendv1.LoanKey{License: "unknown"}})
		n.Recalled(&lendv1.Recall{})
	})
}

func TestStop_GivesBackEverythingAndTakesNothingMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(100, 0)
		n := newNode(t, l, "boot", rules{limit: 100}.state(t, 30))
		for i := range 30 {
			n.serve(i)
			n.serve(i)
		}
		pass(time.Second)
		n.stop()
		if l.lent() != 60 {
			t.Errorf("%d units are lent, 60 are spent", l.lent())
		}
		calls := len(l.calls(false))
		n.stop()
		if again := len(l.calls(false)); again != calls {
			t.Errorf("a second stop asked %d times", again-calls)
		}
		if v := n.decide(0); v.Outcome == decision.Forward {
			t.Error("spent after everything was given back")
		}
		if err := n.Wait(t.Context(), license(0), 1); !errors.Is(err, borrow.ErrStopped) {
			t.Error(err)
		}
	})
}

func TestPrune_ForgetsOnlyWhatCannotComeBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 10)
		quota := newNode(t, l, "boot-1", rules{limit: 10}.state(t, 1))
		defer quota.stop()
		rate := newNode(t, l, "boot-2", rules{rate: 10}.state(t, 1))
		defer rate.stop()
		for range 10 {
			quota.serve(0)
			rate.serve(0)
		}
		before := rate.Account(license(0))
		pass(2 * time.Hour)
		if rate.Account(license(0)) == before {
			t.Error("an account with nothing in it is kept for ever")
		}
		// The month goes on: who forgot what was spent would be lent it again.
		if v := quota.serve(0); v.Code != decision.QuotaExhausted {
			t.Errorf("%s", v.Code)
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

func TestLoanUnits_SayWhatIsHeldAndSpent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := newNode(t, newLender(100, 0), "boot", rules{limit: 100}.state(t, 2))
		defer n.stop()
		n.decide(0)
		n.decide(1)
		for i := range 2 {
			if err := n.Wait(t.Context(), license(i), 7); err != nil {
				t.Fatal(err)
			}
		}
		n.decide(0)
		if held, spent := n.metric("tollgate_loan_units", "held"), n.metric("tollgate_loan_units", "spent"); held != 13 || spent != 1 {
			t.Errorf("held %v, spent %v", held, spent)
		}
	})
}

// Three nodes, many requests at once, messages that are lost either way: never more than the limit; and with a network that works,
// and recalls, all of it.
func TestI2_ManyNodesAtOnceNeverPassTheLimit(t *testing.T) {
	for name, lossy := range map[string]bool{"lossy": true, "sound": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				const limit = 500
				l := newLender(limit, 0)
				l.way, l.back = takes(2*time.Millisecond), takes(2*time.Millisecond)
				if lossy {
					number := 0
					l.back = func(ctx context.Context, c call) error {
						l.mu.Lock()
						number++
						lost := number%3 == 0
						l.mu.Unlock()
						if lost {
							return takes(time.Hour)(ctx, c)
						}
						return takes(2*time.Millisecond)(ctx, c)
					}
				}
				s := rules{limit: limit}.state(t, 1)
				var nodes []*node
				for _, boot := range []string{"boot-1", "boot-2", "boot-3"} {
					nodes = append(nodes, newNode(t, l, boot, s))
				}
				var mu sync.Mutex
				forwarded := 0
				for range 6 {
					var all sync.WaitGroup
					for _, n := range nodes {
						for range 100 {
							all.Go(func() {
								if v := n.serve(0); v.Outcome == decision.Forward {
									mu.Lock()
									defer mu.Unlock()
									forwarded++
								}
							})
						}
					}
					all.Wait()
					for _, c := range l.calls(true)[:1] {
						for _, n := range nodes {
							n.Recalled(&lendv1.Recall{Key: c.req.GetAsks()[0].GetKey()})
						}
					}
					pass(1100 * time.Millisecond)
				}
				if forwarded > limit {
					t.Errorf("%d requests of %d", forwarded, limit)
				}
				if !lossy && forwarded != limit {
					t.Errorf("%d requests of %d, and nothing was lost", forwarded, limit)
				}
				for _, n := range nodes {
					n.stop()
				}
			})
		})
	}
}
