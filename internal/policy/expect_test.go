package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/checks"

	"github.com/google/go-cmp/cmp"
)

// server is a member with one server. Its uuid is "u" and its server_id the number at the end of its name.
func serverOn(host string, state checks.State, readOnly string, change ...func(*checks.Instance)) Seen {
	in := checks.Instance{
		State: state, PID: 1, Product: "mysql", Port: 3306, UUID: "u" + host[2:], ServerID: host[2:], ReadOnly: readOnly,
	}
	for _, c := range change {
		c(&in)
	}
	return Seen{Host: host, Report: &checks.Report{State: state, Instances: []checks.Instance{in}, Facts: map[string]string{"hostname": host}}}
}

func lag(d time.Duration) *time.Duration { return &d }

// from makes a server replicate from another one, running and without lag.
func from(host string, change ...func(*checks.Source)) func(*checks.Instance) {
	return func(in *checks.Instance) {
		s := checks.Source{Host: "10.0.0." + host[2:], Port: 3306, UUID: "u" + host[2:], ServerID: host[2:], IORunning: "Yes", SQLRunning: "Yes", Lag: lag(0)}
		for _, c := range change {
			c(&s)
		}
		in.Sources = append(in.Sources, s)
	}
}

func with(hosts ...string) func(*checks.Instance) {
	return func(in *checks.Instance) {
		for _, h := range hosts {
			in.Replicas = append(in.Replicas, checks.ReplicaRef{ServerID: h[2:], UUID: "u" + h[2:]})
		}
	}
}

// reporting is a replica that reports a name or address.
func reporting(host, name string) func(*checks.Instance) {
	return func(in *checks.Instance) {
		in.Replicas = append(in.Replicas, checks.ReplicaRef{ServerID: host[2:], UUID: "u" + host[2:], Host: name})
	}
}

func gone(host string) Seen { return Seen{Host: host, Why: "connect: connection refused"} }

func says(host string, state checks.State) Seen {
	return Seen{Host: host, Report: &checks.Report{State: state, Reasons: []checks.Reason{{Code: "no-root", Text: "neither root nor sudo", Remedy: "a sudoers line"}}}}
}

func primary(host string, change ...func(*checks.Instance)) Seen {
	return serverOn(host, checks.Primary, "off", change...)
}

func replica(host, source string, change ...func(*checks.Source)) Seen {
	return serverOn(host, checks.Replica, "super", from(source, change...))
}

func mariadb(m Seen) Seen {
	for i := range m.Report.Instances {
		in := &m.Report.Instances[i]
		in.Product, in.UUID = "mariadb", ""
		in.Sources, in.Replicas = slices.Clone(in.Sources), slices.Clone(in.Replicas)
		for k := range in.Sources {
			in.Sources[k].UUID = ""
		}
		for k := range in.Replicas {
			in.Replicas[k].UUID = ""
		}
	}
	return m
}

// beside is a host with the servers of two.
func beside(a, b Seen) Seen {
	a.Report.Instances = append(a.Report.Instances, b.Report.Instances...)
	return a
}

func never(s *checks.Source) { // has never reached its source
	s.UUID, s.ServerID, s.IORunning, s.Lag = "", "0", "Connecting", nil
}

// Each case is a cluster whose primary is db1 and whose replicas are db2 and db3 by the inventory, of which
// one must remain, and what Health and Expect say of it: severity code host.
var expectations = []struct {
	name    string
	members []Seen
	want    string
}{
	{"all as stated", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1"), replica("db3", "db1")}, ""},
	{"a chain is in the cluster", []Seen{primary("db1", with("db2")), serverOn("db2", checks.Primary, "super", from("db1"), with("db3")), replica("db3", "db2")}, ""},
	{"mariadb", []Seen{mariadb(primary("db1", with("db2", "db3"))), mariadb(replica("db2", "db1")), mariadb(replica("db3", "db1"))}, ""},

	{"primary moved, the old one follows", []Seen{replica("db1", "db2"), primary("db2", with("db1", "db3")), replica("db3", "db2")}, "critical primary-moved db1"},
	{"primary moved, the old one is gone", []Seen{gone("db1"), primary("db2", with("db3")), replica("db3", "db2")}, "critical unreachable db1\ncritical primary-moved db1"},
	{"primary moved, the old one is unknown", []Seen{says("db1", checks.Unknown), primary("db2", with("db3")), replica("db3", "db2")}, "warning state-unknown db1\ncritical primary-moved db1"},
	{"primary moved, the old one ended", []Seen{says("db1", checks.Stopped), primary("db2", with("db3")), replica("db3", "db2")}, "critical member-stopped db1\ncritical primary-moved db1"},
	{"primary moved, the old one was drained", []Seen{serverOn("db1", checks.Idle, "super"), primary("db2", with("db3")), replica("db3", "db2")}, "critical primary-moved db1"},

	{"nobody takes writes", []Seen{serverOn("db1", checks.Primary, "super", with("db2", "db3")), replica("db2", "db1"), replica("db3", "db1")}, "critical primary-read-only db1"},
	{"a ring of replicas", []Seen{replica("db1", "db2"), replica("db2", "db1"), replica("db3", "db1")}, "critical primary-missing db1"},
	{"the primary is gone and nobody took over", []Seen{gone("db1"), replica("db2", "db1"), replica("db3", "db1")},
		"critical unreachable db1\ncritical primary-missing db1\nwarning source-unseen db2\nwarning source-unseen db3"},

	{"two take writes, split brain", []Seen{primary("db1", with("db3")), primary("db2"), replica("db3", "db1")}, "critical two-writable db2\ncritical replica-missing db2"},
	{"two take writes, one by mistake", []Seen{primary("db1", with("db2", "db3")), serverOn("db2", checks.Primary, "off", from("db1")), replica("db3", "db1")}, "critical two-writable db2"},
	{"three take writes", []Seen{primary("db1"), primary("db2"), primary("db3")},
		"critical two-writable db2\ncritical two-writable db3\ncritical replica-missing db2\ncritical replica-missing db3\ncritical few-replicas "},

	{"a replica lost its source", []Seen{primary("db1", with("db3")), serverOn("db2", checks.Idle, "super"), replica("db3", "db1")}, "critical replica-missing db2"},
	{"a replica was promoted in secret", []Seen{primary("db1", with("db2")), replica("db2", "db1"), serverOn("db3", checks.Primary, "super")}, "critical replica-missing db3"},
	{"both replicas are gone", []Seen{primary("db1"), gone("db2"), gone("db3")}, "critical unreachable db2\ncritical unreachable db3\ncritical few-replicas "},

	{"io thread stopped", []Seen{primary("db1", with("db3")), replica("db2", "db1", func(s *checks.Source) { s.IORunning = "No" }), replica("db3", "db1")}, "critical replica-stopped db2"},
	{"sql thread stopped", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.SQLRunning = "No" }), replica("db3", "db1")}, "critical replica-stopped db2"},
	{"io thread connecting", []Seen{primary("db1", with("db3")), replica("db2", "db1", func(s *checks.Source) { s.IORunning, s.Lag = "Connecting", nil }), replica("db3", "db1")}, "critical replica-stopped db2"},
	{"never connected", []Seen{primary("db1", with("db3")), replica("db2", "db9", never), replica("db3", "db1")}, "critical replica-stopped db2"},
	{"threads without a word", []Seen{primary("db1", with("db3")), replica("db2", "db1", func(s *checks.Source) { s.IORunning = "" }), replica("db3", "db1")}, "critical replica-stopped db2"},
	{"both stopped", []Seen{primary("db1"), replica("db2", "db1", func(s *checks.Source) { s.IORunning = "No" }), replica("db3", "db1", func(s *checks.Source) { s.SQLRunning = "No" })},
		"critical replica-stopped db2\ncritical replica-stopped db3\ncritical few-replicas "},

	{"lag at the bound", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.Lag = lag(30 * time.Second) }), replica("db3", "db1")}, ""},
	{"lag above it", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.Lag = lag(31 * time.Second) }), replica("db3", "db1")}, "warning replica-lag db2"},
	{"lag not told", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.Lag = nil }), replica("db3", "db1")}, "warning lag-unknown db2"},
	{"a delayed replica in its time", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.Lag, s.Delay = lag(time.Hour), time.Hour }), replica("db3", "db1")}, ""},
	{"a delayed replica that is late", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1", func(s *checks.Source) { s.Lag, s.Delay = lag(2*time.Hour), time.Hour }), replica("db3", "db1")}, "warning replica-lag db2"},

	{"replicates from elsewhere", []Seen{primary("db1", with("db2")), replica("db2", "db1"), replica("db3", "db9")}, "critical replicates-elsewhere db3"},
	{"mariadb replicates from elsewhere", []Seen{mariadb(primary("db1", with("db2"))), mariadb(replica("db2", "db1")), mariadb(replica("db3", "db9"))}, "critical replicates-elsewhere db3"},
	{"mariadb, same server_id on another port", []Seen{mariadb(primary("db1", with("db2"))), mariadb(replica("db2", "db1")), mariadb(replica("db3", "db1", func(s *checks.Source) { s.Port = 3307 }))}, "critical replicates-elsewhere db3"},
	{"the primary is fed by another cluster", []Seen{primary("db1", from("db9"), with("db2", "db3")), replica("db2", "db1"), replica("db3", "db1")}, "warning replicates-elsewhere db1"},
	{"elsewhere, or from the one that was not seen", []Seen{gone("db1"), primary("db2"), replica("db3", "db9")},
		"critical unreachable db1\ncritical primary-moved db1\nwarning source-unseen db3"},
	{"no replica but one from elsewhere", []Seen{primary("db1"), replica("db2", "db9"), replica("db3", "db9")},
		"critical few-replicas \ncritical replicates-elsewhere db2\ncritical replicates-elsewhere db3"},
	{"from the one that was not seen, by its name", []Seen{gone("db1"), replica("db2", "db1", func(s *checks.Source) { s.Host = "DB1" }), primary("db3", with("db2"))}, "critical unreachable db1\ncritical primary-moved db1"},

	{"unlisted", []Seen{primary("db1", with("db2", "db3", "db7")), replica("db2", "db1"), replica("db3", "db1")}, "warning unlisted-member db1"},
	{"two unlisted", []Seen{primary("db1", with("db2", "db3", "db7", "db8")), replica("db2", "db1"), replica("db3", "db1")}, "warning unlisted-member db1\nwarning unlisted-member db1"},
	{"mariadb, unlisted", []Seen{mariadb(primary("db1", with("db2", "db3", "db7"))), mariadb(replica("db2", "db1")), mariadb(replica("db3", "db1"))}, "warning unlisted-member db1"},
	{"not unlisted: a stopped member whose connection is not closed yet", []Seen{primary("db1", reporting("db2", "db2"), with("db3")), says("db2", checks.Stopped), replica("db3", "db1")}, "critical member-stopped db2"},
	{"unlisted at the address of a member that runs", []Seen{primary("db1", reporting("db7", "db2"), with("db2", "db3")), replica("db2", "db1"), replica("db3", "db1")}, "warning unlisted-member db1"},
	{"unlisted, or the one that was not seen", []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1"), gone("db3")}, "critical unreachable db3\nwarning unlisted-member db1"},

	{"a replica says clear", []Seen{primary("db1", with("db3")), says("db2", checks.Clear), replica("db3", "db1")}, "critical member-clear db2"},
	{"a replica says stopped", []Seen{primary("db1", with("db3")), says("db2", checks.Stopped), replica("db3", "db1")}, "critical member-stopped db2"},
	{"a replica is unknown", []Seen{primary("db1", with("db3")), says("db2", checks.Unknown), replica("db3", "db1")}, "warning state-unknown db2"},
	{"a state that is none", []Seen{primary("db1", with("db3")), says("db2", "sleeping"), replica("db3", "db1")}, "warning state-unknown db2"},

	{"a group with one writer", []Seen{
		serverOn("db1", checks.Primary, "off", member), serverOn("db2", checks.Primary, "super", member), serverOn("db3", checks.Primary, "super", member)}, ""},
	{"a group where all write", []Seen{serverOn("db1", checks.Primary, "off", member), serverOn("db2", checks.Primary, "off", member), serverOn("db3", checks.Primary, "off", member)}, ""},
	{"a group whose writer moved", []Seen{
		serverOn("db1", checks.Primary, "super", member), serverOn("db2", checks.Primary, "off", member), serverOn("db3", checks.Primary, "super", member)}, "critical primary-moved db1"},

	{"a second server of another cluster on a member", []Seen{
		primary("db1", with("db2", "db3")), beside(replica("db2", "db1"), serverOn("db9", checks.Primary, "off", with("db8"))), replica("db3", "db1")}, ""},
}

func member(in *checks.Instance) { in.GroupMember = "ONLINE" }

func lines(found []Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Host))
	}
	return strings.Join(out, "\n")
}

const maxLag = 30 * time.Second

func both(roles Roles, members []Seen) (found []Finding) {
	for _, m := range members {
		found = append(found, Health(m, maxLag)...)
	}
	return append(found, Expect(roles, members, maxLag)...)
}

func TestExpect(t *testing.T) {
	roles := Roles{Cluster: "users", Primary: "db1", Replicas: []string{"db2", "db3"}, MinReplicas: 1}
	given := map[string]bool{}
	for _, c := range expectations {
		t.Run(c.name, func(t *testing.T) {
			found := both(roles, c.members)
			if d := cmp.Diff(c.want, lines(found)); d != "" {
				t.Error(d)
			}
			keys := map[string]bool{}
			for _, f := range found {
				given[f.Code] = true
				key := strings.Join([]string{f.Cluster, f.Host, f.Code, f.Subject}, " ")
				if keys[key] {
					t.Errorf("two findings are the same one: %s", key)
				}
				keys[key] = true
				if f.Text == "" || f.Remedy == "" {
					t.Errorf("%s: text %q, remedy %q", f.Code, f.Text, f.Remedy)
				}
			}
		})
	}
	for _, code := range FindingCodes {
		if !given[code] {
			t.Errorf("no case gives %s", code)
		}
		delete(given, code)
	}
	if len(given) > 0 {
		t.Errorf("not listed in FindingCodes: %v", given)
	}
}

// The order in which members are asked decides nothing.
func TestExpectWhateverTheOrder(t *testing.T) {
	roles := Roles{Cluster: "users", Primary: "db1", Replicas: []string{"db2", "db3"}, MinReplicas: 1}
	for _, c := range expectations {
		want := strings.Split(lines(both(roles, c.members)), "\n")
		backwards := slices.Clone(c.members)
		slices.Reverse(backwards)
		got := strings.Split(lines(both(roles, backwards)), "\n")
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// A cluster about which the inventory says nothing but its hosts.
func TestExpectWithoutRoles(t *testing.T) {
	for _, c := range []struct {
		name    string
		members []Seen
		want    string
	}{
		{"a primary and replicas", []Seen{primary("db1", with("db2")), replica("db2", "db1")}, ""},
		{"two primaries", []Seen{primary("db1", with("db2")), replica("db2", "db1"), primary("db3")}, "critical two-writable db3"},
		{"fed by another cluster", []Seen{serverOn("db1", checks.Primary, "super", from("db9"), with("db2")), replica("db2", "db1")}, "warning replicates-elsewhere db1"},
		{"a member is empty", []Seen{primary("db1"), says("db2", checks.Clear)}, "critical member-clear db2"},
	} {
		if d := cmp.Diff(c.want, lines(both(Roles{Cluster: "users"}, c.members))); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestMinReplicas(t *testing.T) {
	members := []Seen{primary("db1", with("db2", "db3")), replica("db2", "db1"), replica("db3", "db1", func(s *checks.Source) { s.Lag = lag(time.Hour) })}
	for least, want := range []string{"", "", "critical few-replicas ", ""} { // more than there are cannot be meant
		if got := lines(Expect(Roles{Cluster: "users", Primary: "db1", MinReplicas: least}, members, maxLag)); got != want {
			t.Errorf("min_replicas %d: %q, want %q", least, got, want)
		}
	}
}
