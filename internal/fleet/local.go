package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
)

// LocalOptions are those of `interlock local`.
type LocalOptions struct {
	Remote
	Hosts        string   // a set
	Command      []string // the words after --; {host} stands for a name
	For          string   // disruptive, reinstall; "": destructive
	Allow        []string
	ExpectHosts  *int          // nil: ask on a terminal
	Parallel     int           // hosts asked at once; 0: as hosts.toml says
	Until        string        // a shell line; "": a new boot id or machine id
	UntilTimeout time.Duration // how long to wait for that
	Interrupts   <-chan os.Signal
}

// forReinstall is the word of --for that takes clear hosts alone.
const forReinstall = "reinstall"

// Local is a command that runs on this machine once hosts have agreed to it: for what does not pass through SSH.
// What it does to the hosts is said, not classified. All hosts are locked before it starts; it may return long
// before what it asked for happens, so the locks stay until that has been seen.
type Local struct {
	o     LocalOptions
	run   *Run // asks, decides and records
	holds []*grip
}

// grip is a host that was locked for the command.
type grip struct {
	host          string
	lock          string
	boot, machine string // ids when it was locked
	state         checks.State
	leases        *leases // on what the decision relies on; nil: nothing
	over          bool    // the lock is gone
}

// NewLocal resolves the set and refuses what needs no host to be refused.
func NewLocal(o LocalOptions, s Streams) (*Local, error) {
	class := checks.Destructive
	switch o.For {
	case "", forReinstall:
	case "disruptive":
		class = checks.Disruptive
	default:
		return nil, Usage("", "--for %q: want disruptive or reinstall", o.For)
	}
	switch {
	case len(o.Command) == 1 && strings.TrimSpace(o.Command[0]) == "":
		return nil, Usage("", "local: the command is empty")
	case o.UntilTimeout <= 0:
		return nil, Usage("", "--until-timeout: want more than 0")
	}
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	r := &Run{s: s, site: f, here: true}
	r.o = RunOptions{
		Remote: o.Remote, Hosts: o.Hosts, Command: o.Command, Allow: o.Allow, ExpectHosts: o.ExpectHosts, Parallel: o.Parallel, Interrupts: o.Interrupts,
	}
	// What a command of the house does here nobody knows: a disruptive one may boot the host.
	r.class = policy.Classification{Command: shellLine(o.Command), Class: class, Boots: class == checks.Disruptive}
	if err := r.ready(); err != nil {
		f.close()
		return nil, err
	}
	return &Local{o: o, run: r}, nil
}

// ready is prepare for a command that was not classified.
func (r *Run) ready() (err error) {
	if r.names, err = expand(r.site.inv, r.o.Hosts); err != nil {
		return err
	}
	if r.parallel, err = r.site.parallelism(r.o.Parallel); err != nil {
		return err
	}
	if err = r.validate(); err != nil {
		return err
	}
	return r.outfit()
}

// Run does it. The error carries the exit status.
func (l *Local) Run(ctx context.Context) error {
	defer l.run.site.close()
	defer l.run.record.close()
	defer l.run.members.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watching sync.WaitGroup
	stop := make(chan struct{})
	watching.Go(func() {
		select {
		case <-l.o.Interrupts:
			cancel(errInterrupted)
		case <-stop:
		}
	})
	defer watching.Wait()
	defer close(stop)
	defer l.endLeases(ctx)
	if err := l.agree(ctx); err != nil {
		return err
	}
	if err := l.lockAll(ctx); err != nil {
		return err
	}
	code, err := l.commands(ctx)
	if err != nil {
		return err
	}
	if code == ExitOK && ctx.Err() != nil {
		code = ExitInterrupted
	}
	if code != ExitOK {
		l.left()
		return status(code)
	}
	return l.await(ctx)
}

// agree asks every host, and has the number of hosts confirmed. Its error ends all before anything was locked.
func (l *Local) agree(ctx context.Context) error {
	r := l.run
	progress := newProgress(r.s, "asked", len(r.names))
	findings := each(ctx, r.parallel, r.names, func(ctx context.Context, host string) finding {
		f := r.members.ask(ctx, host, func() checks.Request { return r.request(host, checks.ModeCheck) })
		progress.step(f.err != nil)
		return f
	})
	progress.end()
	verdicts := r.verdicts(ctx, findings)
	if ctx.Err() != nil {
		return nothingStarted(ctx)
	}
	for i := range verdicts {
		verdicts[i] = l.clearOnly(verdicts[i])
	}
	p := makePlan(r.class, verdicts, false, 0)
	if len(r.names) > 1 {
		r.s.say(p.String())
	}
	if len(p.blocking) > 0 {
		return l.refuse(p.blocking)
	}
	if len(r.names) == 1 && r.o.Hosts == r.names[0] {
		return nil // one host that was named: nothing to confirm
	}
	return r.confirm(ctx)
}

func nothingStarted(ctx context.Context) error {
	return &Error{Status: ExitInterrupted, Err: fmt.Errorf("%w: nothing was started", context.Cause(ctx))}
}

// clearOnly refuses a reinstallation of anything but a clear host, whatever was allowed.
func (l *Local) clearOnly(v verdict) verdict {
	if l.o.For == forReinstall && v.run() && v.state != checks.Clear {
		v.kind = refused
		v.reasons = append(slices.Clone(v.reasons), checks.Reason{Code: "not-clear", Text: fmt.Sprintf("reinstall takes clear hosts alone, and this one is %s", v.state),
			Remedy: "take the data away first; what is known to be worthless goes with --allow data and without --for reinstall"})
	}
	return v
}

// refuse says and records why nothing starts.
func (l *Local) refuse(blocking []verdict) error {
	r := l.run
	for _, v := range blocking {
		if err := r.record.decision(v, ""); err != nil {
			r.s.notef("warning: not recorded: %v", err)
		}
	}
	r.s.say(refusals(r.class.Command, blocking) + unreachables(blocking))
	r.s.notef("nothing was started")
	return status(plan{blocking: blocking}.exit())
}

// lockAll locks every host, or none: each is asked once more, and counts as down for those that come after it.
func (l *Local) lockAll(ctx context.Context) error {
	r := l.run
	for _, host := range r.names {
		h, v := l.lock(ctx, host)
		if h != nil {
			l.holds = append(l.holds, h)
		}
		if v.run() {
			if err := r.record.decision(v, h.lock); err != nil {
				v.kind, v.reasons = refused, []checks.Reason{{Code: "audit", Text: err.Error(), Remedy: "make room for the audit log, then run this again"}}
			}
		}
		if !v.run() || ctx.Err() != nil {
			l.unlock(ctx, l.holds...)
			if ctx.Err() != nil {
				return nothingStarted(ctx)
			}
			return l.refuse([]verdict{v})
		}
	}
	return nil
}

// lock locks one host, under leases on the members of its cluster that the decision relies on. A hold without a
// verdict to run is a lock that is to be released.
func (l *Local) lock(ctx context.Context, host string) (*grip, verdict) {
	r := l.run
	h := &grip{host: host}
	if r.members.matters(host) {
		leases, v := r.members.lease(ctx, host)
		if leases == nil {
			return nil, v
		}
		h.leases = leases
		leases.keep(ctx, host)
	}
	conn, _, err := r.members.dial(ctx, host)
	if err != nil {
		return h, verdict{host: host, kind: unreachable, err: err}
	}
	q := r.request(host, checks.ModeLock)
	q.Command = r.class.Command
	f := finding{host: host}
	f.report, f.err = r.site.ask(ctx, conn, q)
	r.members.settle(host, conn, f.err)
	r.members.note(f)
	if f.err != nil {
		h.lock = q.Nonce[:12] // check.sh calls a lock so; whether it was taken is not known
		return h, verdict{host: host, kind: unreachable, err: f.err}
	}
	v := l.clearOnly(judgeInCluster(f, r.class, r.o.Allow, r.members.assess(host)))
	h.lock, h.state = f.report.LockID, f.report.State
	h.boot, h.machine = f.report.Facts["boot_id"], f.report.Facts["machine_id"]
	if v.run() && h.lock == "" {
		v.kind, v.reasons = refused, []checks.Reason{{Code: "no-lock", Text: "the host gave no lock", Remedy: "run interlock check " + host}}
	}
	r.members.mark(host, v.run())
	return h, v
}

// unlock releases locks, and names those that it could not.
func (l *Local) unlock(ctx context.Context, holds ...*grip) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	for _, h := range holds {
		if h.over || h.lock == "" {
			continue
		}
		if err := l.run.release(ctx, h.host, h.lock); err != nil {
			l.run.s.notef("%s: unlock: %v", h.host, err)
			l.named(h)
			continue
		}
		h.over = true
	}
}

// left names the locks that stay.
func (l *Local) left() {
	for _, h := range l.holds {
		if !h.over {
			l.named(h)
		}
	}
}

func (l *Local) named(h *grip) {
	l.run.s.notef("the lock on %s stays: a new boot ends it, or interlock locks break --reason TEXT %s %s", h.host, h.host, h.lock)
}

func (l *Local) endLeases(ctx context.Context) {
	for _, h := range l.holds {
		if h.leases != nil {
			h.leases.release(ctx)
		}
	}
}

// release releases a lock of this run.
func (r *Run) release(ctx context.Context, host, lock string) error {
	conn, old, err := r.members.dial(ctx, host)
	if err != nil {
		return errors.New(cause(err))
	}
	var said strings.Builder
	q := r.site.request(host, checks.ModeLocks)
	q.LockID, q.Release, q.Run = lock, true, r.record.base.Run
	err = tellOn(ctx, conn, q, &said, &said)
	var failed error
	if err != nil && said.Len() == 0 {
		failed = err // the connection, not the host
	}
	r.members.settle(host, conn, failed)
	switch {
	case failed != nil && old && ctx.Err() == nil:
		return r.release(ctx, host, lock) // on a new connection
	case err != nil:
		return errors.New(lockProblem(err, said.String()))
	}
	return nil
}

// bare are the hosts' names without users.
func bare(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		_, out[i] = hosts.SplitUser(name)
	}
	return out
}
