package fleet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"interlock/checks"
	"interlock/internal/report"
	"interlock/sshrun"
)

// maxHeld is how much of a host's standard error is kept while nobody may see it yet: enough for any error
// message, and a bound against a login shell that talks without end.
const maxHeld = 64 << 10

// reportBuffer holds a few lines of a report, of which most are under 200 bytes. There is one for each host that is
// being talked to: 64 KB were a third of all that a check of thousands allocates.
const reportBuffer = 4 << 10

// finding is what is known of one host after it was asked: a report, or the reason why there is none.
type finding struct {
	host   string
	report *checks.Report
	err    error // the host was not reached, or the connection was lost
}

// blind stands for the report of a host that was reached and did not give a whole one: unknown.
func blind(cause error, stderr string) *checks.Report {
	text := fmt.Sprintf("no complete report: %v", cause)
	if stderr = lastLine(stderr); stderr != "" {
		text += " (" + stderr + ")"
	}
	return &checks.Report{State: checks.Unknown, Reasons: []checks.Reason{{
		Code: "no-report", Text: text, Remedy: "run interlock check on this host alone and mend what it names",
	}}}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, " \t\r\n"), "\n")
	return report.Visible(strings.TrimSpace(lines[len(lines)-1]))
}

// talk is a session whose host is asked something: the request is on its way, the report not yet read.
type talk struct {
	session *sshrun.Session
	out     *bufio.Reader // what follows the report is the command's own output
	stderr  *held
	request checks.Request
	copying sync.WaitGroup
	over    bool // finish was called
}

// open starts a session that carries the request.
func open(ctx context.Context, conn *sshrun.Conn, request checks.Request, pty *sshrun.PTY) (*talk, error) {
	line, err := request.ExecLine()
	if err != nil {
		return nil, fmt.Errorf("make request for %s: %w", request.Host, err)
	}
	session, err := conn.Start(ctx, line, sshrun.StartOptions{PTY: pty})
	if err != nil {
		return nil, err
	}
	return newTalk(session, request), nil
}

func newTalk(session *sshrun.Session, request checks.Request) *talk {
	t := &talk{session: session, out: bufio.NewReaderSize(session.Stdout, reportBuffer), stderr: &held{}, request: request}
	t.copying.Go(func() { _, _ = io.Copy(t.stderr, session.Stderr) })
	return t
}

// read reads the report, for at most limit. A nil report comes with the error of a lost connection; what
// else goes wrong makes the host unknown.
func (t *talk) read(ctx context.Context, limit time.Duration) (*checks.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("none within %v", limit))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = t.session.Close() })
	defer stop()
	report, _, err := checks.ReadReport(t.out, t.request.Nonce)
	if err == nil {
		return report, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	exit := t.finish(io.Discard)
	if exit.Kind == sshrun.Lost && ctx.Err() == nil {
		return nil, fmt.Errorf("connection lost during the check: %w", cmpErr(exit.Err, err))
	}
	return blind(err, t.stderr.text()), nil
}

// finish reads the session to its end and gives how it ended.
func (t *talk) finish(stdout io.Writer) sshrun.Exit {
	t.over = true
	_ = t.session.Stdin.Close()
	_, _ = io.Copy(stdout, t.out)
	t.copying.Wait()
	exit := t.session.Wait()
	_ = t.session.Close()
	return exit
}

// abandon ends a session without waiting for what runs in it.
func (t *talk) abandon() {
	_ = t.session.Close()
	t.copying.Wait()
}

// ask asks a host what it is, in a session of its own.
func (f *site) ask(ctx context.Context, conn *sshrun.Conn, request checks.Request) (*checks.Report, error) {
	t, err := open(ctx, conn, request, nil)
	if err != nil {
		return nil, err
	}
	_ = t.session.Stdin.Close()
	report, err := t.read(ctx, f.reportTimeout())
	if err != nil {
		return nil, err
	}
	t.decline() // nothing runs in it
	return report, nil
}

// cmpErr is the first error that is not nil.
func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// held is a writer that keeps what it gets until it is told where it should go.
type held struct {
	mu   sync.Mutex
	kept bytes.Buffer
	to   io.Writer
}

func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to != nil {
		return h.to.Write(p)
	}
	h.kept.Write(p[:max(0, min(len(p), maxHeld-h.kept.Len()))])
	return len(p), nil
}

// release passes on what was kept, and from now on everything.
func (h *held) release(to io.Writer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.to = to
	_, _ = to.Write(h.kept.Bytes())
	h.kept.Reset()
}

func (h *held) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kept.String()
}
