package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// maxSetHosts bounds a set, and every range in it. The largest fleets of this kind are some ten thousand
// machines: more is a slip of the finger ([1-30000000]), and must not take the memory of the client.
const maxSetHosts = 100_000

// maxSetFileBytes bounds a ^file: 100,000 names of the longest kind fit.
const maxSetFileBytes = 32 << 20

// Expand gives the hosts that a set names, in the order of the set, each once.
//
//	db1  root@db1  2001:db8::1        one host; IPv6 without brackets, which are for ranges
//	db[001-300]  db[1-9/2]  db[1,3]   ranges; padding is kept; several in a name multiply
//	@NAME                             a group or a cluster of the inventory
//	@all                              every host that the inventory names
//	^FILE                             the sets in a file, one a line; # begins a comment
//	A,B  A!B  A&B                     union, difference, intersection, from left to right
//
// Names that differ in letter case alone are one host, spelled as the inventory does; difference and
// intersection look at the host, not at user@. The error is one of: an empty set, an empty operand, an
// unknown group, a bad range or name, more than 100,000 hosts, one host under two users, an unreadable file.
func (inv *Inventory) Expand(set string) ([]string, error) {
	e := &expander{inv: inv, named: inv.named, allowUser: true}
	names, f := e.eval(set)
	if f != nil {
		return nil, fmt.Errorf("expand hosts %q: column %d: %w", set, 1+runes(set, f.off), f)
	}
	return names, nil
}

// named looks a group or a cluster up; the inventory is resolved already.
func (inv *Inventory) named(name string) ([]string, *fault) {
	if name == "all" {
		all := inv.all()
		if len(all) == 0 {
			return nil, newFault(0, "@all is empty: the inventory names no host", "list hosts in hosts.toml, or name them here")
		}
		return all, nil
	}
	if hosts, ok := inv.Groups[name]; ok {
		return hosts, nil
	}
	if c, ok := inv.Clusters[name]; ok {
		return c.Hosts, nil
	}
	return nil, unknownGroup(name, inv.groupNames())
}

// all gives every host that the inventory names, in natural order.
func (inv *Inventory) all() []string {
	all := make([]string, 0, len(inv.spelling))
	for _, name := range inv.spelling {
		all = append(all, name)
	}
	slices.SortFunc(all, Compare)
	return all
}

func (inv *Inventory) groupNames() []string {
	var names []string
	for g := range inv.Groups {
		names = append(names, g)
	}
	for c := range inv.Clusters {
		names = append(names, c)
	}
	return names
}

func unknownGroup(name string, known []string) *fault {
	if len(known) == 0 {
		return newFault(0, fmt.Sprintf("no group or cluster is called %q", name), "the inventory has none; see hosts.toml")
	}
	sort.Strings(known)
	more := ""
	const shown = 8 // a line on a terminal
	if len(known) > shown {
		known, more = known[:shown], ", …"
	}
	return newFault(0, fmt.Sprintf("no group or cluster is called %q", name), "there are "+strings.Join(known, ", ")+more)
}

// expander evaluates sets.
type expander struct {
	inv       *Inventory
	named     func(name string) ([]string, *fault)
	allowUser bool   // user@host: not in the inventory, where [hosts.NAME] has a user
	dir       string // what a relative ^file is relative to
	inFile    bool   // within a ^file, which may not name others
}

// operand is one word of a set with the operator before it.
type operand struct {
	op   byte // ',', '!' or '&'
	text string
	off  int
}

// eval evaluates a whole set; the offset of its fault is within set.
func (e *expander) eval(set string) ([]string, *fault) {
	if strings.TrimSpace(set) == "" {
		return nil, newFault(0, "the set is empty", "name hosts, or write @all")
	}
	operands, f := split(set)
	if f != nil {
		return nil, f
	}
	result := newHostList()
	for _, o := range operands {
		names, f := e.operand(o.text)
		if f != nil {
			return nil, f.at(o.off)
		}
		if f := result.apply(o.op, names); f != nil {
			return nil, f.at(o.off)
		}
	}
	if len(result.names) == 0 {
		return nil, newFault(0, "the set is empty: nothing is left of it", "see what it takes away with ! and &")
	}
	return result.names, nil
}

// split cuts a set into operands at , ! and & outside of brackets.
func split(set string) ([]operand, *fault) {
	var list []operand
	op, start, open := byte(','), 0, -1
	for i := 0; i <= len(set); i++ {
		if i < len(set) {
			switch c := set[i]; {
			case c == '[' && open >= 0:
				return nil, newFault(i, "\"[\" inside brackets", "close the first range with ]")
			case c == '[':
				open = i
			case c == ']' && open < 0:
				return nil, newFault(i, "\"]\" without a \"[\"", "write a range as [1-9]")
			case c == ']':
				open = -1
			}
			if open >= 0 || !strings.ContainsRune(",!&", rune(set[i])) {
				continue
			}
		} else if open >= 0 {
			return nil, newFault(open, "\"[\" is not closed", "write a range as [1-9]")
		}
		text := set[start:i]
		lead := len(text) - len(strings.TrimLeft(text, " \t"))
		text = strings.Trim(text, " \t")
		if text == "" {
			return nil, emptyOperand(set, i, op, len(list) == 0)
		}
		list = append(list, operand{op: op, text: text, off: start + lead})
		if i < len(set) {
			op, start = set[i], i+1
		}
	}
	return list, nil
}

func emptyOperand(set string, i int, op byte, first bool) *fault {
	if first {
		return newFault(i, fmt.Sprintf("nothing stands before %q", set[i]), "@all!db1 is every host but db1")
	}
	return newFault(min(i, len(set)-1), fmt.Sprintf("nothing stands after %q", op), "name hosts, or leave the sign out")
}

// operand evaluates one word.
func (e *expander) operand(word string) ([]string, *fault) {
	switch word[0] {
	case '@':
		if f := checkGroupName(word[1:]); f != nil {
			return nil, f.at(1)
		}
		names, f := e.named(word[1:])
		return names, f
	case '^':
		return e.file(word[1:])
	}
	names, f := expandRanges(word)
	if f != nil {
		return nil, f
	}
	for i, name := range names {
		if names[i], f = e.host(name); f != nil {
			if len(names) > 1 || names[0] != word {
				f.off = 0 // the offset is in the expanded name
			}
			return nil, f
		}
	}
	return names, nil
}

// host checks one name and spells it as the inventory does.
func (e *expander) host(name string) (string, *fault) {
	user, host := SplitUser(name)
	prefix := ""
	if len(host) < len(name) {
		prefix = user + "@"
		if !e.allowUser {
			return name, newFault(0, fmt.Sprintf("%q names a user", name), "say it once, as user = in [hosts.NAME]")
		}
		if f := checkUser(user); f != nil {
			return name, f
		}
	}
	if f := checkName(host); f != nil {
		return name, f.at(len(prefix))
	}
	if known, ok := e.inv.spelling[identity(host)]; ok {
		host = known
	}
	return prefix + host, nil
}

// file reads the sets in a file, one a line.
func (e *expander) file(path string) ([]string, *fault) {
	if e.inFile {
		return nil, newFault(0, "a ^file within a ^file", "name its hosts here")
	}
	if path == "" {
		return nil, newFault(0, "no file is named after \"^\"", "write ^hosts.txt")
	}
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(e.dir, path)
	}
	text, err := readFile(full, maxSetFileBytes)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, newFault(0, fmt.Sprintf("read hosts from %q: %v", full, err), "name a file with one set a line")
	}
	inner := *e
	inner.inFile = true
	result := newHostList()
	for n, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimRight(line, "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		names, f := inner.eval(line)
		if f == nil {
			f = result.apply(',', names)
		}
		if f != nil {
			return nil, &fault{text: fmt.Sprintf("%s:%d:%d: %s", path, n+1, 1+runes(line, f.off), f.text), remedy: f.remedy, quiet: f.quiet}
		}
	}
	if len(result.names) == 0 {
		return nil, newFault(0, fmt.Sprintf("file %q names no host", path), "one set a line is expected")
	}
	return result.names, nil
}

// checkGroupName tells what is wrong with the name of a group or a cluster.
func checkGroupName(name string) *fault {
	if name == "" {
		return newFault(0, "no group is named after \"@\"", "write @name, or @all")
	}
	for i, r := range name {
		if !alnum(r) && r != '_' && (i == 0 || r != '.' && r != '-') {
			return newFault(i, fmt.Sprintf("%q in group name %q", r, name), "group names are made of A-Z a-z 0-9 . _ -")
		}
	}
	return nil
}

// hostList is an ordered set of hosts.
type hostList struct {
	names []string
	at    map[string]string // identity → name as it is in names
}

func newHostList() *hostList { return &hostList{at: map[string]string{}} }

// apply makes l the union, difference or intersection of itself and names.
func (l *hostList) apply(op byte, names []string) *fault {
	if op == ',' {
		return l.add(names)
	}
	other := make(map[string]bool, len(names))
	for _, n := range names {
		other[identity(n)] = true
	}
	kept := l.names[:0:0]
	for _, n := range l.names {
		if other[identity(n)] == (op == '&') {
			kept = append(kept, n)
		} else {
			delete(l.at, identity(n))
		}
	}
	l.names = kept
	return nil
}

func (l *hostList) add(names []string) *fault {
	for _, n := range names {
		id := identity(n)
		before, there := l.at[id]
		if there {
			user, _ := SplitUser(n)
			if was, _ := SplitUser(before); was != user {
				return newFault(0, fmt.Sprintf("%s and %s are one host under two users", before, n), "name it once")
			}
			continue
		}
		if len(l.names) == maxSetHosts {
			return newFault(0, fmt.Sprintf("the set has more than %d hosts", maxSetHosts), "see the range for a slip of the finger")
		}
		l.at[id] = n
		l.names = append(l.names, n)
	}
	return nil
}
