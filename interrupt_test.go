package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"interlock/internal/audit"
	"interlock/internal/testrig"
	"interlock/internal/testrig/simfleet"
)

// simulated is a fleet of its own and a client for it, each test's.
type simulated struct {
	*simfleet.Fleet
	dir    string // all that the client may write to
	marker string // in the environment of the client and of whatever it starts
	stderr bytes.Buffer
	cmd    *exec.Cmd
}

// fleetHosts is enough for a run to be interrupted with hosts done, at work and still to come.
const fleetHosts = 300

func simulate(t *testing.T) *simulated {
	t.Helper()
	testrig.HearSignals()
	s := &simulated{dir: t.TempDir()}
	for _, sub := range []string{"work", "tmp", "state", "fleet"} {
		if err := os.Mkdir(filepath.Join(s.dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	f, err := simfleet.Start(simfleet.Options{Hosts: fleetHosts, RoundTrip: 20 * time.Millisecond, Inspect: 30 * time.Millisecond,
		Slow: time.Second, Dir: filepath.Join(s.dir, "fleet")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Fleet = f
	s.marker = "INTERLOCK_TEST_MARK=" + s.dir
	return s
}

// start runs `interlock run` on all hosts as a process. Hosts that are dead, or refuse, are left out.
func (s *simulated) start(t *testing.T, command ...string) {
	t.Helper()
	config := filepath.Join(s.dir, "hosts.toml")
	if err := os.WriteFile(config, []byte("[defaults]\nconnect_timeout = \"5s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--config", config, "-F", s.Config(), "--parallel", "100", "--expect-hosts", fmt.Sprint(fleetHosts),
		"--skip-unreachable", fmt.Sprint(fleetHosts), "--skip-refused", s.Set(), "--"}
	s.cmd = exec.Command("interlock", append(args, command...)...)
	s.cmd.Dir = filepath.Join(s.dir, "work")
	s.cmd.Env = append(os.Environ(), s.marker, "TMPDIR="+filepath.Join(s.dir, "tmp"), "XDG_STATE_HOME="+filepath.Join(s.dir, "state"), "SSH_AUTH_SOCK=")
	s.cmd.Stderr = &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// until waits for the fleet's account to say so.
func (s *simulated) until(t *testing.T, what string, so func(simfleet.Ledger) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(s.Ledger()); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			l := s.Ledger()
			l.Commands = nil
			t.Fatalf("it never came to %s: %+v\n%s", what, l, s.stderr.String())
		}
	}
}

func (s *simulated) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// wait gives the client's exit status; -1 where a signal ended it.
func (s *simulated) wait(t *testing.T) int {
	t.Helper()
	err := s.cmd.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// nothingLeft is what holds after every end of a client: nothing is open or runs on any host once the commands have
// ended, no lock of ours stays, each command that started was on record before, and the client has left nothing on
// its own machine.
func (s *simulated) nothingLeft(t *testing.T) simfleet.Ledger {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Idle(ctx); err != nil {
		t.Errorf("after the client's end: %v", err)
	}
	l := s.Ledger()
	recorded := map[string]string{}
	for _, e := range s.audited(t) {
		if e.Event == "decision" && e.Verdict == "run" {
			recorded[e.Lock] = e.Host
		}
	}
	for _, odd := range l.Unaccounted(recorded) {
		t.Error(odd)
	}
	for dir, may := range map[string]string{"work": "", "tmp": "", "state": "interlock", "state/interlock": "audit.jsonl"} {
		if got := strings.Join(listed(t, filepath.Join(s.dir, dir)), " "); got != "" && got != may {
			t.Errorf("the client left %q in %s", got, dir)
		}
	}
	s.noProcess(t)
	if bytes.Contains(s.stderr.Bytes(), []byte("goroutine ")) {
		t.Errorf("it crashed:\n%s", s.stderr.String())
	}
	return l
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// noProcess makes sure that nothing that the client has started runs on. An ssh -G may still be ending.
func (s *simulated) noProcess(t *testing.T) {
	t.Helper()
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if left, err = simfleet.Processes(s.marker); err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("processes of the client's are left: %v", left)
}

func (s *simulated) audited(t *testing.T) (all []audit.Entry) {
	t.Helper()
	f, err := os.Open(filepath.Join(s.dir, "state", "interlock", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var e audit.Entry
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Fatalf("audit line %q: %v", in.Text(), err)
		}
		all = append(all, e)
	}
	return all
}

// ends are the audit's ends, by lock.
func (s *simulated) ends(t *testing.T) map[string]audit.Entry {
	t.Helper()
	ends := map[string]audit.Entry{}
	for _, e := range s.audited(t) {
		if e.Event == "end" {
			ends[e.Lock] = e
		}
	}
	return ends
}

// longCommand is destructive, and still at work when the signal comes.
const longCommand = "touch /srv/done; sleep 1"

// halfWay is a run with some commands ended, some at work, and hosts whose turn has not come.
func halfWay(l simfleet.Ledger) bool {
	return len(l.Commands)-len(l.Running()) >= 1 && len(l.Running()) >= 20
}

// TestFleetRunsToItsEnd is the measure for the others: it has the same account, and every host in it.
func TestFleetRunsToItsEnd(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, "touch", "/srv/done")
	status := s.wait(t)
	l := s.nothingLeft(t)
	if want := fleetHosts - s.Dead() - s.Refuses(); len(l.Commands) != want || len(s.ends(t)) != want {
		t.Errorf("%d commands started and %d ended, want %d\n%s", len(l.Commands), len(s.ends(t)), want, s.stderr.String())
	}
	if status != 77 { // refusals come before hosts that did not answer
		t.Errorf("exit status %d, want 77", status)
	}
}

func TestInterruptedBeforeAnythingStarted(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, "touch", "/srv/done")
	s.until(t, "the preflight's half", func(l simfleet.Ledger) bool { return l.Reports >= fleetHosts/3 })
	s.signal(t, syscall.SIGINT)
	status := s.wait(t)
	l := s.nothingLeft(t)
	if status != 130 || len(l.Commands) != 0 || !strings.Contains(s.stderr.String(), "nothing was started") {
		t.Errorf("exit status %d, %d commands started\n%s", status, len(l.Commands), s.stderr.String())
	}
}

// TestInterruptedHalfWay: the first ^C lets nothing more start, and each running command is asked to stop.
func TestInterruptedHalfWay(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, longCommand)
	s.until(t, "its half", halfWay)
	s.signal(t, syscall.SIGINT)
	status := s.wait(t)
	atExit := s.Ledger()
	l := s.nothingLeft(t)
	ends := s.ends(t)
	stopped := 0
	for _, c := range l.Commands {
		if c.Signal == "INT" {
			stopped++
		}
		if e, ok := ends[c.Lock]; !ok || e.Exit == nil || *e.Exit != c.Status {
			t.Errorf("%s ended with %d, the audit log says %+v", c.Host, c.Status, e)
		}
	}
	if stopped == 0 || len(l.Commands) >= fleetHosts-s.Dead()-s.Refuses() {
		t.Errorf("%d of %d commands were asked to stop", stopped, len(l.Commands))
	}
	if running := atExit.Running(); status != 1 || len(running) > 0 {
		t.Errorf("exit status %d while commands ran on %v", status, running)
	}
}

// TestInterruptedReadOnly: there is no lock to go by; the other sessions of the same connection are asked to stop.
func TestInterruptedReadOnly(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, "sleep", "20")
	s.until(t, "its half", func(l simfleet.Ledger) bool { return len(l.Running()) >= 50 })
	s.signal(t, syscall.SIGINT)
	status := s.wait(t)
	l := s.nothingLeft(t)
	for _, c := range l.Commands {
		if c.Signal != "INT" {
			t.Errorf("%s: it got %q", c.Host, c.Signal)
		}
	}
	if status != 1 {
		t.Errorf("exit status %d", status)
	}
}

// TestInterruptedTwiceHalfWay: the second ^C leaves at once, and names where the command may still be running.
func TestInterruptedTwiceHalfWay(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, longCommand)
	s.until(t, "its half", halfWay)
	s.signal(t, syscall.SIGINT)
	time.Sleep(60 * time.Millisecond) // more than what makes two signals one
	s.signal(t, syscall.SIGINT)
	left := time.Now()
	status := s.wait(t)
	if took := time.Since(left); took > 5*time.Second {
		t.Errorf("it took %v to leave", took)
	}
	l := s.nothingLeft(t)
	ends := s.ends(t)
	for _, c := range l.Commands {
		if e, ok := ends[c.Lock]; !ok || e.Outcome != "lost" && (e.Exit == nil || *e.Exit != c.Status) {
			t.Errorf("%s ended with %d, the audit log says %+v", c.Host, c.Status, e)
		}
	}
	lost := slices.ContainsFunc(l.Commands, func(c simfleet.Command) bool { return ends[c.Lock].Outcome == "lost" })
	if said := strings.Contains(s.stderr.String(), "may still be running on"); said != lost {
		t.Errorf("status %d; a command was lost: %v; hosts named: %v\n%s", status, lost, said, s.stderr.String())
	}
}

// TestKilledHalfWay: what runs runs on, its locks stay until then, and all of it stands in the audit log.
func TestKilledHalfWay(t *testing.T) {
	t.Parallel()
	s := simulate(t)
	s.start(t, longCommand)
	s.until(t, "its half", halfWay)
	s.signal(t, syscall.SIGKILL)
	if status := s.wait(t); status != -1 {
		t.Fatalf("exit status %d", status)
	}
	if l := s.Ledger(); len(l.Held) == 0 {
		t.Errorf("no lock outlived the client: %d commands, running on %v", len(l.Commands), l.Running())
	}
	l := s.nothingLeft(t)
	for _, c := range l.Commands {
		if c.Signal != "" || c.Status != 0 {
			t.Errorf("%s: it got %q and ended with %d", c.Host, c.Signal, c.Status)
		}
	}
}
