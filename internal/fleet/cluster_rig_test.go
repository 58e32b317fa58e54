package fleet

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"interlock/internal/testrig"
)

var slow = flag.Bool("fleet.slow", false, "also the parts of the cluster tests that wait for leases and connections to run out")

// rotate is the house's own disruptive command on the hosts of the rig.
const rotate = "#!/bin/sh\n# rotate-certificates SECONDS: interrupts service for so long\ntouch /tmp/rotated\nexec sleep \"${1:-0}\"\n"

// clusterSite is two MySQL clusters, db1 with db2 and db3, db4 with db5 and db6, under traffic, whose servers come
// back when their hosts boot. The clocks of the hosts, as far as programs on them can tell, are an hour
// apart.
func clusterSite(t *testing.T) (*realHosts, *testrig.Topology) {
	t.Helper()
	rig := testrig.For(t)
	topology, err := rig.Build(t.Context(), "clusters")
	if err != nil {
		t.Fatal(err)
	}
	h := &realHosts{Rig: rig, config: filepath.Join(t.TempDir(), "hosts.toml"), state: t.TempDir()}
	const text = `
[defaults]
connect_timeout = "3s"
[clusters.users]
hosts = ["db[1-3]"]
[clusters.orders]
hosts = ["db[4-6]"]
[[command]]
match = "rotate-certificates **"
class = "disruptive"
`
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", h.state)
	for i, host := range rig.Hosts() {
		h.write(t, host.Name, "/usr/local/bin/rotate-certificates", rotate)
		h.write(t, host.Name, "/usr/local/sbin/date", fmt.Sprintf("#!/bin/sh\nexec /bin/date -d '%+d hours' \"$@\"\n", i%3-1))
	}
	return h, topology
}

func (h *realHosts) write(t *testing.T, host, path, text string) {
	t.Helper()
	if err := h.Host(host).WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

// caughtUp waits until the replicas of both clusters have what their primaries have.
func caughtUp(t *testing.T, top *testrig.Topology) {
	t.Helper()
	for primary, replicas := range map[string][]string{"db1": {"db2", "db3"}, "db4": {"db5", "db6"}} {
		for _, r := range replicas {
			if err := top.Servers[r].WaitReplicating(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := top.Servers[r].WaitCaughtUp(t.Context(), top.Servers[primary]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func query(t *testing.T, s *testrig.Server, statement string) {
	t.Helper()
	if _, err := s.Query(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestClustersOnRealHosts takes members of real clusters. Each part leaves them healthy.
func TestClustersOnRealHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("short: minutes on real servers; the same code runs on simulated hosts and in TestRunOnRealHosts")
	}
	h, top := clusterSite(t)
	for _, part := range []struct {
		name string
		slow bool
		f    func(*testing.T, *realHosts, *testrig.Topology)
	}{
		{"a replica of a healthy cluster", false, takeReplica},
		{"the same by discovery", false, takeUnlisted},
		{"never the primary", false, takePrimary},
		{"lag", false, lagRefuses},
		{"a member that lies about its source", false, liarRefuses},
		{"two runs at the same moment", false, twoRuns},
		{"a rolling reboot", false, rollingReboot},
		{"a replica that does not come back", false, notBack},
		{"the client is killed", false, clientKilled},
		{"the network is cut", true, networkCut},
	} {
		t.Run(part.name, func(t *testing.T) {
			if part.slow && !*slow {
				t.Logf("left out: -fleet.slow")
				return
			}
			caughtUp(t, top)
			part.f(t, h, top)
		})
	}
}

func takeReplica(t *testing.T, h *realHosts, _ *testrig.Topology) {
	r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}, JSON: true})
	if r.status != 0 || !h.there(t, "db3", "/tmp/rotated") {
		t.Fatalf("%+v", r)
	}
	var first jsonEvent
	if err := json.Unmarshal([]byte(r.stdout[:strings.IndexByte(r.stdout, '\n')]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Event != "cluster" || strings.Join(first.ReliesOn, " ") != "db1 db2" || !strings.HasPrefix(strings.Join(first.Stays, ", "), "db1 (source), db2 (lag ") {
		t.Errorf("%+v", first)
	}
	for _, host := range []string{"db1", "db2", "db3"} {
		h.free(t, host)
	}
	if e := h.audited(t); e[len(e)-1].Event != "health" || e[len(e)-1].Outcome != "healthy" {
		t.Errorf("last audit line: %+v", e[len(e)-1])
	}
}

// free fails where a host holds a lock, or a lease in force.
func (h *realHosts) free(t *testing.T, host string) {
	t.Helper()
	if left := h.held(t, host); left != "" {
		t.Errorf("%s is still held: %s", host, left)
	}
}

// held is what `locks list` says of a host.
func (h *realHosts) held(t *testing.T, host string) string {
	t.Helper()
	var out safeBuffer
	l, err := NewLocks(LocksOptions{Remote: h.remote(), Hosts: host}, Streams{Out: &out, Err: &out})
	if err == nil {
		err = l.Run(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), "\n")
	return rows
}

// Hosts that hosts.toml does not list work the same: source and replica are found by what servers say.
func takeUnlisted(t *testing.T, h *realHosts, top *testrig.Topology) {
	unlisted := *h
	unlisted.config = filepath.Join(t.TempDir(), "hosts.toml")
	if err := os.WriteFile(unlisted.config, []byte("[[command]]\nmatch = \"rotate-certificates **\"\nclass = \"disruptive\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := unlisted.run(t, "db6", "rotate-certificates", RunOptions{Allow: []string{"replica"}, JSON: true})
	source, replica := h.Host("db4").Addr.String(), h.Host("db5").Addr.String()
	if r.status != 0 || !strings.Contains(r.stdout, `"relies_on":["`+source+`","`+replica+`"]`) && !strings.Contains(r.stdout, `"relies_on":["`+source+`","db5"]`) {
		t.Errorf("%+v", r) // by the name that db5 reports, or by the address that it comes from, and once
	}
	query(t, top.Servers["db5"], "STOP REPLICA SQL_THREAD")
	defer query(t, top.Servers["db5"], "START REPLICA")
	r = unlisted.run(t, "db6", "rotate-certificates", RunOptions{Allow: []string{"replica"}})
	if r.status != ExitRefused || !strings.Contains(r.stderr, "its SQL thread is at No") {
		t.Errorf("%+v", r)
	}
}

func takePrimary(t *testing.T, h *realHosts, _ *testrig.Topology) {
	r := h.run(t, "db1", "rotate-certificates", RunOptions{Allow: []string{"replica", "serving", "data", "member"}})
	if r.status != ExitRefused || !strings.Contains(r.stderr, "primary") || h.there(t, "db1", "/tmp/rotated") {
		t.Errorf("%+v", r)
	}
}

// A table that is locked on the other replica stops it: it falls behind, and catches up once the lock is gone.
func lagRefuses(t *testing.T, h *realHosts, top *testrig.Topology) {
	strict := *h
	strict.config = filepath.Join(t.TempDir(), "hosts.toml")
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(strict.config, []byte(strings.Replace(string(text), "[defaults]", "[defaults]\nmax_lag = \"3s\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var locked sync.WaitGroup
	locked.Go(func() { _, _ = top.Servers["db2"].Query(t.Context(), "FLUSH TABLES WITH READ LOCK; SELECT SLEEP(100)") })
	eventually(t, 4*time.Minute, "db2 lags", func() bool {
		status, err := top.Servers["db2"].ReplicaStatus(t.Context())
		return err == nil && len(status["Seconds_Behind_Source"]) > 0 && status["Seconds_Behind_Source"] >= "4" && status["Seconds_Behind_Source"] != "NULL"
	})
	r := strict.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}})
	if r.status != ExitRefused || !strings.Contains(r.stderr, "db3 is the only replica of db1 within 3s of it (db2: lag ") ||
		!strings.Contains(r.stderr, "to proceed: wait for db2 to catch up, then run this again\n") {
		t.Errorf("%+v", r)
	}
	killSleepers(t, top.Servers["db2"])
	locked.Wait()
	caughtUp(t, top)
	if r := strict.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}}); r.status != 0 {
		t.Errorf("once it has caught up: %+v", r)
	}
}

// killSleepers ends the sessions that sleep, and with them their locks.
func killSleepers(t *testing.T, s *testrig.Server) {
	t.Helper()
	rows, err := s.Query(t.Context(), "SELECT ID AS id FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP%'")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		query(t, s, "KILL "+row["id"])
	}
}

// db2 does not receive, its source has forgotten it, and what asks it is told that all is well.
func liarRefuses(t *testing.T, h *realHosts, top *testrig.Topology) {
	query(t, top.Servers["db2"], "STOP REPLICA IO_THREAD")
	h.exec(t, "db2", `mv /usr/local/bin/mysql /usr/local/bin/mysql.real
cat >/usr/local/bin/mysql <<'END'
#!/bin/sh
mysql.real "$@" | sed 's/\tNo\tYes\t/\tYes\tYes\t/; s/\tNULL\t/\t0\t/'
END
chmod 755 /usr/local/bin/mysql`)
	defer func() {
		h.exec(t, "db2", "mv /usr/local/bin/mysql.real /usr/local/bin/mysql")
		query(t, top.Servers["db2"], "START REPLICA")
	}()
	eventually(t, 4*time.Minute, "db1 has forgotten db2", func() bool {
		rows, err := top.Servers["db1"].Query(t.Context(), "SHOW REPLICAS")
		return err == nil && len(rows) == 1
	})
	r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}})
	if r.status != ExitRefused || !strings.Contains(r.stderr, "db2: says that it replicates from db1, which does not know it") {
		t.Errorf("%+v", r)
	}
}

// Two operators take the two replicas of one cluster at the same moment: exactly one proceeds.
func twoRuns(t *testing.T, h *realHosts, _ *testrig.Topology) {
	h.exec(t, "db2", "rm -f /tmp/rotated")
	h.exec(t, "db3", "rm -f /tmp/rotated")
	var runs []*started
	for _, host := range []string{"db2", "db3"} {
		runs = append(runs, h.start(t, RunOptions{Hosts: host, Command: []string{"rotate-certificates 30"}, Allow: []string{"replica"}}, ""))
	}
	var results []result
	for _, s := range runs {
		select {
		case status := <-s.done:
			results = append(results, result{s.stdout.String(), s.stderr.String(), status})
		case <-time.After(4 * time.Minute):
			t.Fatal("neither has ended")
		}
	}
	fine, busy := 0, 0
	for _, r := range results {
		switch r.status {
		case 0:
			fine++
		case ExitLocked:
			busy++
			if !strings.Contains(r.stderr, "db") || !strings.Contains(r.stderr, "@") {
				t.Errorf("it does not name who holds what: %s", r.stderr)
			}
		}
	}
	if fine != 1 || busy != 1 || h.there(t, "db2", "/tmp/rotated") == h.there(t, "db3", "/tmp/rotated") {
		t.Errorf("%+v", results)
	}
	for _, host := range []string{"db1", "db2", "db3"} {
		h.free(t, host)
	}
}

// A reboot goes over a cluster: one replica at a time, each is waited for, never the primary.
func rollingReboot(t *testing.T, h *realHosts, top *testrig.Topology) {
	before := h.boots(t, "db4", "db5", "db6")
	watch, stop := context.WithCancel(t.Context())
	defer stop()
	watched := make(chan int, 1)
	go func() { watched <- h.mostDown(watch, top, "db4", "db5", "db6") }()
	r := h.run(t, "@orders", "reboot", RunOptions{Allow: []string{"replica", "data"}, SkipRefused: true, ExpectHosts: n(3)})
	stop()
	if most := <-watched; most != 1 {
		t.Errorf("%d members were down at a time, want 1", most)
	}
	after := h.boots(t, "db4", "db5", "db6")
	if r.status != ExitRefused || before["db4"] != after["db4"] || before["db5"] == after["db5"] || before["db6"] == after["db6"] {
		t.Errorf("boots before %v, after %v: %+v", before, after, r)
	}
	for _, host := range []string{"db5", "db6"} {
		if err := top.Servers[host].WaitReplicating(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func (h *realHosts) boots(t *testing.T, names ...string) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, name := range names {
		id, err := h.Host(name).BootID()
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = id
	}
	return ids
}

// mostDown watches servers until ctx ends, and tells how many were down at the same time at most.
func (h *realHosts) mostDown(ctx context.Context, top *testrig.Topology, names ...string) (most int) {
	for {
		down := 0
		for _, name := range names {
			if !top.Servers[name].Running() {
				down++
			}
		}
		most = max(most, down)
		select {
		case <-ctx.Done():
			return most
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// The server of the first replica is not started at its boot: the run names it and stops.
func notBack(t *testing.T, h *realHosts, top *testrig.Topology) {
	if err := top.Servers["db2"].StartAtBoot(false); err != nil {
		t.Fatal(err)
	}
	before := h.boots(t, "db3")
	r := h.run(t, "db[2-3]", "reboot", RunOptions{Allow: []string{"replica", "data"}, ExpectHosts: n(2), WaitTimeout: 6 * time.Second})
	if r.status != ExitFailed || !strings.Contains(r.stderr, "db2 (1): not healthy again: within 6s: ") || !strings.Contains(r.stderr, "db3 (1): not started") {
		t.Errorf("%+v", r)
	}
	if after := h.boots(t, "db3"); before["db3"] != after["db3"] {
		t.Error("the next one was taken")
	}
	if err := top.Servers["db2"].StartAtBoot(true); err != nil {
		t.Fatal(err)
	}
	if r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}}); r.status != ExitRefused || !strings.Contains(r.stderr, "db2: no server runs there") {
		t.Errorf("while it is not back: %+v", r)
	}
	if err := top.Servers["db2"].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A client that dies leaves the lock of the host that it took, until the command has ended or the host has
// booted, and leases that run out.
func clientKilled(t *testing.T, h *realHosts, top *testrig.Topology) {
	h.exec(t, "db3", "rm -f /tmp/rotated")
	cmd := h.child(t, RunOptions{Hosts: "db3", Command: []string{"rotate-certificates 300"}, Allow: []string{"replica"}})
	eventually(t, 4*time.Minute, "it runs", func() bool { return h.there(t, "db3", "/tmp/rotated") })
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	r := h.run(t, "db2", "rotate-certificates", RunOptions{Allow: []string{"replica"}})
	if r.status != ExitLocked {
		t.Errorf("while the command of a dead client runs: %+v", r)
	}
	if got := h.held(t, "db3"); !strings.Contains(got, "rotate-certificates 300") {
		t.Errorf("the lock is not there: %s", got)
	}
	if !*slow {
		for _, host := range []string{"db1", "db2"} {
			h.exec(t, host, "rm -f /var/lib/interlock/lease.*") // as if a minute had passed
		}
	} else {
		eventually(t, 4*time.Minute, "the leases have run out", func() bool { return h.held(t, "db1") == "" })
	}
	if err := h.Host("db3").Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 4*time.Minute, "db3 replicates", func() bool { return top.Servers["db3"].WaitReplicating(t.Context()) == nil })
	caughtUp(t, top)
	if r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}}); r.status != 0 {
		t.Errorf("after a boot: %+v", r)
	}
	h.free(t, "db3")
}

// child starts a run as a process of its own.
func (h *realHosts) child(t *testing.T, o RunOptions) *exec.Cmd {
	t.Helper()
	o.Config, o.SSHConfig, o.Shell = h.config, h.SSHConfig(), "/bin/sh"
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// The cable of the host is pulled while the command runs: its end is not known, and nothing else in the cluster
// may start until it is.
func networkCut(t *testing.T, h *realHosts, top *testrig.Topology) {
	h.exec(t, "db2", "rm -f /tmp/rotated")
	s := h.start(t, RunOptions{Hosts: "db[2-3]", Command: []string{"rotate-certificates 45"}, Allow: []string{"replica"}, ExpectHosts: n(2)}, "")
	eventually(t, 4*time.Minute, "it runs", func() bool { return h.there(t, "db2", "/tmp/rotated") })
	if err := h.Host("db2").CutNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := s.wait(t)
	if r.status != ExitUnreachable || !strings.Contains(r.stderr, "may still be running on db2") || !strings.Contains(r.stderr, "db3 (1): not started") {
		t.Errorf("%+v", r)
	}
	if r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}}); r.status != ExitRefused || !strings.Contains(r.stderr, "db2: not reached") {
		t.Errorf("while it is cut off: %+v", r)
	}
	if err := h.Host("db2").JoinNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 4*time.Minute, "the command has ended and the lock is gone", func() bool { return h.held(t, "db2") == "" })
	caughtUp(t, top)
	if r := h.run(t, "db3", "rotate-certificates", RunOptions{Allow: []string{"replica"}}); r.status != 0 {
		t.Errorf("once it is back: %+v", r)
	}
}

// TestGroupOnRealHosts takes members of a Group Replication.
func TestGroupOnRealHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("short: minutes on real servers; the same code runs on simulated hosts and in TestRunOnRealHosts")
	}
	rig := testrig.For(t)
	top, err := rig.AddGroup(t.Context(), "g1", "g2", "g3")
	if err != nil {
		t.Fatal(err)
	}
	h := &realHosts{Rig: rig, config: filepath.Join(t.TempDir(), "hosts.toml"), state: t.TempDir()}
	if err := os.WriteFile(h.config, []byte("[clusters.group]\nhosts = [\"g[1-3]\"]\n[[command]]\nmatch = \"rotate-certificates **\"\nclass = \"disruptive\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", h.state)
	for _, host := range []string{"g1", "g2", "g3"} {
		h.write(t, host, "/usr/local/bin/rotate-certificates", rotate)
		r := h.run(t, host, "rotate-certificates", RunOptions{Allow: []string{"replica", "data", "member"}})
		if r.status != ExitRefused || !strings.Contains(r.stderr, "member of a group") {
			t.Errorf("a member that is ONLINE: %+v", r)
		}
	}
	if err := top.Servers["g3"].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := h.run(t, "g3", "rotate-certificates", RunOptions{Allow: []string{"member"}, JSON: true})
	if r.status != 0 || !strings.Contains(r.stdout, `"stays":["g1 (ONLINE)","g2 (ONLINE)"]`) {
		t.Errorf("a stopped member, two of three ONLINE: %+v", r)
	}
	if err := top.Servers["g2"].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = h.run(t, "g3", "rotate-certificates", RunOptions{Allow: []string{"member"}})
	if r.status != ExitRefused || !strings.Contains(r.stderr, "without g3 1 of 3 members of its group would be ONLINE: no majority") {
		t.Errorf("a stopped member, one of three ONLINE: %+v", r)
	}
}
