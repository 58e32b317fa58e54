package fleet

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"

	"interlock/checks"
	"interlock/internal/policy"
)

const (
	// surveyRounds bounds how far one member leads to the next: a replica to its source, that to its other
	// replicas, and these to sources of their own.
	surveyRounds = 4
	// maxFound bounds how many addresses a run looks at that no inventory and no user has named.
	maxFound = 256
)

// reportedName is what a server may call another host. It becomes an argument of ssh -G and may become one of a
// ProxyCommand, so it begins with no dash and holds nothing that a shell knows.
var reportedName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$`)

// memberRequest asks a member that is not to be taken what it is, and for a lease where length is not 0.
func (r *Run) memberRequest(name string) checks.Request {
	q := r.site.request(name, checks.ModeCheck)
	q.Class, q.Run = checks.ReadOnly, r.record.base.Run
	return q
}

// survey asks the members of every cluster that one of the hosts is a member of, listed or discovered, that have
// not been asked yet.
func (m *members) survey(ctx context.Context, names []string) {
	var line *progress
	defer func() {
		if line != nil {
			line.end()
		}
	}()
	for range surveyRounds {
		var want []string
		for _, name := range names {
			if m.matters(name) {
				for _, other := range m.unasked(name) {
					if !slices.Contains(want, other) {
						want = append(want, other)
					}
				}
			}
		}
		if len(want) == 0 || ctx.Err() != nil {
			return
		}
		if line == nil {
			line = newLine(m.run.s, "asking "+plural(len(want), "other member", "other members"))
		}
		m.askAll(ctx, want)
		m.join(want)
	}
}

// join makes one of members that turn out to be a machine which is known already, by the name of a server's
// report and by the address of its connection, say. Two names that the user or hosts.toml gave stay two.
func (m *members) join(found []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range found {
		k := m.of[name]
		if k == nil || k.Report == nil || !m.tried[name] {
			continue
		}
		i := slices.IndexFunc(m.names, func(other string) bool { return other != name && k.sameAs(m.of[other]) })
		if i < 0 {
			continue
		}
		o := m.of[m.names[i]]
		o.Addresses = append(slices.Clone(o.Addresses), k.Addresses...)
		delete(m.of, name)
		m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
		if conn := m.conns[name]; conn != nil {
			delete(m.conns, name)
			_ = conn.Close()
		}
	}
}

// sameAs tells whether another member is the same machine and has the same servers.
func (k *member) sameAs(o *member) bool {
	if o.Report == nil || k.Report.Facts["boot_id"] == "" || k.Report.Facts["boot_id"] != o.Report.Facts["boot_id"] {
		return false
	}
	return slices.EqualFunc(k.Report.Instances, o.Report.Instances, func(a, b checks.Instance) bool {
		return a.UUID == b.UUID && a.ServerID == b.ServerID && a.Port == b.Port && a.DataDir == b.DataDir
	})
}

// askAll asks members side by side.
func (m *members) askAll(ctx context.Context, names []string) {
	each(ctx, max(m.run.parallel, m.run.site.inv.Defaults.Parallel), names, func(ctx context.Context, name string) finding {
		return m.ask(ctx, name, func() checks.Request { return m.run.memberRequest(name) })
	})
}

// around are the members of the clusters that a host is a member of, itself among them, as far as they are
// known, and the servers that they name and that nobody has answered for.
type around struct {
	names    []string // known members
	unplaced []string // addresses
}

// unasked are the members to ask next: listed ones first, and when these have answered, the addresses of the
// servers that they name.
func (m *members) unasked(name string) []string {
	var want []string
	inv := m.run.site.inv
	around := m.around(name)
	for _, member := range around.names {
		for _, c := range inv.ClusterOf(member) {
			for _, host := range inv.Clusters[c].Hosts {
				if !m.knownAs(host) && !slices.Contains(want, host) {
					want = append(want, host)
				}
			}
		}
	}
	if len(want) > 0 {
		return want
	}
	for _, address := range around.unplaced {
		if m.mayTry(address) {
			want = append(want, m.named(address))
		}
	}
	return want
}

// knownAs tells whether a host was asked, under this name or another spelling of it.
func (m *members) knownAs(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.of[host]
	if !ok {
		for _, name := range m.names {
			if sameHost(name, host) {
				k, ok = m.of[name], true
			}
		}
	}
	return ok && !k.at.IsZero()
}

// mayTry tells whether an address that a server named may be looked at, once.
func (m *members) mayTry(address string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tried[address] || len(m.tried) >= maxFound || !reportedName.MatchString(address) {
		return false
	}
	if ip := net.ParseIP(address); strings.EqualFold(address, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return false
	}
	m.tried[address] = true
	for _, name := range m.names {
		if k := m.of[name]; name == address || slices.Contains(k.Addresses, address) {
			return false // asked already
		}
	}
	return true
}

// named is the inventory's name for an address, or the address.
func (m *members) named(address string) string {
	for name, h := range m.run.site.inv.Hosts {
		if h.Address == address {
			return name
		}
	}
	return address
}

// around follows who replicates from whom.
func (m *members) around(name string) around {
	m.mu.Lock()
	defer m.mu.Unlock()
	var a around
	inv := m.run.site.inv
	queue := []string{name}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if slices.Contains(a.names, next) {
			continue
		}
		a.names = append(a.names, next)
		for _, c := range inv.ClusterOf(next) {
			for _, other := range m.names {
				if slices.Contains(m.of[other].Clusters, c) {
					queue = append(queue, other)
				}
			}
		}
		k := m.of[next]
		if k == nil || k.Report == nil {
			continue
		}
		for i := range k.Report.Instances {
			queue = append(queue, m.neighbours(&k.Report.Instances[i], &a)...)
		}
	}
	return a
}

// neighbours are the members that hold a server's sources and replicas, and that of its group. Those that
// nobody has answered for go to a, by address. The mutex is held.
func (m *members) neighbours(in *checks.Instance, a *around) (names []string) {
	look := func(id string, addresses ...string) {
		holders := m.holders(id)
		names = append(names, holders...)
		if len(holders) == 0 {
			a.unplaced = append(a.unplaced, addresses...)
		}
	}
	for _, c := range in.Sources {
		look(policy.Identity(in.Product, c.UUID, c.ServerID), c.Host)
	}
	for _, ref := range in.Replicas {
		addresses := []string{ref.Host}
		for _, d := range in.Dumps {
			if host, _, err := net.SplitHostPort(d); err == nil {
				addresses = append(addresses, host)
			}
		}
		look(policy.Identity(in.Product, ref.UUID, ref.ServerID), addresses...)
	}
	if in.Group != nil {
		for _, g := range in.Group.Members {
			look(policy.Identity(in.Product, g.UUID, ""), g.Host)
		}
	}
	return names
}

// holders are the members that have reported a server with this identity. The mutex is held.
func (m *members) holders(id string) (names []string) {
	if id == "" {
		return nil
	}
	for _, name := range m.names {
		k := m.of[name]
		if k.Report != nil && slices.ContainsFunc(k.Report.Instances, func(in checks.Instance) bool { return policy.Identity(in.Product, in.UUID, in.ServerID) == id }) {
			names = append(names, name)
		}
	}
	return names
}

// again asks the other members once more, after what the host has said last: of a cluster that is being written
// to, a replica that was asked a moment earlier always lacks something.
func (m *members) again(ctx context.Context, name string) {
	m.mu.Lock()
	k := m.get(name)
	k.Earlier = k.Report
	m.mu.Unlock()
	var others []string
	for _, other := range m.around(name).names {
		if other != name {
			others = append(others, other)
		}
	}
	m.askAll(ctx, others)
}

// settled assesses a host, and asks the others again where the answer may hang on the order in which they were
// asked.
func (m *members) settled(ctx context.Context, name string) *policy.Assessment {
	a := m.assess(name)
	if a != nil && slices.ContainsFunc(a.Reasons, func(r checks.Reason) bool {
		return r.Code == "gtid-missing" || r.Code == "too-few-replicas" || r.Code == "members-down"
	}) {
		m.again(ctx, name)
		a = m.assess(name)
	}
	return a
}
