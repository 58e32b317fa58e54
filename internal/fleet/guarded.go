package fleet

import (
	"context"
	"fmt"
	"io"
	"time"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/sshrun"
)

const (
	// goWithin is how old a report may be when the go is sent. The host waits 10 s for it; what comes near
	// that could be too late there without our knowing.
	goWithin = 7 * time.Second
	// refusalWait bounds the wait for a host to end a session that was told no, so that its lock is gone
	// when we are.
	refusalWait = 5 * time.Second
)

// request is what this run asks of a host.
func (r *Run) request(host string, mode checks.Mode) checks.Request {
	q := r.site.request(host, mode)
	q.Class, q.Shell, q.Allow = r.class.Class, r.o.Shell, r.o.Allow
	q.Run = r.record.base.Run
	// With several hosts nobody could tell which of them an override is for.
	q.Offer = len(r.names) == 1 && !r.here
	q.Boots, q.OnUnknown, q.TTY = r.class.Boots, r.class.OnUnknown, r.o.TTY || r.o.Unspooled
	if mode == checks.ModeRun || q.Offer {
		q.Command = r.class.Command
	}
	if mode == checks.ModeRun {
		q.Override, q.Reason = r.o.hostPart(), r.o.Reason
	}
	return q
}

// guarded takes a host in one session where nothing but the host has a say: it is no member of a cluster that
// hosts.toml lists, and turns out to be no replica. Any other goes the long way.
func (r *Run) guarded(ctx context.Context, host string) outcome {
	if r.class.Class >= checks.Disruptive && len(r.site.inv.ClusterOf(host)) > 0 {
		return r.inCluster(ctx, host)
	}
	conn, err := r.site.client.Dial(ctx, r.site.target(host))
	if err != nil {
		return r.declined(ctx, verdict{host: host, kind: unreachable, err: err})
	}
	return r.oneSession(ctx, conn, host)
}

// oneSession is guarded on a connection that stands, and ends it.
func (r *Run) oneSession(ctx context.Context, conn *sshrun.Conn, host string) outcome {
	defer conn.Close()
	t, err := open(ctx, conn, r.request(host, checks.ModeRun), r.guardedPTY())
	if err != nil {
		return r.declined(ctx, verdict{host: host, kind: unreachable, err: err})
	}
	f, reported := t.hear(ctx, host, r.site.reportTimeout())
	v := judge(f, r.class, r.o.Allow)
	if f.report != nil && v.kind == refused && policy.ClusterMatters(r.class.Class, f.report, false) && hasCode(v.reasons, "cluster-rules") {
		t.decline()
		r.members.note(f)
		return r.inCluster(ctx, host)
	}
	return r.turn(ctx, conn, t, f, reported, v)
}

// hear reads the report of a session that carries a command, and tells when it came.
func (t *talk) hear(ctx context.Context, host string, limit time.Duration) (finding, time.Time) {
	report, err := t.read(ctx, limit)
	return finding{host: host, report: report, err: err}, time.Now()
}

// turn is the rest of the one session that carries script, request and command: the host has inspected itself
// and answered, and only when it and we say yes does the command start.
func (r *Run) turn(ctx context.Context, conn *sshrun.Conn, t *talk, f finding, reported time.Time, v verdict) outcome {
	host, report := f.host, f.report
	v = r.breakGlass(v, report)
	if v.run() && !report.Run() {
		v.kind, v.reasons = refused, []checks.Reason{{Code: "no-verdict", Text: "the host did not say that the command may run"}}
	}
	if v.run() {
		v = r.mayStart(v, report, reported)
	}
	var asks *asker
	if v.run() {
		asks = r.newAsker(ctx, conn, host, report.LockID)
	}
	if v.run() && !r.stops.start(host, asks.stop) {
		v.kind, v.err = notStarted, errInterrupted
	}
	if !v.run() {
		t.decline()
		return r.declined(ctx, v)
	}
	if v.overridden {
		r.overruled(v)
	}
	if _, err := io.WriteString(t.session.Stdin, t.request.GoLine()); err != nil {
		t.abandon()
		r.stops.end(host)
		return r.ended(outcome{host: host, kind: lost, err: err, state: v.state, lock: report.LockID, left: true})
	}
	o := r.stream(ctx, t, host, asks)
	r.stops.end(host)
	o.state, o.lock = v.state, report.LockID
	r.recordEnd(o)
	o = r.healthyAgain(ctx, report, o)
	r.print.ended(o)
	return o
}

// mayStart writes the audit line and turns the verdict into a no where that, or the clock, forbids the go.
func (r *Run) mayStart(v verdict, report *checks.Report, reported time.Time) verdict {
	if err := r.record.decision(v, report.LockID); err != nil {
		v.kind, v.reasons = refused, []checks.Reason{{Code: "audit", Text: err.Error(), Remedy: "make room for the audit log, then run this again"}}
		return v
	}
	if age := time.Since(reported); age > goWithin {
		v.kind, v.reasons = refused, []checks.Reason{{Code: "report-old", Text: fmt.Sprintf("its report was %v old before the command could start", age.Round(time.Second)), Remedy: "run this again"}}
	}
	return v
}

// declined is the end of a host where nothing was started: recorded, said, counted.
func (r *Run) declined(ctx context.Context, v verdict) outcome {
	if ctx.Err() != nil && v.kind == unreachable {
		v.kind, v.err = notStarted, context.Cause(ctx)
	}
	if err := r.record.decision(v, ""); err != nil {
		r.s.notef("warning: not recorded: %v", err)
	}
	r.s.say(refusals(r.class.Command, []verdict{v}))
	r.print.decided(v)
	return r.ended(v.outcome())
}

// ended hands an outcome to those who keep account.
func (r *Run) ended(o outcome) outcome {
	r.recordEnd(o)
	r.print.ended(o)
	return o
}

// recordEnd writes the audit line of a command's end.
func (r *Run) recordEnd(o outcome) {
	if o.ran() && r.class.Class != checks.ReadOnly {
		if err := r.record.end(o); err != nil {
			r.s.notef("warning: %s: end not recorded: %v", o.host, err)
		}
	}
}

// decline tells the host no by ending its input, and waits until the host has put its lock away.
func (t *talk) decline() {
	if t.over {
		return
	}
	timer := time.AfterFunc(refusalWait, func() { _ = t.session.Close() })
	defer timer.Stop()
	t.finish(io.Discard)
}
