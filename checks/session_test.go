package checks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// logins are the accounts of every kind of login shell.
var logins = []string{"root", "ops", "ops-bash", "ops-busybox", "ops-zsh", "ops-tcsh", "ops-fish", "ops-banner"}

// nasty are commands that some shell on the way could take for something else. Each prints what it was given.
func nasty() []string {
	var all strings.Builder
	for b := 1; b < 256; b++ {
		if b != '\'' {
			all.WriteByte(byte(b))
		}
	}
	commands := []string{
		"printf %s '" + all.String() + "'",
		`printf '%s|' "it's" 'a "b" c' \\ \' '$HOME' "$((6*7))" '!' '!!' '%d' '*' '~' '{a,b}'`,
		"printf '%s' 'two\nlines\n\n'\n",
		"# comment\nprintf '%s' done # !!\n\n",
		`printf '%s' 'back\\slash\' "\\" '\n'`,
		"cat <<'END'\n$x `y` \\z !w\nEND\n",
		"printf '%s' 'ünïcödé ✓ \u202e'",
		"printf '\\001\\002\\377\\000end'",
		"printf '%s|' a'b'\"c\"$'d'",
		"  printf x  ",
		"printf '%s' \"$0\"",
		"echo out; echo err >&2; exit 42",
		"kill -TERM $$",
		"printf '%s' \"${HOME##*/}\"; umask; pwd",
		"exit",
		"printf 'no line end'",
	}
	return commands
}

// result is what a command did, as its caller sees it.
type result struct {
	out, stderr string
	code        int
}

func plainly(cmd *exec.Cmd, stdin io.Reader) result {
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &stderr, stdin
	_ = cmd.Run() // its exit status is in the state
	return result{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Whatever the login shell: what arrives is what was typed, with and without the check around it.
func TestCommandsArriveAsTyped(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	for _, login := range logins {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			who := account{login, login}
			for i, command := range nasty() {
				if login != "ops-fish" && login != "ops-tcsh" && i > 6 && i%2 == 1 {
					continue // the strange shells take all of them
				}
				// The reference: the interpreter with the command as one argument, by no shell.
				direct, err := h.Command(t.Context(), "setpriv", "--reuid="+who.user, "--regid="+who.user, "--init-groups", "--",
					"env", "HOME="+home(login), "/bin/sh", "-c", `cd; exec /bin/sh -c "$1"`, "x", command)
				if err != nil {
					t.Fatal(err)
				}
				want := plainly(direct, nil)
				line, err := PlainExecLine("/bin/sh", command)
				if err != nil {
					t.Fatal(err)
				}
				banner := ""
				if login == "ops-banner" {
					banner = "*** This machine belongs to the database team ***\n"
				}
				got := plainly(overSSH(t.Context(), rig, login+"@h1", line), nil)
				got.out = strings.TrimPrefix(got.out, banner)
				if want.code == -1 || want.code == 143 { // ssh has one status for all signals
					want.code, got.code = 255, max(got.code, 255)
				}
				if got != want {
					t.Errorf("plain %q: got %+v, want %+v", command, got, want)
				}
				r := runOf(Routine, command)
				if i%3 == 0 || i == 11 {
					r.Class = ReadOnly
				}
				guarded, err := r.ExecLine()
				if err != nil {
					t.Fatal(err)
				}
				a := converse(overSSH(t.Context(), rig, login+"@h1", guarded), r, nil)
				if a.err != nil || !a.report.Run() {
					t.Fatalf("guarded %q: %v", command, a)
				}
				if string(a.banner) != banner {
					t.Errorf("banner %q", a.banner)
				}
				if want.code == 255 {
					want.code = 143 // a shell in between turns a signal into a status
				}
				if got := (result{a.out, a.stderr, a.code}); got.out != want.out || got.code != want.code || want.code != 143 && got.stderr != want.stderr {
					t.Errorf("guarded %q: got %+v, want %+v", command, got, want)
				}
			}
		})
	}
}

func home(login string) string {
	if login == "root" {
		return "/root"
	}
	return "/home/" + login
}

// Input and output pass unchanged: binary, megabytes, spooled or not.
func TestStreamsPassUnchanged(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	input := make([]byte, 5<<20)
	for i := range input {
		input[i] = byte(i * 7 >> 3)
	}
	copy(input, "no\ngo 00\ninterlock-end x\n")
	sum := fmt.Sprintf("%x", sha256.Sum256(input))
	for _, who := range accounts[:2] {
		for _, class := range []Class{Routine, Destructive} {
			r := runOf(class, "cat; echo oops >&2; exit 3")
			line, err := r.ExecLine()
			if err != nil {
				t.Fatal(err)
			}
			a := converse(overSSH(t.Context(), rig, who.user+"@h1", line), r, bytes.NewReader(input))
			if got := fmt.Sprintf("%x", sha256.Sum256([]byte(a.out))); got != sum || a.code != 3 || a.stderr != "oops\n" {
				t.Errorf("%s, %s: %d bytes, exit %d, stderr %q, %v", who.name, class, len(a.out), a.code, a.stderr, a.err)
			}
			if class == Destructive {
				if got := strings.Fields(execOn(t, h, "sha256sum /var/lib/interlock/spool/"+a.report.LockID+"/out"))[0]; got != sum {
					t.Errorf("%s: the spool holds something else", who.name)
				}
				if end := execOn(t, h, "cat /var/lib/interlock/spool/"+a.report.LockID+"/end"); !strings.HasPrefix(end, "3 ") {
					t.Errorf("%s: the recorded end is %q", who.name, end)
				}
			}
		}
	}
	unlocked(t, h)
}

// unlocked holds that no lock is left.
func unlocked(t *testing.T, h *testrig.Host) {
	t.Helper()
	eventually(t, h, "! [ -e /var/lib/interlock/lock ] && ! [ -e /run/interlock/lock ]")
}

// eventually waits, for at most some seconds, until a test on the host is true.
func eventually(t *testing.T, h *testrig.Host, test string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, err := h.Exec(t.Context(), test)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never true: %s: %v", test, err)
		}
	}
}

// Without the right go within its time nothing starts, and the lock goes.
func TestNothingStartsWithoutGo(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	for _, who := range accounts[:2] {
		for name, send := range map[string]func(Request, io.WriteCloser){
			"end of input": func(_ Request, w io.WriteCloser) { _ = w.Close() },
			"no":           func(_ Request, w io.WriteCloser) { _, _ = io.WriteString(w, "no\n"); _ = w.Close() },
			"wrong nonce": func(_ Request, w io.WriteCloser) {
				_, _ = io.WriteString(w, "go "+strings.Repeat("0", 32)+"\n")
			},
			"cut":      func(r Request, w io.WriteCloser) { _, _ = io.WriteString(w, r.GoLine()[:20]); _ = w.Close() },
			"too long": func(r Request, w io.WriteCloser) { _, _ = io.WriteString(w, strings.TrimSpace(r.GoLine())+"x\n") },
			"silence":  func(Request, io.WriteCloser) {},
		} {
			t.Run(who.name+"/"+name, func(t *testing.T) {
				r := runOf(Destructive, "echo started >/tmp/started")
				line, err := r.ExecLine()
				if err != nil {
					t.Fatal(err)
				}
				a := talk(t, h, who, line, func(w io.WriteCloser) { send(r, w) })
				if a.code != 77 || a.out == "" || a.took > 15*time.Second {
					t.Errorf("exit %d after %v, %q", a.code, a.took, a.stderr)
				}
				unlocked(t, h)
				if _, err := h.Exec(t.Context(), "! [ -e /tmp/started ]"); err != nil {
					t.Fatal("the command was started")
				}
			})
		}
	}
}

// talk starts a session and writes to it without reading the report first.
func talk(t *testing.T, h *testrig.Host, who account, line string, send func(io.WriteCloser)) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd, err := direct(ctx, h, who, line)
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	send(in)
	_ = cmd.Wait() // its exit status is in the state
	return answer{out: out.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode(), took: time.Since(begin)}
}

// A host that refuses starts nothing, whatever the client sends; neither does half of a script.
func TestRefusedAndCutStartNothing(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "db1", testrig.MySQL)
	startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL})
	clean := addHost(t, rig, "app1")
	for _, who := range accounts {
		r := runOf(Destructive, "echo started >/tmp/started")
		r.Allow = Allowances
		line, err := r.ExecLine()
		if err != nil {
			t.Fatal(err)
		}
		a := talk(t, h, who, line, func(w io.WriteCloser) { _, _ = io.WriteString(w, r.GoLine()+r.GoLine()) })
		if a.code != 77 {
			t.Errorf("%s: exit %d: %s", who.name, a.code, a.out)
		}
		for _, n := range []int{400, len(scriptArgument()) / 2, len(scriptArgument()) - 30} {
			cut := strings.Replace(line, scriptArgument(), scriptArgument()[:n], 1)
			a := talk(t, clean, who, cut, func(w io.WriteCloser) { _, _ = io.WriteString(w, r.GoLine()); _ = w.Close() })
			if a.code == 0 || strings.Contains(a.out, "interlock-report") {
				t.Errorf("%s: %d bytes of the script: exit %d: %s", who.name, n, a.code, a.out)
			}
		}
	}
	for _, host := range []*testrig.Host{h, clean} {
		unlocked(t, host)
		if _, err := host.Exec(t.Context(), "! [ -e /tmp/started ]"); err != nil {
			t.Error("the command was started")
		}
	}
}

// Of many sessions at once exactly one gets the lock; the others are told whose it is.
func TestOneSessionGetsTheLock(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	var group sync.WaitGroup
	answers := make([]answer, 4)
	for i := range answers {
		group.Go(func() { answers[i] = ask(t, h, accounts[i%2], runOf(Destructive, "echo run >>/tmp/ran; sleep 4")) })
	}
	group.Wait()
	ran := 0
	for _, a := range answers {
		switch {
		case a.code == 0 && a.report != nil && a.report.Run():
			ran++
		case a.code == 75 && a.has("locked"):
		default:
			t.Errorf("%v", a)
		}
	}
	if out := execOn(t, h, "cat /tmp/ran"); ran != 1 || out != "run\n" {
		t.Errorf("%d sessions ran: %q", ran, out)
	}
	unlocked(t, h)
}
