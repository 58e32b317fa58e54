package policy

import "interlock/checks"

// ClusterRules are what no single host can know: whether the rest of a cluster can do without a member. Host
// is the member that is to be taken, members are the reports that all others of its cluster gave in the same
// run, nil for one that did not answer. It gives the reasons against; none means that the member may go.
//
// The rules (docs/design.md, section 5: min_replicas, max_lag, max_down, the source, the GTID sets) are not
// evaluated yet. Until they are, no replica is taken.
func ClusterRules(host *checks.Report, members []*checks.Report) []checks.Reason {
	return []checks.Reason{{
		Code:   "cluster-rules",
		Text:   "whether the cluster can do without this replica cannot be evaluated yet",
		Remedy: "take the replica out of its cluster first; then it no longer counts as one",
	}}
}
