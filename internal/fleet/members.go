package fleet

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/sshrun"
)

// maxKeptConns is how many connections are kept between one session and the next. The others are made again:
// 1,024 open files are what a shell gives by default, and an agent and jump hosts need some.
const maxKeptConns = 500

// freshFor is how old a report of a host that is to be taken may be before the others of its cluster are asked.
const freshFor = 5 * time.Second

// members are the hosts that a run knows, those of its set and the others of their clusters: what they have
// reported last, and the connections to them.
type members struct {
	run   *Run
	mu    sync.Mutex
	of    map[string]*member // by name
	names []string           // in natural order, whatever order they became known in
	conns map[string]*sshrun.Conn
	tried map[string]bool // addresses that were looked at for a server that somebody named
}

// member is one host. Its fields are guarded by members.mu; reports are never altered.
type member struct {
	policy.ClusterMember
	at     time.Time      // of the report
	before *checks.Report // of a host that was taken: what it was
}

func newMembers(r *Run) *members {
	return &members{run: r, of: map[string]*member{}, conns: map[string]*sshrun.Conn{}, tried: map[string]bool{}}
}

// note keeps what a host has said, or why it has not.
func (m *members) note(f finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.get(f.host)
	k.Report, k.Cause, k.Held, k.at = f.report, "", "", time.Now()
	if f.err != nil {
		k.Report, k.Cause = nil, cause(f.err)
		return
	}
	if k.Taken && m.run.stillMissing(k.before, f) == "" {
		k.Taken = false
	}
	for _, h := range f.report.Held {
		if h.Run != m.run.record.base.Run {
			k.Held = heldBy(h)
		}
	}
}

func heldBy(h checks.Held) string {
	words := "leased by "
	if h.Kind == "lock" {
		words = "locked by "
	}
	if h.Owner == "" {
		return words + "somebody"
	}
	return words + h.Owner
}

// get is the member of that name, made where it is new. The mutex is held.
func (m *members) get(name string) *member {
	k, ok := m.of[name]
	if !ok {
		_, bare := hosts.SplitUser(name)
		k = &member{}
		k.Name, k.Clusters, k.Addresses = name, m.run.site.inv.ClusterOf(name), []string{bare}
		if h, ok := m.run.site.inv.Lookup(bare); ok && h.Address != "" {
			k.Addresses = append(k.Addresses, h.Address)
		}
		m.of[name] = k
		i, _ := slices.BinarySearchFunc(m.names, name, hosts.Compare)
		m.names = slices.Insert(m.names, i, name)
	}
	return k
}

// ask asks a host what it is, on the connection that is kept for it or on a new one, and keeps the answer.
func (m *members) ask(ctx context.Context, name string, request func() checks.Request) finding {
	f := finding{host: name}
	for {
		conn, old, err := m.dial(ctx, name)
		if err != nil {
			f.err = err
			break
		}
		f.report, f.err = m.run.site.ask(ctx, conn, request())
		m.settle(name, conn, f.err)
		if f.err == nil || !old || ctx.Err() != nil {
			break
		}
		// It may have died since it was last used: nothing was asked then.
	}
	if ctx.Err() == nil {
		m.note(f)
	}
	return f
}

// dial gives the connection to a host; old tells that it was kept, and may be dead.
func (m *members) dial(ctx context.Context, name string) (conn *sshrun.Conn, old bool, err error) {
	m.mu.Lock()
	conn = m.conns[name]
	m.mu.Unlock()
	if conn != nil {
		return conn, true, nil
	}
	conn, err = m.run.site.client.Dial(ctx, m.run.site.target(name))
	if err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.get(name)
	if address, _, err := net.SplitHostPort(addrText(conn.RemoteAddr())); err == nil && !slices.Contains(k.Addresses, address) {
		k.Addresses = append(slices.Clone(k.Addresses), address)
	}
	return conn, false, nil
}

func addrText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// settle keeps a connection after a session, or closes it where that failed or enough are kept.
func (m *members) settle(name string, conn *sshrun.Conn, failed error) {
	m.mu.Lock()
	has := m.conns[name]
	switch {
	case failed != nil:
		if has == conn {
			delete(m.conns, name)
		}
	case has == conn:
		conn = nil
	case has == nil && len(m.conns) < maxKeptConns:
		m.conns[name] = conn
		conn = nil
	}
	m.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// take hands over the connection to a host, nil where there is none.
func (m *members) take(name string) *sshrun.Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	conn := m.conns[name]
	delete(m.conns, name)
	return conn
}

func (m *members) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range m.conns {
		_ = conn.Close()
	}
	clear(m.conns)
}

// last is what a host has reported last; nil where it was not reached.
func (m *members) last(name string) *checks.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.of[name]; ok {
		return k.Report
	}
	return nil
}

// mark says that the run takes a host, or that it has seen it healthy again.
func (m *members) mark(name string, taken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.get(name)
	k.Taken, k.before = taken, k.Report
}

// site is what the rules are applied to: what is known of the clusters around a host.
func (m *members) site(name string) policy.Site {
	around := m.around(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	inv := m.run.site.inv
	s := policy.Site{MinReplicas: map[string]int{}, MaxLag: inv.Defaults.MaxLag, MaxDown: inv.Defaults.MaxDown}
	for name, c := range inv.Clusters {
		s.MinReplicas[name] = c.MinReplicas
	}
	for _, other := range m.names {
		k := m.of[other]
		if slices.Contains(around.names, other) || slices.ContainsFunc(around.unplaced, func(a string) bool { return other == a || slices.Contains(k.Addresses, a) }) {
			s.Members = append(s.Members, k.ClusterMember)
		}
	}
	return s
}

// matters tells whether the cluster rules have a say about a host, by what it has reported last.
func (m *members) matters(name string) bool {
	return policy.ClusterMatters(m.run.class.Class, m.last(name), len(m.run.site.inv.ClusterOf(name)) > 0)
}

// assess applies the cluster rules to a host; nil where they have no say.
func (m *members) assess(name string) *policy.Assessment {
	if !m.matters(name) {
		return nil
	}
	class := m.run.class.Class
	if hasCode(m.last(name).Reasons, "next-boot") {
		class = checks.Destructive // the host cannot rule out that its next boot reinstalls
	}
	a := m.site(name).Assess(class, name)
	return &a
}

// labels are what ties hosts into one lane: the clusters of hosts.toml, the sources they follow, the machine.
func (m *members) labels(name string) []string {
	labels := m.run.site.inv.ClusterOf(name)
	r := m.last(name)
	if r == nil {
		return labels
	}
	tie := map[string]bool{}
	if id := r.Facts["boot_id"]; id != "" {
		tie["machine "+id] = true
	}
	for _, in := range r.Instances {
		if id := policy.Identity(in.Product, in.UUID, in.ServerID); id != "" {
			tie["server "+id] = true
		}
		for _, c := range in.Sources {
			if id := policy.Identity(in.Product, c.UUID, c.ServerID); id != "" {
				tie["server "+id] = true
			}
		}
	}
	return append(labels, slices.Sorted(maps.Keys(tie))...)
}
