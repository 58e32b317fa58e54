package policy

import (
	"errors"
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

// Decide applies the table of classes and states to what one host has reported, and the host's own verdict. Allow
// holds the words of --allow. A word that does not exist and a report that is missing are errors. A report
// without a verdict (the host was only asked what it is) is judged by the table alone. A replica is refused:
// nobody has asked the rest of its cluster; see DecideInCluster.
func Decide(class checks.Class, r *checks.Report, allow []string) (Decision, error) {
	return DecideInCluster(class, r, allow, nil)
}

// DecideInCluster is Decide with what the cluster rules say, nil where the rest of the cluster was not asked.
func DecideInCluster(class checks.Class, r *checks.Report, allow []string, cluster *Assessment) (Decision, error) {
	for _, a := range allow {
		if !slices.Contains(checks.Allowances, a) {
			return Decision{}, fmt.Errorf("allow %q: want one of %s", a, strings.Join(checks.Allowances, ", "))
		}
	}
	if r == nil {
		return Decision{}, errors.New("decide: the host has not reported")
	}
	j := judgement{class: class, report: r, allow: allow}
	j.table()
	j.host()
	if cluster == nil && !j.final && ClusterMatters(class, r, false) {
		cluster = &Assessment{}
		cluster.refuse("cluster-rules", "the rest of its cluster has not been asked whether it can do without this replica", "run this again")
	}
	if cluster != nil {
		for _, reason := range cluster.Reasons {
			j.refuse(reason.Code, reason.Text, reason.Remedy)
		}
	}
	out := Decision{Run: len(j.reasons) == 0, Reasons: j.reasons}
	if !out.Run && !j.final {
		out.Needs = j.needs
	}
	return out, nil
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
func (j *judgement) need(allowance, text string) {
	if slices.Contains(j.allow, allowance) || slices.Contains(j.needs, allowance) {
		return
	}
	j.needs = append(j.needs, allowance)
	j.reasons = append(j.reasons, checks.Reason{
		Code: "needs-" + allowance, Text: text, Remedy: "--allow " + allowance + ", if that is what you want",
	})
}

// table is the table of docs/design.md, section 5. check.sh holds the same one.
func (j *judgement) table() {
	switch j.class {
	case checks.ReadOnly:
		return
	case checks.Routine:
		// The host alone says run where its state is unknown: it has been told of on_unknown.
		if slices.ContainsFunc(statesOf(j.report), blind) && !j.report.Run() {
			j.refuse("state-unknown", "the host's state is unknown: what cannot be seen counts as live", "see the host's own reasons")
		}
		return
	case checks.Disruptive, checks.Destructive:
	default:
		j.refuse("class-unknown", fmt.Sprintf("%s is not a class", j.class), "")
		return
	}
	for _, s := range statesOf(j.report) {
		j.state(s)
	}
	if busy := j.report.Facts["busy"]; busy != "" && busy != "0" {
		j.refuse("busy", "the host is busy: "+busy, "wait until it has ended, then run this again")
	}
}

func blind(s checks.State) bool { return s == checks.Unknown || !s.Valid() }

// state is one column of the table, for what interrupts or destroys.
func (j *judgement) state(s checks.State) {
	destructive := j.class == checks.Destructive
	switch s {
	case checks.Clear:
	case checks.Stopped, checks.Idle:
		if destructive {
			j.need("data", fmt.Sprintf("the host holds data: it is %s", s))
		}
	case checks.Replica:
		j.need("replica", "the host is a replica")
		if destructive {
			j.need("data", "the host holds a replica's data")
		}
		if serving := j.report.Facts["serving"]; serving != "" && serving != "0" {
			j.need("serving", "the replica serves clients")
		}
	case checks.Proxy:
		j.need("proxy", "the host is a proxy in front of MySQL")
		if destructive {
			j.need("data", "what the proxy holds would be lost")
		}
	case checks.Primary:
		j.refuse("state-primary", fmt.Sprintf("the host is a live primary: no allowance lets a %s command through", j.class),
			"move the primary's role to another host first")
	default:
		j.refuse("state-unknown", "the host's state is unknown: what cannot be seen counts as live", "see the host's own reasons")
	}
}

// host takes the host's own no, which is final whatever the table says: it knows of locks, of what its next
// boot does, and that a cluster counts on it. Where it names nothing but missing allowances, these would help.
func (j *judgement) host() {
	if j.report.Run() || j.report.Verdict == "" || j.class == checks.ReadOnly {
		return
	}
	named := false
	for _, reason := range j.report.Reasons {
		switch reason.Code {
		case "locked", "leased", "no-lock", "no-lease", "changed-meanwhile": // nothing to do with the table
			j.refuse(reason.Code, reason.Text, reason.Remedy)
		}
		if word, ok := strings.CutPrefix(reason.Code, "needs-"); ok && slices.Contains(checks.Allowances, word) {
			named = true
			j.need(word, reason.Text)
		}
	}
	switch {
	case len(j.reasons) > 0:
	case named:
		j.refuse("host", "the host refuses for want of an allowance that it has been given", "run this again")
	case len(j.report.Reasons) == 0:
		j.refuse("host", fmt.Sprintf("the host refuses: its verdict is %q", j.report.Verdict), "")
	default:
		j.reasons, j.final = slices.Clone(j.report.Reasons), true
	}
}
