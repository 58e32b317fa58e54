package policy

import (
	"fmt"
	"slices"
	"strings"

	"interlock/checks"
)

// Decision is what follows from a command's class for one host. The host has decided by the same table before;
// what is decided here can only be stricter.
type Decision struct {
	Run     bool
	Reasons []checks.Reason // why not; empty when Run
	Needs   []string        // the allowances that would let it through; empty when none can
}

// Decide applies the table of classes and states to what one host has reported. Allow holds the words of
// --allow; a word that does not exist is an error, and so is a report that is missing.
func Decide(class checks.Class, r *checks.Report, allow []string) (Decision, error) {
	for _, a := range allow {
		if !slices.Contains(checks.Allowances, a) {
			return Decision{}, fmt.Errorf("allow %q: want one of %s", a, strings.Join(checks.Allowances, ", "))
		}
	}
	if r == nil {
		return Decision{}, fmt.Errorf("decide %s: the host has not reported", class)
	}
	d := judgement{class: class, report: r, allow: allow}
	d.table()
	if len(d.reasons) == 0 && class >= checks.Disruptive && r.State == checks.Replica {
		d.reasons = append(d.reasons, ClusterRules(r, nil)...)
		d.final = len(d.reasons) > 0
	}
	if !r.Run() && len(d.reasons) == 0 {
		// The host knows more than the table: busy, a lock, what its next boot does.
		d.hostSaysNo()
	}
	out := Decision{Run: len(d.reasons) == 0, Reasons: d.reasons}
	if !out.Run && !d.final {
		out.Needs = d.needs
	}
	return out, nil
}

// ClusterRules are what no single host can know: whether enough other members remain. Host is the member to be
// taken, members are the reports of all others of its cluster. They are evaluated in the same run. Until they
// are, no replica is taken.
func ClusterRules(host *checks.Report, members []*checks.Report) []checks.Reason {
	return []checks.Reason{{
		Code:   "cluster-rules",
		Text:   "whether the other members of the cluster can do without this replica cannot be evaluated yet",
		Remedy: "drain the replica and stop its server; then it counts as stopped",
	}}
}

// judgement is one application of the table.
type judgement struct {
	class   checks.Class
	report  *checks.Report
	allow   []string
	reasons []checks.Reason
	needs   []string
	final   bool // no allowance can help
}

// refuse records a reason that no allowance overcomes.
func (j *judgement) refuse(code, text, remedy string) {
	j.reasons = append(j.reasons, checks.Reason{Code: code, Text: text, Remedy: remedy})
	j.final = true
}

// need demands an allowance.
func (j *judgement) need(allowance, code, text string) {
	if slices.Contains(j.allow, allowance) {
		return
	}
	j.needs = append(j.needs, allowance)
	j.reasons = append(j.reasons, checks.Reason{Code: code, Text: text, Remedy: "--allow " + allowance + ", if that is meant"})
}

// table is the table of docs/design.md, section 5.
func (j *judgement) table() {
	state := j.report.State
	switch {
	case j.class == checks.ReadOnly:
		return
	case j.class == checks.Routine:
		if state == checks.Unknown || !state.Valid() {
			j.unknown()
		}
		return
	}
	switch state {
	case checks.Clear:
	case checks.Stopped, checks.Idle:
		if j.class == checks.Destructive {
			j.need("data", "data", "the host holds data: it is "+string(state))
		}
	case checks.Replica:
		j.need("replica", "replica", "the host is a replica")
		if j.class == checks.Destructive {
			j.need("data", "data", "the host holds a replica's data")
		}
		if j.report.Facts["serving"] != "" && j.report.Facts["serving"] != "0" {
			j.need("serving", "serving", "the replica serves clients")
		}
	case checks.Proxy:
		j.need("proxy", "proxy", "the host is a proxy in front of MySQL")
	case checks.Primary:
		j.refuse("primary", "the host is a primary", "move the primary's role to another host first")
	default:
		j.unknown()
	}
	if busy := j.report.Facts["busy"]; busy != "" && busy != "0" {
		j.refuse("busy", "the host is busy: "+busy, "wait until it is done, then run this again")
	}
}

func (j *judgement) unknown() {
	j.refuse("unknown", "the host's state is not known", "see the reasons that the host gives, and what each says would mend it")
}

// hostSaysNo hands on the host's own reasons.
func (j *judgement) hostSaysNo() {
	j.reasons = append(j.reasons, j.report.Reasons...)
	if len(j.reasons) == 0 {
		j.reasons = []checks.Reason{{Code: "host", Text: fmt.Sprintf("the host refuses, by the verdict %q", j.report.Verdict)}}
	}
	j.final = true
}
