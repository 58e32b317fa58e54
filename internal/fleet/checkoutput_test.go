package fleet

import (
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"interlock/checks"
	"interlock/internal/report"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

// shown runs one way to show a check and gives what it wrote.
func shown(t *testing.T, c *Check, show func() error) (string, error) {
	t.Helper()
	var out strings.Builder
	c.s.Out = &out
	err := show()
	return out.String(), err
}

func TestExpectTable(t *testing.T) {
	c, r := paperFleet(t, 3, 2)
	out, err := shown(t, c, func() error { return c.show(r, nil) })
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "expect.txt", out)
	c.o.JSON = true
	if out, err = shown(t, c, func() error { return c.show(r, nil) }); err != nil {
		t.Fatal(err)
	}
	var findings strings.Builder
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"code":`) && !strings.Contains(line, `"reachable":`) {
			findings.WriteString(line)
		}
	}
	golden(t, "expect.json", findings.String())
	c, r = paperFleet(t, 2, 0)
	if out, err = shown(t, c, func() error { return c.show(r, nil) }); err != nil || !strings.Contains(out, "\nas hosts.toml states: orders1, users1\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// Exit statuses of check, with and without --expect.
func TestCheckExit(t *testing.T) {
	ok, lost := finding{host: "db1", report: &checks.Report{State: checks.Primary}}, finding{host: "db2", err: errors.New("no route")}
	unknown := finding{host: "db3", report: &checks.Report{State: checks.Unknown}}
	for _, c := range []struct {
		hosts       []finding
		all, expect int
	}{
		{[]finding{ok}, 0, 0},
		{[]finding{unknown}, 0, 1},
		{[]finding{ok, lost}, 69, 69},
		{[]finding{lost, unknown}, 69, 1},
	} {
		for _, expect := range []bool{false, true} {
			check, _ := paperFleet(t, 1, 0)
			check.o.Expect, check.clusters = expect, nil
			r := &checked{hosts: c.hosts}
			check.judge(r)
			want := c.all
			if expect {
				want = c.expect
			}
			if got := check.exit(r); got != want {
				t.Errorf("%v, expect %v: %d, want %d", c.hosts, expect, got, want)
			}
		}
	}
}

// A check that takes long says so to people, and not to cron, which would mail it.
func TestProgressIsNotForCron(t *testing.T) {
	for _, c := range []struct {
		o     CheckOptions
		quiet bool
	}{
		{CheckOptions{}, false}, {CheckOptions{JSON: true}, false}, {CheckOptions{Expect: true}, false},
		{CheckOptions{Nagios: true}, true}, {CheckOptions{Changes: true}, true}, {CheckOptions{Textfile: "x.prom"}, true}, {CheckOptions{HTML: "x"}, true},
	} {
		var out strings.Builder
		check := &Check{o: c.o, s: Streams{Err: &out}}
		if _, err := io.WriteString(check.progressTo().Err, "checked 1 of 2 hosts\n"); err != nil {
			t.Fatal(err)
		}
		if quiet := out.Len() == 0; quiet != c.quiet {
			t.Errorf("%+v: quiet %v, want %v", c.o, quiet, c.quiet)
		}
	}
}

func TestNagios(t *testing.T) {
	var all strings.Builder
	for _, bad := range []int{0, 7, 2} {
		c, r := paperFleet(t, 7, bad)
		out, err := shown(t, c, func() error { return c.nagios(r, nil) })
		all.WriteString(out)
		if want := map[int]int{0: 0, 7: 2, 2: 2}[bad]; ExitStatus(err) != want {
			t.Errorf("every %dth is bad: status %d, want %d", bad, ExitStatus(err), want)
		}
	}
	c, r := paperFleet(t, 1, 0)
	r.hosts[3].report.State = checks.Unknown
	r.health = nil
	c.judge(r)
	out, err := shown(t, c, func() error { return c.nagios(r, nil) })
	all.WriteString(out)
	if ExitStatus(err) != 1 {
		t.Errorf("an unknown host: status %d, want 1", ExitStatus(err))
	}
	out, err = shown(t, c, func() error { return c.nagios(r, errors.New("write /x|y: no space\nleft")) })
	all.WriteString(out)
	if ExitStatus(err) != 3 {
		t.Errorf("a file that could not be written: status %d, want 3", ExitStatus(err))
	}
	golden(t, "nagios.txt", all.String())
}

func TestTextfile(t *testing.T) {
	c, r := paperFleet(t, 3, 2)
	r.hosts[0].host = "odd\"\\\nname"
	path := filepath.Join(t.TempDir(), "interlock.prom")
	c.o.Textfile = path
	if err := c.files(r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "textfile.prom", string(text))
	cmd := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(string(text))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v: %s", err, out)
	}
	// A thousand hosts, for what no eye sees: the same series twice.
	c, r = paperFleet(t, 250, 3)
	var big strings.Builder
	if err := report.WriteGauges(&big, c.gauges(r)); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	cmd.Stdin = strings.NewReader(big.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v: %s", err, out)
	}
	c.o.Textfile = "/proc/nowhere/x.prom"
	if c.files(r) == nil {
		t.Error("a file that could not be written was taken for written")
	}
}

// before and after are two checks of the same hosts, with what has changed in between.
func TestChanges(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.json")
	run := func(change func(*Check, *checked)) (string, error) {
		t.Helper()
		c, r := paperFleet(t, 2, 0)
		c.o.Changes, c.o.State = true, state
		c.s.Err = &strings.Builder{}
		if change != nil {
			change(c, r)
			r.health, r.roles = nil, nil
			c.judge(r)
		}
		held, err := c.openChanges()
		if err != nil {
			return "", err
		}
		defer held.close()
		return shown(t, c, func() error { return c.show(r, held) })
	}
	first := func(f *finding) *checks.Instance { return &f.report.Instances[0] }
	for _, step := range []struct {
		name   string
		change func(*Check, *checked)
		want   string
	}{
		{"first", nil, ""},
		{"nothing", nil, ""},
		{"measurements are no changes", func(_ *Check, r *checked) {
			in, lag, clients := first(&r.hosts[1]), 29*time.Second, 99
			in.Sources[0].Lag, in.Clients, in.Uptime = &lag, &clients, nil
		}, ""},
		{"lag, a version", func(_ *Check, r *checked) {
			lag := 31 * time.Second
			first(&r.hosts[1]).Sources[0].Lag = &lag
			first(&r.hosts[2]).Version = "8.4.7"
		}, "users1-db2: lag within 30s -> above 30s\nusers1-db3: server mysql 8.0.36 -> mysql 8.4.7\n"},
		{"still", func(_ *Check, r *checked) {
			lag := 412 * time.Second
			first(&r.hosts[1]).Sources[0].Lag = &lag
			first(&r.hosts[2]).Version = "8.4.7"
		}, ""},
		{"failover", func(_ *Check, r *checked) {
			spoil(r.hosts[:3], 0)
			first(&r.hosts[2]).Version = "8.4.7"
		}, `users1-db1: primary -> not reached: connect: dial tcp 10.0.4.17:22: connect: connection timed out
users1-db2: replica -> primary
users1-db2: role replica -> source of 1
users1-db2: source users1-db1 -> none
users1-db2: replication running -> none
users1-db2: read-only super -> off
users1-db3: source users1-db1 -> users1-db2
users1: primary-moved: the primary is users1-db2 now; hosts.toml says users1-db1, which was not reached
`},
		{"the old primary comes back as a replica, upgraded", func(_ *Check, r *checked) {
			spoil(r.hosts[:3], 0)
			first(&r.hosts[2]).Version = "8.4.7"
			r.hosts[0] = paperReplica("users1-db1", "users1-db2", 0)
			first(&r.hosts[0]).Version = "8.4.7"
			first(&r.hosts[1]).Replicas = append(first(&r.hosts[1]).Replicas, checks.ReplicaRef{UUID: "uuid-users1-db1"})
		}, `users1-db1: not reached -> replica
users1-db1: role source of 2 -> replica
users1-db1: source none -> users1-db2
users1-db1: replication none -> running
users1-db1: read-only off -> super
users1-db1: server mysql 8.0.36 -> mysql 8.4.7
users1-db2: role source of 1 -> source of 2
`},
		{"and fails back", func(_ *Check, r *checked) {
			first(&r.hosts[0]).Version, first(&r.hosts[2]).Version = "8.4.7", "8.4.7"
		}, `users1-db1: replica -> primary
users1-db1: role replica -> source of 2
users1-db1: source users1-db2 -> none
users1-db1: replication running -> none
users1-db1: read-only super -> off
users1-db2: primary -> replica
users1-db2: role source of 2 -> replica
users1-db2: source none -> users1-db1
users1-db2: replication none -> running
users1-db2: read-only off -> super
users1-db3: source users1-db2 -> users1-db1
users1: no longer primary-moved: the primary is users1-db2 now; hosts.toml says users1-db1, which replicates from users1-db2
`},
		{"what is not seen stays", func(_ *Check, r *checked) {
			r.hosts[0].report = &checks.Report{State: checks.Unknown, Reasons: []checks.Reason{{Code: "no-root", Text: "neither root nor sudo -n"}}}
			r.hosts[2] = finding{host: "users1-db3", err: errors.New("no route")}
		}, "users1-db1: primary -> unknown: neither root nor sudo -n\nusers1-db3: replica -> not reached: no route\nusers1: primary-missing: no member that answered takes writes; users1-db1, the primary by hosts.toml, is unknown\n"},
		{"and comes back", func(_ *Check, r *checked) {
			first(&r.hosts[0]).Version, first(&r.hosts[2]).Version = "8.4.7", "8.4.7"
		}, "users1-db1: unknown -> primary\nusers1-db3: not reached -> replica\nusers1: no longer primary-missing: no member that answered takes writes; users1-db1, the primary by hosts.toml, is unknown\n"},
		{"a thread stops", func(_ *Check, r *checked) {
			first(&r.hosts[0]).Version, first(&r.hosts[2]).Version = "8.4.7", "8.4.7"
			first(&r.hosts[1]).Sources[0].SQLRunning = "No"
		}, "users1-db2: replication running -> sql no\n"},
		{"other hosts", func(_ *Check, r *checked) {
			first(&r.hosts[0]).Version, first(&r.hosts[2]).Version = "8.4.7", "8.4.7"
			first(&r.hosts[1]).Sources[0].SQLRunning = "No"
			r.hosts[6].host = "app7"
		}, "app7: new: clear\napp001: no longer in the set\n"},
	} {
		out, err := run(step.change)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if d := cmp.Diff(step.want, out); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
}

func TestChangesStateFile(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	c, r := paperFleet(t, 1, 0)
	var said strings.Builder
	c.s.Err = &said
	c.o.Changes = true
	held, err := c.openChanges()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.openChanges(); ExitStatus(err) != ExitLocked {
		t.Errorf("two at once: %v, want status %d", err, ExitLocked)
	}
	if _, err := shown(t, c, func() error { return c.show(r, held) }); err != nil {
		t.Fatal(err)
	}
	held.close()
	for _, text := range []string{"", "{", "null", `{"version":2,"hosts":{"a":{}}}`, `{"version":1}`} {
		if err := os.WriteFile(held.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said.Reset()
		again, err := c.openChanges()
		if err != nil {
			t.Fatal(err)
		}
		if !again.corrupt || again.before != nil || !strings.Contains(said.String(), "is kept as") {
			t.Errorf("%q was taken for a state: %s", text, said.String())
		}
		if out, err := shown(t, c, func() error { return c.show(r, again) }); err != nil || out != "" {
			t.Errorf("%q: %s, %v", text, out, err)
		}
		again.close()
		time.Sleep(2 * time.Millisecond) // another name for the next one that is put aside
	}
	aside, err := filepath.Glob(held.path + ".corrupt-*")
	if err != nil || len(aside) != 5 {
		t.Errorf("put aside: %v, %v", aside, err)
	}
	c.o.Expect = false
	other, err := c.statePath()
	if err != nil || other == held.path {
		t.Errorf("with and without --expect there is one state: %v", err)
	}
	// What could not be said must be said the next time.
	c.o.Expect = true
	before, err := os.ReadFile(held.path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err = c.openChanges(); err != nil {
		t.Fatal(err)
	}
	defer held.close()
	spoil(r.hosts[:3], 1)
	c.s.Out = &broken{}
	if c.show(r, held) == nil {
		t.Error("changes that nobody could read were taken for said")
	}
	if after, err := os.ReadFile(held.path); err != nil || string(after) != string(before) {
		t.Errorf("the state went on without them: %v", err)
	}
}
