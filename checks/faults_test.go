package checks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/testrig"
)

var update = flag.Bool("update", false, "write docs/fault-matrix.md anew")

// tools are the programs that check.sh asks, and what each says where it lies: plausible words that are wrong.
var tools = []struct{ path, lie string }{
	{"/usr/bin/awk", "0\n"},
	{"/usr/bin/base64", "echo clear\n"},
	{"/usr/bin/cat", "1 (init) S 0 1 1 0 -1 4194560 9 9 9 9 9 9 9 9 20 0 1 0 5 0 0\n"},
	{"/usr/bin/du", "4\t/var/lib/mysql\n"},
	{"/usr/bin/find", "/etc/passwd\n"},
	{"/usr/bin/grep", "GRANT PROCESS ON *.* TO x\n"},
	{"/usr/bin/gzip", "printf 'state\\tclear\\nverdict\\trun\\n'\n"},
	{"/usr/bin/head", "==> /proc/1/cmdline <==\n/sbin/init\n"},
	{"/usr/bin/id", "0\n"},
	{"/usr/bin/ls", "lrwxrwxrwx 1 0 0 0 Jan  1 00:00 /proc/1/exe -> /usr/sbin/init\n"},
	{"/usr/bin/mkdir", ""},
	{"/usr/bin/mount", ""},
	{"/usr/bin/mv", ""},
	{"/usr/local/bin/mysql", "Variable_name\tValue\nversion\t9.7.4\n"},
	{"/usr/bin/perl", "1 4711 0\n"},
	{"/usr/bin/readlink", "/srv\n"},
	{"/usr/bin/rm", ""},
	{"/usr/bin/rmdir", ""},
	{"/usr/bin/sleep", ""},
	{"/usr/bin/sudo", "interlock-report 1 0\nstate\tclear\nverdict\trun\ninterlock-end 0 2\n"},
	{"/usr/bin/timeout", "0\n"},
	{"/usr/bin/tr", "x\n"},
	{"/usr/bin/unshare", "1 4711 0\n"},
}

// faults are the ways in which a program fails. A shim is a script for a busybox of its own; $real is what it stands for.
var faults = []struct{ name, shim string }{
	{"missing", ""},
	{"denied", "x"},
	{"hangs", "echo $$ >>/tmp/hung; exec $box sleep 1000"},
	{"cut", `out=/tmp/cut.$$; $real "$@" >$out; s=$?; n=$($box wc -c <$out); $box head -c $((n / 2)) $out; $box rm -f $out; exit $s`},
	{"silent", "exit 0"},
	{"lies", "$box cat /usr/lib/shim/lie; exit 0"},
}

// presences are what is on a host, and what a check without any fault says of it.
var presences = []struct {
	name string
	want State
	bad  string // states that would be false
}{
	{"live server", Primary, "clear stopped idle"},
	{"data in an odd place", Stopped, "clear"},
	{"nothing", Clear, ""},
}

const (
	hostsPerPresence = 6
	cellBound        = 20 * time.Second
)

// TestFaultMatrix puts every fault into every program, for each kind of account, on hosts with a live server, with
// data alone and with nothing, and holds that no fault makes a host say less than is there. What each cell says is
// the table of docs/fault-matrix.md.
func TestFaultMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: the fault matrix takes minutes")
	}
	rig := testrig.For(t)
	path := filepath.Join("..", "docs", "fault-matrix.md")
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := matrix{t: t, slots: make(chan struct{}, 3), cells: map[string]string{}}
	if !*update {
		m.recorded = recordedCells(string(committed))
	}
	group, ctx := errgroup.WithContext(t.Context())
	for p := range presences {
		for n := range hostsPerPresence {
			group.Go(func() error {
				h, err := m.host(ctx, rig, p, n)
				if err != nil {
					return err
				}
				return m.work(ctx, h, p, n)
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(m.table()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if string(committed) != m.table() && !*update {
		t.Errorf("docs/fault-matrix.md is not what the hosts say; renew it with go test ./checks -run FaultMatrix -update, and look at what changed:\n%s",
			changed(string(committed), m.table()))
	}
}

type matrix struct {
	t     *testing.T
	mu    sync.Mutex
	slots chan struct{}     // as many as checks that run at once
	cells map[string]string // by tool, fault, account and presence
	// recorded are the cells of the committed table; empty when it is made anew.
	recorded map[string]string
}

// recordedCells are the cells of a table that matrix.table made.
func recordedCells(text string) map[string]string {
	cells := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) != 2+len(accounts)*len(presences) {
			continue
		}
		tool := strings.TrimPrefix(strings.TrimPrefix(f[0], "| "), "(none)")
		for i, state := range f[2:] {
			cells[cellName(tool, f[1], accounts[i/len(presences)], i%len(presences))] = strings.TrimSuffix(state, " |")
		}
	}
	return cells
}

func cellName(tool, fault string, who account, presence int) string {
	return fmt.Sprintf("%s %s, %s, %s", tool, fault, who.name, presences[presence].name)
}

// host makes a host of one presence, with room for shims.
func (m *matrix) host(ctx context.Context, rig *testrig.Rig, presence, n int) (*testrig.Host, error) {
	spec := testrig.HostSpec{Name: fmt.Sprintf("h%d%d", presence, n)}
	if presence == 0 {
		spec.Products = []testrig.Product{testrig.MySQL}
	}
	h, err := rig.AddHost(ctx, spec)
	if err != nil {
		return nil, err
	}
	switch presence {
	case 0:
		s, err := h.StartServer(ctx, testrig.ServerSpec{Product: testrig.MySQL})
		if err != nil {
			return nil, err
		}
		if _, err := s.Traffic(ctx, testrig.TrafficSpec{Idle: 1}); err != nil {
			return nil, err
		}
	case 1:
		if _, err := h.Exec(ctx, "mkdir -p '/srv/old data' && : >'/srv/old data/ibdata1'"); err != nil {
			return nil, err
		}
	}
	_, err = h.Exec(ctx, "mkdir -p /usr/lib/shim && cp /usr/bin/busybox /usr/lib/shim/box && : >/tmp/hung && chmod 666 /tmp/hung")
	return h, err
}

// work goes through this host's share of the faults: of each kind as many as the others, since one that hangs takes the
// longest by far.
func (m *matrix) work(ctx context.Context, h *testrig.Host, presence, n int) error {
	for i, tool := range tools {
		for k, fault := range faults {
			if (i+k)%hostsPerPresence != n {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			restore, err := shim(h, tool.path, tool.lie, fault.shim)
			if err != nil {
				return fmt.Errorf("%s %s: %w", tool.path, fault.name, err)
			}
			for _, who := range accounts {
				m.cell(ctx, h, who, filepath.Base(tool.path), fault.name, presence)
			}
			if err := restore(); err != nil {
				return err
			}
		}
	}
	for _, who := range accounts {
		if a := m.cell(ctx, h, who, "", "", presence); who.name != "plain" && a.state() != string(presences[presence].want) {
			m.t.Errorf("no fault, %s, %s: %v", who.name, presences[presence].name, a)
		}
	}
	return nil
}

// shim puts a fault in the place of a program; restore takes it out again.
func shim(h *testrig.Host, path, lie, script string) (restore func() error, err error) {
	at, err := h.Path(path)
	if err != nil {
		return nil, err
	}
	hidden, err := h.Path("/usr/lib/shim/real")
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(at); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil // a client program, on a host that has none
	}
	if err := os.Rename(at, hidden); err != nil {
		return nil, err
	}
	restore = func() error {
		if err := os.RemoveAll(at); err != nil {
			return err
		}
		return os.Rename(hidden, at)
	}
	switch script {
	case "":
		return restore, nil
	case "x":
		return restore, os.WriteFile(at, []byte("#!/bin/sh\n"), 0o644)
	}
	if err := h.WriteFile("/usr/lib/shim/lie", lie, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(at, []byte("#!/usr/lib/shim/box sh\nbox=/usr/lib/shim/box real=/usr/lib/shim/real\n"+script+"\n"), 0o755); err != nil {
		return nil, err
	}
	return restore, os.Chmod(at, 0o755)
}

// cell checks the host as one account and keeps what it says. On a machine that is busy with other things a check may run
// out of its time and say unknown: where the table has something else it is asked again.
func (m *matrix) cell(ctx context.Context, h *testrig.Host, who account, tool, fault string, presence int) answer {
	where := cellName(tool, fault, who, presence)
	var a answer
	for range 4 {
		a = m.once(ctx, h, who, fault, presence, where)
		if want, ok := m.recorded[where]; !ok || a.state() == want || a.report != nil && a.report.State != Unknown {
			break
		}
		m.t.Logf("%s: asking again: %v", where, a)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.cells[where]; ok && old != a.state() {
		m.t.Errorf("%s: %s here, %s there: %v", where, old, a.state(), a)
	}
	m.cells[where] = a.state()
	return a
}

// once checks the host as one account.
func (m *matrix) once(ctx context.Context, h *testrig.Host, who account, fault string, presence int, where string) answer {
	r := checkOf()
	if fault == "hangs" {
		r.Timeout = 4 * time.Second
	} else { // these use the processor, and the machine has few
		m.slots <- struct{}{}
		defer func() { <-m.slots }()
	}
	line, err := r.ExecLine()
	if err != nil {
		m.t.Error(err)
		return answer{}
	}
	cmd, err := direct(ctx, h, who, line)
	if err != nil {
		m.t.Error(err)
		return answer{}
	}
	// A session that answers nothing is one that the client gives up; what hangs in it is ended then.
	done := make(chan struct{})
	go func() {
		wait := time.NewTimer(12 * time.Second)
		defer wait.Stop()
		for {
			select {
			case <-done:
				_, _ = h.Exec(ctx, endHung)
				return
			case <-wait.C:
				_, _ = h.Exec(ctx, endHung)
				wait.Reset(time.Second)
			}
		}
	}()
	a := converse(cmd, r, nil)
	close(done)
	if strings.Contains(" "+presences[presence].bad+" ", " "+a.state()+" ") {
		m.t.Errorf("%s: FALSE %v", where, a)
	}
	if a.took > cellBound {
		m.t.Errorf("%s: no answer within %v: %v", where, cellBound, a)
	}
	if a.err != nil && a.report != nil {
		m.t.Errorf("%s: %v", where, a)
	}
	return a
}

// endHung is run inside a host: it ends what the shims have left hanging.
const endHung = `while read -r p; do kill -KILL "$p"; done </tmp/hung 2>/dev/null; : >/tmp/hung`

// table renders the matrix.
func (m *matrix) table() string {
	var b strings.Builder
	b.WriteString(matrixHead)
	row := func(tool, fault string) {
		name := tool
		if tool == "" {
			name = "(none)"
		}
		fmt.Fprintf(&b, "| %s | %s |", name, fault)
		for _, who := range accounts {
			for p := range presences {
				fmt.Fprintf(&b, " %s |", m.cells[cellName(tool, fault, who, p)])
			}
		}
		b.WriteString("\n")
	}
	row("", "")
	for _, tool := range tools {
		for _, fault := range faults {
			row(filepath.Base(tool.path), fault.name)
		}
	}
	return b.String()
}

const matrixHead = `# Fault matrix of the check

Written by ` + "`go test ./checks -run FaultMatrix -update`" + ` on real hosts; the test fails when this table is no longer what they say.

Each row puts one fault into one program that check.sh asks. *missing*: the program is not there. *denied*: it cannot
be executed. *hangs*: it never ends. *cut*: half of what it would say. *silent*: nothing, and exit status 0. *lies*:
plausible words that are wrong, and exit status 0. Each cell is the state that the host reports, with a server that
has a client (live), with a data directory in an odd place and no server (data), and with neither (none). "no report" is what the
client treats as unknown: nothing starts there.

Never seen, in any cell: clear, stopped or idle where a server lives; clear where data lies.

| program | fault | root: live | data | none | sudo: live | data | none | plain: live | data | none |
|---|---|---|---|---|---|---|---|---|---|---|
`

// changed lists the lines in which two tables differ.
func changed(old, now string) string {
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	var out []string
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			out = append(out, "- "+x, "+ "+y)
		}
	}
	return strings.Join(out, "\n")
}
