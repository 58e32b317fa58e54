package fleet

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
	"interlock/sshrun"
)

// plan is what is going to happen where, before it does.
type plan struct {
	class    policy.Classification
	verdicts []verdict // of the whole set, in its order
	runs     []string  // the hosts that the command will start on
	skipped  []verdict // left out, since the flags say so
	blocking []verdict // why it starts nowhere
	beyond   []string  // members of clusters that were asked beside the set
}

// maxStays is how many different lines about what stays healthy are shown.
const maxStays = 10

// makePlan sorts the verdicts. Any host that blocks makes runs empty: nothing starts anywhere.
func makePlan(class policy.Classification, verdicts []verdict, skipRefused bool, skipUnreachable int) plan {
	p := plan{class: class, verdicts: verdicts}
	gone := 0
	for _, v := range verdicts {
		if v.kind == unreachable {
			gone++
		}
	}
	for _, v := range verdicts {
		switch {
		case v.run():
			p.runs = append(p.runs, v.host)
		case v.kind == unreachable && gone <= skipUnreachable, v.kind != unreachable && skipRefused:
			p.skipped = append(p.skipped, v)
		default:
			p.blocking = append(p.blocking, v)
		}
	}
	if len(p.blocking) > 0 {
		p.runs = nil
	}
	return p
}

// String is the plan for people, folded: one line for each verdict and the state or cause behind it.
func (p plan) String() string {
	var lines folded
	for _, v := range p.verdicts {
		why := string(v.state)
		if v.kind == unreachable {
			why = cause(v.err)
		}
		lines.add(v.host, fmt.Sprintf("%-11s\x00%s", v.word(), why))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "interlock: plan: %s (%s) on %s\n", report.Visible(p.class.Command), p.class.Class, plural(len(p.verdicts), "host", "hosts"))
	for _, l := range lines.lines {
		word, why, _ := strings.Cut(l.text, "\x00")
		fmt.Fprintf(&b, "  %s  %s (%d): %s\n", word, hosts.Fold(l.hosts), len(l.hosts), report.Visible(why))
	}
	p.writeClusters(&b)
	return b.String()
}

// writeClusters says who was asked beyond the set, and what stays healthy while a host is away.
func (p plan) writeClusters(b *strings.Builder) {
	if len(p.beyond) > 0 {
		fmt.Fprintf(b, "  asked too    %s (%d)\n", hosts.Fold(p.beyond), len(p.beyond))
	}
	var stays, warnings folded
	for _, v := range p.verdicts {
		if v.cluster == nil {
			continue
		}
		if v.run() && len(v.cluster.Stays) > 0 {
			stays.add(v.host, strings.Join(v.cluster.Stays, ", "))
		}
		for _, w := range v.cluster.Warnings {
			warnings.add(v.host, w.Text)
		}
	}
	for i, l := range stays.lines {
		if i == maxStays {
			fmt.Fprintf(b, "  stays        … and %d more lines\n", len(stays.lines)-maxStays)
			break
		}
		fmt.Fprintf(b, "  stays        without %s: %s\n", hosts.Fold(l.hosts), report.Visible(l.text))
	}
	for _, l := range warnings.lines {
		fmt.Fprintf(b, "  warning      %s\n", report.Visible(l.text))
	}
}

// unreachables writes the hosts among verdicts that did not answer, those alike folded, with what would
// mend it.
func unreachables(verdicts []verdict) string {
	var lines folded
	for _, v := range verdicts {
		if v.kind != unreachable {
			continue
		}
		text := "  reason: " + report.Visible(cause(v.err)) + "\n"
		if remedy := remedyOf(v.err); remedy != "" {
			text += "  to proceed: " + report.Visible(remedy) + "\n"
		}
		lines.add(v.host, text)
	}
	var b strings.Builder
	for _, l := range lines.lines {
		fmt.Fprintf(&b, "interlock: unreachable: %s\n%s", hosts.Fold(l.hosts), l.text)
	}
	return b.String()
}

// cause is an error without the host's name and address in it, so that errors of many hosts fold.
func cause(err error) string {
	e, ok := errors.AsType[*sshrun.HostError](err)
	if !ok {
		return err.Error()
	}
	if dial, ok := e.Err.(*net.OpError); ok { //nolint:errorlint // itself alone: what wraps it says more
		if errno, ok := errors.AsType[syscall.Errno](dial); ok {
			return fmt.Sprintf("%s: %v", e.Stage, errno)
		}
	}
	return fmt.Sprintf("%s: %v", e.Stage, e.Err)
}

// exit is the status when the plan blocks. It is never 0 then: that would mean "go on".
func (p plan) exit() int {
	ends := make([]outcome, 0, len(p.blocking))
	for _, v := range p.blocking {
		ends = append(ends, v.outcome())
	}
	if code := exitOfMany(ends); code != ExitOK || len(p.blocking) == 0 {
		return code
	}
	return ExitRefused
}
