package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// local runs `interlock local`.
func (f *hostsOfRig) local(t *testing.T, words ...string) said {
	t.Helper()
	return f.run(t, "", append([]string{"interlock", "local", "FFF"}, words...)...)
}

// locked is the lock of app1, "" where there is none.
func (f *hostsOfRig) locked(t *testing.T) string {
	t.Helper()
	return f.exec(t, "app1", "cat /var/lib/interlock/lock 2>/dev/null || true")
}

// unlock breaks the lock of app1, which must be there.
func (f *hostsOfRig) unlock(t *testing.T) {
	t.Helper()
	id, _, _ := strings.Cut(f.locked(t), " ")
	if got := f.run(t, "", "interlock", "locks", "break", "FFF", "--reason", "test", "app1", id); got.status != 0 || f.locked(t) != "" {
		t.Errorf("break lock %q: %+v", id, got)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 40 s: %s", what)
		}
	}
}

// waiting starts `interlock local` on app1 and comes back once it waits for the host. The function that it returns gives
// what it said, and its exit status.
func (f *hostsOfRig) waiting(t *testing.T, words ...string) (*os.Process, func() said) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(f.dir, "interlock"), append([]string{"local", "-F", f.SSHConfig()}, words...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = f.dir, f.env, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	text := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	until(t, "it waits for the host: "+strings.Join(words, " "), func() bool { return strings.Contains(text(), "interlock: waiting for ") })
	return cmd.Process, func() said {
		_ = cmd.Wait()
		return said{stdout: text(), status: cmd.ProcessState.ExitCode()}
	}
}

func localRefusals(t *testing.T, f *hostsOfRig) {
	f.local(t, "--for", "reinstall", "db1", "--", "touch", "ran").refused(t, "a primary", 77)
	f.local(t, "--allow", "data,replica,serving", "db1", "--", "touch", "ran").refused(t, "a primary with allowances", 77)
	f.local(t, "--for", "disruptive", "db2", "--", "touch", "ran").refused(t, "a replica", 77)
	// The only replica of its source: the rules of the cluster hold here, too.
	got := f.local(t, "--for", "disruptive", "--allow", "replica", "db2", "--", "touch", "ran")
	got.refused(t, "the only replica", 77)
	got = f.local(t, "--expect-hosts", "2", "app1,db1", "--", "touch", "ran")
	got.refused(t, "a set with a primary", 77)
	if !strings.Contains(got.stderr, "interlock: nothing was started\n") {
		t.Errorf("a set with a primary: %+v", got)
	}
	if got := f.local(t, "--expect-hosts", "3", "app1,db1", "--", "touch", "ran"); got.status != 64 {
		t.Errorf("another number of hosts: %+v", got)
	}
	if fileThere(filepath.Join(f.dir, "ran")) || f.locked(t) != "" {
		t.Errorf("it ran, or app1 is locked: %q", f.locked(t))
	}
}

// The command's own exit status counts, and what it has done by then nobody knows.
func localFails(t *testing.T, f *hostsOfRig) {
	got := f.local(t, "app1", "--", "echo {host} $INTERLOCK_HOSTS; echo err >&2; exit 3")
	if got.status != 3 || got.stdout != "app1 app1\n" || !regexp.MustCompile(`^err\ninterlock: the lock on app1 stays: .* app1 [0-9a-f]{12}\n$`).MatchString(got.stderr) {
		t.Errorf("%+v", got)
	}
	if lock := f.locked(t); !strings.Contains(lock, " local ") {
		t.Errorf("the lock on app1 is %q", lock)
	}
	f.unlock(t)
	if got := f.local(t, "app1", "--", "./nosuch", "app1"); got.status != 1 || f.locked(t) != "" {
		t.Errorf("a command that is not there: %+v, lock %q", got, f.locked(t))
	}
}

// A reinstallation: it returns at once, and the host boots some time later.
func localBoots(t *testing.T, f *hostsOfRig) {
	before := f.exec(t, "app1", "cat /proc/sys/kernel/random/boot_id")
	_, end := f.waiting(t, "--for", "reinstall", "app1", "--", "touch", "asked-{host}")
	f.run(t, "", "interlock", "run", "FFF", "app1", "--", "touch /tmp/second").locked(t, "a second operator")
	f.local(t, "app1", "--", "touch", "ran").locked(t, "a second operator of the same kind")
	if f.there(t, "app1", "/tmp/second") || fileThere(filepath.Join(f.dir, "ran")) || !fileThere(filepath.Join(f.dir, "asked-app1")) {
		t.Error("a second operator's command ran, or the first one's did not")
	}
	if err := f.Host("app1").Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := end()
	if got.status != 0 || !strings.Contains(got.stdout, "interlock: app1 is back, clear\n") || f.exec(t, "app1", "cat /proc/sys/kernel/random/boot_id") == before {
		t.Errorf("%+v", got)
	}
	if lock := f.locked(t); lock != "" {
		t.Errorf("app1 is still locked: %s", lock)
	}
}

func (s said) locked(t *testing.T, what string) {
	t.Helper()
	if s.status != 75 || !strings.Contains(s.stderr, "interlock: locked: ") {
		t.Errorf("%s: %+v", what, s)
	}
}

func localUntil(t *testing.T, f *hostsOfRig) {
	_, end := f.waiting(t, "--until", "test -e installed-{host}", "app1", "--", "true")
	f.write(t, "installed-app1", "", 0o600)
	if got := end(); got.status != 0 || f.locked(t) != "" {
		t.Errorf("--until: %+v, lock %q", got, f.locked(t))
	}
	got := f.local(t, "--until", "false", "--until-timeout", "1s", "app1", "--", "true")
	if got.status != 69 || !strings.Contains(got.stderr, "interlock: not within 1s\ninterlock: the lock on app1 stays: ") {
		t.Errorf("out of time: %+v", got)
	}
	f.unlock(t)
	process, end := f.waiting(t, "app1", "--", "true")
	if err := process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := end(); got.status != 130 || !strings.Contains(got.stdout, "interlock: interrupted\ninterlock: the lock on app1 stays: ") {
		t.Errorf("^C: %+v", got)
	}
	f.unlock(t)
}
