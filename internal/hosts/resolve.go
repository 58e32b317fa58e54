package hosts

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"
)

// namedSet is a group, or the hosts of a cluster, before and after it is resolved.
type namedSet struct {
	path  string    // of its value
	sets  []setText // as written
	state int       // of the walk
	hosts []string  // once done; nil when it is broken
}

// The states of a namedSet.
const (
	untouched = iota
	underway  // met again now, it refers to itself
	done
)

// setText is one set as written in the file.
type setText struct {
	path string
	text string
}

// clusterText is a cluster until its sets are resolved.
type clusterText struct {
	name     string
	t        *table
	primary  string
	replicas []setText
	least    int // min_replicas; notSaid when the file does not say it
}

// notSaid marks a number that the file does not give, or not right.
const notSaid = -1

// defaultMinReplicas is how many healthy replicas must remain where the file does not say it. In a cluster
// that has no other replica, none can be taken then: that is meant.
const defaultMinReplicas = 1

// sets reads a set or a list of sets.
func (t *table) sets(key string) []setText {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	p := child(t.path, key)
	if s, ok := v.(string); ok {
		return []setText{{path: p, text: s}}
	}
	list, ok := v.([]any)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("%s = [\"db[1-3]\"]", dotted(key)))
		return nil
	}
	if len(list) == 0 {
		t.wrong(key, "name hosts, or leave it out", "%s is empty", key)
	}
	var sets []setText
	for i, e := range list {
		ep := child(p, fmt.Sprint(i))
		s, ok := e.(string)
		if !ok {
			t.l.fail(t.l.ix.value(ep), "write a set in quotes", "an element of %s is %s", key, typeWord(e))
			continue
		}
		sets = append(sets, setText{path: ep, text: s})
	}
	return sets
}

func (l *loader) group(name string, t *table) {
	s := &namedSet{path: child(t.path, name), sets: t.sets(name)}
	l.name(name, s)
}

// name notes a group or a cluster; both are referred to as @name.
func (l *loader) name(name string, s *namedSet) {
	off := l.ix.key(s.path)
	if f := checkGroupName(name); f != nil {
		l.fail(l.ix.keyInside(s.path, name, f.off), f.remedy, "%s", f.text)
		return
	}
	if name == "all" {
		l.fail(off, "give it another name", "\"all\" is the name of every host")
		return
	}
	if was, there := l.sets[name]; there {
		line, _ := l.ix.position(l.ix.key(was.path))
		l.fail(off, "rename one of them: both are @"+name, "%q is there already, on line %d", name, line)
		return
	}
	l.sets[name] = s
}

func (l *loader) cluster(name string, t *table) {
	c := clusterText{name: name, t: t}
	hosts := t.sets("hosts")
	if !t.has("hosts") {
		t.missing("hosts", `hosts = ["db[1-3]"]`)
	}
	c.primary = t.text("primary")
	c.replicas = t.sets("replicas")
	c.least = t.number("min_replicas", notSaid, 0, 1000)
	t.done()
	l.name(name, &namedSet{path: t.path, sets: hosts})
	l.clusters = append(l.clusters, c)
}

// resolve turns the sets of groups and clusters into hosts and checks what needs them.
func (l *loader) resolve() {
	names := make([]string, 0, len(l.sets))
	for n := range l.sets {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		return l.ix.key(l.sets[names[i]].path) < l.ix.key(l.sets[names[j]].path)
	})
	for _, n := range names {
		l.hostsOf(n, nil)
	}
	for _, n := range names {
		if strings.HasPrefix(l.sets[n].path, "groups"+pathSep) {
			l.inv.Groups[n] = l.sets[n].hosts
		}
	}
	for _, c := range l.clusters {
		l.finish(c)
	}
	for _, clusters := range l.inv.members {
		sort.Strings(clusters)
	}
}

// hostsOf resolves a group or a cluster; trail is how the walk came here.
func (l *loader) hostsOf(name string, trail []string) []string {
	s := l.sets[name]
	if s.state == done {
		return s.hosts
	}
	s.state = underway
	trail = append(trail[:len(trail):len(trail)], name)
	e := &expander{inv: l.inv, dir: filepath.Dir(l.inv.Path)}
	e.named = func(ref string) ([]string, *fault) { return l.refer(ref, trail) }
	list := newHostList()
	broken := len(s.sets) == 0
	for _, st := range s.sets {
		hosts, f := e.eval(st.text)
		if f == nil {
			f = list.add(hosts)
		}
		if f != nil {
			broken = true
			l.faultIn(st, f)
		}
	}
	s.state = done
	if !broken {
		s.hosts = list.names
		for _, h := range s.hosts {
			if _, known := l.inv.spelling[identity(h)]; !known {
				l.inv.spelling[identity(h)] = h
			}
		}
	}
	return s.hosts
}

func (l *loader) faultIn(st setText, f *fault) {
	if !f.quiet {
		l.fail(l.ix.inside(st.path, st.text, f.off), f.remedy, "%s", f.text)
	}
}

// refer resolves @ref within the sets of the file.
func (l *loader) refer(ref string, trail []string) ([]string, *fault) {
	if ref == "all" {
		return nil, newFault(0, "@all within the inventory", "it is made of the groups: name them")
	}
	s, there := l.sets[ref]
	if !there {
		known := make([]string, 0, len(l.sets))
		for n := range l.sets {
			known = append(known, n)
		}
		return nil, unknownGroup(ref, known)
	}
	if s.state == underway {
		for trail[0] != ref {
			trail = trail[1:]
		}
		return nil, newFault(0, fmt.Sprintf("group %s refers to itself: %s → %s", ref, strings.Join(trail, " → "), ref), "leave one of them out")
	}
	hosts := l.hostsOf(ref, trail)
	if hosts == nil {
		return nil, &fault{text: "group " + ref + " is broken", quiet: true}
	}
	return hosts, nil
}

// finish checks what a cluster says of its members.
func (l *loader) finish(c clusterText) {
	s := l.sets[c.name]
	if s == nil || s.path != c.t.path || s.hosts == nil {
		return // its name or its hosts are broken, which is said already
	}
	member := map[string]bool{}
	for _, h := range s.hosts {
		member[identity(h)] = true
	}
	out := Cluster{Name: c.name, Hosts: s.hosts, MinReplicas: max(c.least, 0)}
	if c.least == notSaid {
		out.MinReplicas = defaultMinReplicas
	}
	if c.primary != "" {
		out.Primary = l.primary(c, member)
	}
	out.Replicas = l.replicas(c, member, out.Primary)
	if c.least >= len(s.hosts) {
		c.t.wrong("min_replicas", fmt.Sprintf("write %d or less", len(s.hosts)-1),
			"min_replicas %d cannot be: the cluster has %s", c.least, count(len(s.hosts), "host"))
	}
	l.inv.Clusters[c.name] = out
	for _, h := range s.hosts {
		l.join(h, c.name)
	}
}

// join notes that a host, by its name and by its address, is a member of a cluster.
func (l *loader) join(host, cluster string) {
	ids := []string{identity(host)}
	if a := l.inv.Hosts[host].Address; a != "" && identity(a) != ids[0] {
		ids = append(ids, identity(a))
	}
	for _, id := range ids {
		there := false
		for _, c := range l.inv.members[id] {
			there = there || c == cluster
		}
		if !there {
			l.inv.members[id] = append(l.inv.members[id], cluster)
		}
	}
}

// primary checks the expected primary and spells it as the inventory does.
func (l *loader) primary(c clusterText, member map[string]bool) string {
	if f := checkName(c.primary); f != nil {
		c.t.fault("primary", c.primary, f)
		return ""
	}
	if !member[identity(c.primary)] {
		c.t.wrong("primary", "add it to hosts, or correct the name", "primary %s is not among the hosts of %s", c.primary, c.name)
		return ""
	}
	return l.inv.spelling[identity(c.primary)]
}

// replicas resolves the expected replicas.
func (l *loader) replicas(c clusterText, member map[string]bool, primary string) []string {
	e := &expander{inv: l.inv, dir: filepath.Dir(l.inv.Path)}
	e.named = func(ref string) ([]string, *fault) { return l.refer(ref, nil) }
	list := newHostList()
	for _, st := range c.replicas {
		hosts, f := e.eval(st.text)
		if f == nil {
			f = list.add(hosts)
		}
		if f != nil {
			l.faultIn(st, f)
			continue
		}
		for _, h := range hosts {
			switch {
			case !member[identity(h)]:
				l.fail(l.ix.value(st.path), "add it to hosts, or correct the name", "replica %s is not among the hosts of %s", h, c.name)
			case primary != "" && identity(h) == identity(primary):
				l.fail(l.ix.value(st.path), "make it one of the two", "%s is both the primary and a replica of %s", h, c.name)
			}
		}
	}
	return list.names
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// nearestWord gives the one known word that a slip of the finger away from key, "" when there is none.
func nearestWord(key string, known []string) string {
	const longest = 40 // twice the longest key
	if len(key) > longest {
		return ""
	}
	best, bestDistance := "", 3 // two letters wrong are a slip, three another word
	for _, k := range known {
		if d := distance(strings.ToLower(key), k); d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or changed to make a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
