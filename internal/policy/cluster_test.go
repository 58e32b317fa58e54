package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/checks"
)

// world is a cluster users of db1 (primary) with replicas db2, db3 and so on, each on its own machine, all
// healthy; a test bends it.
type world struct {
	Site
	t testing.TB
}

func newWorld(t testing.TB, replicas int) *world {
	w := &world{Site: Site{MinReplicas: map[string]int{"users": 1}, MaxLag: 30 * time.Second}, t: t}
	primary := &checks.Report{State: checks.Primary, Instances: []checks.Instance{{State: checks.Primary, PID: 1, Product: "mysql", Port: 3306,
		UUID: u(1), ServerID: "1", ReadOnly: "off", GTIDExecuted: gtids("U1:1-100")}}}
	w.add("db1", primary)
	for n := 2; n < 2+replicas; n++ {
		name := fmt.Sprintf("db%d", n)
		lag := time.Duration(0)
		w.add(name, &checks.Report{State: checks.Replica, Instances: []checks.Instance{{
			State: checks.Replica, PID: 1, Product: "mysql", Port: 3306, UUID: u(n), ServerID: fmt.Sprint(n), ReadOnly: "super", GTIDExecuted: gtids("U1:1-100"),
			Sources: []checks.Source{{Host: "10.0.0.1", Port: 3306, UUID: u(1), ServerID: "1", IORunning: "Yes", SQLRunning: "Yes", Lag: &lag, AutoPos: true}},
		}}})
		primary.Instances[0].Replicas = append(primary.Instances[0].Replicas, checks.ReplicaRef{UUID: u(n), ServerID: fmt.Sprint(n), Host: name, Port: 3306})
	}
	return w
}

func (w *world) add(name string, r *checks.Report) {
	r.Facts = map[string]string{"boot_id": "boot-" + name, "machine_id": "machine-" + name}
	w.Members = append(w.Members, ClusterMember{Name: name, Addresses: []string{"10.0.0." + strings.TrimPrefix(name, "db")}, Clusters: []string{"users"}, Report: r})
}

func (w *world) m(name string) *ClusterMember {
	i := slices.IndexFunc(w.Members, func(m ClusterMember) bool { return m.Name == name })
	if i < 0 {
		w.t.Fatalf("no member %s", name)
	}
	return &w.Members[i]
}

func (w *world) in(name string) *checks.Instance   { return &w.m(name).Report.Instances[0] }
func (w *world) source(name string) *checks.Source { return &w.in(name).Sources[0] }
func (w *world) away(name string)                  { w.m(name).Report, w.m(name).Cause = nil, "connect: no answer" }
func (w *world) stop(name string) {
	w.m(name).Report.State = checks.Stopped
	w.m(name).Report.Instances = []checks.Instance{{State: checks.Stopped, Product: "mysql"}}
	w.forget(name)
}

// forget makes the primary forget a replica that has gone.
func (w *world) forget(name string) {
	w.in("db1").Replicas = slices.DeleteFunc(w.in("db1").Replicas, func(r checks.ReplicaRef) bool { return r.Host == name })
}

func (w *world) lag(name string, seconds int) {
	d := time.Duration(seconds) * time.Second
	w.source(name).Lag = &d
}

// mariadb makes all servers MariaDB's: no uuids, positions instead of sets.
func (w *world) mariadb() {
	for i := range w.Members {
		for k := range w.Members[i].Report.Instances {
			in := &w.Members[i].Report.Instances[k]
			in.Product, in.UUID, in.GTIDExecuted, in.GTIDBinlogState = "mariadb", "", "0-1-100", "0-1-100"
			for j := range in.Sources {
				in.Sources[j].UUID, in.Sources[j].AutoPos = "", false
			}
			for j := range in.Replicas {
				in.Replicas[j].UUID = ""
			}
		}
	}
}

// TestClusterRules takes db3 of db1 with replicas db2 and db3, unless a case says otherwise.
func TestClusterRules(t *testing.T) {
	for _, tt := range []struct {
		title string
		bend  func(w *world)
		codes string // "" may be taken
		text  string // part of the first reason, or of its remedy
	}{
		{"healthy", func(w *world) {}, "", ""},
		{"healthy, a third beside", func(w *world) { w.MinReplicas["users"] = 1 }, "", ""},
		{"the other one lags", func(w *world) { w.lag("db2", 412) }, "too-few-replicas", "db3 is the only replica of db1 within 30s of it (db2: lag 412s)"},
		{"the remedy for lag", func(w *world) { w.lag("db2", 412) }, "too-few-replicas", "wait for db2 to catch up, then run this again"},
		{"a lag just below", func(w *world) { w.lag("db2", 29) }, "", ""},
		{"a lag as large as max_lag", func(w *world) { w.lag("db2", 30) }, "too-few-replicas", "lag 30s"},
		{"a lag that is not known", func(w *world) { w.source("db2").Lag = nil }, "too-few-replicas", "db2: lag not known"},
		{"the IO thread is connecting", func(w *world) { w.source("db2").IORunning = "Connecting" }, "too-few-replicas", "its IO thread is at Connecting"},
		{"the SQL thread is stopped", func(w *world) { w.source("db2").SQLRunning = "No" }, "too-few-replicas", "its SQL thread is at No"},
		{"threads that do not say", func(w *world) { w.source("db2").SQLRunning = "" }, "too-few-replicas", "nothing known"},
		{"a delayed replica", func(w *world) { w.source("db2").Delay = time.Hour }, "too-few-replicas", "delayed by 3600s"},
		{"a writable one", func(w *world) { w.in("db2").ReadOnly = "off"; w.in("db2").State = checks.Primary }, "too-few-replicas", "not read-only"},
		{"an intermediate source stands in", func(w *world) {
			w.in("db2").State = checks.Primary
			w.m("db2").Report.State = checks.Primary
		}, "", ""},
		{"one cannot be seen in full", func(w *world) { w.m("db2").Report.State = checks.Unknown }, "members-down too-few-replicas", "could not be seen in full"},
		{"the other one is not reached", func(w *world) { w.away("db2") }, "members-down too-few-replicas", "not reached: connect: no answer"},
		{"the other one's server is stopped", func(w *world) { w.stop("db2") }, "members-down too-few-replicas", "db2: no server runs there"},
		{"a down member is allowed, and too few remain", func(w *world) { w.away("db2"); w.forget("db2"); w.MaxDown = 1 }, "too-few-replicas", "db2: not reached"},
		{"locked by somebody else", func(w *world) { w.m("db2").Held = "locked by ops@laptop" }, "member-locked", "db2: locked by ops@laptop"},
		{"taken by this run", func(w *world) { w.m("db2").Taken = true }, "members-down too-few-replicas", "taken by this run"},
		{"taken by this run under another name", func(w *world) {
			w.add("alias", &checks.Report{State: checks.Replica, Instances: w.m("db2").Report.Instances})
			w.m("alias").Report.Facts["boot_id"], w.m("alias").Taken = "boot-db2", true
		}, "members-down too-few-replicas", "db2: taken by this run"},
		{"the source is not reached", func(w *world) { w.away("db1") }, "source-down", "the source of db3, 10.0.0.1:3306, was not reached: connect: no answer"},
		{"the source is locked", func(w *world) { w.m("db1").Held = "locked by ops@laptop" }, "member-locked", "the source of db3, db1: locked by"},
		{"the source was taken", func(w *world) { w.m("db1").Taken = true }, "source-down", "taken by this run"},
		{"the source cannot be seen in full", func(w *world) { w.m("db1").Report.State = checks.Unknown }, "source-down", "could not be seen"},
		{"another server at the source's address", func(w *world) { w.in("db1").UUID = u(9) }, "source-down", "is not the server that was reached as 10.0.0.1"},
		{"the source is not known", func(w *world) { w.source("db3").UUID = "" }, "source-unknown", "has not learnt who that is"},
		{"two servers of one identity", func(w *world) {
			w.add("db7", &checks.Report{State: checks.Primary, Instances: []checks.Instance{{State: checks.Primary, Product: "mysql", UUID: u(1)}}})
		}, "source-ambiguous", "db1 and db7 both say"},
		{"the source is a broken replica itself", func(w *world) { w.in("db1").Sources = []checks.Source{{Host: "10.0.0.9", UUID: u(9), IORunning: "No"}} }, "source-broken", "10.0.0.9"},
		{"a liar: the source does not know the other", func(w *world) { w.forget("db2") }, "too-few-replicas", "says that it replicates from db1, which does not know it"},
		{"the other has another source", func(w *world) { w.source("db2").UUID = u(9) }, "too-few-replicas", "it names another source"},
		{"the other has another source, and the source has forgotten it", func(w *world) { w.source("db2").UUID = u(9); w.forget("db2") }, "too-few-replicas", "does not replicate from db1"},
		{"the other lacks what db3 wrote itself", func(w *world) { w.in("db3").GTIDExecuted = gtids("U1:1-100,U3:1-2") }, "gtid-missing", gtids("lacks U3:1-2 of db3")},
		{"the other is a little behind", func(w *world) { w.in("db3").GTIDExecuted = gtids("U1:1-101") }, "gtid-missing", gtids("lacks U1:101 of db3")},
		{"db3 went on after the others were asked", func(w *world) {
			earlier := *w.m("db3").Report
			earlier.Instances = slices.Clone(earlier.Instances)
			w.m("db3").Earlier = &earlier
			w.in("db3").GTIDExecuted = gtids("U1:1-109")
		}, "", ""},
		{"db3 wrote itself after the others were asked", func(w *world) {
			earlier := *w.m("db3").Report
			earlier.Instances = slices.Clone(earlier.Instances)
			w.m("db3").Earlier = &earlier
			w.in("db3").GTIDExecuted = gtids("U1:1-100,U3:1")
		}, "gtid-missing", gtids("lacks U3:1 of db3")},
		{"a set that was cut", func(w *world) { w.in("db2").GTIDExecuted += ",cut" }, "gtid-unknown", "db2: what it has executed is not known"},
		{"a set of db3 that was cut", func(w *world) { w.in("db3").GTIDExecuted += ",cut" }, "gtid-unknown", "what db3 has executed is not known"},
		{"no GTIDs, running", func(w *world) {
			for _, n := range []string{"db1", "db2", "db3"} {
				w.in(n).GTIDExecuted = ""
			}
		}, "", ""},
		{"no GTIDs, db3 broken", func(w *world) {
			w.in("db3").GTIDExecuted = ""
			w.source("db3").SQLRunning = "No"
		}, "gtid-unknown", "what it alone holds cannot be known"},
		{"no GTIDs, db3 a liar", func(w *world) { w.in("db3").GTIDExecuted = ""; w.forget("db3") }, "gtid-unknown", "db3 has no GTIDs"},
		{"file positions, db3 broken", func(w *world) { w.source("db3").AutoPos = false; w.source("db3").IORunning = "No" }, "gtid-unknown", "follows file positions"},
		{"a broken replica that holds nothing of its own", func(w *world) { w.source("db3").SQLRunning = "No"; w.in("db3").GTIDExecuted = gtids("U1:1-50") }, "", ""},
		{"a broken replica, the last good copy", func(w *world) { w.source("db3").SQLRunning = "No"; w.in("db2").GTIDExecuted = gtids("U1:60-100") }, "gtid-missing", gtids("lacks U1:1-59 of db3")},
		{"the others name db3 as their source", func(w *world) { w.source("db2").UUID = u(3) }, "is-source too-few-replicas", "db2 replicates from db3"},
		{"the same machine as the source", func(w *world) { w.m("db2").Report.Facts["boot_id"] = "boot-db1" }, "too-few-replicas", "on the same machine as db1"},
		{"the same machine as the target", func(w *world) { w.m("db2").Report.Facts["boot_id"] = "boot-db3" }, "too-few-replicas", "db3 is the only replica of db1"},
		{"an unlisted replica that is not reached", func(w *world) {
			w.in("db1").Replicas = append(w.in("db1").Replicas, checks.ReplicaRef{UUID: u(8), Host: "db8", Port: 3306})
		}, "members-down", "db8:3306: known to db1, not reached"},
		{"an unlisted replica that is healthy counts", func(w *world) { w.away("db2"); w.forget("db2"); w.MaxDown = 1; unlisted(w, "db8", 8) }, "", ""},
		{"two names of one machine are one replica", func(w *world) {
			w.MinReplicas["users"] = 2
			w.add("db4", &checks.Report{State: checks.Replica, Instances: slices.Clone(w.m("db2").Report.Instances)})
			w.m("db4").Report.Facts["boot_id"] = "boot-db2"
		}, "too-few-replicas", "only 1 replica of db1 would remain healthy, and 2 must"},
		{"two are wanted", func(w *world) { w.MinReplicas["users"] = 2 }, "too-few-replicas", "only 1 replica of db1"},
		{"none is wanted", func(w *world) { w.MinReplicas["users"] = 0; w.lag("db2", 500) }, "", ""},
		{"not listed", func(w *world) {
			for i := range w.Members {
				w.Members[i].Clusters = nil
			}
		}, "", ""},
		{"not listed, and the other one gone", func(w *world) {
			for i := range w.Members {
				w.Members[i].Clusters = nil
			}
			w.away("db2")
		}, "members-down too-few-replicas", "replica of db1 within 30s of it (db2:3306: known to db1, not reached"},
		{"of two sources one is down", func(w *world) {
			w.in("db3").Sources = append(w.in("db3").Sources, checks.Source{Channel: "b", Host: "10.0.0.9", Port: 3306, UUID: u(9), IORunning: "Yes", SQLRunning: "Yes"})
		}, "source-down", "10.0.0.9:3306, was not reached"},
		{"a replica without a channel", func(w *world) { w.in("db3").Sources = nil }, "cluster-rules", "does not say of what"},
		{"mariadb", func(w *world) { w.mariadb() }, "", ""},
		{"mariadb: another server id at the source", func(w *world) { w.mariadb(); w.in("db1").ServerID = "9" }, "source-down", "not the server that was reached"},
		{"mariadb: written on db3", func(w *world) { w.mariadb(); w.in("db3").GTIDExecuted = "0-3-101" }, "gtid-missing", "lacks 0-3-101"},
		{"mariadb: written on db3, passed since", func(w *world) {
			w.mariadb()
			w.in("db3").GTIDBinlogState = "0-3-90,0-1-100"
		}, "gtid-missing", "lacks 0-3-90, which db3 wrote itself"},
		{"mariadb: db3 was a primary once", func(w *world) {
			w.mariadb()
			w.in("db3").GTIDBinlogState, w.in("db1").GTIDBinlogState = "0-3-90,0-1-100", "0-3-90,0-1-100"
		}, "", ""},
		{"mariadb: a second cluster with the same ids", func(w *world) {
			w.mariadb()
			other := newWorld(w.t, 1)
			other.mariadb()
			for i, name := range []string{"x1", "x2"} {
				r := other.Members[i].Report
				w.add(name, r)
				w.m(name).Clusters = []string{"orders"}
			}
			w.in("x2").Sources[0].Host = "10.0.0.x1"
		}, "", ""},
		{"mariadb: a healthy replica of another cluster with the same ids is none of ours", func(w *world) {
			w.mariadb()
			other := newWorld(w.t, 1)
			other.mariadb()
			w.add("x2", other.Members[1].Report)
			w.m("x2").Clusters = []string{"orders"}
			w.in("x2").Sources[0].Host = "10.0.0.x1"
			w.lag("db2", 99)
		}, "too-few-replicas", "db2: lag 99s"},
		{"mariadb: others name db3's address as their source", func(w *world) { w.mariadb(); w.source("db2").Host, w.source("db2").ServerID = "10.0.0.3", "3" }, "is-source too-few-replicas", "db2 replicates from db3"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			w := newWorld(t, 2)
			tt.bend(w)
			got := w.Assess(checks.Disruptive, "db3")
			expectReasons(t, got, tt.codes, tt.text)
		})
	}
}

func unlisted(w *world, name string, n int) {
	r := *w.m("db3").Report
	r.Instances = slices.Clone(r.Instances)
	r.Instances[0].UUID, r.Instances[0].ServerID = u(n), fmt.Sprint(n)
	w.add(name, &r)
	w.m(name).Clusters = nil
	w.in("db1").Replicas = append(w.in("db1").Replicas, checks.ReplicaRef{UUID: u(n), Host: "elsewhere", Port: 3306})
}

func expectReasons(t *testing.T, got Assessment, codes, text string) {
	t.Helper()
	var have []string
	for _, r := range got.Reasons {
		if !slices.Contains(have, r.Code) {
			have = append(have, r.Code)
		}
		if r.Text == "" || r.Remedy == "" {
			t.Errorf("reason without fact or remedy: %+v", r)
		}
	}
	if strings.Join(have, " ") != codes {
		t.Errorf("codes %q, want %q: %+v", have, codes, got.Reasons)
	}
	if text != "" && !strings.Contains(fmt.Sprint(got.Reasons), text) {
		t.Errorf("%+v\nwant it to hold %q", got.Reasons, text)
	}
}

// TestClusterRulesStored takes members without replication.
func TestClusterRulesStored(t *testing.T) {
	idle := func(w *world, set string) {
		w.stop("db3")
		w.m("db3").Report.State = checks.Idle
		w.m("db3").Report.Instances = []checks.Instance{{State: checks.Idle, Product: "mysql", UUID: u(3), GTIDExecuted: gtids(set), ReadOnly: "super"}}
	}
	for _, tt := range []struct {
		title string
		class checks.Class
		bend  func(w *world)
		codes string
		text  string
	}{
		{"stopped, disruptive", checks.Disruptive, func(w *world) { w.stop("db3") }, "", ""},
		{"stopped, destructive", checks.Destructive, func(w *world) { w.stop("db3") }, "gtid-unknown", "while its server is stopped"},
		{"idle, of old data", checks.Destructive, func(w *world) { idle(w, "U1:1-9") }, "", ""},
		{"idle, with data of its own", checks.Destructive, func(w *world) { idle(w, "U1:1-9,U3:1") }, "gtid-missing", gtids("lacks U3:1 of db3")},
		{"idle, without GTIDs", checks.Destructive, func(w *world) { idle(w, "") }, "gtid-unknown", "db3 has no GTIDs"},
		{"idle, the last replica gone", checks.Destructive, func(w *world) { idle(w, "U1:1-9"); w.away("db2") }, "members-down too-few-replicas", "db2"},
		{"idle, the primary gone", checks.Destructive, func(w *world) { idle(w, "U1:1-9"); w.away("db1") }, "no-primary", "last good copy"},
		{"idle, two primaries", checks.Destructive, func(w *world) {
			idle(w, "U1:1-9")
			w.add("db5", &checks.Report{State: checks.Primary, Instances: []checks.Instance{{State: checks.Primary, Product: "mysql", UUID: u(5)}}})
			w.source("db2").UUID = u(5)
			w.add("db6", &checks.Report{State: checks.Replica, Instances: []checks.Instance{{State: checks.Replica, Product: "mysql", UUID: u(6), Sources: []checks.Source{{UUID: u(1)}}}}})
		}, "several-primaries", "db1 and db5 are both primaries"},
		{"stopped, and others name its address as their source", checks.Destructive, func(w *world) { w.stop("db3"); w.source("db2").Host = "10.0.0.3" }, "is-source gtid-unknown", "db2 names db3"},
		{"not listed", checks.Destructive, func(w *world) { w.stop("db3"); w.m("db3").Clusters = nil }, "", ""},
	} {
		t.Run(tt.title, func(t *testing.T) {
			w := newWorld(t, 2)
			tt.bend(w)
			expectReasons(t, w.Assess(tt.class, "db3"), tt.codes, tt.text)
		})
	}
}

// TestClusterRulesGroup takes a stopped member of a group of three.
func TestClusterRulesGroup(t *testing.T) {
	for _, tt := range []struct {
		title string
		bend  func(w *world)
		codes string
		text  string
	}{
		{"two of three remain", func(w *world) {}, "", ""},
		{"one of three remains", func(w *world) { w.in("db2").GroupMember = "RECOVERING" }, "group-majority", "without db3 1 of 3 members of its group would be ONLINE: no majority (db2: RECOVERING)"},
		{"one is not reached", func(w *world) { w.away("db2") }, "group-majority", "db2: not reached"},
		{"one is locked", func(w *world) { w.m("db2").Held = "locked by ops@laptop" }, "group-majority", "locked by"},
		{"a size that the group knows", func(w *world) { w.in("db1").Group = &checks.Group{Size: 5} }, "group-majority", "2 of 5"},
		{"two of one machine", func(w *world) { w.m("db2").Report.Facts["boot_id"] = "boot-db1" }, "group-majority", "1 of 2"},
		{"galera", func(w *world) {
			for _, n := range []string{"db1", "db2"} {
				w.in(n).GroupMember, w.in(n).Group = "wsrep:Synced", &checks.Group{Status: "Primary", Size: 2}
			}
		}, "", ""},
		{"galera without a quorum", func(w *world) {
			for _, n := range []string{"db1", "db2"} {
				w.in(n).GroupMember, w.in(n).Group = "wsrep:Synced", &checks.Group{Status: "non-Primary", Size: 2}
			}
		}, "group-majority", "0 of 3"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			w := newWorld(t, 2)
			w.stop("db3")
			for _, n := range []string{"db1", "db2"} {
				in := w.in(n)
				in.State, in.GroupMember, in.Sources, in.Replicas = checks.Primary, "ONLINE", nil, nil
				w.m(n).Report.State = checks.Primary
			}
			tt.bend(w)
			for _, class := range []checks.Class{checks.Disruptive, checks.Destructive} {
				expectReasons(t, w.Assess(class, "db3"), tt.codes, tt.text)
			}
		})
	}
}

func TestAssessmentTells(t *testing.T) {
	w := newWorld(t, 3)
	w.m("db4").Report.Facts["machine_id"] = "machine-db2"
	got := w.Assess(checks.Disruptive, "db3")
	if !slices.Equal(got.Relies, []string{"db1", "db2", "db4"}) || strings.Join(got.Stays, ", ") != "db1 (source), db2 (lag 0s), db4 (lag 0s)" {
		t.Errorf("relies on %q, stays %q", got.Relies, got.Stays)
	}
	if len(got.Reasons) > 0 || len(got.Warnings) != 1 || got.Warnings[0].Code != "same-machine-id" {
		t.Errorf("%+v", got)
	}
	if got := w.Assess(checks.Disruptive, "nobody"); len(got.Reasons) == 0 {
		t.Error("a host that was not asked may be taken")
	}
}

func TestDecideInCluster(t *testing.T) {
	w := newWorld(t, 2)
	r := w.m("db3").Report
	a := w.Assess(checks.Disruptive, "db3")
	d, err := DecideInCluster(checks.Disruptive, r, []string{"replica"}, &a)
	if err != nil || !d.Run {
		t.Errorf("%+v, %v", d, err)
	}
	w.lag("db2", 99)
	a = w.Assess(checks.Disruptive, "db3")
	d, err = DecideInCluster(checks.Disruptive, r, []string{"replica"}, &a)
	if err != nil || d.Run || codesOf(d) != "too-few-replicas" || d.Needs != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestNotHealthyAgain(t *testing.T) {
	for _, tt := range []struct {
		title string
		then  func(w *world) // before it was taken
		now   func(w *world)
		want  string
	}{
		{"as before", nil, func(w *world) {}, ""},
		{"further", nil, func(w *world) { w.in("db3").GTIDExecuted = gtids("U1:1-200") }, ""},
		{"not reached", nil, func(w *world) { w.away("db3") }, "it has not answered"},
		{"its server not started", nil, func(w *world) { w.stop("db3") }, "its server does not answer yet"},
		{"reinstalled", nil, func(w *world) { w.in("db3").UUID = u(9) }, "its server does not answer yet"},
		{"blind", nil, func(w *world) { w.m("db3").Report.State = checks.Unknown }, "it cannot be seen in full yet"},
		{"writable", nil, func(w *world) { w.in("db3").State = checks.Primary }, "it is primary, and was a replica"},
		{"another source", nil, func(w *world) { w.source("db3").UUID = u(9) }, "it does not follow its source yet"},
		{"IO", nil, func(w *world) { w.source("db3").IORunning = "Connecting" }, "its IO thread is at Connecting"},
		{"SQL", nil, func(w *world) { w.source("db3").SQLRunning = "No" }, "its SQL thread is at No"},
		{"lag", nil, func(w *world) { w.lag("db3", 31) }, "lag 31s"},
		{"lag not known", nil, func(w *world) { w.source("db3").Lag = nil }, "lag not known"},
		{"a lag that is configured", nil, func(w *world) { w.lag("db3", 3601); w.source("db3").Delay = time.Hour }, ""},
		{"transactions gone", nil, func(w *world) { w.in("db3").GTIDExecuted = gtids("U1:1-99") }, gtids("it lacks U1:100, which it had")},
		{"broken before", func(w *world) { w.source("db3").SQLRunning = "No" }, func(w *world) { w.source("db3").SQLRunning = "No" }, ""},
	} {
		w := newWorld(t, 2)
		if tt.then != nil {
			tt.then(w)
		}
		before := w.m("db3").Report
		w = newWorld(t, 2)
		tt.now(w)
		if got := NotHealthyAgain(before, w.m("db3").Report, 30*time.Second); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.title, got, tt.want)
		}
	}
}
