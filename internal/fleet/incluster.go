package fleet

import (
	"context"
	"errors"
	"sync"

	"interlock/checks"
	"interlock/internal/policy"
)

// inCluster takes a host about which its cluster has a say: the other members are asked and leased, the host is
// asked once more in the session that carries the command, and the rules are applied to all of that. Until
// it is seen healthy again it counts as down.
func (r *Run) inCluster(ctx context.Context, host string) outcome {
	if r.members.last(host) == nil {
		if f := r.members.ask(ctx, host, func() checks.Request { return r.request(host, checks.ModeCheck) }); f.err != nil {
			return r.declined(ctx, verdict{host: host, kind: unreachable, err: f.err})
		}
	}
	l, v, alone := r.relyOn(ctx, host)
	no := l == nil && !v.run()
	if no && (r.o.Override == "" || v.kind != refused) {
		return r.declined(ctx, r.breakGlass(v, r.members.last(host)))
	}
	r.print.planned(v)
	if l != nil {
		defer l.release(ctx)
		l.keep(ctx, host)
	}
	conn, _, err := r.members.dial(ctx, host)
	if err != nil {
		return r.declined(ctx, verdict{host: host, kind: unreachable, err: err})
	}
	t, err := open(ctx, conn, r.request(host, checks.ModeRun), r.guardedPTY())
	if err != nil {
		r.members.settle(host, conn, err)
		return r.declined(ctx, verdict{host: host, kind: unreachable, err: err})
	}
	f, reported := t.hear(ctx, host, r.site.reportTimeout())
	r.members.note(f)
	var a *policy.Assessment
	if !alone {
		a = r.members.assess(host)
	}
	v = judgeInCluster(f, r.class, r.o.Allow, a)
	if v.run() && no { // nothing to override any more, and nothing leased
		v.kind, v.reasons = locked, []checks.Reason{{Code: "cluster-moved", Text: "what was refused a moment ago would be let through now", Remedy: "run this again without --override"}}
	}
	if err := r.noMore(); v.run() && err != nil {
		v.kind, v.err = notStarted, err
	}
	r.members.mark(host, v.run() || r.o.Override != "")
	o := r.turn(ctx, conn, t, f, reported, v)
	if !o.ran() {
		r.members.mark(host, false)
	}
	r.members.settle(host, conn, o.err)
	return o
}

// relyOn leases what a yes to a host would rely on. Alone tells that the host's own reasons are against it, whatever its
// cluster says, so that nobody else was asked.
func (r *Run) relyOn(ctx context.Context, host string) (l *leases, v verdict, alone bool) {
	if v := r.members.judge(host, nil); !v.run() && !clusterMayDecide(v) {
		return nil, v, true
	}
	l, v = r.members.lease(ctx, host)
	return l, v, false
}

// halted is why no further host may start; nothing while it may.
type halted struct {
	mu  sync.Mutex
	why string
}

// halt lets no further host start, and says why.
func (r *Run) halt(why string) {
	r.halted.mu.Lock()
	first := r.halted.why == ""
	r.halted.why = why
	r.halted.mu.Unlock()
	if first {
		r.s.notef("%s; no further host starts", why)
	}
}

// noMore is why a host must not start any more; nil while it may.
func (r *Run) noMore() error {
	if r.stops.interrupted() {
		return errInterrupted
	}
	r.halted.mu.Lock()
	defer r.halted.mu.Unlock()
	if r.halted.why != "" {
		return errors.New(r.halted.why)
	}
	return nil
}

// beyond are the members that were asked beside the hosts of the set.
func (m *members) beyond(set []string) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := map[string]bool{}
	for _, name := range set {
		in[name] = true
	}
	for _, name := range m.names {
		if !in[name] {
			names = append(names, name)
		}
	}
	return names
}
