package checks

import (
	"context"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// A client that says go to everything, over SSH, gets nothing started on a live primary, on its replicas, on a server
// that has one idle client, and beside a data directory without a server. On the clean host the same bytes run it.
func TestTamperedClientStartsNothing(t *testing.T) {
	rig := testrig.For(t)
	fleet, err := rig.Build(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	quiet := addHost(t, rig, "quiet", testrig.MySQL)
	held, err := startServer(t, quiet, testrig.ServerSpec{Product: testrig.MySQL}).Traffic(t.Context(), testrig.TrafficSpec{Idle: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Stop() })
	if err := fleet.Servers["db4"].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"db1": 77, "db2": 77, "db3": 77, "quiet": 77, "db4": 77, "app1": 0} {
		for _, login := range []string{"root", "ops"} {
			r := runOf(Destructive, "echo ran >>/tmp/ran-by-$(id -un)")
			line, err := r.ExecLine()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			cmd := overSSH(ctx, rig, login+"@"+host, line)
			cmd.Stdin = strings.NewReader(strings.Repeat(r.GoLine(), 3))
			out, err := cmd.CombinedOutput()
			cancel()
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("%s@%s: exit %d, want %d: %v: %s", login, host, code, want, err, out)
			}
			ran := strings.TrimSpace(execOn(t, rig.Host(host), "cat /tmp/ran-by-"+login+" 2>/dev/null || echo no"))
			if (ran == "ran") != (want == 0) {
				t.Errorf("%s@%s: the command left %q", login, host, ran)
			}
		}
	}
}
