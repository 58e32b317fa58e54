package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"interlock/sshrun"

	"golang.org/x/sys/unix"
)

// openPTY gives the two ends of a terminal: what a person sees and types, and what a program has.
func openPTY(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// seen collects what a person sees on a terminal.
func seen(person *os.File) *safeBuffer {
	var text safeBuffer
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			_, _ = text.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return &text
}

// atTerminal runs a command on two hosts and types answer when it is asked for their number.
func (h *realHosts) atTerminal(t *testing.T, answer string) result {
	t.Helper()
	person, program := openPTY(t)
	text := seen(person)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var stdout, stderr safeBuffer
	o := RunOptions{Remote: h.remote(), Hosts: "app1,db4", Command: []string{"touch /tmp/typed"}, Shell: "/bin/sh", Allow: []string{"data"}}
	r, err := NewRun(o, Streams{In: null, Out: &stdout, Err: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	if r.site.tty != nil {
		_ = r.site.tty.Close()
	}
	r.site.tty = sshrun.NewTTY(program)
	ended := make(chan int, 1)
	go func() { ended <- ExitStatus(r.Run(t.Context())) }()
	eventually(t, time.Minute, "it asks", func() bool {
		return strings.HasSuffix(text.String(), "interlock: type the number of hosts in app1,db4 to start: ")
	})
	if !strings.Contains(stderr.String(), "interlock: plan: ") {
		t.Error("the plan was not shown before the question")
	}
	if _, err := person.WriteString(answer + "\n"); err != nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), <-ended}
}

func confirmed(t *testing.T, h *realHosts) {
	if r := h.atTerminal(t, "2"); r.status != 0 || !h.there(t, "app1", "/tmp/typed") || !h.there(t, "db4", "/tmp/typed") {
		t.Errorf("%+v", r)
	}
	h.exec(t, "app1", "rm /tmp/typed")
	h.exec(t, "db4", "rm /tmp/typed")
}

func notConfirmed(t *testing.T, h *realHosts) {
	for _, answer := range []string{"1", "yes", "", "02"} {
		if r := h.atTerminal(t, answer); r.status != ExitUsage || h.there(t, "app1", "/tmp/typed") || h.there(t, "db4", "/tmp/typed") {
			t.Errorf("answer %q: %+v", answer, r)
		}
	}
}

func nobodyToAsk(t *testing.T, h *realHosts) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var out safeBuffer
	o := RunOptions{Remote: h.remote(), Hosts: "app1,db4", Command: []string{"touch /tmp/typed"}, Shell: "/bin/sh", Allow: []string{"data"}}
	r, err := NewRun(o, Streams{In: null, Out: &out, Err: &out})
	if err != nil {
		t.Fatal(err)
	}
	r.site.tty = nil
	err = r.Run(t.Context())
	if ExitStatus(err) != ExitUsage || h.there(t, "app1", "/tmp/typed") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// With -t the command has a terminal of our size, every key goes to it, and echo is as it should be.
func onTerminal(t *testing.T, h *realHosts) {
	const command = `stty size; read -r line; echo "got <$line>"; sleep 3004 || echo ended; touch /tmp/x`
	person, program := openPTY(t)
	if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 77}); err != nil {
		t.Fatal(err)
	}
	text := seen(person)
	o := RunOptions{Remote: h.remote(), Hosts: "app1", Command: []string{command}, Shell: "/bin/sh", TTY: true}
	r, err := NewRun(o, Streams{In: program, Out: program, Err: program})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() { ended <- ExitStatus(r.Run(t.Context())) }()
	shows := func(what string) func() bool {
		return func() bool { return strings.Contains(text.String(), what) }
	}
	eventually(t, time.Minute, "the size", shows("33 77\r\n"))
	if _, err := person.WriteString("hello\r"); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the line", shows("got <hello>\r\n"))
	eventually(t, time.Minute, "it sleeps", func() bool { return h.running(t, "app1", "sleep 3004") })
	if _, err := person.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatalf("^C did not end it; seen: %q", text.String())
	}
	if strings.Contains(text.String(), "go ") || !strings.Contains(text.String(), "hello\r\n") {
		t.Errorf("echo is wrong: %q", text.String())
	}
	h.unlocked(t, "app1")
}

func (h *realHosts) check(t *testing.T, o CheckOptions) result {
	t.Helper()
	o.Remote = h.remote()
	var stdout, stderr safeBuffer
	c, err := NewCheck(o, Streams{Out: &stdout, Err: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	status := ExitStatus(c.Run(t.Context()))
	return result{stdout.String(), stderr.String(), status}
}

func checkAll(t *testing.T, h *realHosts) {
	r := h.check(t, CheckOptions{Hosts: "app1,db[1-4],nosuch"})
	if r.status != ExitUnreachable || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	table, below, _ := strings.Cut(r.stdout, "\n\n")
	var rows []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		rows = append(rows, f[0]+" "+f[1])
	}
	const want = "host state,nosuch unreachable,db1 primary,db[2-3] replica,db4 idle,app1 clear"
	if got := strings.Join(rows, ","); got != want && !strings.Contains(got, "db2 replica,db3 replica") {
		t.Errorf("rows %s, want %s\n%s", got, want, table)
	}
	for _, part := range []string{"nosuch: unreachable: resolve: ", "db1: mysql ", "has 2 replicas", "db[2-3]: mysql "} {
		if !strings.Contains(below, part) {
			t.Errorf("no %q below the table:\n%s", part, below)
		}
	}
	if r := h.check(t, CheckOptions{Hosts: "app1,db4"}); r.status != 0 {
		t.Errorf("all reached: %+v", r)
	}
}

func checkJSON(t *testing.T, h *realHosts) {
	r := h.check(t, CheckOptions{Hosts: "db2,nosuch,app1", JSON: true})
	var got []map[string]any
	for d := json.NewDecoder(bytes.NewBufferString(r.stdout)); d.More(); {
		var v map[string]any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v in %s", err, r.stdout)
		}
		got = append(got, v)
	}
	if len(got) != 3 || got[0]["host"] != "db2" || got[0]["state"] != "replica" || got[0]["reachable"] != true ||
		got[1]["host"] != "nosuch" || got[1]["reachable"] != false || got[1]["state"] != nil || got[1]["error"] == nil ||
		got[2]["state"] != "clear" {
		t.Errorf("%s", r.stdout)
	}
}
