package hosts

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

// root walks the whole file.
func (l *loader) root(vals map[string]any) {
	t := &table{l: l, vals: vals}
	if d := t.table("defaults"); d != nil {
		l.defaults(d)
	}
	if hosts := t.table("hosts"); hosts != nil {
		for _, name := range hosts.names() {
			if h := hosts.table(name); h != nil {
				l.host(name, h)
			}
		}
	}
	if groups := t.table("groups"); groups != nil {
		for _, name := range groups.names() {
			l.group(name, groups)
		}
	}
	if clusters := t.table("clusters"); clusters != nil {
		for _, name := range clusters.names() {
			if c := clusters.table(name); c != nil {
				l.cluster(name, c)
			}
		}
	}
	for _, c := range t.tables("command") {
		l.command(c)
	}
	for _, c := range t.tables("critical") {
		l.critical(c)
	}
	for _, d := range t.tables("data") {
		l.data(d)
	}
	for _, c := range t.tables("client") {
		l.client(c)
	}
	t.done()
}

func (l *loader) defaults(t *table) {
	d := &l.inv.Defaults
	d.User = t.user("user", d.User)
	d.Port = t.number("port", d.Port, 1, math.MaxUint16)
	d.Sudo = t.boolean("sudo", d.Sudo)
	d.ConnectTimeout = t.duration("connect_timeout", d.ConnectTimeout, time.Second, 10*time.Minute)
	d.CheckTimeout = t.duration("check_timeout", d.CheckTimeout, time.Second, 10*time.Minute)
	d.Parallel = t.number("parallel", d.Parallel, 1, 10_000)
	d.MaxLag = t.duration("max_lag", d.MaxLag, 0, 24*time.Hour)
	d.MaxDown = t.number("max_down", d.MaxDown, 0, 1000)
	// A second would do for two samples, and two samples prove nothing: a minute is the least that one
	// could call evidence from the past. Tests that cannot wait go down to a second.
	d.IdleAfter = t.duration("idle_after", d.IdleAfter, time.Second, 30*24*time.Hour)
	d.SSHScope = t.scope("ssh_scope", d.SSHScope)
	d.RequireShellAllow = t.boolean("require_shell_allow", d.RequireShellAllow)
	t.done()
}

func (l *loader) host(name string, t *table) {
	h := Host{
		Name:              name,
		Address:           t.text("address"),
		Port:              t.number("port", 0, 1, math.MaxUint16),
		User:              t.user("user", ""),
		IdentityFile:      t.file("identity_file"),
		KnownHosts:        t.file("known_hosts"),
		MySQLDefaultsFile: t.absolute("mysql_defaults_file"),
	}
	if h.Address != "" {
		if f := checkName(h.Address); f != nil {
			t.fault("address", h.Address, f)
		}
	}
	t.done()
	off := l.ix.key(t.path)
	if f := checkName(name); f != nil {
		if strings.ContainsAny(name, "[,!&@^") {
			f.remedy = "[hosts] takes one host a table; sets go in [groups] and [clusters]"
		}
		l.fail(l.ix.keyInside(t.path, name, f.off), f.remedy, "%s", f.text)
		return
	}
	id := identity(name)
	if other, there := l.inv.spelling[id]; there {
		line, _ := l.ix.position(l.ix.key(join("hosts", other)))
		l.fail(off, "keep one of them", "host %q is there already, as %q on line %d", name, other, line)
		return
	}
	l.inv.spelling[id] = name
	l.inv.Hosts[name] = h
}

// keyInside is inside for keys.
func (ix *index) keyInside(path, name string, off int) int {
	start := ix.key(path)
	rest := ix.text[start:]
	if strings.HasPrefix(rest, name) {
		return start + off
	}
	if len(rest) > 1 && strings.HasPrefix(rest[1:], name) {
		return start + 1 + off
	}
	return start
}

func (l *loader) command(t *table) {
	c := Command{Match: t.text("match"), Class: t.text("class"), OnUnknown: t.boolean("on_unknown", false)}
	line, _ := l.ix.position(l.ix.key(t.path))
	c.Origin = fmt.Sprintf("%s:%d", l.inv.Path, line)
	words := strings.Fields(c.Match)
	switch {
	case !t.has("match"):
		t.missing("match", `match = "perform_upgrade **"`)
	case t.blank("match"):
		t.wrong("match", "write the words of the command", "match is empty")
	default:
		l.match(t, c, words)
	}
	switch {
	case !t.has("class"):
		t.missing("class", `class = "routine", "disruptive" or "destructive"`)
	case c.Class == "read-only":
		t.wrong("class", `write "routine", with on_unknown = true if it must run where the check cannot see`,
			"class \"read-only\" cannot be declared: it is what is proven")
	case c.Class != "" && c.Class != "routine" && c.Class != "disruptive" && c.Class != "destructive":
		t.wrong("class", `write "routine", "disruptive" or "destructive"`, "class %q is not known", c.Class)
	}
	if c.OnUnknown && c.Class != "routine" {
		t.wrong("on_unknown", "leave it out, or make the command routine", "on_unknown is for routine commands alone")
	}
	t.done()
	l.inv.Commands = append(l.inv.Commands, c)
}

// match checks the words of a [[command]].
func (l *loader) match(t *table, c Command, words []string) {
	for i, w := range words {
		switch {
		case w == "**" && i != len(words)-1:
			t.wrong("match", "put ** last, or write * for one word", "\"**\" stands for the rest and is not the last word")
		case i == 0 && strings.Trim(w, "*") == "" && c.Class != "destructive":
			t.wrong("match", "name the command", "the match takes any command for %s", c.Class)
		case strings.Trim(w, "|&;<>") == "" || strings.HasSuffix(w, ";"):
			t.wrong("match", "write one entry for each command", "%q in match: it is compared with one simple command, not with a shell line", w)
		}
	}
}

func (l *loader) critical(t *table) {
	c := Critical{Name: t.text("name"), Process: t.text("process"), Port: t.number("port", 0, 1, math.MaxUint16)}
	if !t.has("name") {
		t.missing("name", `name = "postgres"`)
	}
	switch {
	case !t.has("process") && !t.has("port"):
		t.missing("process", `process = "postgres", port = 5432, or both`)
	case strings.ContainsFunc(c.Process, func(r rune) bool { return r == '/' || unicode.IsSpace(r) }):
		t.wrong("process", "write the base name of the program", "process %q has a slash or a space", c.Process)
	}
	t.done()
	for _, was := range l.inv.Critical {
		if was.Process == c.Process && was.Port == c.Port {
			return
		}
	}
	l.inv.Critical = append(l.inv.Critical, c)
}

func (l *loader) data(t *table) {
	d := Data{Path: t.absolute("path")}
	if !t.has("path") {
		t.missing("path", `path = "/backup"`)
	}
	if d.Path == "/" {
		t.wrong("path", "name the directory that holds the data", "path \"/\" would make every host hold data")
	}
	t.done()
	l.inv.Data = append(l.inv.Data, d)
}

func (l *loader) client(t *table) {
	c := Client{User: t.text("user")}
	if !t.has("user") {
		t.missing("user", `user = "monitor"`)
	}
	if strings.ContainsAny(c.User, "%*?@") {
		t.wrong("user", "write the account's user name alone", "user %q looks like a pattern or an account with its host", c.User)
	}
	t.done()
	l.inv.Clients = append(l.inv.Clients, c)
}
