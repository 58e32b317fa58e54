package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"interlock/checks"
)

// standing is what a peer is worth while the target is away.
type standing int

const (
	healthy standing = iota // holds what would be lost, and keeps up
	poor                    // answers, and cannot stand in
	held                    // somebody else has locked or leased it
	down                    // not reached, not seen in full, without a server, or taken by this run
)

// peer is another member of the cluster, as far as the target could be missed for it.
type peer struct {
	name     string
	member   *ClusterMember // nil: the source knows of it, and nobody has reached it
	standing standing
	code     string // of why
	why      string // in a few words; of a healthy one its lag
	remedy   string
}

// peers are the members beside the target that have, or should have, the data of source.
func (s *scene) peers(t, source node) (all []peer) {
	counted := map[string]bool{} // members by name
	known := map[string]bool{t.identity(): true}
	for _, v := range s.servers {
		c := v.follows(source)
		if c != nil && v.member.machine() == t.member.machine() {
			known[v.identity()] = true // goes with the target
		}
		if c == nil || known[v.identity()] && v.member.machine() == t.member.machine() || v.identity() == t.identity() || counted[v.member.Name] {
			continue
		}
		counted[v.member.Name], known[v.identity()] = true, true
		all = append(all, s.peer(v, *c, t, source))
	}
	for _, ref := range source.in.Replicas {
		id := Identity(source.in.Product, ref.UUID, ref.ServerID)
		if id != "" && known[id] {
			continue
		}
		known[id] = true
		all = append(all, s.unplaced(ref, id, source, counted))
	}
	for i := range s.Members {
		m := &s.Members[i]
		if counted[m.Name] || m == s.target || m == source.member || !m.beside(s.target) && !m.beside(source.member) ||
			m.machine() == s.target.machine() || m.machine() == source.member.machine() {
			continue
		}
		all = append(all, s.listed(m, source))
	}
	// Who has a name is named first. A member that is listed and down, and one that the source knows under the
	// same name, count as two: a name that a server reports of itself proves nothing.
	slices.SortStableFunc(all, func(a, b peer) int { return cmp.Compare(unnamed(a), unnamed(b)) })
	return all
}

func unnamed(p peer) int {
	if p.member == nil {
		return 1
	}
	return 0
}

// peer judges a replica of the same source.
func (s *scene) peer(v node, c checks.Source, t, source node) peer {
	p := peer{name: v.member.Name, member: v.member, standing: poor}
	say := func(code, why, remedy string) peer { p.code, p.why, p.remedy = code, why, remedy; return p }
	start := fmt.Sprintf("start replication on %s, wait for it to catch up, then run this again", p.name)
	if away, ok := absent(v.member); ok {
		return away
	}
	switch {
	case v.member.machine() == source.member.machine():
		return say("same-machine", "on the same machine as "+source.member.Name, "add a replica on another machine")
	case v.in.State != checks.Replica && v.in.State != checks.Primary, v.in.ReadOnly == "off", v.in.ReadOnly == "":
		return say("peer-writable", "not read-only", fmt.Sprintf("SET GLOBAL super_read_only = ON on %s (MariaDB: read_only), then run this again", p.name))
	case !source.knows(v.identity()):
		return say("peer-unknown-to-source", fmt.Sprintf("says that it replicates from %s, which does not know it", source.member.Name),
			fmt.Sprintf("compare SHOW REPLICAS on %s with SHOW REPLICA STATUS on %s", source.member.Name, p.name))
	case c.IORunning != "Yes":
		return say("peer-stopped", "its IO thread is at "+said(c.IORunning), start)
	case c.SQLRunning != "Yes":
		return say("peer-stopped", "its SQL thread is at "+said(c.SQLRunning), start)
	case c.Delay > 0:
		return say("peer-delayed", fmt.Sprintf("delayed by %ds on purpose", int(c.Delay.Seconds())), "a delayed replica never counts: add another one")
	case c.Lag == nil:
		return say("peer-lag", "lag not known", start)
	case *c.Lag >= s.MaxLag:
		return say("peer-lag", fmt.Sprintf("lag %ds", int(c.Lag.Seconds())), fmt.Sprintf("wait for %s to catch up, then run this again", p.name))
	}
	if code, why, remedy := s.lacks(v, t, source); code != "" {
		return say(code, why, remedy)
	}
	p.standing = healthy
	return say("", fmt.Sprintf("lag %ds", int(c.Lag.Seconds())), "")
}

func said(word string) string {
	if word == "" {
		return "nothing known"
	}
	return word
}

// absent tells of a member that does not count whatever its servers say.
func absent(m *ClusterMember) (peer, bool) {
	p := peer{name: m.Name, member: m, standing: down, code: "member-down"}
	back := fmt.Sprintf("bring %s back, then run this again", m.Name)
	switch {
	case m.Taken:
		p.why, p.remedy = "taken by this run, and not seen healthy since", fmt.Sprintf("wait until %s is healthy, then run this again", m.Name)
	case m.Report == nil:
		p.why, p.remedy = "not reached: "+m.Cause, back
	case m.Held != "":
		p.standing, p.code, p.why, p.remedy = held, "member-locked", m.Held, "wait for it to end, then run this again"
	case m.Report.State == checks.Unknown:
		p.why, p.remedy = "could not be seen in full", fmt.Sprintf("run interlock check %s and mend what it names", m.Name)
	default:
		return peer{}, false
	}
	return p, true
}

// unplaced judges a replica that the source knows and that is none of those which say so themselves.
func (s *scene) unplaced(ref checks.ReplicaRef, id string, source node, counted map[string]bool) peer {
	if found := s.find(id, source.member, ref.Host); len(found) > 0 {
		v := found[0]
		counted[v.member.Name] = true
		if away, ok := absent(v.member); ok {
			return away
		}
		return peer{name: v.member.Name, member: v.member, standing: poor, code: "peer-elsewhere",
			why:    fmt.Sprintf("%s knows it as a replica, and it names another source", source.member.Name),
			remedy: fmt.Sprintf("compare SHOW REPLICAS on %s with SHOW REPLICA STATUS on %s", source.member.Name, v.member.Name)}
	}
	name := fmt.Sprintf("%s:%d", ref.Host, ref.Port)
	if ref.Host == "" {
		name = "the replica " + said(id)
	}
	return peer{name: name, standing: down, code: "member-down", why: fmt.Sprintf("known to %s, not reached", source.member.Name),
		remedy: fmt.Sprintf("make %s reachable over SSH (list it in hosts.toml), or stop it, then run this again", name)}
}

// listed judges a member that hosts.toml names and that has no server of this source.
func (s *scene) listed(m *ClusterMember, source node) peer {
	if away, ok := absent(m); ok {
		return away
	}
	if !m.runs() {
		return peer{name: m.Name, member: m, standing: down, code: "member-down", why: "no server runs there",
			remedy: fmt.Sprintf("start its server, or take %s out of the cluster in hosts.toml", m.Name)}
	}
	return peer{name: m.Name, member: m, standing: poor, code: "peer-elsewhere", why: "does not replicate from " + source.member.Name,
		remedy: fmt.Sprintf("make %s a replica of %s, or take it out of the cluster in hosts.toml", m.Name, source.member.Name)}
}

// lost is what would be gone with t: all that it has executed. Where it was asked before the others, that is
// what it had then, and what it has written itself since.
func (v node) lost() (GTIDs, error) {
	now, err := ParseGTIDs(v.in.GTIDExecuted)
	if err != nil || v.member.Earlier == nil {
		return now, err
	}
	for i := range v.member.Earlier.Instances {
		then := node{v.member, &v.member.Earlier.Instances[i]}
		if then.identity() != v.identity() || then.identity() == "" {
			continue
		}
		if before, err := ParseGTIDs(then.in.GTIDExecuted); err == nil && now.Contains(before) {
			return before.With(now.writtenBy(v.in.UUID, v.in.ServerID)), nil
		}
	}
	return now, nil
}

// lacks tells what v would not have once t is gone; an empty code: it has everything.
func (s *scene) lacks(v, t, source node) (code, why, remedy string) {
	name := t.member.Name
	lost, err := t.lost()
	switch {
	case t.in.State == checks.Stopped:
		return "gtid-unknown", fmt.Sprintf("what %s holds is not known while its server is stopped", name),
			fmt.Sprintf("start the server of %s, so that it can be compared; or take it out of the cluster in hosts.toml", name)
	case errors.Is(err, errNoGTIDs):
		return s.unproven(t, source, fmt.Sprintf("%s has no GTIDs", name))
	case err != nil:
		return "gtid-unknown", fmt.Sprintf("what %s has executed is not known (%v)", name, err), fmt.Sprintf("look at gtid_executed on %s", name)
	}
	has, err := ParseGTIDs(v.in.GTIDExecuted)
	if err != nil {
		return "gtid-unknown", fmt.Sprintf("what it has executed is not known (%v)", err), fmt.Sprintf("look at gtid_executed on %s", v.member.Name)
	}
	if !has.Contains(lost) {
		return "gtid-missing", fmt.Sprintf("lacks %s of %s", shortened(lost.Minus(has).String()), name),
			fmt.Sprintf("bring the transactions that only %s has to %s, then run this again", name, source.member.Name)
	}
	if errant := parted(t, v, source); errant != "" {
		return "gtid-missing", fmt.Sprintf("lacks %s, which %s wrote itself", errant, name),
			fmt.Sprintf("bring the transactions that only %s has to %s, then run this again", name, source.member.Name)
	}
	if c := t.channelFrom(source.identity()); c != nil && !c.AutoPos && t.in.Product != "mariadb" {
		// With file positions transactions without a GTID may be among them (gtid_mode other than ON).
		return s.unproven(t, source, fmt.Sprintf("%s follows file positions, not GTIDs", name))
	}
	return "", "", ""
}

// parted is what a MariaDB server wrote itself and neither the other nor their source has: in a domain that was
// written in two places the position tells nothing of the one that was passed.
func parted(t, v, source node) string {
	theirs := [2]map[uint32]uint64{ownWrites(v.in.GTIDBinlogState, t.in.ServerID), ownWrites(source.in.GTIDBinlogState, t.in.ServerID)}
	for domain, sequence := range ownWrites(t.in.GTIDBinlogState, t.in.ServerID) {
		if max(theirs[0][domain], theirs[1][domain]) < sequence {
			return fmt.Sprintf("%d-%s-%d", domain, t.in.ServerID, sequence)
		}
	}
	return ""
}

// unproven is what can be said where GTIDs prove nothing: t has only what its source has, as long as it
// replicates from it, both threads, and nothing else writes to it.
func (s *scene) unproven(t, source node, because string) (code, why, remedy string) {
	c := t.channelFrom(source.identity())
	if c != nil && c.IORunning == "Yes" && c.SQLRunning == "Yes" && c.Error == "" && source.knows(t.identity()) && t.in.ReadOnly != "off" && t.in.ReadOnly != "" {
		return "", "", ""
	}
	return "gtid-unknown", because + ", and its replication does not run: what it alone holds cannot be known",
		fmt.Sprintf("start replication on %s, or turn GTIDs on, then run this again", t.member.Name)
}

// shortened cuts a long set for a sentence.
func shortened(set string) string {
	const most = 120
	if len(set) > most {
		return set[:most] + "…"
	}
	return set
}

// standings counts the peers of a standing, healthy ones once for each machine.
func standings(all []peer, which standing) int {
	machines := map[string]bool{}
	for _, p := range all {
		if p.standing != which {
			continue
		}
		if p.member == nil {
			machines["unplaced "+p.name+p.why] = true
			continue
		}
		machines[p.member.machine()] = true
	}
	return len(machines)
}

// firstOf is the first peer with one of the standings.
func firstOf(all []peer, which ...standing) (peer, bool) {
	i := slices.IndexFunc(all, func(p peer) bool { return slices.Contains(which, p.standing) })
	if i < 0 {
		return peer{}, false
	}
	return all[i], true
}
