package sshrun

import (
	"context"
	"sync"
	"time"
)

// questions counts the time during which a question stood on the terminal. That time is the user's, not the
// host's: it is taken off every ConnectTimeout that runs meanwhile. A host that waits for its turn to shake hands
// counts that time the same way, for itself.
type questions struct {
	mu    sync.Mutex
	open  int
	since time.Time
	total time.Duration
}

func (q *questions) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open++; q.open == 1 {
		q.since = time.Now()
	}
}

func (q *questions) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open--; q.open == 0 {
		q.total += time.Since(q.since)
	}
}

// asked is the time spent on questions so far.
func (q *questions) asked() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open > 0 {
		return q.total + time.Since(q.since)
	}
	return q.total
}

// withBudget returns a context that ends with a timeoutError once limit has gone by, what the clocks count not
// counted. stop frees its timer.
func withBudget(parent context.Context, limit time.Duration, clocks ...*questions) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	notTheHosts := func() (sum time.Duration) {
		for _, q := range clocks {
			sum += q.asked()
		}
		return sum
	}
	start, before := time.Now(), notTheHosts()
	var mu sync.Mutex
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(limit, func() {
		left := limit - (time.Since(start) - (notTheHosts() - before))
		if left <= 0 {
			cancel(timeoutError{limit})
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			timer.Reset(max(left, 10*time.Millisecond)) // while one is open, left stands still
		}
	})
	return ctx, func() {
		cancel(context.Canceled)
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}
