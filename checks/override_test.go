package checks

import (
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// An override turns a refusal into a yes, once, for the same command in the same place, and never against a lock or a lease.
func TestOverride(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	execOn(t, h, "mkdir -p /var/lib/mysql; : >/var/lib/mysql/ibdata1")
	const command = "echo ran >>/tmp/ran-$(id -un)"
	offered := func(who account) string {
		t.Helper()
		r := runOf(Destructive, command)
		r.Offer, r.Run = true, runA
		a := ask(t, h, who, r)
		if a.code != 77 || !a.has("needs-data") || len(a.report.OverrideID) != 8 {
			t.Fatalf("%s: no override is offered: %v", who.name, a)
		}
		return a.report.OverrideID
	}
	with := func(id string) Request {
		r := runOf(Destructive, command)
		r.Override, r.Reason, r.Run, r.Offer = id, "the disk's gone", runA, true
		return r
	}
	refused := func(what, code string, r Request) {
		t.Helper()
		a := ask(t, h, accounts[0], r)
		if a.code != 77 || !a.has(code) || a.report.Facts["override"] != "" {
			t.Errorf("%s: want %s: %v", what, code, a)
		}
		// The refusal comes with a new one, but for a command that no override is for.
		if (a.report.OverrideID == "") != (r.Class == Routine) {
			t.Errorf("%s: override %q", what, a.report.OverrideID)
		}
	}
	for _, who := range accounts[:2] {
		id := offered(who)
		a := ask(t, h, who, with(id))
		if a.code != 0 || a.report.Facts["override"] != id || !a.has("needs-data") || a.report.LockID == "" {
			t.Errorf("%s: %v", who.name, a)
		}
		refused("a second time", "override-unknown", with(id))
	}
	if got := execOn(t, h, "cat /tmp/ran-root /tmp/ran-ops"); strings.Count(got, "ran") != 2 {
		t.Errorf("it ran %q", got)
	}
	if a := ask(t, h, accounts[2], with(offered(accounts[0]))); a.code != 77 || a.report.OverrideID != "" || a.state() != "unknown" {
		t.Errorf("without root: %v", a)
	}

	refused("never given", "override-unknown", with("0a0b0c0d"))
	r := with(offered(accounts[0]))
	r.Command = "echo other >>/tmp/ran"
	refused("another command", "override-command", r)
	r = with(offered(accounts[0]))
	r.Class = Disruptive
	if a := ask(t, h, accounts[0], r); a.code != 77 || !a.has("override-command") {
		t.Errorf("another class: %v", a)
	}
	r = with(offered(accounts[0]))
	r.Shell = "/bin/bash"
	refused("another shell", "override-command", r)
	id := offered(accounts[0])
	execOn(t, h, "echo '/srv *(rw)' >/etc/exports")
	refused("another reason", "override-reasons", with(id))
	execOn(t, h, "rm /etc/exports")
	if a := ask(t, h, accounts[0], with(id)); a.code != 0 {
		t.Errorf("the old reasons again: %v", a)
	}
	id = offered(accounts[0])
	execOn(t, h, "f=/var/lib/interlock/override."+id+"; sed 's/^[0-9]*/1/' $f >/tmp/f && cat /tmp/f >$f")
	refused("after ten minutes", "override-lapsed", with(id))
	for _, garbled := range []string{"", "x", "99999999999 "} {
		execOn(t, h, "printf '"+garbled+"' >/var/lib/interlock/override.0b0b0b0b")
		refused("a file that holds "+garbled, "override-lapsed", with("0b0b0b0b"))
	}
	id = offered(accounts[0])
	execOn(t, h, "tr 0-8 1-9 </etc/machine-id >/etc/machine-id.new && cat /etc/machine-id.new >/etc/machine-id")
	refused("another machine", "override-reasons", with(id))

	// What belongs to somebody else stays theirs.
	id = offered(accounts[0])
	if a := ask(t, h, accounts[0], leaseOf(runB, LeaseTime)); a.report == nil || a.report.LeaseID == "" {
		t.Fatalf("%v", a)
	}
	if a := ask(t, h, accounts[0], with(id)); a.code != 75 || !a.has("leased") {
		t.Errorf("a lease: %v", a)
	}
	if got := serveOn(t, h, accounts[0], leaseService(runB, 0)); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	execOn(t, h, "echo '00ff someone destructive x y z' >/var/lib/interlock/lock")
	if a := ask(t, h, accounts[0], with(id)); a.code != 75 || !a.has("locked") {
		t.Errorf("a lock: %v", a)
	}
	execOn(t, h, "rm /var/lib/interlock/lock")
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused("after a boot", "override-lapsed", with(id))
	if left := strings.Fields(execOn(t, h, "cd /var/lib/interlock; ls | grep override")); len(left) != 1 {
		t.Errorf("overrides that nobody can use are left: %v", left)
	}
	// A check gives one too, where it is told the command.
	r = checkOf()
	r.Offer, r.Command = true, command
	a := ask(t, h, accounts[0], r)
	if a.report == nil || a.report.OverrideID == "" {
		t.Fatalf("a check: %v", a)
	}
	if b := ask(t, h, accounts[0], with(a.report.OverrideID)); b.code != 0 {
		t.Errorf("with the override of a check: %v", b)
	}
}
