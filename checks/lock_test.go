package checks

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// begin starts a guarded command over SSH and returns once it is under way.
func begin(ctx context.Context, t *testing.T, rig *testrig.Rig, login string, r Request) (*exec.Cmd, *Report, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	line, err := r.ExecLine()
	if err != nil {
		t.Fatal(err)
	}
	cmd := overSSH(ctx, rig, login, line)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	report, _, err := ReadReport(out, r.Nonce)
	if err != nil || !report.Run() {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := io.WriteString(in, r.GoLine()); err != nil {
		t.Fatal(err)
	}
	return cmd, report, in, out
}

// service is a request that is neither check nor command.
func service(mode Mode, id, signal string) Request {
	r := checkOf()
	r.Mode, r.LockID, r.Signal = mode, id, signal
	return r
}

// served runs such a request over SSH.
func served(t *testing.T, rig *testrig.Rig, login string, r Request) result {
	t.Helper()
	line, err := r.ExecLine()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return plainly(overSSH(ctx, rig, login, line), nil)
}

// A client that dies leaves the command alone: it goes on, whatever it writes, its output is in the spool, and the lock
// is held until it has ended.
func TestClientDies(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	for _, login := range []string{"root@h1", "ops@h1"} {
		r := runOf(Destructive, "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; echo warn $i >&2; sleep 0.1; done; until [ -e /tmp/over ]; do sleep 0.1; done; echo last; exit 5")
		cmd, report, _, out := begin(t.Context(), t, rig, login, r)
		if line, err := out.ReadString('\n'); line != "line 1\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		time.Sleep(500 * time.Millisecond)
		if a := ask(t, h, accounts[0], runOf(Destructive, "true")); a.code != 75 || !a.has("locked") {
			t.Errorf("%s: a second command while the first still runs: %v", login, a)
		}
		if list := served(t, rig, login, service(ModeLocks, "", "")); !strings.HasPrefix(list.out, "lock running ") || !strings.Contains(list.out, " kept now "+report.LockID+" ") {
			t.Errorf("%s: locks %+v", login, list)
		}
		execOn(t, h, ": >/tmp/over")
		unlocked(t, h)
		execOn(t, h, "rm /tmp/over")
		logs := served(t, rig, login, service(ModeLogs, report.LockID, ""))
		if !strings.HasPrefix(logs.out, "line 1\n") || !strings.HasSuffix(logs.out, "line 40\nlast\n") || !strings.HasSuffix(logs.stderr, "warn 40\n") {
			t.Errorf("%s: spooled %+v", login, logs)
		}
		list := served(t, rig, login, service(ModeLogs, "", ""))
		if !strings.Contains(list.out, report.LockID+" test%40here") && !strings.Contains(list.out, report.LockID+" test@here") || !strings.HasPrefix(list.out, "5 ") {
			t.Errorf("%s: logs %+v", login, list)
		}
	}
}

// INT from a second session ends the command by its recorded process group, and only that.
func TestSignal(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	for _, login := range []string{"root@h1", "ops@h1"} {
		r := runOf(Destructive, "trap 'echo interrupted; exit 9' INT; echo up; while :; do sleep 0.1; done")
		cmd, report, in, out := begin(t.Context(), t, rig, login, r)
		if line, err := out.ReadString('\n'); line != "up\n" {
			t.Fatalf("%q, %v", line, err)
		}
		eventually(t, h, "[ -s /var/lib/interlock/spool/"+report.LockID+"/process ]")
		if got := served(t, rig, login, service(ModeSignal, "00", "INT")); got.code != 1 {
			t.Errorf("another id: %+v", got)
		}
		if got := served(t, rig, login, service(ModeSignal, report.LockID, "INT")); got.code != 0 {
			t.Errorf("%s: %+v", login, got)
		}
		rest, _ := io.ReadAll(out)
		_ = in.Close()
		_ = cmd.Wait() // its exit status is in the state
		if string(rest) != "interrupted\n" || cmd.ProcessState.ExitCode() != 9 {
			t.Errorf("%s: %q, exit %d", login, rest, cmd.ProcessState.ExitCode())
		}
		unlocked(t, h)
		if got := served(t, rig, login, service(ModeSignal, report.LockID, "INT")); got.code != 1 {
			t.Errorf("after its end: %+v", got)
		}
	}
}

// A lock outlives a session that was killed as a whole; it is broken by its id, or closed by the boot that it was for.
func TestLocks(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	dies := func(class Class) string {
		cmd, report, _, out := begin(t.Context(), t, rig, "root@h1", runOf(class, "echo up; sleep 600"))
		if line, err := out.ReadString('\n'); line != "up\n" {
			t.Fatalf("%q, %v", line, err)
		}
		eventually(t, h, "[ -s /var/lib/interlock/spool/"+report.LockID+"/process ]")
		if got := served(t, rig, "root@h1", service(ModeSignal, report.LockID, "KILL")); got.code != 0 && got.code != 255 {
			t.Errorf("kill: %+v", got)
		}
		_ = cmd.Wait() // it was killed
		return report.LockID
	}
	id := dies(Destructive)
	if list := served(t, rig, "ops@h1", service(ModeLocks, "", "")); !strings.HasPrefix(list.out, "lock gone ") || !strings.Contains(list.out, " kept now "+id+" ") {
		t.Errorf("locks %+v", list)
	}
	if got := served(t, rig, "ops@h1", service(ModeLocks, "0f0f", "")); got.code != 1 {
		t.Errorf("another id: %+v", got)
	}
	if a := ask(t, h, accounts[0], runOf(Destructive, "true")); a.code != 75 {
		t.Errorf("%v", a)
	}
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, h, accounts[0], runOf(Destructive, "true")); a.code != 75 {
		t.Errorf("a boot closed the lock of a destructive command: %v", a)
	}
	if got := served(t, rig, "ops@h1", service(ModeLocks, id, "")); got.code != 0 {
		t.Errorf("break: %+v", got)
	}
	id = dies(Disruptive)
	if a := ask(t, h, accounts[1], runOf(Destructive, "true")); a.code != 75 {
		t.Errorf("%v", a)
	}
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, h, accounts[1], runOf(Destructive, "true")); a.code != 0 || a.report.Facts["lock_closed"] != id {
		t.Errorf("a boot should have closed the lock of a disruptive command: %v", a)
	}
	// A lock file that holds nothing is a lock.
	execOn(t, h, ": >/var/lib/interlock/lock")
	if a := ask(t, h, accounts[0], runOf(Disruptive, "true")); a.code != 75 {
		t.Errorf("an empty lock: %v", a)
	}
	if got := served(t, rig, "root@h1", service(ModeLocks, "0", "")); got.code != 0 {
		t.Errorf("break an empty lock: %+v", got)
	}
	if a := ask(t, h, accounts[0], runOf(Disruptive, "true")); a.code != 0 {
		t.Errorf("%v", a)
	}
}

// Without room for a lock and the spool no command starts, and what was half made is taken away.
func TestDiskFull(t *testing.T) {
	rig := testrig.For(t)
	for name, full := range map[string]string{
		"no room":    "mount -t tmpfs -o size=4k none DIR; head -c 4096 /dev/zero >DIR/fill 2>/dev/null",
		"no inodes":  "mount -t tmpfs -o nr_inodes=2 none DIR; : >DIR/fill",
		"few inodes": "mount -t tmpfs -o nr_inodes=7 none DIR",
		"read-only":  "mount -t tmpfs -o ro none DIR",
	} {
		h := addHost(t, rig, "h-"+strings.ReplaceAll(name, " ", "-"))
		execOn(t, h, "mkdir -p /var/lib/interlock /run/interlock")
		for _, dir := range []string{"/var/lib/interlock", "/run/interlock"} {
			execOn(t, h, strings.ReplaceAll(full, "DIR", dir))
		}
		for _, who := range accounts[:2] {
			a := ask(t, h, who, runOf(Destructive, "echo started >/tmp/started"))
			if a.code != 77 || a.report == nil || a.report.Run() {
				t.Errorf("%s, %s: %v", name, who.name, a)
			}
		}
		if _, err := h.Exec(t.Context(), "! [ -e /tmp/started ] && ! [ -e /var/lib/interlock/lock ] && ! [ -e /run/interlock/lock ]"); err != nil {
			t.Errorf("%s: started, or locked: %v", name, err)
		}
		// With /run alone there is room.
		execOn(t, h, "umount /run/interlock")
		if a := ask(t, h, accounts[0], runOf(Destructive, "true")); name == "read-only" && a.code != 0 {
			t.Errorf("%s, with room in /run: %v", name, a)
		}
	}
}
