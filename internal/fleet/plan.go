package fleet

import (
	"errors"
	"fmt"
	"strings"

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
}

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
	type line struct {
		word, why string
		hosts     []string
	}
	var lines []*line
	for _, v := range p.verdicts {
		l := line{word: v.word(), why: string(v.state)}
		if v.kind == unreachable {
			l.why = cause(v.err)
		}
		found := false
		for _, have := range lines {
			if have.word == l.word && have.why == l.why {
				have.hosts, found = append(have.hosts, v.host), true
				break
			}
		}
		if !found {
			l.hosts = []string{v.host}
			lines = append(lines, &l)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "interlock: plan: %s (%s) on %s\n", report.Visible(p.class.Command), p.class.Class, plural(len(p.verdicts), "host", "hosts"))
	for _, l := range lines {
		fmt.Fprintf(&b, "  %-11s  %s (%d): %s\n", l.word, hosts.Fold(l.hosts), len(l.hosts), report.Visible(l.why))
	}
	return b.String()
}

// unreachables writes the hosts among verdicts that did not answer, those alike folded, with what would
// mend it.
func unreachables(verdicts []verdict) string {
	var order []string
	groups := map[string][]string{}
	for _, v := range verdicts {
		if v.kind != unreachable {
			continue
		}
		text := "  reason: " + report.Visible(cause(v.err)) + "\n"
		if e, ok := errors.AsType[*sshrun.HostError](v.err); ok && e.Remedy != "" {
			text += "  to proceed: " + report.Visible(e.Remedy) + "\n"
		}
		if _, ok := groups[text]; !ok {
			order = append(order, text)
		}
		groups[text] = append(groups[text], v.host)
	}
	var b strings.Builder
	for _, text := range order {
		fmt.Fprintf(&b, "interlock: unreachable: %s\n%s", hosts.Fold(groups[text]), text)
	}
	return b.String()
}

// cause is an error without the host's name in it, so that errors of many hosts fold.
func cause(err error) string {
	if e, ok := errors.AsType[*sshrun.HostError](err); ok {
		return fmt.Sprintf("%s: %v", e.Stage, e.Err)
	}
	return err.Error()
}

// exit is the status when the plan blocks.
func (p plan) exit() int {
	ends := make([]outcome, 0, len(p.blocking))
	for _, v := range p.blocking {
		ends = append(ends, v.outcome())
	}
	return exitOfMany(ends)
}
