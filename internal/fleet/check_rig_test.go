package fleet

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"

	"github.com/google/go-cmp/cmp"
)

// cronHosts is a fleet that cron looks at: users is db1 (primary), db2 and db3 (replicas) by hosts.toml.
type cronHosts struct {
	*realHosts
	servers map[string]*testrig.Server
	prom    string // the metrics
}

func newCronHosts(t *testing.T) *cronHosts {
	t.Helper()
	rig := testrig.For(t)
	topology, err := rig.Build(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if topology.Traffic != nil { // its connections would make clients of whoever takes over
		if err := topology.Traffic.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	h := &cronHosts{realHosts: &realHosts{Rig: rig, config: filepath.Join(t.TempDir(), "hosts.toml"), state: t.TempDir()}, servers: topology.Servers, prom: filepath.Join(t.TempDir(), "interlock.prom")}
	const text = `
[defaults]
connect_timeout = "3s"
[groups]
others = ["db4", "app1"]
[clusters.users]
hosts = ["db[1-3]"]
primary = "db1"
replicas = ["db2", "db3"]
`
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", h.state)
	return h
}

func (h *cronHosts) query(t *testing.T, host, sql string) {
	t.Helper()
	if _, err := h.servers[host].Query(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// look is what cron does: it prints what has changed, and writes the metrics, from which the findings are taken.
func (h *cronHosts) look(t *testing.T, status int) (changes, findings string) {
	t.Helper()
	r := h.check(t, CheckOptions{Hosts: "@users", Expect: true, Changes: true, Textfile: h.prom})
	if r.status != status || r.stderr != "" {
		t.Errorf("exit status %d, want %d: %s", r.status, status, r.stderr)
	}
	text, err := os.ReadFile(h.prom)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`interlock_finding{.*host="(.*?)",code="(.*?)",severity="(.*?)"`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[3]+" "+m[2]+" "+m[1])
	}
	slices.Sort(all)
	return r.stdout, strings.Join(all, ", ")
}

// TestCheckFromCron goes through what befalls a cluster, and holds what each way to look at it says.
func TestCheckFromCron(t *testing.T) {
	if testing.Short() {
		t.Skip("short: minutes on real servers; the same code runs on simulated hosts and in TestRunOnRealHosts")
	}
	h := newCronHosts(t)
	expected(t, h)
	stopped(t, h)
	moved(t, h)
	threeMore(t, h)
}

// All is as it should be. One member is enough to ask for all of its cluster.
func expected(t *testing.T, h *cronHosts) {
	r := h.check(t, CheckOptions{Hosts: "db2", Expect: true})
	if r.status != 0 || !strings.Contains(r.stdout, "\nas hosts.toml states: users\n") || !strings.Contains(r.stdout, "db1 ") {
		t.Fatalf("%+v", r)
	}
	if changes, findings := h.look(t, 0); changes != "" || findings != "" {
		t.Errorf("the first check: %s%s", changes, findings)
	}
	page := filepath.Join(t.TempDir(), "fleet.html")
	r = h.check(t, CheckOptions{Hosts: "@all", Expect: true, Nagios: true, HTML: page})
	if r.status != 0 || !strings.HasPrefix(r.stdout, "INTERLOCK OK: 5 hosts: 1 primary, 2 replica, 1 idle, 1 clear | hosts=5;;;0 ") || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("%+v", r)
	}
	for path, want := range map[string]string{h.prom: `interlock_replication_lag_seconds{host="db3",cluster="users",server="3306",channel=""} 0`, page: `<h2>Nothing wrong <span>1</span></h2>`} {
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q: %v\n%.3000s", path, want, err, text)
		}
	}
}

// A thread stops, and a replica takes writes.
func stopped(t *testing.T, h *cronHosts) {
	h.query(t, "db3", "STOP REPLICA SQL_THREAD")
	h.query(t, "db2", "SET GLOBAL super_read_only=OFF; SET GLOBAL read_only=OFF")
	changes, findings := h.look(t, ExitFailed)
	const want = `db2: replica -> primary
db2: read-only super -> off
db3: replication running -> sql no
users: two-writable: db2 takes writes beside db1
`
	if d := cmp.Diff(want, changes); d != "" {
		t.Error(d)
	}
	if findings != "critical replica-stopped db3, critical two-writable db2" {
		t.Errorf("findings: %s", findings)
	}
	r := h.check(t, CheckOptions{Hosts: "@users", Nagios: true})
	if r.status != 2 || !strings.HasPrefix(r.stdout, "INTERLOCK CRITICAL: 1 finding on 3 hosts: users: db3 does not replicate from ") {
		t.Errorf("%+v", r)
	}
}

// db2 takes over, the others follow it, and hosts.toml does not know.
func moved(t *testing.T, h *cronHosts) {
	h.query(t, "db2", "STOP REPLICA; RESET REPLICA ALL")
	h.query(t, "db3", "STOP REPLICA; RESET REPLICA ALL")
	if err := testrig.Replicate(t.Context(), h.servers["db2"], h.servers["db1"], h.servers["db3"]); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "db1 has noticed that its replicas have left", func() bool {
		rows, err := h.servers["db1"].Query(t.Context(), "SHOW PROCESSLIST")
		return err == nil && !slices.ContainsFunc(rows, func(row map[string]string) bool { return strings.HasPrefix(row["Command"], "Binlog Dump") })
	})
	changes, findings := h.look(t, ExitFailed)
	if findings != "critical primary-moved db1" {
		t.Errorf("findings: %s", findings)
	}
	contains(t, changes, "db1: primary -> replica\n", "db1: role source of 2 -> replica\n", "db2: source 10.", "db3: source 10.",
		"db3: replication sql no -> running\n", "users: primary-moved: the primary is db2 now; hosts.toml says db1, which replicates from 10.", "users: no longer two-writable: ")
}

// A replica that hosts.toml does not list, a server that ended, a host that is gone.
func threeMore(t *testing.T, h *cronHosts) {
	if err := testrig.Replicate(t.Context(), h.servers["db2"], h.servers["db4"]); err != nil {
		t.Fatal(err)
	}
	if err := h.servers["db1"].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Host("db3").CutNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, findings := h.look(t, ExitFailed)
	if findings != "critical few-replicas , critical member-stopped db1, critical primary-moved db1, critical unreachable db3, warning unlisted-member db2" {
		t.Errorf("findings: %s", findings)
	}
	contains(t, changes, "db1: replica -> stopped\n", "db3: replica -> not reached: ", "users: member-stopped: db1 has data and no server runs\n",
		"users: unlisted-member: db2 has a replica that no member is: server_uuid ")
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}
