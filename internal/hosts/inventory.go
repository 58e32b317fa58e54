// Package hosts reads hosts.toml, the inventory and the policy in one file, and the language of host sets
// in which people name the hosts that they mean.
//
// Two rules hold everywhere: what is empty, unknown or unreadable is an error and never "all", and a file
// with one error in it gives no inventory at all.
package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Inventory is hosts.toml, checked and resolved. It is read-only once loaded: any goroutine may use it.
type Inventory struct {
	Path     string // the file; "" when there is none
	Defaults Defaults
	Hosts    map[string]Host     // [hosts.NAME], by name as written
	Groups   map[string][]string // resolved to host names, in the order of the file
	Clusters map[string]Cluster
	Commands []Command  // in the order of the file
	Critical []Critical // the shipped ones first: a file can add to them, not take away
	Data     []Data
	Clients  []Client

	spelling map[string]string   // identity of a host → its name as the inventory spells it
	members  map[string][]string // identity of a host, by name and by address → clusters, sorted
}

// Defaults is [defaults]; Load fills what the file does not say with builtinDefaults.
type Defaults struct {
	User           string // login name; "": as the ssh configuration says
	Port           int    // TCP port of sshd; 0: as the ssh configuration says
	Sudo           bool   // may the helper on a host ask sudo -n
	ConnectTimeout time.Duration
	CheckTimeout   time.Duration // bound of the whole check on one host
	Parallel       int           // hosts at a time
	MaxLag         time.Duration // a replica further behind does not count as healthy
	MaxDown        int           // members of a cluster that may be locked or down when another is taken
	IdleAfter      time.Duration // how long a server must have been seen unused before it counts as idle

	SSHScope          Scope // which hosts `interlock ssh` guards
	RequireShellAllow bool  // `interlock ssh HOST` opens a shell on a live host only with --allow shell
}

// Scope says which hosts `interlock ssh` guards; others go to the system's ssh as they are.
type Scope string

// The scopes.
const (
	ScopeListed Scope = "listed" // those that the inventory names
	ScopeAll    Scope = "all"
)

// builtinDefaults is what holds without a file (docs/design.md, "hosts.toml").
func builtinDefaults() Defaults {
	return Defaults{
		Sudo:           true,
		ConnectTimeout: 10 * time.Second,
		CheckTimeout:   15 * time.Second,
		Parallel:       64,
		MaxLag:         30 * time.Second,
		MaxDown:        0,
		IdleAfter:      15 * time.Minute,
		SSHScope:       ScopeListed,
	}
}

// Host is [hosts.NAME]. What is empty or 0 here, the ssh configuration decides.
type Host struct {
	Name              string
	Address           string // name or IP address to connect to
	Port              int
	User              string
	IdentityFile      string // absolute; the file may write ~/ or a path relative to itself
	KnownHosts        string // absolute, likewise
	MySQLDefaultsFile string // on the host, absolute
}

// Cluster is [clusters.NAME]: servers that hold the same data.
type Cluster struct {
	Name        string
	Hosts       []string // resolved; never empty
	Primary     string   // the expected one, among Hosts; "": not said
	Replicas    []string // the expected ones, among Hosts; nil: not said
	MinReplicas int      // healthy replicas that must remain when one is taken
}

// Command is [[command]]: what the house says of one of its own commands.
type Command struct {
	Match     string // words; * stands for one word, ** at the end for the rest
	Class     string // routine, disruptive or destructive
	OnUnknown bool   // a routine command that may run where the check cannot see
	Origin    string // file:line
}

// Critical is [[critical]]: a process that refuses like a primary where it runs.
type Critical struct {
	Name    string
	Process string // base name; "": known by its port alone
	Port    int    // TCP; 0: none
}

// shippedCritical is never taken away by a file: forgetting to list PostgreSQL must not make its hosts fair game.
func shippedCritical() []Critical {
	return []Critical{
		{Name: "postgres", Process: "postgres", Port: 5432},
		{Name: "mongod", Process: "mongod", Port: 27017},
		{Name: "redis", Process: "redis-server", Port: 6379},
		{Name: "etcd", Process: "etcd", Port: 2379},
		{Name: "ceph-osd", Process: "ceph-osd"},
	}
}

// Data is [[data]]: an absolute path on hosts that counts as data where it exists.
type Data struct{ Path string }

// Client is [[client]]: a database account that only monitors.
type Client struct{ User string }

// Find gives the path of the inventory: explicit if it is not empty, otherwise the first that exists of
// ./hosts.toml, ~/.config/interlock/hosts.toml and /etc/interlock/hosts.toml. None at all is "" and no
// error, since hosts need not be listed. One that is there but cannot be looked at is an error, and so is
// an explicit one that is missing: the next file, or none, could be less strict.
func Find(explicit string) (path string, err error) {
	if explicit != "" {
		if _, err := os.Stat(explicit); err != nil {
			return "", fmt.Errorf("find inventory: %w", err)
		}
		return explicit, nil
	}
	places := []string{"hosts.toml"}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".config", "interlock", "hosts.toml"))
	}
	places = append(places, "/etc/interlock/hosts.toml")
	return firstThere(places)
}

// firstThere gives the first path that exists, "" when none does. A symbolic link that leads nowhere is
// there: it was meant to be read.
func firstThere(places []string) (string, error) {
	for _, p := range places {
		_, err := os.Lstat(p)
		switch {
		case err == nil:
			return p, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("find inventory: %w; make it readable, or name another with --config", err)
		}
	}
	return "", nil
}

// formatKeys are the words of the file's format; with selectorWords, what Key knows apart from the file's
// own names.
var formatKeys = strings.Fields(`defaults hosts groups clusters command critical data client
	user port sudo connect_timeout check_timeout parallel max_lag max_down idle_after ssh_scope require_shell_allow
	address identity_file known_hosts mysql_defaults_file
	primary replicas min_replicas match class on_unknown name process path`)

// selectorWords are not in the file, but other inventories select by them, and so do fingers.
var selectorWords = strings.Fields(`host group cluster role roles state status lifecycle hwclass tag tags
	env environment dc datacenter rack region zone pool shard service tier limit hostgroup`)

// environmentWords are keys of the format that, in capitals, are variables that commands are often given.
var environmentWords = strings.Fields("PATH USER PORT")

// Key tells whether word, in any case, is a key of the file's format, a group, cluster or host of this
// inventory, or a word that other tools select hosts by. A command that begins with an assignment to such
// a word (hwclass=database) is a misplaced selector. PATH, USER and PORT, so written, are none.
func (inv *Inventory) Key(word string) bool {
	if slices.Contains(environmentWords, word) {
		return false
	}
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	is := func(name string) bool { return word == strings.ReplaceAll(strings.ToLower(name), "-", "_") }
	for _, list := range [][]string{formatKeys, selectorWords} {
		for _, k := range list {
			if is(k) {
				return true
			}
		}
	}
	for g := range inv.Groups {
		if is(g) {
			return true
		}
	}
	for c := range inv.Clusters {
		if is(c) {
			return true
		}
	}
	for _, h := range inv.spelling {
		if is(h) {
			return true
		}
	}
	return false
}

// ClusterOf gives the names of the clusters that host is a member of, sorted; nil when there is none. It
// knows a member also as user@NAME, in other letter case, and by the address that the inventory gives it.
func (inv *Inventory) ClusterOf(host string) []string {
	return append([]string(nil), inv.members[identity(host)]...)
}

// Lookup gives what the inventory says of a host, with or without user@ and in any letter case. A host
// that the inventory only names in a set is not found: it says nothing of it.
func (inv *Inventory) Lookup(host string) (Host, bool) {
	name, known := inv.spelling[identity(host)]
	if !known {
		return Host{}, false
	}
	h, ok := inv.Hosts[name]
	return h, ok
}

// Called gives the inventory's own name for a host that somebody calls name: with or without user@, in any
// letter case, by the address that [hosts] gives it. Where one of the two names has a domain and the other
// has none, their first labels decide: db1.example.com is db1. That can take a stranger for a host of ours,
// never the other way round.
func (inv *Inventory) Called(name string) (string, bool) {
	id := identity(name)
	if own, known := inv.spelling[id]; known {
		return own, true
	}
	for _, h := range inv.Hosts {
		if h.Address != "" && identity(h.Address) == id {
			return h.Name, true
		}
	}
	if _, err := netip.ParseAddr(id); err == nil {
		return "", false
	}
	label, _, dotted := strings.Cut(id, ".")
	for own, spelled := range inv.spelling {
		ownLabel, _, ownDotted := strings.Cut(own, ".")
		if dotted != ownDotted && label == ownLabel {
			return spelled, true
		}
	}
	return "", false
}

// Names tells whether the inventory names any host at all.
func (inv *Inventory) Names() bool { return len(inv.spelling) > 0 }
