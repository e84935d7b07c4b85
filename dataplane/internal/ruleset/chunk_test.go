package ruleset

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever comes first, it is handed over in order, and no more is under way than may be.
func TestAhead_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	const many = 500
	var under, most atomic.Int64
	next := 0
	err := ahead(t.Context(), many, func(_ context.Context, i int) (int, error) {
		defer under.Add(-1)
		if n := under.Add(1); n > most.Load() {
			most.Store(n)
		}
		for range rand.IntN(20) {
			runtime.Gosched()
		}
		return i, nil
	}, func(i int) error {
		if i != next {
			return fmt.Errorf("%d came, and not %d", i, next)
		}
		next++
		return nil
	})
	if err != nil || next != many {
		t.Errorf("%d came: %v", next, err)
	}
	if limit := int64(chunksAhead*runtime.GOMAXPROCS(0) + 2); most.Load() > limit {
		t.Errorf("%d were under way at once, and not %d", most.Load(), limit)
	}
}

// What is wrong first ends it, whoever says so, and nobody is left behind.
func TestAhead_TheFirstErrorEndsIt(t *testing.T) {
	t.Parallel()
	broken, stopped := errors.New("broken"), errors.New("stopped")
	for _, tt := range []struct {
		name       string
		get, yield error
		cancel     bool
		want       error
	}{
		{"get", broken, nil, false, broken},
		{"yield", nil, stopped, false, stopped},
		{"both at once", broken, stopped, false, broken},
		{"the caller", nil, nil, true, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var under atomic.Int64
			yielded := 0
			err := ahead(ctx, 1000, func(ctx context.Context, i int) (int, error) {
				under.Add(1)
				defer under.Add(-1)
				switch {
				case i == 7 && tt.get != nil:
					return 0, tt.get
				case i > 100: // Nobody gets that far but by an end.
					select {
					case <-ctx.Done():
						return 0, ctx.Err()
					case <-time.After(time.Minute):
						return 0, errors.New("it was not told to end")
					}
				}
				return i, nil
			}, func(i int) error {
				yielded++
				if i != 7 {
					return nil
				}
				if tt.cancel {
					cancel()
				}
				return tt.yield
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("it ends with %v", err)
			}
			if under.Load() != 0 {
				t.Errorf("%d are left behind", under.Load())
			}
			if tt.get != nil && yielded != 7 || tt.get == nil && tt.yield != nil && yielded != 8 {
				t.Errorf("%d were handed over", yielded)
			}
		})
	}
}
