package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// hostRecord is a host as a check saw it. What could not be seen stays as it was seen last, so that a change
// behind an outage is still one.
type hostRecord struct {
	Reached bool                    `json:"reached"`
	State   string                  `json:"state,omitempty"`
	Servers map[string]serverRecord `json:"servers,omitempty"` // by port, or by data directory
}

// serverRecord is what changes of a server are told of.
type serverRecord struct {
	State       string `json:"state"`
	Role        string `json:"role"`
	Source      string `json:"source"`
	Replication string `json:"replication"` // running, or the thread that does not
	Server      string `json:"server"`      // product and version
	ReadOnly    string `json:"read_only"`
	Late        string `json:"late"` // yes, no, unknown; "" without a source
}

// notReached is how a host that did not answer is called where its state would stand.
const notReached = "not reached"

// compare gives what this check saw, to be kept, and what has changed since before; nothing where there is no
// before.
func (c *Check) compare(r *checked, before *snapshot) (*snapshot, []string) {
	config, _ := c.configPath() // as text alone; where it matters the error is seen
	now := &snapshot{Version: snapshotVersion, Set: c.o.Hosts, Config: config, At: r.at.UTC(), Expect: c.o.Expect, Hosts: map[string]hostRecord{}, Findings: r.roles}
	var lines []string
	for _, f := range r.hosts {
		was, known := hostRecord{}, false
		if before != nil {
			was, known = before.Hosts[f.host]
		}
		d := differ{host: f.host, maxLag: c.site.inv.Defaults.MaxLag}
		now.Hosts[f.host] = d.compare(f, was, known)
		lines = append(lines, d.lines...)
	}
	if before == nil {
		return now, nil
	}
	for _, host := range slices.Sorted(maps.Keys(before.Hosts)) {
		if _, there := now.Hosts[host]; !there {
			lines = append(lines, host+": no longer in the set")
		}
	}
	if before.Expect && c.o.Expect {
		lines = append(lines, findingChanges(before.Findings, r.roles)...)
	}
	return now, lines
}

// findingChanges tells which findings are new and which are gone.
func findingChanges(before, now []policy.Finding) (lines []string) {
	key := func(f policy.Finding) string {
		return strings.Join([]string{f.Cluster, f.Host, f.Code, f.Subject}, "\x00")
	}
	in := func(list []policy.Finding, f policy.Finding) bool {
		return slices.ContainsFunc(list, func(o policy.Finding) bool { return key(o) == key(f) })
	}
	for _, f := range now {
		if !in(before, f) {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Cluster, f.Code, f.Text))
		}
	}
	for _, f := range before {
		if !in(now, f) {
			lines = append(lines, fmt.Sprintf("%s: no longer %s: %s", f.Cluster, f.Code, f.Text))
		}
	}
	return lines
}

// differ compares one host with what it was.
type differ struct {
	host   string
	maxLag time.Duration
	lines  []string
}

func (d *differ) say(format string, args ...any) {
	d.lines = append(d.lines, d.host+": "+fmt.Sprintf(format, args...))
}

func (d *differ) compare(f finding, was hostRecord, known bool) hostRecord {
	if f.err != nil {
		if known && was.Reached {
			d.say("%s -> %s: %s", was.State, notReached, cause(f.err))
		} else if !known {
			d.say("new: %s: %s", notReached, cause(f.err))
		}
		was.Reached = false
		return was
	}
	now := hostRecord{Reached: true, State: string(stateOf(f)), Servers: map[string]serverRecord{}}
	for _, in := range f.report.Instances {
		now.Servers[serverKey(in)] = d.record(in)
	}
	state := now.State
	if state == string(checks.Unknown) && len(f.report.Reasons) > 0 {
		state += ": " + f.report.Reasons[0].Text
	}
	switch {
	case !known:
		d.say("new: %s", state)
		return now
	case !was.Reached:
		d.say("%s -> %s", notReached, state)
	case was.State != now.State:
		d.say("%s -> %s", was.State, state)
	}
	if was.State == "" { // never reached before: there is nothing to compare with
		return now
	}
	for _, key := range slices.Sorted(maps.Keys(mergedKeys(was.Servers, now.Servers))) {
		d.server(key, was, &now)
	}
	return now
}

func mergedKeys(a, b map[string]serverRecord) map[string]bool {
	keys := map[string]bool{}
	for _, m := range []map[string]serverRecord{a, b} {
		for k := range m {
			keys[k] = true
		}
	}
	return keys
}

// server compares one server. Its name stands in the line where the host has several.
func (d *differ) server(key string, was hostRecord, now *hostRecord) {
	old, before := was.Servers[key]
	s, there := now.Servers[key]
	label := ""
	if len(was.Servers) > 1 || len(now.Servers) > 1 {
		label = key + ": "
	}
	switch {
	case !there && now.State == string(checks.Unknown):
		now.Servers[key] = old
		return
	case !there:
		d.say("%sserver %s -> none", label, old.Server)
		return
	case !before:
		d.say("%sserver none -> %s", label, s.Server)
		return
	}
	if s.State == string(checks.Unknown) { // what it said of itself is not known now
		s.Role, s.Source, s.Replication, s.ReadOnly, s.Late = old.Role, old.Source, old.Replication, old.ReadOnly, old.Late
	}
	if s.Late == "" && s.Source != "" {
		s.Late = old.Late
	}
	now.Servers[key] = s
	if label != "" {
		d.change(label+"state", old.State, s.State)
	}
	d.change(label+"role", old.Role, s.Role)
	d.change(label+"source", old.Source, s.Source)
	d.change(label+"replication", old.Replication, s.Replication)
	d.change(label+"read-only", old.ReadOnly, s.ReadOnly)
	d.change(label+"server", old.Server, s.Server)
	if old.Late != "" && s.Late != "" { // with a source gone or come, that is the change
		d.change(label+"lag", d.side(old.Late), d.side(s.Late))
	}
}

func (d *differ) change(what, old, now string) {
	if old == now {
		return
	}
	d.say("%s %s -> %s", what, orNone(old), orNone(now))
}

// side says on which side of the bound a replica is.
func (d *differ) side(late string) string {
	switch late {
	case "yes":
		return "above " + report.Duration(d.maxLag)
	case "no":
		return "within " + report.Duration(d.maxLag)
	}
	return late
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (d *differ) record(in checks.Instance) serverRecord {
	source, _ := sourceAndLag(in)
	r := serverRecord{State: string(in.State), Role: roleRecord(in), Source: source, ReadOnly: in.ReadOnly, Server: strings.TrimSpace(in.Product + " " + in.Version)}
	if r.Server == "" {
		r.Server = in.DataDir
	}
	var stopped []string
	for _, s := range in.Sources {
		for _, t := range []struct{ name, word string }{{"io", s.IORunning}, {"sql", s.SQLRunning}} {
			if t.word != "Yes" {
				stopped = append(stopped, strings.TrimSpace(s.Channel+" "+t.name+" "+strings.ToLower(orNone(t.word))))
			}
		}
		r.Late = worse(r.Late, late(s, d.maxLag))
	}
	if len(in.Sources) > 0 {
		r.Replication = "running"
	}
	if len(stopped) > 0 {
		r.Replication, r.Late = strings.Join(stopped, ", "), "" // that it does not run says more than how late it is
	}
	return r
}

// late tells on which side of the bound a replica is; a delayed one may be late by its delay.
func late(s checks.Source, bound time.Duration) string {
	switch {
	case s.Lag == nil:
		return "unknown"
	case *s.Lag > bound+s.Delay:
		return "yes"
	}
	return "no"
}

// worse is the worse of two sides.
func worse(a, b string) string {
	for _, w := range []string{"yes", "unknown", "no"} {
		if a == w || b == w {
			return w
		}
	}
	return ""
}

// roleRecord is what a server is for others: how many replicate from it, and whether it belongs to a group.
func roleRecord(in checks.Instance) string {
	var words []string
	if len(in.Sources) > 0 {
		words = append(words, "replica")
	}
	if n := len(in.Replicas); n > 0 {
		words = append(words, fmt.Sprintf("source of %d", n))
	}
	if in.GroupMember != "" {
		words = append(words, "group member "+in.GroupMember)
	}
	return strings.Join(words, ", ")
}
