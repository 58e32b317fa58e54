package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"interlock/checks"
	"interlock/internal/policy"
)

const (
	// defaultWait is how long a host may take to become what it was: a boot of large iron, crash recovery and
	// the lag of both.
	defaultWait = 15 * time.Minute
	// firstLook and lookEvery are the pauses between questions to a host that is waited for.
	firstLook = 500 * time.Millisecond
	lookEvery = 3 * time.Second
)

// waitsFor tells whether a host is waited for after the command: a disruptive command that went well there, or
// that booted the host, on a replica or on any host that it boots.
func (r *Run) waitsFor(before *checks.Report, o outcome) bool {
	switch {
	case r.o.NoWaitHealthy, r.class.Class != checks.Disruptive, r.stops.interrupted():
		return false
	case r.class.Boots && (o.kind == lost || o.kind == signaled || o.kind == exited && o.exit >= 128):
		return true // what a session looks like whose host goes down
	}
	return o.fine() && (r.class.Boots || policy.ClusterMatters(r.class.Class, before, false))
}

// healthyAgain waits until a host is what it was before the command, and makes an outcome of that: a host that
// does not come back is not fine, and a connection that was lost in a boot from which the host came back is.
func (r *Run) healthyAgain(ctx context.Context, before *checks.Report, o outcome) outcome {
	if !r.waitsFor(before, o) {
		return o
	}
	limit := r.o.WaitTimeout
	if limit == 0 {
		limit = defaultWait
	}
	r.dropConn(o.host)
	began := time.Now()
	err := r.awaitHealth(ctx, before, o, limit)
	r.wait.set(r, o.host, "")
	if recErr := r.record.health(o.host, err, time.Since(began)); recErr != nil {
		r.s.notef("warning: %s: health not recorded: %v", o.host, recErr)
	}
	switch {
	case err == nil:
		r.members.mark(o.host, false)
		if !o.fine() {
			o.kind, o.left, o.err = rebooted, false, nil
		}
	case !o.fine() && errors.Is(err, errNotBooted):
		o.err = err // it stays what it was: a command that failed, or of which nobody knows
	default:
		o.kind, o.err = unhealthy, err
	}
	return o
}

// errNotBooted is the end of a wait for a host that answers and has not booted: its command may still run.
var errNotBooted = errors.New("it has not booted")

// dropConn closes the connection that a boot has made useless.
func (r *Run) dropConn(host string) {
	if conn := r.members.take(host); conn != nil && r.class.Boots {
		_ = conn.Close()
	} else if conn != nil {
		r.members.settle(host, conn, nil)
	}
}

// awaitHealth asks a host until it is what it was before.
func (r *Run) awaitHealth(ctx context.Context, before *checks.Report, o outcome, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	why := errors.New("it has not answered")
	for pause := firstLook; ; pause = min(2*pause, lookEvery) {
		r.wait.set(r, o.host, why.Error())
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-timeout.C:
			timer.Stop()
			return fmt.Errorf("within %v: %w", limit, why)
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w while waiting: %w", context.Cause(ctx), why)
		}
		f := r.members.ask(ctx, o.host, func() checks.Request { return r.memberRequest(o.host) })
		switch text := r.stillMissing(before, f); {
		case f.err != nil && ctx.Err() == nil:
			why = errors.New(cause(f.err))
		case ctx.Err() != nil:
		case text == "":
			return nil
		case text == errNotBooted.Error():
			why = errNotBooted
		default:
			why = errors.New(text)
		}
	}
}

// stillMissing is what a host lacks to be what it was before.
func (r *Run) stillMissing(before *checks.Report, f finding) string {
	if f.err != nil {
		return cause(f.err)
	}
	if r.class.Boots && f.report.Facts["boot_id"] == before.Facts["boot_id"] {
		return errNotBooted.Error()
	}
	for _, h := range f.report.Held {
		if h.Kind == "lock" && h.Run == r.record.base.Run {
			return "its command has not ended"
		}
	}
	return policy.NotHealthyAgain(before, f.report, r.site.inv.Defaults.MaxLag)
}

// waits is which hosts are waited for, and why.
type waits struct {
	mu sync.Mutex
	of map[string]string // host → what it still lacks
}

// set says what a host still lacks; "": it is no longer waited for.
func (w *waits) set(r *Run, host, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[string]string{}
	}
	w.of[host] = why
	if why == "" {
		delete(w.of, host)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w.of)) {
		parts = append(parts, name+": "+w.of[name])
	}
	text := strings.Join(parts, ", ")
	if text != "" {
		text = "waiting for " + text
	}
	r.print.waiting(text)
}

// waitLine shows what is waited for where no other line tells how far a run is.
type waitLine struct {
	s    Streams
	mu   sync.Mutex
	line *progress
}

func (l *waitLine) waiting(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case text != "" && l.line == nil:
		l.line = newLine(l.s, text)
	case text != "":
		l.line.note(text)
	case l.line != nil:
		l.line.end()
		l.line = nil
	}
}

// planned is for printers that have nothing to say of a plan.
func (l *waitLine) planned(verdict) {}
