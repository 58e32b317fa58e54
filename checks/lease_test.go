package checks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// leaseOf is a check of one run that asks for a lease.
func leaseOf(run string, length time.Duration) Request {
	r := checkOf()
	r.Class, r.Run, r.Lease = ReadOnly, run, length
	return r
}

// lockOf is a request of one run to lock a host for a command that runs elsewhere.
func lockOf(run string, class Class) Request {
	r := checkOf()
	r.Mode, r.Class, r.Run, r.Command = ModeLock, class, run, "./pxe-reinstall h1"
	return r
}

// quietHost holds a data directory without a server: nothing is searched, which takes its time on a loaded machine.
func quietHost(t *testing.T, rig *testrig.Rig, name string) *testrig.Host {
	t.Helper()
	h := addHost(t, rig, name)
	execOn(t, h, "mkdir -p /var/lib/mysql; : >/var/lib/mysql/ibdata1")
	return h
}

const runA, runB = "aaaaaaaaaaaa", "bbbbbbbbbbbb"

// serveOn makes a request that inspects nothing, inside the host.
func serveOn(t *testing.T, h *testrig.Host, who account, r Request) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	line, err := r.ExecLine()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := direct(ctx, h, who, line)
	if err != nil {
		t.Fatal(err)
	}
	return plainly(cmd, nil)
}

// leaseService takes, renews or (length 0) releases without an inspection.
func leaseService(run string, length time.Duration) Request {
	r := service(ModeLease, "", "")
	r.Run, r.Lease = run, length
	return r
}

// held gives the run that holds a lock or a lease, by the report; "" for none.
func (a answer) held(kind string) string {
	if a.report == nil {
		return "no report"
	}
	for _, h := range a.report.Held {
		if h.Kind == kind {
			return h.Run
		}
	}
	return ""
}

// A lease is one run's; the other one is told by whom, gets the facts all the same, and gets it once it is released.
func TestLease(t *testing.T) {
	rig := testrig.For(t)
	h := quietHost(t, rig, "h1")
	for _, who := range accounts[:2] {
		first := ask(t, h, who, leaseOf(runA, LeaseTime))
		if first.report == nil || first.report.LeaseID == "" || first.held("lease") != runA || !first.report.Run() || first.has("leased") {
			t.Fatalf("%s: the first: %v", who.name, first)
		}
		if left := first.report.Held[0].Left; left < 50*time.Second || left > LeaseTime {
			t.Errorf("%s: %v left of %v", who.name, left, LeaseTime)
		}
		other := ask(t, h, who, leaseOf(runB, LeaseTime))
		if other.state() != "stopped" || other.report.LeaseID != "" || other.report.Verdict != "locked" || !other.has("leased") || other.held("lease") != runA {
			t.Errorf("%s: another run: %v", who.name, other)
		}
		if got := serveOn(t, h, who, leaseService(runB, LeaseTime)); got.code != 75 || !strings.Contains(got.stderr, "test") {
			t.Errorf("%s: another run, without a check: %+v", who.name, got)
		}
		again := ask(t, h, who, leaseOf(runA, LeaseTime))
		if again.report == nil || again.report.LeaseID != first.report.LeaseID || !again.report.Run() {
			t.Errorf("%s: renewed: %v", who.name, again)
		}
		if got := serveOn(t, h, who, leaseService(runA, LeaseTime)); got.code != 0 || got.out != "lease "+first.report.LeaseID+" 60\n" {
			t.Errorf("%s: renewed without a check: %+v", who.name, got)
		}
		if got := serveOn(t, h, who, leaseService(runB, 0)); got.code != 0 {
			t.Errorf("%s: release of what is not ours: %+v", who.name, got)
		}
		if a := ask(t, h, who, leaseOf(runB, LeaseTime)); a.report == nil || a.report.Verdict != "locked" {
			t.Errorf("%s: another run released it: %v", who.name, a)
		}
		if got := serveOn(t, h, who, leaseService(runA, 0)); got.code != 0 {
			t.Errorf("%s: release: %+v", who.name, got)
		}
		next := ask(t, h, who, leaseOf(runB, LeaseTime))
		if next.report == nil || next.report.LeaseID == "" || next.report.LeaseID == first.report.LeaseID || next.held("lease") != runB {
			t.Errorf("%s: after the release: %v", who.name, next)
		}
		if got := serveOn(t, h, who, leaseService(runB, 0)); got.code != 0 {
			t.Errorf("%s: release: %+v", who.name, got)
		}
	}
	if a := ask(t, h, accounts[2], leaseOf(runA, LeaseTime)); a.state() != "unknown" || a.report.LeaseID != "" || a.report.Verdict != "refuse" {
		t.Errorf("without root: %v", a)
	}
	if left := execOn(t, h, "ls /var/lib/interlock | grep -c lease"); len(left) > 3 {
		t.Errorf("%s files are left of the leases", left)
	}
}

// A lease and a lock of different runs exclude each other; those of one run do not.
func TestLeaseAndLock(t *testing.T) {
	rig := testrig.For(t)
	h := quietHost(t, rig, "h1")
	root := accounts[0]
	run := func(id string) Request {
		r := runOf(Disruptive, "true")
		r.Run = id
		return r
	}
	if a := ask(t, h, root, leaseOf(runA, LeaseTime)); a.report == nil || a.report.LeaseID == "" {
		t.Fatalf("%v", a)
	}
	for _, id := range []string{runB, ""} {
		if a := ask(t, h, root, run(id)); a.code != 75 || a.report.Verdict != "locked" || !a.has("leased") || a.has("locked") {
			t.Errorf("a command of run %q on a host that another run relies on: %v", id, a)
		}
	}
	if a := ask(t, h, root, lockOf(runB, Disruptive)); a.code != 75 || !a.has("leased") || a.report.LockID != "" {
		t.Errorf("a lock: %v", a)
	}
	r := runOf(Routine, "true")
	r.Run = runB
	if a := ask(t, h, root, r); a.code != 0 {
		t.Errorf("a routine command: %v", a)
	}
	if a := ask(t, h, root, run(runA)); a.code != 0 {
		t.Errorf("a command of its own run: %v", a)
	}
	unlocked(t, h)
	own := ask(t, h, root, lockOf(runA, Disruptive))
	if own.code != 0 || own.report.LockID == "" {
		t.Fatalf("a lock of its own run: %v", own)
	}
	if a := ask(t, h, root, leaseOf(runA, LeaseTime)); a.report == nil || a.report.LeaseID == "" || a.has("locked") || a.held("lock") != runA {
		t.Errorf("the lease beside the lock of the same run: %v", a)
	}
	if got := serveOn(t, h, root, leaseService(runA, 0)); got.code != 0 {
		t.Errorf("release: %+v", got)
	}
	a := ask(t, h, root, leaseOf(runB, LeaseTime))
	if a.state() != "stopped" || a.report.LeaseID != "" || !a.has("locked") || a.held("lock") != runA || a.held("lease") != "" || !a.report.Run() {
		t.Errorf("a lease where another run holds the lock: %v", a)
	}
	if got := serveOn(t, h, root, leaseService(runB, LeaseTime)); got.code != 75 || !strings.Contains(got.stderr, "locked by test") {
		t.Errorf("the same without a check: %+v", got)
	}
}

// A lease that has run out, or is of an older boot, is nobody's; the host's clock does not matter, and the renewal of one that
// ran out has another id.
func TestLeaseEnds(t *testing.T) {
	rig := testrig.For(t)
	h := quietHost(t, rig, "h1")
	root := accounts[0]
	first := ask(t, h, root, leaseOf(runA, 2*time.Second))
	if first.report == nil || first.report.LeaseID == "" {
		t.Fatalf("%v", first)
	}
	time.Sleep(2500 * time.Millisecond)
	if a := ask(t, h, root, leaseOf(runA, 2*time.Second)); a.report == nil || a.report.LeaseID == "" || a.report.LeaseID == first.report.LeaseID {
		t.Errorf("after it had run out: %v", a)
	}
	time.Sleep(2500 * time.Millisecond)
	if a := ask(t, h, root, leaseOf(runB, LeaseTime)); a.report == nil || a.report.LeaseID == "" {
		t.Errorf("another run, after it had run out: %v", a)
	}
	if err := h.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, h, root, leaseOf(runA, LeaseTime)); a.report == nil || a.report.LeaseID == "" {
		t.Errorf("after a boot: %v", a)
	}
	// A lease that cannot be read is in force.
	execOn(t, h, "cd /var/lib/interlock; for f in lease.*; do :; done; n=${f#lease.}; : >lease.$((n + 1))")
	if a := ask(t, h, root, leaseOf(runA, LeaseTime)); a.report == nil || a.report.Verdict != "locked" || !a.has("leased") {
		t.Errorf("an empty one: %v", a)
	}
}

// Without a place to write there is no lease.
func TestLeaseNeedsRoom(t *testing.T) {
	rig := testrig.For(t)
	for name, prepare := range map[string]string{
		"read-only": "for d in /var/lib/interlock /run/interlock; do mkdir -p $d; mount -t tmpfs -o ro none $d; done",
		"no-ln":     "rm $(command -v ln)",
		"lying-ln":  `p=$(command -v ln); rm $p; printf '#!/bin/sh\nexit 0\n' >$p; chmod 755 $p`,
	} {
		h := quietHost(t, rig, "h-"+name)
		execOn(t, h, prepare)
		a := ask(t, h, accounts[0], leaseOf(runA, LeaseTime))
		if a.report == nil || a.report.LeaseID != "" || a.report.Verdict != "refuse" || !a.has("no-lease") {
			t.Errorf("%s: %v", name, a)
		}
		if got := serveOn(t, h, accounts[0], leaseService(runA, LeaseTime)); got.code != 77 || got.out != "" {
			t.Errorf("%s: without a check: %+v", name, got)
		}
	}
}

// Of many that ask at the same moment one gets it: leases that have run out among them, and locks beside them. Each round
// begins when what the last one left has run out.
func TestLeaseRace(t *testing.T) {
	rig := testrig.For(t)
	h := quietHost(t, rig, "h1")
	const takers, rounds, length = 16, 6, 20 * time.Second
	winners := 0
	for round := range rounds {
		// The youngest is one that has run out, as after a run that died.
		execOn(t, h, "cd /var/lib/interlock 2>/dev/null && for f in lease.*; do [ -e \"$f\" ] && sed 's/^\\([^ ]* [^ ]* [^ ]* [^ ]*\\) [0-9]*/\\1 1/' $f >x && cat x >$f; done; rm -f x lock; true")
		var wg sync.WaitGroup
		got := make([]bool, takers)
		locks := make([]bool, takers)
		start := make(chan struct{})
		for i := range takers {
			run := fmt.Sprintf("%012x", 1+round*takers+i)
			wg.Go(func() {
				<-start
				if i%4 == 3 && round%2 == 1 {
					a := ask(t, h, accounts[0], lockOf(run, Disruptive))
					locks[i] = a.report != nil && a.report.LockID != ""
					return
				}
				got[i] = serveOn(t, h, accounts[0], leaseService(run, length)).code == 0
			})
		}
		close(start)
		wg.Wait()
		held, locked := 0, 0
		for i := range takers {
			if got[i] {
				held++
			}
			if locks[i] {
				locked++
			}
		}
		if held > 1 || locked > 1 || held+locked > 1 {
			t.Errorf("round %d: %d runs hold the lease and %d the lock", round, held, locked)
		}
		winners += held + locked
		t.Logf("round %d: %d lease, %d lock", round, held, locked)
	}
	if winners < rounds/2 {
		t.Errorf("only %d of %d rounds had a winner", winners, rounds)
	}
}
