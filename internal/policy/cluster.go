package policy

import (
	"slices"
	"time"

	"interlock/checks"
)

// ClusterMember is a host as one run knows it: the one that is to be taken, or another of its cluster.
type ClusterMember struct {
	Name      string         // as the run calls it
	Addresses []string       // under which it was reached
	Clusters  []string       // the clusters of hosts.toml that list it
	Report    *checks.Report // the latest; nil: not reached, so down
	Cause     string         // why there is no report
	Held      string         // who else has locked or leased it, in words: "locked by ops@laptop"; "": nobody
	Taken     bool           // this run has taken it, and has not seen it healthy since

	// Earlier is a report of the host that is to be taken, from before the others made theirs; nil: none. On
	// a busy cluster a replica that is asked a moment later has moved on, and one that is asked a moment
	// earlier always lacks something. So the others must hold what the host had before they were asked; what
	// it has executed since came from its source, unless it wrote it itself (node.lost).
	Earlier *checks.Report
}

// Site is what one run knows of the servers beside the one that is to be taken. The rules only read it.
type Site struct {
	Members     []ClusterMember // every one that is known: listed, named by a source, named by a replica
	MinReplicas map[string]int  // healthy replicas that must remain, by cluster of hosts.toml
	MaxLag      time.Duration   // a replica so far behind, or further, is not healthy
	MaxDown     int             // other members of a cluster that may be locked, leased or down
}

// defaultMinReplicas holds where hosts.toml lists no cluster.
const defaultMinReplicas = 1

// Assessment is what the cluster rules say of taking one host.
type Assessment struct {
	Reasons  []checks.Reason // against; none: the cluster can do without it
	Warnings []checks.Reason // worth saying, and no reason against
	Relies   []string        // members that the answer hangs on: they must not be taken meanwhile
	Stays    []string        // what remains, in words: "db1 (source)", "db2 (lag 0s)"
}

// ClusterMatters tells whether the cluster rules have a say: whether the host holds data that a command of this
// class could cost its cluster. Listed means that hosts.toml calls it a member. Without that only a replica can
// be known for one: it names its source.
func ClusterMatters(class checks.Class, r *checks.Report, listed bool) bool {
	if class < checks.Disruptive || r == nil {
		return false
	}
	for _, s := range statesOf(r) {
		if s == checks.Replica || listed && (s == checks.Idle || s == checks.Stopped) {
			return true
		}
	}
	return false
}

// Assess applies the cluster rules (docs/cluster.md) to taking one of the members. It knows nothing of the
// table: a primary is refused there.
func (site Site) Assess(class checks.Class, host string) Assessment {
	var a Assessment
	i := slices.IndexFunc(site.Members, func(m ClusterMember) bool { return m.Name == host })
	if i < 0 || site.Members[i].Report == nil {
		a.refuse("cluster-rules", host+" is not among the hosts that were asked", "run this again")
		return a
	}
	s := newScene(site, class, i)
	found := false
	for _, t := range s.servers {
		if t.member != s.target {
			continue
		}
		switch t.in.State {
		case checks.Replica:
			found = true
			s.replica(t, &a)
		case checks.Idle, checks.Stopped:
			found = true
			s.stored(t, &a)
		case checks.Clear, checks.Primary, checks.Proxy, checks.Unknown: // nothing to lose, or refused by the table
		}
	}
	if !found && slices.Contains(statesOf(s.target.Report), checks.Replica) {
		a.refuse("cluster-rules", host+" is a replica, and does not say of what", "run interlock check on it and mend what it names")
	}
	s.majority(&a)
	s.images(&a)
	slices.Sort(a.Relies)
	a.Relies = slices.Compact(a.Relies)
	return a
}

func (a *Assessment) refuse(code, text, remedy string) {
	a.Reasons = append(a.Reasons, checks.Reason{Code: code, Text: text, Remedy: remedy})
}

// statesOf are a host's state and those of its instances: a proxy weighs as much as a primary, so the worst
// alone does not say that there is a replica's data beside it.
func statesOf(r *checks.Report) []checks.State {
	out := []checks.State{r.State}
	for _, in := range r.Instances {
		if !slices.Contains(out, in.State) {
			out = append(out, in.State)
		}
	}
	return out
}
