package fleet

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"interlock/checks"
	"interlock/internal/testrig"
)

// oneServer is a live MySQL primary, db1, with a syslogd, and app1 without a database.
func oneServer(t *testing.T) *realHosts {
	t.Helper()
	rig := testrig.For(t)
	hosts, err := rig.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MySQL}}, testrig.HostSpec{Name: "app1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hosts[0].StartServer(t.Context(), testrig.ServerSpec{Product: testrig.MySQL}); err != nil {
		t.Fatal(err)
	}
	h := &realHosts{Rig: rig, config: filepath.Join(t.TempDir(), "hosts.toml"), state: t.TempDir()}
	if err := os.WriteFile(h.config, []byte("[defaults]\nconnect_timeout = \"5s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", h.state)
	for _, host := range []string{"db1", "app1"} {
		h.exec(t, host, "setsid -f busybox syslogd -n -O /tmp/syslog </dev/null >/dev/null 2>&1; until [ -S /dev/log ]; do sleep 0.1; done")
	}
	return h
}

var glassLine = regexp.MustCompile(`to break the glass, within ten minutes, at your own risk: interlock run --override ([0-9a-f]{8}-[0-9a-f]{8}) --reason TEXT --config \S+ -F \S+ db1 -- '?([^'\n]*)'?\n`)

// glass gives the override that a refusal came with.
func glass(t *testing.T, r result, command string) string {
	t.Helper()
	m := glassLine.FindStringSubmatch(r.stderr)
	if r.status != ExitRefused || m == nil || m[2] != command {
		t.Fatalf("no override: %+v", r)
	}
	return m[1]
}

// An override lets one command through on a live primary, once, on record on both sides.
func TestOverrideOnRealHosts(t *testing.T) {
	h := oneServer(t)
	const command = "touch /tmp/over"
	id := glass(t, h.run(t, "db1", command, RunOptions{}), command)
	r := h.run(t, "db1", command, RunOptions{Override: id, Reason: "the disk's on fire"})
	if r.status != 0 || !h.there(t, "db1", "/tmp/over") || !strings.Contains(r.stderr, "overridden: touch /tmp/over on db1\n  in spite of: ") {
		t.Errorf("%+v", r)
	}
	all := h.audited(t)
	e := all[len(all)-2]
	if e.Event != "decision" || e.Verdict != "run" || e.State != "primary" || e.Override != id || e.Reason != "the disk's on fire" || len(e.Reasons) == 0 || e.Lock == "" {
		t.Errorf("audit line: %+v", e)
	}
	reason := base64.StdEncoding.EncodeToString([]byte("the disk's on fire"))
	log := h.exec(t, "db1", "cat /tmp/syslog")
	for _, want := range []string{`"event":"decision"`, `"verdict":"refuse"`, `"verdict":"run"`, `"override":"` + id[:8] + `"`, `"reason64":"` + reason + `"`, `"event":"ended"`, `"run":"` + e.Run + `"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the host's log lacks %s:\n%s", want, log)
		}
	}

	h.exec(t, "db1", "rm /tmp/over")
	r = h.run(t, "db1", command, RunOptions{Override: id, Reason: "again"})
	if !strings.Contains(r.stderr, "has been used") {
		t.Errorf("a second time: %+v", r)
	}
	// What our part is bound to has changed: the host would let it pass.
	id = glass(t, r, command)
	r = h.run(t, "db1", command, RunOptions{Override: id[:8] + "-00000000", Reason: "again"})
	if !strings.Contains(r.stderr, "now they are") || glass(t, r, command) != id {
		t.Errorf("our part is another: %+v", r)
	}
	r = h.run(t, "db1", command+"2", RunOptions{Override: id, Reason: "again"})
	if !strings.Contains(r.stderr, "given for another command") {
		t.Errorf("another command: %+v", r)
	}
	if h.there(t, "db1", "/tmp/over") || h.there(t, "db1", "/tmp/over2") {
		t.Error("it ran")
	}
	r = h.run(t, "app1", command, RunOptions{Override: id, Reason: "again"})
	if r.status != ExitRefused || h.there(t, "app1", "/tmp/over") {
		t.Errorf("on another host: %+v", r)
	}
}

func TestOverrideUsage(t *testing.T) {
	for name, o := range map[string]RunOptions{
		"no reason":    {Override: "0a0b0c0d-0a0b0c0d"},
		"empty reason": {Override: "0a0b0c0d-0a0b0c0d", Reason: "  "},
		"reason alone": {Reason: "because"},
		"half an ID":   {Override: "0a0b0c0d", Reason: "because"},
	} {
		if err := o.validateOverride(1); ExitStatus(err) != ExitUsage {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := RunOptions{Override: "0a0b0c0d-0a0b0c0d", Reason: "because"}
	if err := o.validateOverride(2); ExitStatus(err) != ExitUsage {
		t.Errorf("two hosts: %v", err)
	}
	if err := o.validateOverride(1); err != nil {
		t.Error(err)
	}
}

// What locks list, show and break say of a lock and a lease, and what they leave on record.
func TestLocksOnRealHosts(t *testing.T) {
	h := oneServer(t)
	s := h.start(t, RunOptions{Hosts: "app1", Command: []string{"touch /tmp/up; sleep 300"}}, "")
	eventually(t, time.Minute, "it runs", func() bool { return h.there(t, "app1", "/tmp/up") || s.stderr.String() != "" })
	locks := func(o LocksOptions) (string, int) {
		t.Helper()
		o.Remote, o.Hosts = h.remote(), "app1"
		var out, said bytes.Buffer
		l, err := NewLocks(o, Streams{Out: &out, Err: &console{w: &said}})
		if err != nil {
			t.Fatal(err)
		}
		err = l.Run(t.Context())
		return out.String() + said.String(), ExitStatus(err)
	}
	list, _ := locks(LocksOptions{})
	m := regexp.MustCompile(`(?m)^app1 +lock +([0-9a-f]{12}) .* destructive .* running +touch /tmp/up; sleep 300$`).FindStringSubmatch(list)
	if m == nil {
		t.Fatalf("list: %q", list)
	}
	id := m[1]
	show, _ := locks(LocksOptions{Show: true, ID: id})
	for _, want := range []string{"lock on app1\n", "id       " + id + "\n", "command  touch /tmp/up; sleep 300\n", ", running\n", "output   interlock logs app1 " + id + "\n", "expires  never: its command ends, or it is broken\n"} {
		if !strings.Contains(show, want) {
			t.Errorf("show lacks %q:\n%s", want, show)
		}
	}
	if out, status := locks(LocksOptions{Show: true, ID: "0f0f"}); status != ExitFailed {
		t.Errorf("show of another: %q, %d", out, status)
	}
	if out, status := locks(LocksOptions{Break: id, Reason: "its owner has left"}); status != 0 {
		t.Errorf("break: %q, %d", out, status)
	}
	// A lease.
	q := checks.Request{Nonce: checks.NewNonce(), Mode: checks.ModeLease, Host: "app1", Owner: "me@here", Run: "0123456789ab", Lease: checks.LeaseTime}
	line, err := q.ExecLine()
	if err != nil {
		t.Fatal(err)
	}
	out := h.exec(t, "app1", line)
	m = regexp.MustCompile(`^lease ([0-9a-f]{12}) 60\n$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("lease: %q", out)
	}
	if show, _ := locks(LocksOptions{Show: true}); !strings.Contains(show, "lease on app1\nid       "+m[1]+"\nowner    me@here\nrun      0123456789ab\n") || !strings.Contains(show, "s, unless its run renews it\n") {
		t.Errorf("show of a lease: %s", show)
	}
	if out, status := locks(LocksOptions{Break: m[1], Reason: "tired of waiting"}); status != 0 {
		t.Errorf("break a lease: %q, %d", out, status)
	}
	if list, _ := locks(LocksOptions{}); strings.Contains(list, m[1]) || strings.Contains(list, id) {
		t.Errorf("still there: %q", list)
	}
	all := h.audited(t)
	if e := all[len(all)-1]; e.Event != "break" || e.Lock != m[1] || e.Reason != "tired of waiting" {
		t.Errorf("audit line: %+v", e)
	}
	log := h.exec(t, "app1", "cat /tmp/syslog")
	for _, event := range []string{"lock-broken", "lease-broken"} {
		if !strings.Contains(log, `"event":"`+event+`"`) {
			t.Errorf("the host's log lacks %s:\n%s", event, log)
		}
	}
	s.interrupts <- os.Interrupt
	s.wait(t)
}
