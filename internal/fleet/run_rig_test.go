package fleet

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRunOnRealHosts runs commands on a fleet with live traffic. Each part leaves the hosts as it found them.
func TestRunOnRealHosts(t *testing.T) {
	h := demo(t)
	for _, part := range []struct {
		name string
		f    func(*testing.T, *realHosts)
	}{
		{"a command on a clean host", runClean},
		{"the same under sudo", runSudo},
		{"binary input and output", runBinary},
		{"a live primary refuses", refusePrimary},
		{"an account that cannot see refuses", refuseBlind},
		{"one refusal and nothing starts anywhere", refuseAll},
		{"a refusal left out", skipRefused},
		{"an unreachable host and nothing starts anywhere", refuseUnreachable},
		{"a canary that fails", canary},
		{"outputs are folded", groups},
		{"the audit log is full", auditFull},
		{"interrupted", interrupt},
		{"interrupted twice", interruptTwice},
		{"out of time", timeout},
		{"a connection that is lost", lostConnection},
		{"a number typed on a terminal", confirmed},
		{"another number", notConfirmed},
		{"nobody to ask", nobodyToAsk},
		{"a command on a terminal", onTerminal},
		{"a check of all", checkAll},
		{"a check as JSON", checkJSON},
		{"read-only runs everywhere at once", readOnlyEverywhere},
	} {
		t.Run(part.name, func(t *testing.T) { part.f(t, h) })
	}
}

func runClean(t *testing.T, h *realHosts) {
	h.run(t, "app1", "touch /tmp/ran; echo out; echo err >&2; exit 3", RunOptions{}).expect(t, 3, "out\n", "err\n")
	if !h.there(t, "app1", "/tmp/ran") {
		t.Error("the command did not run")
	}
	all := h.audited(t)
	last := all[len(all)-1]
	if last.Event != "end" || last.Host != "app1" || last.Exit == nil || *last.Exit != 3 || last.Lock == "" {
		t.Errorf("last audit line: %+v", last)
	}
	before := all[len(all)-2]
	if before.Event != "decision" || before.Verdict != "run" || before.State != "clear" || before.Run != last.Run {
		t.Errorf("audit line before: %+v", before)
	}
}

func runSudo(t *testing.T, h *realHosts) {
	for _, account := range []string{"ops", "ops-fish", "ops-tcsh", "ops-banner"} {
		r := h.run(t, "app1", "touch /tmp/by-"+account+"; id -un; pwd", RunOptions{Remote: Remote{User: account}})
		if !strings.HasSuffix(r.stdout, account+"\n/home/"+account+"\n") || r.status != 0 {
			t.Errorf("%s: %+v", account, r)
		}
	}
}

func runBinary(t *testing.T, h *realHosts) {
	var all strings.Builder
	for i := range 1 << 20 {
		all.WriteByte(byte(i * 7 >> 3))
	}
	for _, command := range []string{"cat", "cat; true >/tmp/guarded"} {
		s := h.start(t, RunOptions{Hosts: "app1", Command: []string{command}}, all.String())
		if r := s.wait(t); r.stdout != all.String() || r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %d bytes came back of %d, status %d, stderr %q", command, len(r.stdout), all.Len(), r.status, r.stderr)
		}
	}
}

func refusePrimary(t *testing.T, h *realHosts) {
	r := h.run(t, "db1", "touch /tmp/ran", RunOptions{Allow: []string{"data", "replica", "serving", "member", "proxy"}})
	if r.status != ExitRefused || r.stdout != "" || h.there(t, "db1", "/tmp/ran") {
		t.Errorf("%+v", r)
	}
	want := regexp.MustCompile(`^interlock: refused: touch /tmp/ran on db1
  reason: .*primary.*
  reason: mysql [0-9.]+ on 3306 has 2 replicas and \d+ clients?
  to proceed: .+
  to break the glass, within ten minutes, at your own risk: interlock run --override [0-9a-f]{8}-[0-9a-f]{8} --reason TEXT --config \S+ -F \S+ --allow data,replica,serving,member,proxy db1 -- 'touch /tmp/ran'
$`)
	if !want.MatchString(r.stderr) {
		t.Errorf("stderr\n%s\nwant a match of\n%s", r.stderr, want)
	}
	if e := h.audited(t); e[len(e)-1].Verdict != "refused" {
		t.Errorf("last audit line: %+v", e[len(e)-1])
	}
}

func refuseBlind(t *testing.T, h *realHosts) {
	r := h.run(t, "app1", "touch /tmp/plain", RunOptions{Remote: Remote{User: "plain"}})
	if r.status != ExitRefused || h.there(t, "app1", "/tmp/plain") || !strings.Contains(r.stderr, "NOPASSWD") {
		t.Errorf("%+v", r)
	}
}

func refuseAll(t *testing.T, h *realHosts) {
	r := h.run(t, "app1,db[1-4]", "touch /tmp/all", RunOptions{ExpectHosts: n(5)})
	if r.status != ExitRefused || r.stdout != "" {
		t.Errorf("%+v", r)
	}
	for _, host := range []string{"app1", "db1", "db2", "db3", "db4"} {
		if h.there(t, host, "/tmp/all") {
			t.Errorf("it started on %s", host)
		}
	}
	const plan = `interlock: plan: touch /tmp/all (destructive) on 5 hosts
  run          app1 (1): clear
  refused      db1 (1): primary
  refused      db[2-3] (2): replica
  refused      db4 (1): idle
`
	if !strings.HasPrefix(r.stderr, plan) {
		t.Errorf("stderr\n%s\nwant it to begin with\n%s", r.stderr, plan)
	}
	if want := "interlock: nothing was started; to leave these hosts out: --skip-refused\n"; !strings.HasSuffix(r.stderr, want) {
		t.Errorf("stderr\n%s\nwant it to end with\n%s", r.stderr, want)
	}
}

func skipRefused(t *testing.T, h *realHosts) {
	r := h.run(t, "db1,app1", "hostname; touch /tmp/skip", RunOptions{ExpectHosts: n(2), SkipRefused: true})
	if r.status != ExitRefused || r.stdout != "--- app1 (1) ---\napp1\n" || h.there(t, "db1", "/tmp/skip") || !h.there(t, "app1", "/tmp/skip") {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(r.stderr, "interlock: leaving out db1 (1)\n") {
		t.Errorf("stderr does not name what is left out:\n%s", r.stderr)
	}
}

func refuseUnreachable(t *testing.T, h *realHosts) {
	r := h.run(t, "app1,nosuch", "touch /tmp/unreached", RunOptions{ExpectHosts: n(2)})
	if r.status != ExitUnreachable || h.there(t, "app1", "/tmp/unreached") {
		t.Errorf("%+v", r)
	}
	r = h.run(t, "app1,nosuch", "touch /tmp/unreached", RunOptions{ExpectHosts: n(2), SkipUnreachable: 1})
	if r.status != ExitUnreachable || !h.there(t, "app1", "/tmp/unreached") {
		t.Errorf("left out: %+v", r)
	}
}

func canary(t *testing.T, h *realHosts) {
	o := RunOptions{ExpectHosts: n(2), Allow: []string{"data"}, Prefix: true}
	r := h.run(t, "app1,db4", "touch /tmp/canary; echo here; false", o)
	if r.status != ExitFailed || r.stdout != "app1: here\n" || h.there(t, "db4", "/tmp/canary") {
		t.Errorf("%+v", r)
	}
	const end = "interlock: 0 of 2 hosts fine\n  app1 (1): exit 1\n  db4 (1): not started\n"
	if !strings.HasSuffix(r.stderr, end) {
		t.Errorf("stderr\n%s\nwant it to end with\n%s", r.stderr, end)
	}
}

func groups(t *testing.T, h *realHosts) {
	o := RunOptions{ExpectHosts: n(2), Allow: []string{"data"}}
	r := h.run(t, "app1,db4", "touch /tmp/x; echo same; echo complaint >&2", o)
	if r.status != 0 || r.stdout != "--- app1,db4 (2) ---\nsame\n" {
		t.Errorf("%+v", r)
	}
	if want := "--- app1,db4 (2) ---\ncomplaint\n"; !strings.HasSuffix(r.stderr, want) {
		t.Errorf("stderr\n%s\nwant it to end with\n%s", r.stderr, want)
	}
}

// The audit log opens, and cannot be written when it counts.
func auditFull(t *testing.T, h *realHosts) {
	full := t.TempDir()
	if err := os.Mkdir(filepath.Join(full, "interlock"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", filepath.Join(full, "interlock", "audit.jsonl")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", full)
	r := h.run(t, "app1", "touch /tmp/unrecorded", RunOptions{})
	if r.status != ExitRefused || h.there(t, "app1", "/tmp/unrecorded") || !strings.Contains(r.stderr, "no space left on device") {
		t.Errorf("%+v", r)
	}
	h.unlocked(t, "app1")
}

// unlocked fails where a host still holds a lock.
func (h *realHosts) unlocked(t *testing.T, host string) {
	t.Helper()
	if h.there(t, host, "/var/lib/interlock/lock") {
		t.Errorf("%s is still locked: %s", host, h.exec(t, host, "cat /var/lib/interlock/lock"))
	}
}

// running tells whether a command line is among a host's processes.
func (h *realHosts) running(t *testing.T, host, args string) bool {
	t.Helper()
	return strings.Contains("\n"+h.exec(t, host, "ps -eo args"), "\n"+args+"\n")
}

func interrupt(t *testing.T, h *realHosts) {
	for _, c := range []struct{ command, sleep string }{
		{"touch /tmp/x; sleep 3001", "sleep 3001"},
		{"sleep 3002", "sleep 3002"}, // read-only
	} {
		s := h.start(t, RunOptions{Hosts: "app1", Command: []string{c.command}}, "")
		eventually(t, time.Minute, "it runs", func() bool { return h.running(t, "app1", c.sleep) })
		s.interrupts <- os.Interrupt
		r := s.wait(t)
		if r.status == 0 || r.status == ExitUnreachable {
			t.Errorf("%s: %+v", c.command, r)
		}
		eventually(t, time.Minute, c.sleep+" is gone", func() bool { return !h.running(t, "app1", c.sleep) })
	}
	h.unlocked(t, "app1")
}

func interruptTwice(t *testing.T, h *realHosts) {
	s := h.start(t, RunOptions{Hosts: "app1", Command: []string{"touch /tmp/x; trap '' INT; sleep 7"}}, "")
	eventually(t, time.Minute, "it runs", func() bool { return h.running(t, "app1", "sleep 7") })
	s.interrupts <- os.Interrupt
	time.Sleep(3 * sameSignal)
	s.interrupts <- os.Interrupt
	r := s.wait(t)
	if r.status != ExitUnreachable || !strings.Contains(r.stderr, "may still be running on app1\n") || !strings.Contains(r.stderr, "the lock stays there") {
		t.Errorf("%+v", r)
	}
	if !h.running(t, "app1", "sleep 7") {
		t.Error("the command did not run on")
	}
	if r := h.run(t, "app1", "touch /tmp/locked", RunOptions{}); r.status != ExitLocked || h.there(t, "app1", "/tmp/locked") {
		t.Errorf("while it is locked: %+v", r)
	}
	eventually(t, time.Minute, "the lock is gone", func() bool { return !h.there(t, "app1", "/var/lib/interlock/lock") })
}

func timeout(t *testing.T, h *realHosts) {
	r := h.run(t, "app1", "touch /tmp/x; sleep 3003", RunOptions{Timeout: time.Second})
	if r.status != ExitFailed || !strings.HasSuffix(r.stderr, "interlock: app1: stopped after 1s\n") {
		t.Errorf("%+v", r)
	}
	if h.running(t, "app1", "sleep 3003") {
		t.Error("it runs on")
	}
	h.unlocked(t, "app1")
}

func lostConnection(t *testing.T, h *realHosts) {
	s := h.start(t, RunOptions{Hosts: "app1", Command: []string{"touch /tmp/x; sleep 5; echo end >/tmp/lost; echo late"}}, "")
	eventually(t, time.Minute, "it runs", func() bool { return h.running(t, "app1", "sleep 5") })
	h.exec(t, "app1", `p=$(pgrep -fx "sleep 5"); while [ "$(ps -o comm= -p $p)" != sshd ]; do p=$(ps -o ppid= -p $p | tr -d ' '); done; kill -9 $p`)
	r := s.wait(t)
	if r.status != ExitUnreachable || !strings.HasPrefix(r.stderr, "interlock: state unknown: ") {
		t.Errorf("%+v", r)
	}
	var locks safeBuffer
	l, err := NewLocks(LocksOptions{Remote: h.remote(), Hosts: "app1"}, Streams{Out: &locks, Err: &locks})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err != nil || !strings.Contains(locks.String(), "running  touch /tmp/x; sleep 5;") {
		t.Errorf("locks: %v\n%s", err, locks.String())
	}
	eventually(t, time.Minute, "the command ends in its own time", func() bool { return h.there(t, "app1", "/tmp/lost") })
	_, row, _ := strings.Cut(locks.String(), "\n")
	id := strings.Fields(row)[2] // behind host and kind
	eventually(t, time.Minute, "its output is kept", func() bool {
		var out safeBuffer
		logs, err := NewLogs(LogsOptions{Remote: h.remote(), Host: "app1", ID: id}, Streams{Out: &out, Err: &out})
		if err != nil {
			t.Fatal(err)
		}
		return logs.Run(t.Context()) == nil && out.String() == "late\n"
	})
	h.unlocked(t, "app1")
}

func readOnlyEverywhere(t *testing.T, h *realHosts) {
	if err := h.Host("db3").Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Host("db3").Thaw(); err != nil {
			t.Fatal(err)
		}
	}()
	begin := time.Now()
	r := h.run(t, "app1,db[1-4]", "uname", RunOptions{})
	if r.status != ExitUnreachable || r.stdout != "--- app1,db[1-2,4] (4) ---\nLinux\n" {
		t.Errorf("%+v", r)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a frozen host held it up for %v", took)
	}
}

// Leaving without ^C: the terminal goes away, and the command goes on.
func TestHangUpLeaves(t *testing.T) {
	s := newStops()
	s.start("db1", func(string) { t.Error("the command was asked to stop") })
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signals <- syscall.SIGHUP
	var left error
	s.watch(t.Context(), signals, func(err error) { left = err }, done, Streams{Err: os.Stderr})
	if !errors.Is(left, errLeft) || s.start("db2", func(string) {}) {
		t.Errorf("left with %v, and another command may start: %v", left, s.start("db2", nil))
	}
}
