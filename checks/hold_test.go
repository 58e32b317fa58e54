package checks

import (
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// A lock for a command that runs elsewhere stays when its session ends. It is released by its id and its run, and closed by
// a new boot or a new machine id, whatever its class.
func TestLockForElsewhere(t *testing.T) {
	rig := testrig.For(t)
	h := quietHost(t, rig, "h1")
	destroy := func(run string) Request {
		r := lockOf(run, Destructive)
		r.Allow = []string{"data"}
		return r
	}
	for i, who := range accounts[:2] {
		a := ask(t, h, who, destroy(runA))
		if a.code != 0 || a.out != "" || !a.report.Run() || a.report.LockID == "" {
			t.Fatalf("%s: %v", who.name, a)
		}
		id := a.report.LockID
		if a := ask(t, h, who, lockOf(runB, Disruptive)); a.code != 75 || !a.has("locked") || a.report.LockID != "" || a.report.Held[0].For != "local" || a.report.Held[0].ID != id {
			t.Errorf("%s: a second one: %v", who.name, a)
		}
		if a := ask(t, h, who, runOf(Disruptive, "true")); a.code != 75 {
			t.Errorf("%s: a command on the host: %v", who.name, a)
		}
		release := service(ModeLocks, id, "")
		release.Release, release.Run = true, runB
		if got := serveOn(t, h, who, release); got.code != 1 || !strings.Contains(got.stderr, "another run") {
			t.Errorf("%s: another run released it: %+v", who.name, got)
		}
		switch i {
		case 0:
			release.Run = runA
			if got := serveOn(t, h, who, release); got.code != 0 {
				t.Errorf("%s: release: %+v", who.name, got)
			}
		case 1:
			if err := h.Reboot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b := ask(t, h, who, destroy(runB))
		if b.code != 0 || b.report.LockID == "" || (i == 1) != (b.report.Facts["lock_closed"] == id) {
			t.Errorf("%s: after it was gone: %v, %v", who.name, b, b.report)
		}
		// A new machine id.
		execOn(t, h, "tr 0-8 1-9 </etc/machine-id >/etc/machine-id.new && cat /etc/machine-id.new >/etc/machine-id")
		if a := ask(t, h, who, checkOf()); a.report == nil || a.report.Facts["lock_closed"] != b.report.LockID || a.has("locked") {
			t.Errorf("%s: with a new machine id: %v", who.name, a)
		}
	}
	// What refuses leaves no lock.
	if a := ask(t, h, accounts[0], lockOf(runA, Destructive)); a.code != 77 || !a.has("needs-data") || a.report.LockID != "" {
		t.Errorf("data: %v", a)
	}
	unlocked(t, h)
}
