package checks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// account is who a session belongs to: root, one with sudo, one without.
type account struct{ name, user string }

var accounts = []account{{"root", "root"}, {"sudo", "ops"}, {"plain", "plain"}}

// answer is what came of one session.
type answer struct {
	report *Report
	banner []byte
	err    error // of reading the report
	out    string
	stderr string
	code   int
	took   time.Duration // until the report was there
}

// state is the report's, or "no report".
func (a answer) state() string {
	if a.report == nil {
		return "no report"
	}
	return string(a.report.State)
}

// has tells whether a reason of this code is among the report's.
func (a answer) has(code string) bool {
	if a.report == nil {
		return false
	}
	for _, r := range a.report.Reasons {
		if r.Code == code {
			return true
		}
	}
	return false
}

// String is the report for a failed test's message.
func (a answer) String() string {
	s := fmt.Sprintf("%s after %v, exit %d, %v", a.state(), a.took.Round(10*time.Millisecond), a.code, a.err)
	if a.report != nil {
		s += fmt.Sprintf(", verdict %s, looked %v", a.report.Verdict, a.report.Looked)
		for _, r := range a.report.Reasons {
			s += "\n\t" + r.Code + ": " + r.Text
		}
	}
	return s + "\n\tstderr: " + a.stderr
}

// checkOf is a check as the fleet asks for it.
func checkOf() Request {
	return Request{Nonce: NewNonce(), Mode: ModeCheck, Host: "h", Class: Destructive, Owner: "test@here", Timeout: 15 * time.Second}
}

// runOf is a guarded command.
func runOf(class Class, command string) Request {
	r := checkOf()
	r.Mode, r.Class, r.Command = ModeRun, class, command
	return r
}

// direct prepares a session of an account inside the host, as sshd would start it, without the cost of sshd.
func direct(ctx context.Context, h *testrig.Host, who account, line string) (*exec.Cmd, error) {
	if who.user == "root" {
		return h.Command(ctx, "/bin/sh", "-c", line)
	}
	return h.Command(ctx, "setpriv", "--reuid="+who.user, "--regid="+who.user, "--init-groups", "--",
		"env", "HOME=/home/"+who.user, "USER="+who.user, "/bin/sh", "-c", line)
}

// overSSH prepares a session of a login account through sshd.
func overSSH(ctx context.Context, rig *testrig.Rig, login, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", "-F", rig.SSHConfig(), login, line)
}

// converse starts a session, reads its report, gives stdin (nil: nothing) once the report lets the command run, and
// waits for its end.
func converse(cmd *exec.Cmd, r Request, stdin io.Reader) answer {
	var a answer
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		a.err = err
		return a
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.err = err
		return a
	}
	begin := time.Now()
	if a.err = cmd.Start(); a.err != nil {
		return a
	}
	buffered := bufio.NewReader(out)
	a.report, a.banner, a.err = ReadReport(buffered, r.Nonce)
	a.took = time.Since(begin)
	if a.err == nil && a.report.Run() && r.Mode == ModeRun {
		go func() {
			_, _ = io.WriteString(in, r.GoLine()) // a session that has ended says so by its exit status
			if stdin != nil {
				_, _ = io.Copy(in, stdin)
			}
			_ = in.Close()
		}()
	} else {
		_ = in.Close()
	}
	rest, _ := io.ReadAll(buffered)
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		a.code = exit.ExitCode()
	} else if waitErr != nil {
		a.code = -1
		a.stderr = waitErr.Error() + ": "
	}
	a.out = string(rest)
	a.stderr += stderr.String()
	return a
}

// ask runs a request as an account inside a host.
func ask(t *testing.T, h *testrig.Host, who account, r Request) answer {
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
	return converse(cmd, r, nil)
}

func addHost(t *testing.T, rig *testrig.Rig, name string, products ...testrig.Product) *testrig.Host {
	t.Helper()
	h, err := rig.AddHost(t.Context(), testrig.HostSpec{Name: name, Products: products})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func startServer(t *testing.T, h *testrig.Host, spec testrig.ServerSpec) *testrig.Server {
	t.Helper()
	s, err := h.StartServer(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func execOn(t *testing.T, h *testrig.Host, script string) string {
	t.Helper()
	out, err := h.Exec(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func query(t *testing.T, s *testrig.Server, statements string) {
	t.Helper()
	if _, err := s.Query(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}
