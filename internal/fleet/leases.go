package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/sshrun"
)

const (
	// renewEvery is how often a lease of checks.LeaseTime is renewed: two renewals may fail before it runs out.
	renewEvery = checks.LeaseTime / 3
	// leaseWithin bounds how long a run tries to get its leases. Two runs that want the same ones at the same
	// moment are told apart within a few tries; one that holds them for a command holds them for longer.
	leaseWithin = 10 * time.Second
	// leaseBackoff is the pause after the first try in vain, at most; it doubles up to leaseBackoffMost.
	leaseBackoff     = 500 * time.Millisecond
	leaseBackoffMost = 2 * time.Second
	// releaseWithin bounds the end of a lease; what is not released runs out by itself.
	releaseWithin = 10 * time.Second
)

// leases are what a run holds on the members that a decision relies on, the host that is to be taken among them.
// They are taken in order of machine identity, all or none.
type leases struct {
	m     *members
	names []string          // members that are leased, in the order of taking
	ids   map[string]string // member → its lease
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// lease takes leases for a host and for what its assessment relies on, and assesses it on what these sessions
// have brought. A finding without leases is that of a host which may not be taken: refused, or locked.
func (m *members) lease(ctx context.Context, name string) (*leases, verdict) {
	pause := leaseBackoff
	for end := time.Now().Add(leaseWithin); ; {
		l, v := m.tryLease(ctx, name)
		if l != nil || v.kind != locked || ctx.Err() != nil || time.Now().After(end) {
			return l, v
		}
		// Jitter, so that two runs that meet once do not meet for ever.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, v
		}
		pause = min(2*pause, leaseBackoffMost)
	}
}

// tryLease is one try: all or none.
func (m *members) tryLease(ctx context.Context, name string) (*leases, verdict) {
	if m.age(name) > freshFor {
		if f := m.ask(ctx, name, func() checks.Request { return m.run.request(name, checks.ModeCheck) }); f.err != nil {
			return nil, verdict{host: name, kind: unreachable, err: f.err}
		}
	}
	if v := m.judge(name, nil); !v.run() && !clusterMayDecide(v) {
		return nil, v // whatever its cluster says
	}
	m.survey(ctx, []string{name})
	m.again(ctx, name)
	m.survey(ctx, []string{name})
	a := m.assess(name)
	v := m.judge(name, a)
	if !v.run() || a == nil {
		return nil, v
	}
	l := &leases{m: m, ids: map[string]string{}}
	for _, member := range m.inOrder(append(slices.Clone(a.Relies), name)) {
		if held, ok := l.take(ctx, member, name); !ok {
			l.release(ctx)
			return nil, held
		}
	}
	// What was heard under the leases counts. A member that has come to be relied on meanwhile is not leased.
	b := m.assess(name)
	v = m.judge(name, b)
	switch {
	case !v.run():
		l.release(ctx)
		return nil, v
	case b == nil || slices.ContainsFunc(b.Relies, func(member string) bool { return l.ids[member] == "" }):
		l.release(ctx)
		return nil, verdict{host: name, kind: locked, state: v.state, reasons: []checks.Reason{{Code: "cluster-moved",
			Text: "its cluster changes while it is being looked at", Remedy: "run this again when it has settled"}}}
	}
	return l, v
}

// age is how old a host's last report is.
func (m *members) age(name string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.of[name]; ok && k.Report != nil {
		return time.Since(k.at)
	}
	return time.Duration(1<<63 - 1)
}

// inOrder sorts members by machine identity: machine id, then boot id, then name. Every run on every client
// takes leases in this order, whatever it calls the hosts. One machine under two names is leased once.
func (m *members) inOrder(names []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	fact := func(name, key string) string {
		if k := m.of[name]; k != nil && k.Report != nil {
			return k.Report.Facts[key]
		}
		return ""
	}
	names = slices.Clone(names)
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(fact(a, "machine_id"), fact(b, "machine_id")), cmp.Compare(fact(a, "boot_id"), fact(b, "boot_id")), cmp.Compare(a, b))
	})
	return slices.Compact(names)
}

// take leases one member. Where it is not to be had, the verdict of the host that is to be taken says why.
func (l *leases) take(ctx context.Context, member, target string) (verdict, bool) {
	f := l.m.ask(ctx, member, func() checks.Request {
		q := l.m.run.memberRequest(member)
		if member == target {
			q = l.m.run.request(member, checks.ModeCheck)
		}
		q.Lease = checks.LeaseTime
		return q
	})
	v := verdict{host: target, kind: locked}
	switch {
	case f.err != nil:
		v.reasons = []checks.Reason{{Code: "no-lease", Text: fmt.Sprintf("%s, which this relies on, is no longer reached: %s", member, cause(f.err)), Remedy: "bring " + member + " back, then run this again"}}
	case f.report.LeaseID == "":
		v.reasons = withCode(f.report.Reasons, "locked", "leased")
		for i := range v.reasons {
			v.reasons[i].Text = member + ": " + v.reasons[i].Text
		}
		if len(v.reasons) == 0 {
			v.kind = refused
			v.reasons = withCode(f.report.Reasons, "no-lease", "no-root", "no-report")
		}
		if len(v.reasons) == 0 {
			v.reasons = []checks.Reason{{Code: "no-lease", Text: member + " gave no lease", Remedy: "run interlock check " + member + " and mend what it names"}}
		}
		v.state = l.m.stateOf(target)
	default:
		l.names = append(l.names, member)
		l.ids[member] = f.report.LeaseID
		return verdict{}, true
	}
	return v, false
}

func (m *members) stateOf(name string) checks.State {
	if r := m.last(name); r != nil {
		return r.State
	}
	return ""
}

// judge is the verdict on a host by what it has reported last.
func (m *members) judge(name string, a *policy.Assessment) verdict {
	m.mu.Lock()
	f := finding{host: name}
	if k, ok := m.of[name]; ok {
		f.report = k.Report
		if k.Report == nil {
			f.err = errors.New(k.Cause)
		}
	}
	m.mu.Unlock()
	if f.report == nil && f.err == nil {
		f.err = errors.New("not asked")
	}
	return judgeInCluster(f, m.run.class, m.run.o.Allow, a)
}

// keep renews the leases until release, but for that of the host that is taken: its lock stands for it, and it
// may boot. One that cannot be renewed lets no further host start.
func (l *leases) keep(ctx context.Context, target string) {
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, name := range l.names {
		if name != target {
			l.done.Go(func() { l.renew(ctx, name) })
		}
	}
}

func (l *leases) renew(ctx context.Context, name string) {
	every := time.NewTicker(renewEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		id, err := l.service(ctx, name, checks.LeaseTime)
		if err != nil && ctx.Err() == nil {
			id, err = l.service(ctx, name, checks.LeaseTime) // on a new connection
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil && id != l.ids[name] {
			err = errors.New("it had run out meanwhile")
		}
		if err != nil {
			l.m.run.halt(fmt.Sprintf("the lease on %s could not be renewed: %v", name, err))
			return
		}
	}
}

// service takes, renews or (length 0) ends the lease of the run on a member without looking at it, and gives
// the lease's id.
func (l *leases) service(ctx context.Context, name string, length time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	conn, _, err := l.m.dial(ctx, name)
	if err != nil {
		return "", errors.New(cause(err))
	}
	q := l.m.run.site.request(name, checks.ModeLease)
	q.Run, q.Lease = l.m.run.record.base.Run, length
	var out, said bytes.Buffer
	err = tellOn(ctx, conn, q, &out, &said)
	var failed error
	if err != nil && said.Len() == 0 {
		failed = err // the connection, not the host
	}
	l.m.settle(name, conn, failed)
	if err != nil {
		return "", errors.New(lockProblem(err, said.String()))
	}
	fields := strings.Fields(out.String())
	if length > 0 && (len(fields) != 3 || fields[0] != "lease") {
		return "", fmt.Errorf("its answer is not understood: %q", lastLine(out.String()))
	}
	if length == 0 {
		return "", nil
	}
	return fields[1], nil
}

// release ends what is held, also when the run is being ended: a lease that stays blocks others for a minute.
func (l *leases) release(ctx context.Context) {
	if l.stop != nil {
		l.stop()
		l.done.Wait()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	sshrun.Each(ctx, len(l.names), len(l.names), func(ctx context.Context, i int) {
		_, _ = l.service(ctx, l.names[i], 0) // what was not released runs out by itself
	})
	l.names = nil
}
