package policy

import (
	"slices"
	"strings"

	"interlock/checks"
)

// scene is the servers of a site as one question sees them: who replicates from whom, without whom.
type scene struct {
	Site
	class   checks.Class
	target  *ClusterMember
	servers []node
}

// node is one server, or one data directory without a server, on a member.
type node struct {
	member *ClusterMember
	in     *checks.Instance
}

func newScene(site Site, class checks.Class, target int) *scene {
	site.Members = slices.Clone(site.Members)
	s := &scene{Site: site, class: class, target: &site.Members[target]}
	taken := map[string]bool{}
	for i := range site.Members {
		if m := &site.Members[i]; m.Taken {
			taken[m.machine()] = true
		}
	}
	for i := range site.Members {
		m := &site.Members[i]
		m.Taken = taken[m.machine()] // by whatever name
	}
	for i := range site.Members {
		m := &site.Members[i]
		if m.Report == nil {
			continue
		}
		for k := range m.Report.Instances {
			s.servers = append(s.servers, node{m, &m.Report.Instances[k]})
		}
	}
	return s
}

// Identity of a server: MySQL has server_uuid; MariaDB has none, and its server_id is unique among those that
// replicate from one another only. "" is a server that does not say. A host name is never an identity.
func Identity(product, uuid, serverID string) string {
	switch {
	case uuid != "":
		return strings.ToLower(uuid)
	case product == "mariadb" && serverID != "" && serverID != "0":
		return "server_id " + serverID
	}
	return ""
}

func (v node) identity() string { return Identity(v.in.Product, v.in.UUID, v.in.ServerID) }

// sourceOf is the identity of the source of one of v's channels.
func (v node) sourceOf(c checks.Source) string { return Identity(v.in.Product, c.UUID, c.ServerID) }

// channelFrom is v's channel from a source; nil when it has none.
func (v node) channelFrom(source string) *checks.Source {
	for i := range v.in.Sources {
		if source != "" && v.sourceOf(v.in.Sources[i]) == source {
			return &v.in.Sources[i]
		}
	}
	return nil
}

// follows is v's channel from source; nil when it has none. MariaDB's server ids begin at 1 in every cluster, so
// there the two must also be listed in one cluster, or the address that v names must be the source's.
func (v node) follows(source node) *checks.Source {
	c := v.channelFrom(source.identity())
	if c == nil || source.in.UUID != "" || v.member.beside(source.member) || source.member.reachedAs(c.Host) {
		return c
	}
	return nil
}

// reachedAs tells whether the member was reached, or should have been, under an address.
func (m *ClusterMember) reachedAs(address string) bool {
	return m.Name == address || slices.Contains(m.Addresses, address)
}

// knows tells whether v, asked for its replicas, names the one with this identity.
func (v node) knows(replica string) bool {
	return slices.ContainsFunc(v.in.Replicas, func(r checks.ReplicaRef) bool {
		return replica != "" && Identity(v.in.Product, r.UUID, r.ServerID) == replica
	})
}

// machine is what a member runs on: the same kernel is one machine, however many names lead to it.
func (m *ClusterMember) machine() string {
	if m.Report == nil || m.Report.Facts["boot_id"] == "" {
		return "host " + m.Name
	}
	return m.Report.Facts["boot_id"]
}

// beside tells whether hosts.toml lists both in one cluster.
func (m *ClusterMember) beside(other *ClusterMember) bool {
	return slices.ContainsFunc(m.Clusters, func(c string) bool { return slices.Contains(other.Clusters, c) })
}

// find gives the servers with an identity, each machine's once. Of MariaDB's, whose server ids begin at 1 in
// every cluster, those count that are listed beside near or were reached under the address.
func (s *scene) find(id string, near *ClusterMember, address string) (found []node) {
	if id == "" {
		return nil
	}
	for _, v := range s.servers {
		if v.identity() != id {
			continue
		}
		if slices.ContainsFunc(found, func(f node) bool { return f.member.machine() == v.member.machine() }) {
			continue // the same one by another name
		}
		found = append(found, v)
	}
	if len(found) > 1 && strings.HasPrefix(id, "server_id ") {
		found = slices.DeleteFunc(found, func(v node) bool { return !v.member.beside(near) && !v.member.reachedAs(address) })
	}
	return found
}

// dependents are the servers beside t that name it as their source. A data directory without a server has no
// identity; it is then known by the address that they name.
func (s *scene) dependents(t node) (names []string) {
	for _, v := range s.servers {
		if v.member.machine() == t.member.machine() && v.identity() == t.identity() {
			continue
		}
		for _, c := range v.in.Sources {
			same := t.identity() != "" && v.sourceOf(c) == t.identity()
			if t.in.UUID == "" { // MariaDB, or a data directory without a server
				same = t.member.reachedAs(c.Host) || same && v.member.beside(t.member)
			}
			if same && !slices.Contains(names, v.member.Name) {
				names = append(names, v.member.Name)
			}
		}
	}
	return names
}

// minReplicas is how many healthy replicas must remain, by the clusters that list the member or its source.
func (s *scene) minReplicas(t, source node) int {
	clusters := slices.Concat(t.member.Clusters, source.member.Clusters)
	if len(clusters) == 0 {
		return defaultMinReplicas
	}
	n := 0
	for _, c := range clusters {
		least, ok := s.MinReplicas[c]
		if !ok {
			least = defaultMinReplicas
		}
		n = max(n, least)
	}
	return n
}

// runs tells whether a server runs on the member.
func (m *ClusterMember) runs() bool {
	return m.Report != nil && slices.ContainsFunc(m.Report.Instances, func(in checks.Instance) bool {
		return in.State != checks.Stopped && in.State != checks.Clear
	})
}
