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
	facts   []checks.Reason // what the host has seen that led to the verdict
	needs   []string        // allowances that would let it through
	err     error           // of unreachable

	overridden bool               // a refusal that --override turned into a yes; reasons still say why it was one
	glass      string             // the line that would override a refusal; "": none would
	cluster    *policy.Assessment // nil: the cluster rules had no say
}

// judge decides on a finding of a host whose cluster has not been asked.
func judge(f finding, class policy.Classification, allow []string) verdict {
	return judgeInCluster(f, class, allow, nil)
}

// judgeInCluster decides on a finding, and on what the cluster rules say, nil where they have no say or nobody
// has asked. What the host itself says no to stays no.
func judgeInCluster(f finding, class policy.Classification, allow []string, cluster *policy.Assessment) verdict {
	v := verdict{host: f.host, kind: exited, err: f.err}
	if f.err != nil {
		v.kind = unreachable
		return v
	}
	v.state = f.report.State
	v.cluster = cluster
	d, err := policy.DecideInCluster(class.Class, f.report, allow, cluster)
	if err != nil {
		d = policy.Decision{Reasons: []checks.Reason{{Code: "no-decision", Text: err.Error()}}}
	}
	v.reasons, v.needs = d.Reasons, d.Needs
	held := class.Class > checks.Routine && (hasCode(f.report.Reasons, "locked") || hasCode(f.report.Reasons, "leased"))
	switch {
	case f.report.Verdict == "locked" || d.Run && held:
		v.kind = locked
		v.reasons = withCode(f.report.Reasons, "locked", "leased")
	case !d.Run && f.report.Run() && onlyCode(d.Reasons, "member-locked"):
		v.kind = locked // by waiting, nothing else
	case !d.Run || !f.report.Run():
		v.kind = refused
	}
	v.addFacts(f.report)
	return v
}

// addFacts takes from the report what the host has seen, and leaves out its own conclusions, which stand in
// the reasons. Where the state is unknown the facts say what would mend it; elsewhere the reasons do.
func (v *verdict) addFacts(r *checks.Report) {
	for _, fact := range r.Reasons {
		if fact.Code == "locked" || fact.Code == "leased" || strings.HasPrefix(fact.Code, "needs-") || strings.HasPrefix(fact.Code, "state-") || hasText(v.reasons, fact.Text) {
			continue
		}
		if r.State != checks.Unknown {
			fact.Remedy = ""
		}
		v.facts = append(v.facts, fact)
	}
	if r.State == checks.Unknown && len(v.facts) > 0 {
		v.reasons = slices.Clone(v.reasons)
		for i := range v.reasons {
			v.reasons[i].Remedy = "" // "see what the host says", which now stands below
		}
	}
}

func hasText(reasons []checks.Reason, text string) bool {
	return slices.ContainsFunc(reasons, func(r checks.Reason) bool { return r.Text == text })
}

// withCode gives the reasons with one of these codes.
func withCode(reasons []checks.Reason, codes ...string) (some []checks.Reason) {
	for _, r := range reasons {
		if slices.Contains(codes, r.Code) {
			some = append(some, r)
		}
	}
	return some
}

// onlyCode tells whether all reasons have this code.
func onlyCode(reasons []checks.Reason, code string) bool {
	return len(reasons) > 0 && len(withCode(reasons, code)) == len(reasons)
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

// maxFacts is how many different facts of hosts that are refused alike are shown. The check shows all.
const maxFacts = 5

// refusal is one refusal, or several that are alike: what was refused where, the facts that made it so, and
// what would make it safe.
type refusal struct {
	verdict
	hosts []string
	facts folded
	mends []string
}

// refusals writes the refusals among verdicts, those alike folded, in the order of their first host.
func refusals(command string, verdicts []verdict) string {
	var order []*refusal
	groups := map[string]*refusal{}
	for _, v := range verdicts {
		if v.kind != refused && v.kind != locked {
			continue
		}
		key := fmt.Sprintf("%s\x00%q\x00%q", v.kind, v.reasons, v.needs)
		g, ok := groups[key]
		if !ok {
			g = &refusal{verdict: v}
			groups[key] = g
			order = append(order, g)
		}
		g.hosts = append(g.hosts, v.host)
		if v.kind == locked {
			continue // whatever else the host has seen, it is not why
		}
		for _, fact := range v.facts {
			g.facts.add(v.host, fact.Text)
			g.mend(fact.Remedy)
		}
	}
	var b strings.Builder
	for _, g := range order {
		g.write(&b, command)
	}
	return b.String()
}

// mend adds what would make it safe, once.
func (g *refusal) mend(remedy string) {
	if remedy != "" && !slices.Contains(g.mends, remedy) {
		g.mends = append(g.mends, remedy)
	}
}

func (g *refusal) write(b *strings.Builder, command string) {
	fmt.Fprintf(b, "interlock: %s: %s on %s\n", g.kind, report.Visible(command), hosts.Fold(g.hosts))
	for _, r := range g.reasons {
		fmt.Fprintf(b, "  reason: %s\n", report.Visible(r.Text))
		g.mend(r.Remedy)
	}
	for i, fact := range g.facts.lines {
		if i == maxFacts {
			fmt.Fprintf(b, "  reason: … and %d more of the kind: interlock check '%s'\n", len(g.facts.lines)-maxFacts, hosts.Fold(g.hosts))
			break
		}
		if len(g.hosts) > 1 {
			fmt.Fprintf(b, "  reason: %s: %s\n", hosts.Fold(fact.hosts), report.Visible(fact.text))
		} else {
			fmt.Fprintf(b, "  reason: %s\n", report.Visible(fact.text))
		}
	}
	if len(g.reasons)+len(g.facts.lines) == 0 {
		b.WriteString("  reason: the host gave none\n")
	}
	if len(g.mends) == 0 && len(g.needs) > 0 {
		g.mend("if that is meant, add --allow " + strings.Join(g.needs, ","))
	}
	if len(g.mends) == 0 {
		g.mend(fmt.Sprintf("nothing that is known here: look at interlock check '%s'", hosts.Fold(g.hosts)))
	}
	for _, m := range g.mends {
		fmt.Fprintf(b, "  to proceed: %s\n", report.Visible(m))
	}
	if g.glass != "" {
		fmt.Fprintf(b, "  to break the glass, within ten minutes, at your own risk: %s\n", report.Visible(g.glass))
	}
}
