package fleet

import (
	"fmt"
	"slices"
	"strings"

	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// wholeClusters adds to the set the other members of every cluster that it touches: who takes writes and who
// is there too many shows only from all of them. Where hosts.toml knows no cluster of these hosts there is
// nothing to compare with, which must not pass for "as expected".
func (c *Check) wholeClusters() error {
	inv := c.site.inv
	for _, name := range c.names {
		for _, cluster := range inv.ClusterOf(name) {
			if !slices.Contains(c.clusters, cluster) {
				c.clusters = append(c.clusters, cluster)
			}
		}
	}
	if len(c.clusters) == 0 {
		where := "there is no hosts.toml"
		if inv.Path != "" {
			where = inv.Path + " has none of these hosts in a cluster"
		}
		return &Error{Status: ExitConfig, Err: fmt.Errorf("--expect: nothing to compare %s with: %s", c.o.Hosts, where),
			Hint: "state clusters, with primary and replicas, in hosts.toml, or name another one with --config"}
	}
	slices.Sort(c.clusters)
	for _, cluster := range c.clusters {
		for _, member := range inv.Clusters[cluster].Hosts {
			if c.asked(member) < 0 {
				c.names = append(c.names, member)
			}
		}
	}
	return nil
}

// asked gives the place of a member of a cluster among the hosts that are asked, under whatever name; -1 where
// it is not among them.
func (c *Check) asked(member string) int {
	h, _ := c.site.inv.Lookup(member)
	return slices.IndexFunc(c.names, func(name string) bool {
		return sameHost(name, member) || h.Address != "" && sameHost(name, h.Address)
	})
}

// sameHost compares two names of hosts as ssh and DNS do.
func sameHost(a, b string) bool {
	_, a = hosts.SplitUser(a)
	_, b = hosts.SplitUser(b)
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// judge finds what is not as it should be.
func (c *Check) judge(r *checked) {
	maxLag := c.site.inv.Defaults.MaxLag
	for _, f := range r.hosts {
		for _, found := range policy.Health(c.member(f, f.host), maxLag) {
			found.Cluster = strings.Join(c.site.inv.ClusterOf(f.host), ",")
			r.health = append(r.health, found)
		}
	}
	for _, name := range c.clusters {
		cluster := c.site.inv.Clusters[name]
		var members []policy.Seen
		for _, host := range cluster.Hosts {
			members = append(members, c.member(r.hosts[c.asked(host)], host))
		}
		roles := policy.Roles{Cluster: name, Primary: cluster.Primary, Replicas: cluster.Replicas, MinReplicas: cluster.MinReplicas}
		r.roles = append(r.roles, policy.Expect(roles, members, maxLag)...)
	}
}

// member is a finding as policy sees it, under the name that the inventory knows.
func (c *Check) member(f finding, host string) policy.Seen {
	h, _ := c.site.inv.Lookup(host)
	m := policy.Seen{Host: host, Address: h.Address, Report: f.report}
	if f.err != nil {
		m.Report, m.Why = nil, cause(f.err)
	}
	return m
}

// expectBelow says what is not as hosts.toml states, or that all is.
func (c *Check) expectBelow(r *checked) string {
	found := r.found()
	if len(found) == 0 {
		return fmt.Sprintf("as hosts.toml states: %s\n", strings.Join(c.clusters, ", "))
	}
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s: %s", f.Severity, belowTable(findingText(f)+" ("+f.Code+")", f.Remedy))
	}
	return b.String()
}

// findingText is a finding in one line, behind its cluster if it has one.
func findingText(f policy.Finding) string {
	text := report.Visible(f.Text)
	if f.Cluster != "" {
		text = f.Cluster + ": " + text
	}
	return text
}
