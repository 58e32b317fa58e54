package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/checks"
)

// Roles is a cluster as the inventory states it.
type Roles struct {
	Cluster     string
	Primary     string   // "": not stated
	Replicas    []string // nil: not stated
	MinReplicas int      // healthy replicas that there must be
}

// Expect compares the members of a cluster, all of them, with the roles that the inventory states: who takes
// writes, who replicates from whom, and who is there that should not be. What ails a member by itself is for
// Health, and not said again. Nothing found means that all is as stated, as far as the members were seen; for
// one that was not, Health has a finding.
//
// Servers are known by what they say of themselves: a source and a replica belong together by server_uuid,
// on MariaDB by server_id, and by host name or address only where a replica has never reached its source.
func Expect(roles Roles, members []Seen, maxLag time.Duration) []Finding {
	e := &expectation{roles: roles, members: members, maxLag: maxLag}
	for _, m := range members {
		e.servers = append(e.servers, serversOf(m)...)
	}
	e.keepOwn()
	for _, m := range members {
		e.absence(m)
	}
	e.primary()
	e.replicas()
	e.sources()
	e.unlisted()
	for i := range e.found {
		e.found[i].Cluster = roles.Cluster
	}
	return e.found
}

// expectation is one comparison.
type expectation struct {
	roles   Roles
	members []Seen
	maxLag  time.Duration
	servers []dataServer // of all members
	leads   string       // the member that takes writes, "" where none does
	found   []Finding
}

func (e *expectation) add(code string, severity Severity, host, remedy, format string, args ...any) {
	e.found = append(e.found, Finding{Code: code, Severity: severity, Host: host, Remedy: remedy, Text: fmt.Sprintf(format, args...)})
}

// keepOwn leaves out, on hosts with several servers, those that have nothing to do with the cluster: where one
// of them replicates with another member, only such ones count.
func (e *expectation) keepOwn() {
	related := func(a dataServer) bool {
		return slices.ContainsFunc(e.servers, func(b dataServer) bool {
			return a.member.Host != b.member.Host && (a.replicatesFrom(b) || b.replicatesFrom(a))
		})
	}
	relatives := map[string]bool{}
	for _, s := range e.servers {
		relatives[s.member.Host] = relatives[s.member.Host] || related(s)
	}
	e.servers = slices.Collect(func(yield func(dataServer) bool) {
		for _, s := range e.servers {
			if (!relatives[s.member.Host] || related(s)) && !yield(s) {
				return
			}
		}
	})
}

// absence is a member that answers and has no server.
func (e *expectation) absence(m Seen) {
	if m.Report == nil || len(serversOf(m)) > 0 {
		return
	}
	switch m.Report.State {
	case checks.Clear:
		e.add("member-clear", Critical, m.Host, "find out which of the two is wrong; take it out of hosts.toml only if it is meant to be empty",
			"%s is a member by hosts.toml, and has neither server nor data", m.Host)
	case checks.Stopped:
		e.add("member-stopped", Critical, m.Host, "start its server, or see why it ended", "%s has data and no server runs", m.Host)
	}
}

// primary finds who takes writes.
func (e *expectation) primary() {
	var writable []dataServer
	for _, s := range e.servers {
		if s.in.ReadOnly == "off" {
			writable = append(writable, s)
		}
	}
	now := e.leader(writable)
	if now != nil {
		e.leads = now.member.Host
	}
	switch {
	case e.roles.Primary == "":
	case now == nil:
		e.noPrimary()
	case now.member.Host != e.roles.Primary:
		e.add("primary-moved", Critical, e.roles.Primary, fmt.Sprintf("if that is meant, write primary = %q for this cluster in hosts.toml", now.member.Host),
			"the primary is %s now; hosts.toml says %s, which %s", now.member.Host, e.roles.Primary, e.whatIs(e.roles.Primary))
	}
	for _, s := range writable {
		if now == nil || s.member.Host == now.member.Host || s.in.GroupMember != "" && now.in.GroupMember != "" {
			continue // one host's second server is not told apart here; a group sees to its own writers
		}
		e.add("two-writable", Critical, s.member.Host, "see which of them clients write to, then SET GLOBAL super_read_only = ON on the other (MariaDB: read_only)",
			"%s takes writes beside %s", s.member.Host, now.member.Host)
	}
}

// leader is who of the writable is the primary: the stated one if it is among them, else who has most of the
// members as replicas, the first of these.
func (e *expectation) leader(writable []dataServer) *dataServer {
	var best *dataServer
	most := -1
	for i, s := range writable {
		n := 0
		for _, r := range e.servers {
			if r.replicatesFrom(s) {
				n++
			}
		}
		if s.member.Host == e.roles.Primary {
			return &writable[i]
		}
		if n > most {
			best, most = &writable[i], n
		}
	}
	return best
}

// noPrimary says that nobody takes writes.
func (e *expectation) noPrimary() {
	primary := e.roles.Primary
	for _, s := range e.servers {
		if s.member.Host == primary && len(s.in.Sources) == 0 && s.in.ReadOnly != "" {
			e.add("primary-read-only", Critical, primary, "SET GLOBAL super_read_only = OFF, read_only = OFF, if it is to be the primary",
				"%s is the primary by hosts.toml, and read-only (%s); no other member takes writes", primary, s.in.ReadOnly)
			return
		}
	}
	e.add("primary-missing", Critical, primary, "find out where the primary is; interlock check the cluster's members",
		"no member that answered takes writes; %s, the primary by hosts.toml, %s", primary, e.whatIs(primary))
}

// whatIs says what a member is, after its name.
func (e *expectation) whatIs(host string) string {
	for _, m := range e.members {
		if m.Host != host {
			continue
		}
		if m.Report == nil {
			return "was not reached"
		}
		for _, s := range e.servers {
			if s.member.Host == host && len(s.in.Sources) > 0 {
				return "replicates from " + sourceName(s.in.Sources[0])
			}
		}
		return "is " + string(m.Report.State)
	}
	return "was not asked"
}

// replicas looks at those that are stated, and counts the healthy ones.
func (e *expectation) replicas() {
	healthy, expected := 0, len(e.members)-1
	if e.roles.Replicas != nil {
		expected = len(e.roles.Replicas)
	}
	for _, m := range e.members {
		own := slices.DeleteFunc(slices.Clone(e.servers), func(s dataServer) bool { return s.member.Host != m.Host })
		replicates := slices.ContainsFunc(own, func(s dataServer) bool { return len(s.in.Sources) > 0 || s.in.GroupMember != "" })
		if slices.Contains(e.roles.Replicas, m.Host) && len(own) > 0 && !replicates && !m.unseen() && m.Host != e.leads {
			e.add("replica-missing", Critical, m.Host, "make it a replica again, or take it out of replicas in hosts.toml",
				"%s is a replica by hosts.toml, and has no source: it is %s", m.Host, m.Report.State)
		}
		if replicates && !m.unseen() && slices.ContainsFunc(own, e.healthy) {
			healthy++
		}
	}
	if expected >= e.roles.MinReplicas && healthy < e.roles.MinReplicas {
		e.add("few-replicas", Critical, "", "bring replicas back before anything else is taken from this cluster",
			"%d of %d replicas that there must be replicate within %s", healthy, e.roles.MinReplicas, seconds(e.maxLag))
	}
}

func (e *expectation) healthy(s dataServer) bool {
	if s.in.GroupMember != "" {
		return true // what the member says of the group is in its own state
	}
	for _, c := range s.in.Sources {
		if _, bad := channelHealth(c, e.maxLag); bad || e.elsewhere(c) && len(e.hidden()) == 0 {
			return false
		}
	}
	return len(s.in.Sources) > 0
}

// elsewhere tells whether a channel's source is none of the members that were seen.
func (e *expectation) elsewhere(c checks.Source) bool {
	return !groupChannel(c) && identified(c) && !slices.ContainsFunc(e.servers, func(o dataServer) bool { return o.is(c) }) && !e.serverlessAt(c.Host)
}

// hidden are the members that were not seen.
func (e *expectation) hidden() (names []string) {
	for _, m := range e.members {
		if m.unseen() {
			names = append(names, m.Host)
		}
	}
	return names
}

// sources looks at where members replicate from.
func (e *expectation) sources() {
	hidden := e.hidden()
	for _, s := range e.servers {
		for _, c := range s.in.Sources {
			if !e.elsewhere(c) {
				continue
			}
			f := Finding{
				Code: "replicates-elsewhere", Severity: Critical, Host: s.member.Host, Subject: c.Channel,
				Text:   fmt.Sprintf("%s replicates from %s, which is no member of the cluster (%s)", s.member.Host, sourceName(c), identity(c.UUID, c.ServerID)),
				Remedy: "point it at a member, or move it to the cluster of its source in hosts.toml",
			}
			switch {
			case len(hidden) > 0:
				f.Code, f.Severity = "source-unseen", Warning
				f.Text = fmt.Sprintf("%s replicates from %s (%s), which no member that was seen is; not seen: %s", s.member.Host, sourceName(c), identity(c.UUID, c.ServerID), strings.Join(hidden, ", "))
				f.Remedy = "see to the members that were not seen first"
			case s.member.Host == e.roles.Primary, e.roles.Primary == "" && s.in.ReadOnly != "off":
				f.Severity = Warning // a cluster that is fed by another one
			}
			e.found = append(e.found, f)
		}
	}
}

// unlisted looks for replicas that members know and the inventory does not.
func (e *expectation) unlisted() {
	for _, s := range e.servers {
		for _, ref := range s.in.Replicas {
			if slices.ContainsFunc(e.servers, func(o dataServer) bool { return o.isReplica(ref) }) || e.serverlessAt(ref.Host) {
				continue
			}
			what := identity(ref.UUID, ref.ServerID)
			if ref.Host != "" {
				what += " at " + ref.Host
			}
			f := Finding{
				Code: "unlisted-member", Severity: Warning, Host: s.member.Host, Subject: identity(ref.UUID, ref.ServerID),
				Text:   fmt.Sprintf("%s has a replica that no member is: %s", s.member.Host, what),
				Remedy: "add its host to the cluster in hosts.toml, or stop it from replicating",
			}
			if hidden := e.hidden(); len(hidden) > 0 {
				f.Text += "; perhaps one that was not seen: " + strings.Join(hidden, ", ")
			}
			e.found = append(e.found, f)
		}
	}
}

// serverlessAt tells whether name is that of a member of which no server was seen: it was not reached, or its
// server has ended, which the other end of its connection need not have noticed yet.
func (e *expectation) serverlessAt(name string) bool {
	return name != "" && slices.ContainsFunc(e.members, func(m Seen) bool { return (m.unseen() || len(serversOf(m)) == 0) && m.called(name) })
}

// called tells whether a host name or address is the member's.
func (m Seen) called(name string) bool {
	own := []string{m.Host, m.Address}
	if m.Report != nil {
		own = append(own, m.Report.Facts["hostname"])
	}
	return slices.ContainsFunc(own, func(o string) bool { return o != "" && strings.EqualFold(o, name) })
}

// identified tells whether a replica has learned who its source is: until it has reached it once it knows an
// address alone.
func identified(c checks.Source) bool { return c.UUID != "" || c.ServerID != "" && c.ServerID != "0" }

func identity(uuid, serverID string) string {
	if uuid != "" {
		return "server_uuid " + uuid
	}
	return "server_id " + serverID
}

// is tells whether the server is the source that a channel names.
func (s dataServer) is(c checks.Source) bool {
	switch {
	case c.UUID != "" && s.in.UUID != "":
		return c.UUID == s.in.UUID
	case identified(c):
		return c.ServerID == s.in.ServerID && (c.Port == 0 || s.in.Port == 0 || c.Port == s.in.Port)
	}
	return s.member.called(c.Host)
}

func (s dataServer) replicatesFrom(source dataServer) bool {
	return slices.ContainsFunc(s.in.Sources, source.is)
}

func (s dataServer) isReplica(ref checks.ReplicaRef) bool {
	if ref.UUID != "" && s.in.UUID != "" {
		return ref.UUID == s.in.UUID
	}
	return ref.ServerID != "" && ref.ServerID == s.in.ServerID
}
