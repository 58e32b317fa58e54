package fleet

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"interlock/internal/testrig/simfleet"

	"go.uber.org/goleak"
)

// TestInterruptedLeavesNoGoroutine leaves a run of 100 hosts half-way, at the first signal and at the second. What
// hosts and files keep of an interrupted client the tests of the whole program look at.
func TestInterruptedLeavesNoGoroutine(t *testing.T) {
	fleet, err := simfleet.Start(simfleet.Options{Hosts: 100, RoundTrip: 10 * time.Millisecond, Inspect: 10 * time.Millisecond,
		Slow: 500 * time.Millisecond, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	config := filepath.Join(t.TempDir(), "hosts.toml")
	if err := os.WriteFile(config, []byte("[defaults]\nconnect_timeout = \"2s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, signals := range []int{1, 2} {
		before := goleak.IgnoreCurrent()
		started := len(fleet.Ledger().Commands)
		interrupts := make(chan os.Signal, 2)
		var stdout, stderr safeBuffer
		hosts := 100
		run, err := NewRun(RunOptions{
			Remote: Remote{Config: config, SSHConfig: fleet.Config()}, Hosts: fleet.Set(), Command: []string{"touch /srv/done; sleep 1"}, Shell: "/bin/sh",
			ExpectHosts: &hosts, SkipRefused: true, SkipUnreachable: hosts, Parallel: 32, Interrupts: interrupts,
		}, Streams{In: null, Out: &stdout, Err: &stderr})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for end := time.Now().Add(time.Minute); len(fleet.Ledger().Commands) < started+20 && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			for range signals {
				interrupts <- syscall.SIGINT
				time.Sleep(2 * sameSignal)
			}
		}()
		if err := run.Run(t.Context()); err == nil {
			t.Errorf("%d signals: it ended well\n%s", signals, stderr.String())
		}
		if n := len(fleet.Ledger().Commands) - started; n < 20 || n > 80 {
			t.Errorf("%d signals: %d commands started\n%s", signals, n, stderr.String())
		}
		if err := fleet.Idle(t.Context()); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, before)
	}
}
