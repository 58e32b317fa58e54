package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/sshrun"
)

// fleet is a guarded command on several hosts: all are asked before the first one starts.
func (r *Run) fleet(ctx context.Context) ([]outcome, error) {
	progress := newProgress(r.s, "asked", len(r.names))
	findings := each(ctx, max(r.parallel, r.site.inv.Defaults.Parallel), r.names, func(ctx context.Context, host string) finding {
		f := r.members.ask(ctx, host, func() checks.Request { return r.request(host, checks.ModeCheck) })
		progress.step(f.err != nil)
		return f
	})
	progress.end()
	if ctx.Err() != nil {
		return nil, &Error{Status: ExitInterrupted, Err: fmt.Errorf("%w: nothing was started", context.Cause(ctx))}
	}
	verdicts := r.verdicts(ctx, findings)
	if ctx.Err() != nil {
		return nil, &Error{Status: ExitInterrupted, Err: fmt.Errorf("%w: nothing was started", context.Cause(ctx))}
	}
	for i, f := range findings {
		verdicts[i] = r.breakGlass(verdicts[i], f.report)
	}
	p := makePlan(r.class, verdicts, r.o.SkipRefused, r.o.SkipUnreachable)
	p.beyond = r.members.beyond(r.names)
	r.s.say(p.String())
	for _, v := range verdicts {
		r.print.planned(v)
	}
	if err := r.leaveOut(p); err != nil {
		return nil, err
	}
	if err := r.confirm(ctx); err != nil {
		return nil, err
	}
	ends := r.take(ctx, p.runs)
	for _, v := range p.skipped {
		ends = append(ends, r.ended(v.outcome()))
	}
	return ends, nil
}

// verdicts decides on each host of the preflight, after the other members of the clusters were asked that hosts
// belong to which would otherwise be let through, or would be with an allowance.
func (r *Run) verdicts(ctx context.Context, findings []finding) []verdict {
	verdicts := make([]verdict, len(findings))
	var open []int // of findings
	var names []string
	for i, f := range findings {
		verdicts[i] = judge(f, r.class, r.o.Allow)
		if f.err == nil && verdicts[i].kind != locked && r.members.matters(f.host) && clusterMayDecide(verdicts[i]) {
			open, names = append(open, i), append(names, f.host)
		}
	}
	if len(open) == 0 {
		return verdicts
	}
	r.members.survey(ctx, names)
	sshrun.Each(ctx, r.parallel, len(open), func(ctx context.Context, n int) {
		i := open[n]
		verdicts[i] = judgeInCluster(findings[i], r.class, r.o.Allow, r.members.settled(ctx, findings[i].host))
	})
	return verdicts
}

// clusterMayDecide tells whether nothing but missing allowances and the cluster's silence is against a host.
func clusterMayDecide(v verdict) bool {
	for _, reason := range v.reasons {
		if reason.Code != "cluster-rules" && !strings.HasPrefix(reason.Code, "needs-") {
			return false
		}
	}
	return true
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
func (r *Run) take(ctx context.Context, names []string) []outcome {
	ends := rollout(ctx, names, r.members.labels, r.parallel, r.o.MaxFail, r.next)
	for i, o := range ends {
		if o.kind == notStarted && o.err == nil {
			ends[i] = r.ended(o)
		}
	}
	return ends
}

// next gives one host its turn. A connection that died since the preflight is made again: nothing can have
// started on it.
func (r *Run) next(ctx context.Context, host string) outcome {
	if err := r.noMore(); err != nil {
		return r.ended(outcome{host: host, kind: notStarted, err: err})
	}
	if r.members.matters(host) {
		return r.inCluster(ctx, host)
	}
	conn := r.members.take(host)
	if conn == nil {
		return r.guarded(ctx, host)
	}
	defer conn.Close()
	t, err := open(ctx, conn, r.request(host, checks.ModeRun), r.guardedPTY())
	if err != nil {
		return r.guarded(ctx, host)
	}
	f, reported := t.hear(ctx, host, r.site.reportTimeout())
	return r.turn(ctx, conn, t, f, reported, judge(f, r.class, r.o.Allow))
}
