package sshrun

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestEach(t *testing.T) {
	for _, tc := range []struct{ parallel, n, want int }{{4, 40, 4}, {1, 5, 1}, {0, 3, 1}, {100, 7, 7}, {3, 0, 0}} {
		var now, most atomic.Int32
		calls := make([]atomic.Int32, tc.n)
		Each(t.Context(), tc.parallel, tc.n, func(_ context.Context, i int) {
			for n := now.Add(1); ; {
				m := most.Load()
				if n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			time.Sleep(5 * time.Millisecond)
			calls[i].Add(1)
			now.Add(-1)
		})
		if got := int(most.Load()); got != tc.want {
			t.Errorf("%+v: %d at once", tc, got)
		}
		for i := range calls {
			if calls[i].Load() != 1 {
				t.Errorf("%+v: index %d called %d times", tc, i, calls[i].Load())
			}
		}
	}
}

func TestEachMakesAllCallsAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var done atomic.Int32
	Each(ctx, 2, 10, func(ctx context.Context, i int) {
		if i == 0 {
			cancel()
		}
		<-ctx.Done()
		done.Add(1)
	})
	if done.Load() != 10 {
		t.Errorf("%d calls, want 10", done.Load())
	}
}
