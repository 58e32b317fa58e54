package fleet

import (
	"fmt"
	"slices"
	"strings"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// verdict is what the command may do on one host.
type verdict struct {
	host    string
	kind    kind // exited stands for "may run" here: nothing has gone wrong yet
	state   checks.State
	reasons []checks.Reason
	needs   []string // allowances that would let it through
	err     error    // of unreachable
}

// judge decides on a finding. What the host itself says no to stays no.
func judge(f finding, class policy.Classification, allow []string) verdict {
	v := verdict{host: f.host, kind: exited, err: f.err}
	if f.err != nil {
		v.kind = unreachable
		return v
	}
	v.state = f.report.State
	d, err := policy.Decide(class.Class, f.report, allow)
	switch {
	case class.Class == checks.Routine && class.OnUnknown: // the host alone can say no to it
		d = policy.Decision{Run: f.report.Run()}
	case err != nil:
		d = policy.Decision{Reasons: []checks.Reason{{Code: "no-decision", Text: err.Error()}}}
	}
	v.reasons, v.needs = d.Reasons, d.Needs
	switch {
	case f.report.Verdict == "locked", class.Class > checks.Routine && hasCode(f.report.Reasons, "locked"):
		v.kind = locked
	case !d.Run || (f.report.Verdict != "" && !f.report.Run()):
		v.kind = refused
	}
	if v.kind != exited && len(v.reasons) == 0 {
		v.reasons = f.report.Reasons
	}
	return v
}

// hasCode tells whether a reason with this code was given. A check, which takes no lock, tells of one so.
func hasCode(reasons []checks.Reason, code string) bool {
	return slices.ContainsFunc(reasons, func(r checks.Reason) bool { return r.Code == code })
}

func (v verdict) run() bool { return v.kind == exited }

// outcome is the end of a host where nothing was started.
func (v verdict) outcome() outcome {
	return outcome{host: v.host, kind: v.kind, state: v.state, reasons: v.reasons, err: v.err}
}

// word is the verdict in the plan and in the audit log.
func (v verdict) word() string {
	if v.run() {
		return "run"
	}
	return string(v.kind)
}

// refusal is one refusal, or several that are alike but for the host: what was refused where, the facts
// that made it so, and what would make it safe.
func refusal(command string, where []string, kind kind, reasons []checks.Reason, needs []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "interlock: %s: %s on %s\n", kind, report.Visible(command), hosts.Fold(where))
	var remedies []string
	for _, r := range reasons {
		fmt.Fprintf(&b, "  reason: %s\n", report.Visible(r.Text))
		if r.Remedy != "" && !slices.Contains(remedies, r.Remedy) {
			remedies = append(remedies, r.Remedy)
		}
	}
	if len(reasons) == 0 {
		b.WriteString("  reason: the host gave none\n")
	}
	if len(remedies) == 0 && len(needs) > 0 {
		remedies = append(remedies, "if that is meant, add --allow "+strings.Join(needs, ","))
	}
	if len(remedies) == 0 {
		remedies = append(remedies, "nothing that is known here: look at interlock check "+hosts.Fold(where))
	}
	for _, r := range remedies {
		fmt.Fprintf(&b, "  to proceed: %s\n", report.Visible(r))
	}
	return b.String()
}

// refusals writes the refusals among verdicts, those alike folded, in the order of their first host.
func refusals(command string, verdicts []verdict) string {
	type group struct {
		verdict
		hosts []string
	}
	var order []string
	groups := map[string]*group{}
	for _, v := range verdicts {
		if v.kind != refused && v.kind != locked {
			continue
		}
		key := fmt.Sprintf("%s\x00%v\x00%v", v.kind, v.reasons, v.needs)
		g, ok := groups[key]
		if !ok {
			g = &group{verdict: v}
			groups[key] = g
			order = append(order, key)
		}
		g.hosts = append(g.hosts, v.host)
	}
	var b strings.Builder
	for _, key := range order {
		g := groups[key]
		b.WriteString(refusal(command, g.hosts, g.kind, g.reasons, g.needs))
	}
	return b.String()
}
