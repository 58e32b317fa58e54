package fleet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/sshrun"
)

var upgrade = policy.Classification{Command: "apt-get -y dist-upgrade", Class: checks.Disruptive}

func yes(host string) verdict { return verdict{host: host, kind: exited, state: checks.Clear} }

func no(host, text, remedy string) verdict {
	return verdict{host: host, kind: refused, state: checks.Primary, reasons: []checks.Reason{{Code: "primary", Text: text, Remedy: remedy}}}
}

// gone is a host that refuses the connection; each has an address of its own, by the last letter of its name.
func gone(host string) verdict {
	refused := &net.OpError{
		Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, host[len(host)-1]), Port: 22},
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
	return verdict{host: host, kind: unreachable, err: &sshrun.HostError{
		Host: host, Stage: sshrun.StageConnect, Err: refused, Remedy: "see whether sshd runs there",
	}}
}

func TestPlanStartsNowhereAfterOneNo(t *testing.T) {
	for _, c := range []struct {
		name            string
		verdicts        []verdict
		skipRefused     bool
		skipUnreachable int
		runs            string
		exit            int
	}{
		{"all agree", []verdict{yes("a"), yes("b")}, false, 0, "a b", 0},
		{"one refuses", []verdict{yes("a"), no("b", "x", ""), yes("c")}, false, 0, "", 77},
		{"one refuses and may be left out", []verdict{yes("a"), no("b", "x", ""), yes("c")}, true, 0, "a c", 0},
		{"one is locked", []verdict{yes("a"), {host: "b", kind: locked}}, false, 0, "", 75},
		{"one is locked and may be left out", []verdict{yes("a"), {host: "b", kind: locked}}, true, 0, "a", 0},
		{"one is unreachable", []verdict{yes("a"), gone("b")}, false, 0, "", 69},
		{"refusals may be left out, the unreachable not", []verdict{yes("a"), gone("b")}, true, 0, "", 69},
		{"as many unreachable as may be left out", []verdict{yes("a"), gone("b"), gone("c")}, false, 2, "a", 0},
		{"one more than that", []verdict{yes("a"), gone("b"), gone("c")}, false, 1, "", 69},
		{"the unreachable may be left out, refusals not", []verdict{no("a", "x", ""), gone("b"), yes("c")}, false, 5, "", 77},
		{"nobody is left", []verdict{no("a", "x", ""), gone("b")}, true, 1, "", 0},
	} {
		p := makePlan(upgrade, c.verdicts, c.skipRefused, c.skipUnreachable)
		if got := strings.Join(p.runs, " "); got != c.runs {
			t.Errorf("%s: runs on %q, want %q", c.name, got, c.runs)
		}
		if got := p.exit(); got != c.exit {
			t.Errorf("%s: exit %d, want %d", c.name, got, c.exit)
		}
		if len(p.blocking) > 0 && len(p.runs) > 0 {
			t.Errorf("%s: blocked by %v, yet runs on %v", c.name, p.blocking, p.runs)
		}
	}
}

func TestPlanText(t *testing.T) {
	p := makePlan(upgrade, []verdict{yes("app1"), no("db1", "x", ""), yes("app2"), gone("db8"), gone("db9"), {host: "db4", kind: exited, state: checks.Idle}}, true, 2)
	const want = `interlock: plan: apt-get -y dist-upgrade (disruptive) on 6 hosts
  run          app[1-2] (2): clear
  refused      db1 (1): primary
  unreachable  db[8-9] (2): connect: connection refused
  run          db4 (1): idle
`
	if got := p.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestRefusalText(t *testing.T) {
	const remedy = "wait for db2 to catch up, then run this again"
	needy := verdict{host: "db5", kind: refused, reasons: []checks.Reason{{Code: "serving", Text: "db5 is a replica that serves 12 clients"}}, needs: []string{"replica", "serving"}}
	got := refusals("systemctl stop mysql", []verdict{
		no("db3", "only replica of db1 within 30s of it (db2: lag 412s)", remedy),
		yes("db4"),
		needy,
		no("db7", "only replica of db1 within 30s of it (db2: lag 412s)", remedy),
		{host: "db6", kind: locked, reasons: []checks.Reason{{Code: "locked", Text: "held by ann@ops1\x1b[2J"}}},
		gone("db9"),
	})
	const want = `interlock: refused: systemctl stop mysql on db[3,7]
  reason: only replica of db1 within 30s of it (db2: lag 412s)
  to proceed: wait for db2 to catch up, then run this again
interlock: refused: systemctl stop mysql on db5
  reason: db5 is a replica that serves 12 clients
  to proceed: if that is meant, add --allow replica,serving
interlock: locked: systemctl stop mysql on db6
  reason: held by ann@ops1\x1b[2J
  to proceed: nothing that is known here: look at interlock check 'db6'
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Primaries differ in what they serve: they fold by what refuses them, and only some of the facts are shown.
func TestRefusalsOfManyFold(t *testing.T) {
	var many []verdict
	for i := range 9 {
		v := no(fmt.Sprintf("db%d", i+1), "the host is a live primary", "move the primary's role first")
		v.facts = []checks.Reason{{Code: "clients", Text: fmt.Sprintf("%d clients", max(i, 2))}}
		many = append(many, v)
	}
	const want = `interlock: refused: reboot on db[1-9]
  reason: the host is a live primary
  reason: db[1-3]: 2 clients
  reason: db4: 3 clients
  reason: db5: 4 clients
  reason: db6: 5 clients
  reason: db7: 6 clients
  reason: … and 2 more of the kind: interlock check 'db[1-9]'
  to proceed: move the primary's role first
`
	if got := refusals("reboot", many); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUnreachableText(t *testing.T) {
	got := unreachables([]verdict{gone("db1"), yes("db4"), gone("db2"), {host: "db3", kind: unreachable, err: errors.New("connection lost during the check: EOF")}})
	const want = `interlock: unreachable: db[1-2]
  reason: connect: connection refused
  to proceed: see whether sshd runs there
interlock: unreachable: db3
  reason: connection lost during the check: EOF
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A host's no is final, and a yes of ours never stands in for a host that did not give one.
func TestJudgeKeepsTheHostsNo(t *testing.T) {
	destructive := policy.Classification{Command: "x", Class: checks.Destructive}
	for _, c := range []struct {
		name   string
		report *checks.Report
		want   kind
	}{
		{"clear and run", &checks.Report{Nonce: "1", State: checks.Clear, Verdict: "run"}, exited},
		{"clear, yet refused by the host", &checks.Report{Nonce: "1", State: checks.Clear, Verdict: "refuse"}, refused},
		{"clear, yet locked", &checks.Report{Nonce: "1", State: checks.Clear, Verdict: "locked"}, locked},
		{"a primary that says run", &checks.Report{Nonce: "1", State: checks.Primary, Verdict: "run"}, refused},
		{"a word that is no verdict", &checks.Report{Nonce: "1", State: checks.Clear, Verdict: "RUN"}, refused},
		{"no report", blind(errors.New("cut"), ""), refused},
	} {
		v := judge(finding{host: "db1", report: c.report}, destructive, nil)
		if v.kind != c.want {
			t.Errorf("%s: %q, want %q", c.name, v.kind, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	got := summary([]outcome{
		{host: "db1", kind: exited}, {host: "db2", kind: exited, exit: 1}, {host: "db3", kind: exited, exit: 1},
		{host: "db4", kind: lost}, {host: "db5", kind: signaled, signal: "KILL"}, {host: "db6", kind: notStarted},
	})
	const want = `interlock: 1 of 6 hosts fine
  db[2-3] (2): exit 1
  db4 (1): connection lost, state unknown, may still be running
  db5 (1): killed by KILL
  db6 (1): not started
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := summary([]outcome{{kind: exited}, {kind: exited}}); got != "" {
		t.Errorf("all fine, yet it says %q", got)
	}
}
