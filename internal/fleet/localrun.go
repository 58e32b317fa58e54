package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"interlock/checks"
	"interlock/internal/report"
)

const (
	// seenEvery is the pause between two looks at a host that is waited for, and between two tries of --until.
	seenEvery = 3 * time.Second
	// seenWithin bounds one look: a host that is being installed may take a connection and say nothing.
	seenWithin = 30 * time.Second
	// hostWord stands for a host's name in a command.
	hostWord = "{host}"
)

// commands runs the command: once, or once for each host where it names one. It gives the exit status to end
// with. Where it could not be started nothing has happened, and the locks go.
func (l *Local) commands(ctx context.Context) (int, error) {
	each := slices.ContainsFunc(l.o.Command, func(word string) bool { return strings.Contains(word, hostWord) })
	if !each || len(l.holds) == 1 {
		o, err := l.command(ctx, l.holds)
		if err != nil {
			l.unlock(ctx, l.holds...)
			return 0, err
		}
		return exitOfOne(o), nil
	}
	for i, h := range l.holds {
		o, err := l.command(ctx, l.holds[i:i+1])
		if err == nil && o.fine() && ctx.Err() == nil {
			continue
		}
		rest := l.holds[i+1:]
		if err != nil {
			rest = l.holds[i:]
			l.run.s.notef("%s: %v", h.host, err)
		} else {
			l.run.s.notef("%s: %s", h.host, o)
		}
		l.unlock(ctx, rest...)
		return ExitFailed, nil
	}
	return ExitOK, nil
}

// command runs the command for some of the hosts, with our own streams.
func (l *Local) command(ctx context.Context, holds []*grip) (outcome, error) {
	names := make([]string, len(holds))
	for i, h := range holds {
		names[i] = h.host
	}
	argv := l.words(l.o.Command, names)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...) // asked to stop, and waited for
	cmd.Env = append(os.Environ(), "INTERLOCK_HOSTS="+strings.Join(bare(names), " "))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = l.run.s.In, l.run.s.Out, plainErr(l.run.s.Err)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return outcome{}, &Error{Status: ExitFailed, Err: fmt.Errorf("start command: %w", err)}
	}
	// A ^C at a terminal reaches it by itself; once more does not hurt.
	tell := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	err := cmd.Wait()
	tell()
	o := outcome{kind: exited, exit: cmd.ProcessState.ExitCode(), took: time.Since(begin)}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		o.kind, o.exit, o.signal = signaled, 0, signalName(ws.Signal())
	} else if o.exit < 0 {
		return o, fmt.Errorf("wait for command: %w", err)
	}
	for _, h := range holds {
		o.host, o.state, o.lock = h.host, h.state, h.lock
		l.run.recordEnd(o)
	}
	return o, nil
}

// words is the argv for some hosts: a single word is a shell line.
func (l *Local) words(command, names []string) []string {
	argv := slices.Clone(command)
	if len(names) == 1 {
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], hostWord, bare(names)[0])
		}
	}
	if len(argv) == 1 {
		return []string{"/bin/sh", "-c", argv[0]}
	}
	return argv
}

// plainErr is standard error itself, for a process that writes there.
func plainErr(w io.Writer) io.Writer {
	if c, ok := w.(*console); ok {
		return c.w
	}
	return w
}

// signalName is a signal's name without SIG: that of the table in outcome.go, else its number.
func signalName(s syscall.Signal) string {
	for _, name := range []string{"HUP", "INT", "QUIT", "ILL", "ABRT", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM"} {
		if signalNumber(name) == int(s) {
			return name
		}
	}
	return fmt.Sprint(int(s))
}

// await waits until every host was seen to be another, or --until says that it is done.
func (l *Local) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.o.UntilTimeout, fmt.Errorf("not within %v", l.o.UntilTimeout))
	defer cancel()
	l.run.s.notef("waiting for %s; ^C leaves the locks", plural(len(l.holds), "host", "hosts"))
	if l.o.Until != "" && !strings.Contains(l.o.Until, hostWord) {
		l.until(ctx, l.holds...)
	} else {
		each(ctx, len(l.holds), l.run.names, func(ctx context.Context, host string) bool {
			h := l.holds[slices.IndexFunc(l.holds, func(h *grip) bool { return h.host == host })]
			if l.o.Until != "" {
				l.until(ctx, h)
			} else {
				l.seen(ctx, h)
			}
			return h.over
		})
	}
	if !slices.ContainsFunc(l.holds, func(h *grip) bool { return !h.over }) {
		return nil
	}
	l.run.s.notef("%v", context.Cause(ctx))
	l.left()
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return status(ExitInterrupted)
	}
	return status(ExitUnreachable)
}

// until tries the line of --until until it succeeds, and then releases the locks.
func (l *Local) until(ctx context.Context, holds ...*grip) {
	names := make([]string, len(holds))
	for i, h := range holds {
		names[i] = h.host
	}
	argv := l.words([]string{l.o.Until}, names)
	for pause(ctx) {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "INTERLOCK_HOSTS="+strings.Join(bare(names), " "))
		cmd.Stderr = plainErr(l.run.s.Err)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = stopWait
		if cmd.Run() == nil && ctx.Err() == nil {
			l.unlock(ctx, holds...)
			return
		}
	}
}

// seen waits until a host reports another boot id or machine id. Its own check has closed the lock then; a machine
// that was installed anew has none. What keeps it from being seen is said when it changes.
func (l *Local) seen(ctx context.Context, h *grip) {
	said := ""
	for pause(ctx) {
		r, err := l.look(ctx, h.host)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && another(r.Facts["boot_id"], h.boot) || err == nil && another(r.Facts["machine_id"], h.machine):
			h.over = true
			l.run.s.notef("%s is back, %s", h.host, r.State)
			return
		}
		why := "it has not booted yet"
		if err != nil {
			why = cause(err)
		}
		if why != said {
			said = why
			l.run.s.notef("%s: %s", h.host, report.Visible(why))
		}
	}
}

// another tells whether an id is known and not the one before.
func another(id, before string) bool { return id != "" && id != "-" && before != "" && id != before }

// look asks a host what it is, on a connection of its own: the old one has died, or will.
func (l *Local) look(ctx context.Context, host string) (*checks.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	conn, err := l.run.site.client.Dial(ctx, l.run.site.target(host))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return l.run.site.ask(ctx, conn, l.run.request(host, checks.ModeCheck))
}

// pause waits for the next try; false when there is none.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(seenEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
