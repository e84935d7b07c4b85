package spool

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/dataplane/envelope"
	ledgerv1 "tollgate/gen/go/tollgate/ledger/v1"
)

// eachSecond writes records that make n segments, one a second.
func eachSecond(t *testing.T, l *Log, n int) {
	t.Helper()
	for range n {
		mustForward(t, l)
		pass(cutEvery)
	}
}

func TestShip_SendsAgainWhatTheTransportLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		h.wire.set(lost, nil)
		eachSecond(t, l, 5)
		h.wire.set(nil, nil)
		pass(longestWait + time.Second)
		if got := len(h.plane.of(boot(1)).records); got != 10 {
			t.Errorf("%d records, want 10", got)
		}
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

func TestShip_SendsAgainAfterALostReceiptAndCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		h.wire.set(nil, func([]byte) {})
		eachSecond(t, l, 5)
		if _, pending := l.Stats(); pending != 5 {
			t.Errorf("%d segments wait, want 5", pending)
		}
		h.wire.set(nil, nil)
		pass(longestWait + time.Second)
		if _, pending := l.Stats(); pending != 0 {
			t.Errorf("%d segments wait after a receipt, want 0", pending)
		}
		closeIn(t, l, time.Minute)
		h.plane.check(t)
		if got := len(h.plane.of(boot(1)).records); got != 10 || h.plane.repeats == 0 {
			t.Errorf("%d records, %d repeats; want 10, some", got, h.plane.repeats)
		}
	})
}

// What is repeated into a stream that nobody reads stays there: it has to be little.
func TestShip_RepeatsOneSegmentWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		h.wire.set(lost, nil)
		eachSecond(t, l, 100)
		if got := h.wire.sent(); got > 5+100/int(longestWait/time.Second)+5 {
			t.Errorf("%d sendings in 100 s without a receipt", got)
		}
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

func TestShip_TakesReceiptsLateTwiceAndInAnyOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		var kept [][]byte
		h.wire.set(nil, func(raw []byte) { kept = append(kept, raw) })
		mustForward(t, l)
		pass(cutEvery)
		mustForward(t, l)
		pass(cutEvery)
		first, last := kept[0], kept[1]
		l.Receipt(last)
		pass(0)
		for _, raw := range [][]byte{first, last, last, first} {
			l.Receipt(raw)
		}
		pass(0)
		if _, pending := l.Stats(); pending > 1 { // An empty one, perhaps.
			t.Errorf("%d segments wait", pending)
		}
		if l.counts.refusedReceipts.Load()+l.counts.forks.Load() > 0 {
			t.Error("a receipt was refused")
		}
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
		h.plane.checkChain(t, boot(1))
	})
}

// A receipt that repeats the head says that what follows it did not arrive.
func TestShip_FillsAGapAtOnceWhenAReceiptShowsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		mustForward(t, l)
		pass(cutEvery + 10*time.Millisecond)
		// The second segment is lost, the third arrives and is answered with the head: 1.
		h.wire.set(lost, nil)
		mustForward(t, l)
		pass(cutEvery)
		h.wire.set(nil, nil)
		mustForward(t, l)
		pass(cutEvery)
		if got := len(h.plane.of(boot(1)).records); got != 6 {
			t.Errorf("%d records, want 6 without waiting for a deadline", got)
		}
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

func TestShip_SendsEarlierBootsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		var want []string
		for range 3 {
			l := h.open(t, func(c *Config) { c.SegmentRecords = 1 })
			for range 20 {
				if err := l.Deny(denial()); err != nil {
					t.Fatal(err)
				}
			}
			crash(l)
			want = append(want, boot(h.boots))
		}
		last := h.open(t, nil)
		// A receipt takes its time, and more segments wait than may be under way.
		h.wire.set(nil, func(raw []byte) { time.AfterFunc(50*time.Millisecond, func() { last.Receipt(raw) }) })
		closeIn(t, last, time.Minute)
		h.plane.check(t)
		if want = append(want, boot(h.boots)); !slices.Equal(h.plane.order, want) || h.plane.early > 0 {
			t.Errorf("order %v with %d too early, want %v", h.plane.order, h.plane.early, want)
		}
	})
}

// A boot that the control plane does not answer for must not keep the next one's records from it.
func TestShip_PassesABootThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		first := h.open(t, nil)
		mustForward(t, first)
		crash(first)
		second := h.open(t, nil)
		h.wire.set(nil, func(raw []byte) {
			if r, err := second.openReceipt(raw); err == nil && r.GetBoot() == boot(2) {
				second.Receipt(raw)
			}
		})
		second.Start(t.Context())
		mustForward(t, second)
		pass(20 * time.Second)
		if got := len(h.plane.of(boot(2)).records); got != 2 {
			t.Errorf("%d records of the second boot, want 2", got)
		}
		h.wire.set(nil, nil)
		closeIn(t, second, time.Minute)
		h.plane.check(t)
	})
}

func TestReceipt_IgnoresForgeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		var genuine []byte
		h.wire.set(nil, func(raw []byte) { genuine = raw })
		eachSecond(t, l, 1)
		flipped := slices.Clone(genuine)
		flipped[len(flipped)/2] ^= 1
		opened, err := h.keys.verifier().Open(envelope.KindReceipt, genuine, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		sign := func(s *envelope.Signer, kind envelope.Kind) []byte {
			raw, err := s.Sign(kind, opened.Payload)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		b := h.plane.of(boot(1))
		forgeries := map[string][]byte{
			"nothing":          nil,
			"noise":            []byte("receipt"),
			"a bit flipped":    flipped,
			"the node's key":   sign(h.keys.node, envelope.KindReceipt),
			"a rules key":      sign(h.keys.rules, envelope.KindReceipt),
			"another kind":     sign(h.keys.receipts, envelope.KindHeartbeat),
			"another fleet's":  sign(newKeys(t).receipts, envelope.KindReceipt),
			"for another node": h.plane.sign(&ledgerv1.Receipt{Fleet: testFleet, Node: "node-2", Boot: boot(1), Number: b.number, Hash: b.hash}),
			"fleet in payload": h.plane.sign(&ledgerv1.Receipt{Fleet: "fleet-2", Node: testNode, Boot: boot(1), Number: b.number, Hash: b.hash}),
		}
		for name, raw := range forgeries {
			before := l.counts.refusedReceipts.Load()
			l.Receipt(raw)
			synctest.Wait()
			if _, pending := l.Stats(); pending != 1 {
				t.Errorf("%s: %d segments wait, want 1", name, pending)
			}
			if l.counts.refusedReceipts.Load() != before+1 {
				t.Errorf("%s: not counted", name)
			}
		}
		// For a boot that is not here: no forgery, and no concern of ours.
		l.Receipt(h.plane.sign(&ledgerv1.Receipt{Fleet: testFleet, Node: testNode, Boot: boot(99), Number: 1, Hash: b.hash}))
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}

func TestReceipt_ForkHoldsTheBootAndKeepsItsFiles(t *testing.T) {
	t.Parallel()
	for name, fork := range map[string]func(b bootLog) *ledgerv1.Receipt{
		"other hash": func(b bootLog) *ledgerv1.Receipt {
			return &ledgerv1.Receipt{Number: b.number, Hash: envelope.Hash([]byte("another"))}
		},
		"number never made": func(b bootLog) *ledgerv1.Receipt {
			return &ledgerv1.Receipt{Number: b.number + 1000, Hash: b.hash}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := setup(t)
				l := h.open(t, nil)
				l.Start(t.Context())
				h.wire.set(nil, func([]byte) {})
				eachSecond(t, l, 2)
				r := fork(h.plane.of(boot(1)))
				r.Fleet, r.Node, r.Boot = testFleet, testNode, boot(1)
				l.Receipt(h.plane.sign(r))
				synctest.Wait()
				sent := h.wire.sent()
				mustForward(t, l)
				pass(time.Minute)
				if h.wire.sent() != sent {
					t.Error("a held boot is sent")
				}
				if _, pending := l.Stats(); pending != 3 {
					t.Errorf("%d segments wait, want 3", pending)
				}
				if l.counts.forks.Load() != 1 || !strings.Contains(h.logs.String(), "is held") {
					t.Error("it is not counted or not logged")
				}
				if err := l.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "held") {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

// A node that is told that it is blocked keeps what it has, sends it again now and then, and says so once in a while.
func TestI4_ABlockedNodeKeepsItsSegmentsAndSendsThemLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := setup(t)
		l := h.open(t, nil)
		l.Start(t.Context())
		notice := h.plane.sign(&ledgerv1.Receipt{Fleet: testFleet, Node: testNode, Boot: boot(1), Blocked: "stolen"})
		h.wire.set(func([]byte) error { l.Receipt(notice); return nil }, nil)
		eachSecond(t, l, 3)
		before := h.wire.sent()
		pass(time.Minute)
		if again := h.wire.sent() - before; again < 5 || again > 20 {
			t.Errorf("sent %d times in a minute, want it to be tried every few seconds", again)
		}
		if _, pending := l.Stats(); pending < 3 {
			t.Errorf("%d segments wait, want all", pending)
		}
		if l.counts.refusedReceipts.Load() != 0 {
			t.Error("the word that it is blocked is refused")
		}
		h.wire.set(nil, nil)
		closeIn(t, l, time.Minute)
		h.plane.check(t)
	})
}
