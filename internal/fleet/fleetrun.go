package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/sshrun"
)

// maxKeptConns is how many connections of the preflight are kept for the command. The others are made
// again: 1,024 open files are what a shell gives by default, and an agent and jump hosts need some.
const maxKeptConns = 500

// fleet is a guarded command on several hosts: all are asked before the first one starts.
func (r *Run) fleet(ctx context.Context) ([]outcome, error) {
	conns := &kept{of: map[string]*sshrun.Conn{}}
	defer conns.close()
	progress := newProgress(r.s, "asked", len(r.names))
	findings := each(ctx, max(r.parallel, r.site.inv.Defaults.Parallel), r.names, func(ctx context.Context, host string) finding {
		f := r.preflight(ctx, conns, host)
		progress.step(f.err != nil)
		return f
	})
	progress.end()
	if ctx.Err() != nil {
		return nil, &Error{Status: ExitInterrupted, Err: fmt.Errorf("%w: nothing was started", context.Cause(ctx))}
	}
	verdicts := make([]verdict, len(findings))
	for i, f := range findings {
		verdicts[i] = r.breakGlass(judge(f, r.class, r.o.Allow), f.report)
	}
	p := makePlan(r.class, verdicts, r.o.SkipRefused, r.o.SkipUnreachable)
	r.s.say(p.String())
	if err := r.leaveOut(p); err != nil {
		return nil, err
	}
	if err := r.confirm(ctx); err != nil {
		return nil, err
	}
	ends := r.take(ctx, p.runs, conns)
	for _, v := range p.skipped {
		ends = append(ends, r.ended(v.outcome()))
	}
	return ends, nil
}

// preflight asks a host what it is, and keeps the connection.
func (r *Run) preflight(ctx context.Context, conns *kept, host string) finding {
	conn, err := r.site.client.Dial(ctx, r.site.target(host))
	if err != nil {
		return finding{host: host, err: err}
	}
	report, err := r.site.ask(ctx, conn, r.request(host, checks.ModeCheck))
	if err != nil || !conns.put(host, conn) {
		_ = conn.Close()
	}
	return finding{host: host, report: report, err: err}
}

// leaveOut says and records which hosts the command does not start on; an error where that means none.
func (r *Run) leaveOut(p plan) error {
	out := append(append([]verdict{}, p.skipped...), p.blocking...)
	for _, v := range out {
		if err := r.record.decision(v, ""); err != nil {
			r.s.notef("warning: not recorded: %v", err)
		}
		r.print.decided(v)
	}
	r.s.say(refusals(r.class.Command, out) + unreachables(out))
	if len(p.blocking) > 0 {
		r.s.notef("nothing was started; %s", remedyForSkips(p.blocking))
		return r.s.end(p.exit(), r.print.finish())
	}
	if len(p.skipped) > 0 {
		names := make([]string, len(p.skipped))
		for i, v := range p.skipped {
			names[i] = v.host
		}
		r.s.notef("leaving out %s (%d)", hosts.Fold(names), len(names))
	}
	if len(p.runs) == 0 {
		r.s.notef("nothing was started: no host is left")
		ends := make([]outcome, len(p.skipped))
		for i, v := range p.skipped {
			ends[i] = v.outcome()
		}
		return r.s.end(exitOfMany(ends), r.print.finish())
	}
	return nil
}

// remedyForSkips names the flags that would leave the blocking hosts out.
func remedyForSkips(blocking []verdict) string {
	gone, no := 0, 0
	for _, v := range blocking {
		if v.kind == unreachable {
			gone++
		} else {
			no++
		}
	}
	var flags []string
	if no > 0 {
		flags = append(flags, "--skip-refused")
	}
	if gone > 0 {
		flags = append(flags, fmt.Sprintf("--skip-unreachable %d", gone))
	}
	return "to leave these hosts out: " + strings.Join(flags, " ")
}

// confirm asks for the number of hosts in the set as it was resolved, unless --expect-hosts has said it.
func (r *Run) confirm(ctx context.Context) error {
	if r.o.ExpectHosts != nil {
		return nil // compared before any host was asked
	}
	n := len(r.names)
	if r.site.tty == nil {
		return Usage(fmt.Sprintf("add --expect-hosts %d if that is the number of hosts you mean", n),
			"no terminal to confirm %s on", plural(n, "host", "hosts"))
	}
	answer, err := r.site.tty.Line(ctx, fmt.Sprintf("interlock: type the number of hosts in %s to start: ", r.o.Hosts))
	if ctx.Err() != nil {
		return &Error{Status: ExitInterrupted, Err: fmt.Errorf("%w: nothing was started", context.Cause(ctx))}
	}
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != strconv.Itoa(n) {
		return Usage("", "%q is not the number of hosts: nothing was started", answer)
	}
	return nil
}

// take gives each host its turn.
func (r *Run) take(ctx context.Context, names []string, conns *kept) []outcome {
	ends := rollout(ctx, names, r.site.inv.ClusterOf, r.parallel, r.o.MaxFail, func(ctx context.Context, host string) outcome {
		return r.next(ctx, host, conns.take(host))
	})
	for i, o := range ends {
		if o.kind == notStarted && o.err == nil {
			ends[i] = r.ended(o)
		}
	}
	return ends
}

// next gives one host its turn. A connection that died since the preflight is made again: nothing can have
// started on it.
func (r *Run) next(ctx context.Context, host string, conn *sshrun.Conn) outcome {
	if r.stops.interrupted() {
		return r.ended(outcome{host: host, kind: notStarted, err: errInterrupted})
	}
	if conn == nil {
		return r.guarded(ctx, host)
	}
	defer conn.Close()
	t, err := open(ctx, conn, r.request(host, checks.ModeRun), r.guardedPTY())
	if err != nil {
		return r.guarded(ctx, host)
	}
	return r.turn(ctx, conn, host, t)
}

// kept are the connections between preflight and command.
type kept struct {
	mu sync.Mutex
	of map[string]*sshrun.Conn
}

func (k *kept) put(host string, conn *sshrun.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) >= maxKeptConns {
		return false
	}
	k.of[host] = conn
	return true
}

func (k *kept) take(host string) *sshrun.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	conn := k.of[host]
	delete(k.of, host)
	return conn
}

func (k *kept) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, conn := range k.of {
		_ = conn.Close()
	}
}
