package borrow_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/dataplane/decision"
	"tollgate/dataplane/internal/borrow"
	lendv1 "tollgate/gen/go/tollgate/lend/v1"
)

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

// Where the rules say so, no units of quotas are asked for, however much is used; tokens and reports go on.
func TestI8_NoUnitsAreBorrowedInGrace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(1_000_000, 1_000_000)
		n := newNode(t, l, "boot", rules{limit: 1_000_000, rate: 1000}.state(t, 1))
		defer n.stop()
		for range 50 {
			n.serve(0)
			pass(10 * time.Millisecond)
		}
		n.horizon.Store(-1)
		pass(time.Second)
		l.set(func(l *lender) { l.seen = nil })
		for range 50 {
			n.serve(0)
			pass(10 * time.Millisecond)
		}
		tokens := int64(0)
		for _, c := range append(l.calls(true), l.calls(false)...) {
			for _, ask := range c.req.GetAsks() {
				if ask.GetKey().GetKind() == lendv1.LoanKind_LOAN_KIND_RATE {
					tokens += ask.GetWant()
				} else if ask.GetWant() > 0 {
					t.Errorf("asked for %d units", ask.GetWant())
				}
			}
		}
		if tokens == 0 {
			t.Error("no tokens were asked for")
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

func TestBlocked_FailsAndIsNoEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := newLender(10, 0)
		l.blocked = "stolen"
		n := newNode(t, l, "boot", rules{limit: 10}.state(t, 1))
		defer n.stop()
		n.decide(0)
		if err := n.Wait(t.Context(), license(0), 1); !errors.Is(err, borrow.ErrBlocked) || !strings.Contains(err.Error(), "stolen") {
			t.Errorf("%v, want to be told that the node is blocked, and why", err)
		}
		l.set(func(l *lender) { l.blocked = "" })
		n.serve(0)
		if len(n.fatal) != 0 {
			t.Errorf("fatal %d times", len(n.fatal))
		}
	})
}
