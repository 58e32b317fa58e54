package sshrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// opensshConn starts a process of the system's ssh for each command.
type opensshConn struct {
	bin      string
	args     []string // all but the command
	terminal bool     // ssh may ask on it

	started atomic.Bool // the first command has the forwards, if there are any; a second one could not listen again
}

// dialOpenSSH prepares the arguments. Nothing is connected yet: whether the host can be reached shows when a
// command is started.
func (c *Client) dialOpenSSH(t Target) (*Conn, error) {
	fail := func(err error) (*Conn, error) {
		return nil, &HostError{Host: t.Name, Stage: StageResolve, Err: err}
	}
	if c.sshBin == "" {
		return fail(errors.New("transport openssh: no ssh on PATH"))
	}
	q, err := c.newQuestion(t, c.opts)
	if err != nil {
		return fail(err)
	}
	timeout := c.opts.ConnectTimeout
	if timeout <= 0 {
		timeout = DefaultConnectTimeout
	}
	alive := c.opts.KeepAlive
	if alive <= 0 {
		alive = DefaultKeepAlive
	}
	args := append(c.sshArgs(q), "-o", "ControlPath=none", "-o", "EscapeChar=none", "-o", wholeSeconds("ConnectTimeout", timeout),
		"-o", wholeSeconds("ServerAliveInterval", alive), "-o", fmt.Sprintf("ServerAliveCountMax=%d", missedKeepAlives))
	if c.opts.Terminal == nil && c.opts.Transport != "auto" { // there, whether ssh may ask is the user's own affair
		args = append(args, "-o", "BatchMode=yes")
	}
	if t.Address != "" {
		args = append(args, hostNameArgs(t.Address)...)
	}
	if t.KnownHosts != "" {
		args = append(args, "-o", "UserKnownHostsFile="+t.KnownHosts)
	}
	o := &opensshConn{bin: c.sshBin, args: append(args, "--", q.name), terminal: c.opts.Terminal != nil}
	return &Conn{host: t.Name, user: q.user, backend: o}, nil
}

// hostNameArgs are ssh's options for an address, which may hold a percent sign.
func hostNameArgs(address string) []string {
	return []string{"-o", "HostName=" + strings.ReplaceAll(address, "%", "%%")}
}

// wholeSeconds is an ssh option that takes a time; ssh knows no fractions, and takes 0 for "never".
func wholeSeconds(option string, d time.Duration) string {
	return fmt.Sprintf("%s=%d", option, max(1, (d+time.Second-1)/time.Second))
}

func (o *opensshConn) close() error { return nil }

func (o *opensshConn) start(ctx context.Context, command string, so StartOptions) (*Session, error) {
	tty := "-T"
	if so.PTY != nil {
		tty = "-tt"
	}
	before := []string{tty}
	if o.started.Swap(true) {
		before = append(before, "-o", "ClearAllForwardings=yes")
	}
	cmd := exec.CommandContext(ctx, o.bin, append(append(before, o.args...), command)...)
	// ^C at the terminal is for the caller to decide about; but a process outside of the terminal's group
	// could not ask there.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !o.terminal}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = closeGrace
	s := &Session{}
	var errs [3]error
	s.Stdin, errs[0] = cmd.StdinPipe()
	var stdout, stderr io.ReadCloser
	stdout, errs[1] = cmd.StdoutPipe()
	stderr, errs[2] = cmd.StderrPipe()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.Stdout, s.Stderr = stdout, stderr
	s.backend = &opensshSession{cmd: cmd, given: func() error { return context.Cause(ctx) }}
	return s, nil
}

// opensshSession is one ssh process.
type opensshSession struct {
	cmd   *exec.Cmd
	given func() error // why it was given up; nil if it was not
	once  sync.Once
	exit  Exit
}

// errAmbiguous: ssh(1), "EXIT STATUS".
var errAmbiguous = errors.New("ssh ended with 255, which is a failed or lost connection, a signal or the command's own 255: ssh does not tell which")

func (s *opensshSession) wait() Exit {
	s.once.Do(func() { s.exit = s.result(s.cmd.Wait()) })
	return s.exit
}

func (s *opensshSession) result(err error) Exit {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return Exit{Kind: Exited}
	case s.given() != nil:
		return Exit{Kind: Lost, Err: s.given()}
	case errors.As(err, &ended) && ended.ExitCode() == 255:
		return Exit{Kind: Lost, Err: errAmbiguous}
	case errors.As(err, &ended) && ended.ExitCode() >= 0:
		return Exit{Kind: Exited, Status: ended.ExitCode()}
	}
	return Exit{Kind: Lost, Err: fmt.Errorf("ssh: %w", err)}
}

func (s *opensshSession) close() error {
	s.cmd.Process.Signal(syscall.SIGTERM) // its error is that it has ended
	s.wait()
	return nil
}

func (s *opensshSession) signal(string) error {
	return errors.New("signal command: transport openssh cannot: use the native transport")
}

func (s *opensshSession) resize(int, int) error {
	return errors.New("resize terminal: transport openssh cannot: use the native transport")
}
