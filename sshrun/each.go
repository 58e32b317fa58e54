package sshrun

import (
	"context"
	"sync"
)

// Each calls f(ctx, 0) … f(ctx, n-1), each in a goroutine of its own, at most parallel at a time (at least
// one), and returns when all have. What one call does never stops another; when ctx ends, the calls that are
// left are still made, so that each index gets its answer, and f finds ctx done.
func Each(ctx context.Context, parallel int, n int, f func(ctx context.Context, i int)) {
	slots := make(chan struct{}, max(parallel, 1))
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(ctx, i)
		})
	}
	wg.Wait()
}
