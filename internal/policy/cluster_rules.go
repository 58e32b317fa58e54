package policy

import (
	"fmt"
	"slices"
	"strings"

	"interlock/checks"
)

// replica are the rules for a server that replicates: each of its channels is another cluster's data.
func (s *scene) replica(t node, a *Assessment) {
	if names := s.dependents(t); len(names) > 0 {
		a.refuse("is-source", fmt.Sprintf("%s replicates from %s: it is a source, whatever it says of itself", strings.Join(names, ", "), t.member.Name),
			"move its replicas to another source first")
	}
	for i := range t.in.Sources {
		source, ok := s.source(t, t.in.Sources[i], a)
		if !ok {
			continue
		}
		s.enough(t, source, a)
	}
	if len(t.in.Sources) == 0 {
		a.refuse("cluster-rules", t.member.Name+" is a replica, and does not say of what", "run interlock check on it and mend what it names")
	}
}

// source finds the server that a channel receives from, and makes sure that it is one to rely on.
func (s *scene) source(t node, c checks.Source, a *Assessment) (node, bool) {
	name, at := t.member.Name, fmt.Sprintf("%s:%d", c.Host, c.Port)
	id := t.sourceOf(c)
	if id == "" {
		a.refuse("source-unknown", fmt.Sprintf("which server %s replicates from is not known: it says %s, and has not learnt who that is", name, at),
			fmt.Sprintf("look at SHOW REPLICA STATUS on %s; it names its source once it has reached it", name))
		return node{}, false
	}
	found := s.find(id, t.member, c.Host)
	if len(found) > 1 {
		a.refuse("source-ambiguous", fmt.Sprintf("%s and %s both say that they are %s, the source of %s", found[0].member.Name, found[1].member.Name, id, name),
			"give one of them its own identity (MySQL: remove auto.cnf and restart it; MariaDB: server_id)")
		return node{}, false
	}
	if len(found) == 0 {
		text := fmt.Sprintf("the source of %s, %s, was not reached", name, at)
		if m := s.reachedAt(c.Host); m != nil {
			text = fmt.Sprintf("the source of %s is not the server that was reached as %s: it is %s", name, c.Host, id)
			if m.Report == nil {
				text = fmt.Sprintf("the source of %s, %s, was not reached: %s", name, at, m.Cause)
			}
		}
		a.refuse("source-down", text, fmt.Sprintf("bring the source back, or make it reachable over SSH as %s, then run this again", c.Host))
		return node{}, false
	}
	source := found[0]
	if away, ok := absent(source.member); ok {
		code := "source-down"
		if away.standing == held {
			code = "member-locked"
		}
		a.refuse(code, fmt.Sprintf("the source of %s, %s: %s", name, away.name, away.why), away.remedy)
		return node{}, false
	}
	for _, up := range source.in.Sources {
		if up.IORunning != "Yes" || up.SQLRunning != "Yes" {
			a.refuse("source-broken", fmt.Sprintf("the source of %s, %s, is itself a replica of %s, and does not replicate", name, source.member.Name, up.Host),
				fmt.Sprintf("start replication on %s, wait for it to catch up, then run this again", source.member.Name))
			return node{}, false
		}
	}
	return source, true
}

// reachedAt is the member that was, or should have been, reached under an address.
func (s *scene) reachedAt(address string) *ClusterMember {
	for i := range s.Members {
		if m := &s.Members[i]; m.reachedAs(address) {
			return m
		}
	}
	return nil
}

// enough holds the peers of t against what must remain of its source's replicas.
func (s *scene) enough(t, source node, a *Assessment) {
	all := s.peers(t, source)
	a.Relies = append(a.Relies, source.member.Name)
	a.Stays = append(a.Stays, source.member.Name+" (source)")
	for _, p := range all {
		if p.standing == healthy {
			a.Relies = append(a.Relies, p.name)
			a.Stays = append(a.Stays, fmt.Sprintf("%s (%s)", p.name, p.why))
		}
	}
	s.notDown(all, a)
	least := s.minReplicas(t, source)
	remain := standings(all, healthy)
	if remain >= least || s.MaxDown == 0 && remain+standings(all, held) >= least {
		return // where locked ones are what is missing, notDown has said so
	}
	first, found := firstOf(all, poor, down, held)
	code, remedy := "too-few-replicas", fmt.Sprintf("add a replica to %s, then run this again", source.member.Name)
	if found {
		code, remedy = codeOf(all), first.remedy
	}
	a.refuse(code, s.tooFew(t, source, all, remain, least), remedy)
}

// codeOf is gtid-missing or gtid-unknown where that alone keeps peers from standing in.
func codeOf(all []peer) string {
	code := ""
	for _, p := range all {
		switch {
		case p.standing == healthy:
		case p.code != "gtid-missing" && p.code != "gtid-unknown", code != "" && p.code != code:
			return "too-few-replicas"
		default:
			code = p.code
		}
	}
	return code
}

// tooFew is the sentence: "db3 is the only replica of db1 within 30s of it (db2: lag 412s)".
func (s *scene) tooFew(t, source node, all []peer, remain, least int) string {
	var whys []string
	for _, p := range all {
		if p.standing != healthy {
			whys = append(whys, p.name+": "+p.why)
		}
	}
	why := ""
	if len(whys) > 0 {
		why = " (" + strings.Join(whys, "; ") + ")"
	}
	self := t.channelFrom(source.identity())
	switch {
	case remain > 0:
		return fmt.Sprintf("without %s only %s of %s would remain healthy, and %d must%s", t.member.Name, counted(remain), source.member.Name, least, why)
	case len(all) == 0:
		return fmt.Sprintf("%s is the only replica of %s", t.member.Name, source.member.Name)
	case self != nil && self.IORunning == "Yes" && self.SQLRunning == "Yes" && self.Lag != nil && *self.Lag < s.MaxLag && codeOf(all) == "too-few-replicas":
		return fmt.Sprintf("%s is the only replica of %s within %ds of it%s", t.member.Name, source.member.Name, int(s.MaxLag.Seconds()), why)
	}
	return fmt.Sprintf("no other replica of %s could take the place of %s%s", source.member.Name, t.member.Name, why)
}

func counted(replicas int) string {
	if replicas == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", replicas)
}

// notDown is max_down: how many of the others may be locked, leased or down at the same time.
func (s *scene) notDown(all []peer, a *Assessment) {
	gone := standings(all, down) + standings(all, held)
	if gone <= s.MaxDown {
		return
	}
	var whys []string
	for _, p := range all {
		if p.standing == down || p.standing == held {
			whys = append(whys, p.name+": "+p.why)
		}
	}
	first, _ := firstOf(all, down)
	code, word := "members-down", "down"
	if standings(all, down) == 0 {
		first, _ = firstOf(all, held)
		code, word = "member-locked", "locked"
	}
	a.refuse(code, fmt.Sprintf("%d of the other members may be down or locked, and more are %s (%s)", s.MaxDown, word, strings.Join(whys, "; ")), first.remedy)
}

// stored are the rules for data without replication: a stopped or idle member. What only interrupts costs no
// data and no service there. What destroys could take the last good copy.
func (s *scene) stored(t node, a *Assessment) {
	if s.class < checks.Destructive || len(t.member.Clusters) == 0 {
		return
	}
	if names := s.dependents(t); len(names) > 0 {
		a.refuse("is-source", fmt.Sprintf("%s names %s as its source", strings.Join(names, ", "), t.member.Name), "move its replicas to another source first")
	}
	if len(s.groupOf()) > 0 {
		return // a majority has all that was ever confirmed; see majority
	}
	primaries := s.primaries(t.member)
	switch len(primaries) {
	case 0:
		a.refuse("no-primary", fmt.Sprintf("no primary of %s was found: what %s holds may be the last good copy", strings.Join(t.member.Clusters, ", "), t.member.Name),
			"bring the cluster's primary back first")
	case 1:
		s.enough(t, primaries[0], a)
	default:
		a.refuse("several-primaries", fmt.Sprintf("%s and %s are both primaries of %s: which of them %s belongs to is not known", primaries[0].member.Name,
			primaries[1].member.Name, strings.Join(t.member.Clusters, ", "), t.member.Name), "make one of them a replica, or give each its own cluster in hosts.toml")
	}
}

// primaries are the live servers beside a member that have no source.
func (s *scene) primaries(m *ClusterMember) (found []node) {
	for _, v := range s.servers {
		if !v.member.beside(m) || len(v.in.Sources) > 0 || v.in.State != checks.Primary || v.identity() == "" || v.member.machine() == m.machine() {
			continue
		}
		if _, away := absent(v.member); away {
			continue
		}
		if !slices.ContainsFunc(found, func(f node) bool { return f.identity() == v.identity() }) {
			found = append(found, v)
		}
	}
	return found
}

// groupOf are the servers beside the target that are members of a group: Group Replication or Galera.
func (s *scene) groupOf() (members []node) {
	for _, v := range s.servers {
		if v.in.GroupMember != "" && (v.member == s.target || v.member.beside(s.target)) {
			members = append(members, v)
		}
	}
	return members
}

// majority: of the known size of a group more than half must be ONLINE (Galera: Synced) without the target.
func (s *scene) majority(a *Assessment) {
	members := s.groupOf()
	if len(members) == 0 || s.target.Report.State == checks.Clear {
		return
	}
	size, online := len(s.couldBeOf(members)), map[string]bool{}
	var names, whys []string
	for _, v := range members {
		if v.in.Group != nil {
			size = max(size, v.in.Group.Size)
		}
		if v.member.machine() == s.target.machine() {
			continue
		}
		away, isAway := absent(v.member)
		word := strings.TrimPrefix(v.in.GroupMember, "wsrep:")
		switch {
		case isAway:
			whys = append(whys, v.member.Name+": "+away.why)
		case word == "ONLINE" || word == "Synced" && (v.in.Group == nil || v.in.Group.Status == "Primary"):
			online[v.member.machine()] = true
			names = append(names, v.member.Name)
		default:
			whys = append(whys, v.member.Name+": "+word)
		}
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.Report == nil && m.beside(s.target) {
			whys = append(whys, m.Name+": not reached: "+m.Cause)
		}
	}
	a.Relies = append(a.Relies, names...)
	for _, n := range names {
		a.Stays = append(a.Stays, n+" (ONLINE)")
	}
	if 2*len(online) > size {
		return
	}
	why := ""
	if len(whys) > 0 {
		why = " (" + strings.Join(whys, "; ") + ")"
	}
	a.refuse("group-majority", fmt.Sprintf("without %s %d of %d members of its group would be ONLINE: no majority%s", s.target.Name, len(online), size, why),
		"bring the other members ONLINE, then run this again")
}

// couldBeOf are the machines that may be of the group: those that say so, and those of the same cluster in
// hosts.toml that cannot say that they are something else.
func (s *scene) couldBeOf(members []node) map[string]bool {
	machines := map[string]bool{s.target.machine(): true}
	for _, v := range members {
		machines[v.member.machine()] = true
	}
	for i := range s.Members {
		m := &s.Members[i]
		if _, away := absent(m); m.beside(s.target) && (away || !m.runs()) {
			machines[m.machine()] = true
		}
	}
	return machines
}

// images warns of one machine id on several machines: they were made from one image. It refuses nothing, since
// the boot id tells machines apart.
func (s *scene) images(a *Assessment) {
	first := map[string]*ClusterMember{}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Report == nil || m.Report.Facts["machine_id"] == "" || m != s.target && !m.beside(s.target) && !slices.Contains(a.Relies, m.Name) {
			continue
		}
		id := m.Report.Facts["machine_id"]
		other, twice := first[id]
		if !twice {
			first[id] = m
			continue
		}
		if other.machine() != m.machine() {
			a.Warnings = append(a.Warnings, checks.Reason{Code: "same-machine-id", Text: fmt.Sprintf("%s and %s have the same machine id: made from one image?", other.Name, m.Name),
				Remedy: "on one of them: rm /etc/machine-id; systemd-machine-id-setup"})
		}
	}
}
