package fleet

import (
	"fmt"
	"slices"
	"strings"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// page is the check as an HTML page: a card for each cluster that was touched, and one for each host in none.
func (c *Check) page(r *checked) *report.Page {
	p := &report.Page{Set: c.o.Hosts, At: r.at, Took: r.took, Note: "roles not compared"}
	if c.o.Expect {
		p.Note = "roles compared with hosts.toml"
	}
	counts := countStates(r.hosts)
	p.Counts = append(p.Counts, report.PageCount{State: string(unreachable), Hosts: len(r.hosts)})
	for _, s := range slices.Backward(allStates) {
		p.Counts = append(p.Counts, report.PageCount{State: string(s), Hosts: counts[s]})
		p.Counts[0].Hosts -= counts[s]
	}
	at, found := map[string]int{}, r.found()
	for _, f := range r.hosts {
		clusters := c.site.inv.ClusterOf(f.host)
		if len(clusters) == 0 {
			own := findingsOf(found, func(o policy.Finding) bool { return o.Cluster == "" && o.Host == f.host })
			p.Clusters = append(p.Clusters, report.PageCluster{Findings: own, Members: []report.PageMember{pageMember(f, found)}})
		}
		for _, name := range clusters {
			i, there := at[name]
			if !there {
				i = len(p.Clusters)
				at[name] = i
				p.Clusters = append(p.Clusters, report.PageCluster{Name: name, Findings: findingsOf(found, func(o policy.Finding) bool {
					return slices.Contains(strings.Split(o.Cluster, ","), name)
				})})
			}
			p.Clusters[i].Members = append(p.Clusters[i].Members, pageMember(f, found))
		}
	}
	for _, cluster := range p.Clusters {
		slices.SortStableFunc(cluster.Members, func(a, b report.PageMember) int { return rank(checks.State(b.State)) - rank(checks.State(a.State)) })
	}
	return p
}

func findingsOf(all []policy.Finding, which func(policy.Finding) bool) (out []report.PageFinding) {
	for _, f := range all {
		if which(f) {
			out = append(out, report.PageFinding{Level: pageLevel(f.Severity), Code: f.Code, Text: f.Text, Remedy: f.Remedy})
		}
	}
	return out
}

func pageLevel(s policy.Severity) report.PageLevel {
	if s == policy.Critical {
		return report.Alarming
	}
	return report.Uneasy
}

// pageMember is a host on the page.
func pageMember(f finding, found []policy.Finding) report.PageMember {
	m := report.PageMember{Host: f.host, State: string(unreachable)}
	for _, o := range found {
		if sameHost(o.Host, f.host) {
			m.Level = max(m.Level, pageLevel(o.Severity))
		}
	}
	if f.err != nil {
		m.Reasons = []report.PageReason{{Code: string(unreachable), Text: cause(f.err), Remedy: remedyOf(f.err)}}
		return m
	}
	m.State = string(stateOf(f))
	for _, reason := range f.report.Reasons {
		m.Reasons = append(m.Reasons, report.PageReason(reason))
	}
	instances := slices.Clone(f.report.Instances)
	slices.SortStableFunc(instances, func(a, b checks.Instance) int { return rank(b.State) - rank(a.State) })
	if len(instances) > 0 && instances[0].State != f.report.State { // something about the host as a whole
		m.Servers = append(m.Servers, report.PageServer{State: m.State})
	}
	for _, in := range instances {
		m.Servers = append(m.Servers, pageServer(in))
	}
	return m
}

func pageServer(in checks.Instance) report.PageServer {
	row := instanceRow("", in, "") // the cells of the table, in the order of checkColumns
	s := report.PageServer{
		State: string(in.State), Role: row[2].Text, Server: row[3].Text, Source: row[4].Text, Lag: row[5].Text,
		Writes: row[7].Text, Uptime: row[8].Text, Data: row[9].Text,
	}
	if in.Clients != nil {
		s.Clients = report.Count(int64(*in.Clients))
	}
	if !in.State.Valid() {
		s.State = string(checks.Unknown)
	}
	if s.Server == "" {
		s.Server = fmt.Sprintf("pid %d", in.PID)
	}
	return s
}
