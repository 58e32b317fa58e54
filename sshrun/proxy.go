package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxProxyWords is how much of a proxy command's stderr is kept for an error.
const maxProxyWords = 4 << 10

// proxyGrace is how long a proxy command may take to end.
const proxyGrace = 500 * time.Millisecond

// proxyConn is a ProxyCommand as a connection: its stdin and stdout.
type proxyConn struct {
	in  io.WriteCloser
	out io.ReadCloser
	cmd *exec.Cmd
	err *tail

	addr    proxyAddr
	ended   atomic.Bool // its output has ended
	closing sync.Once
	status  error // of cmd, set by Close
}

// proxyAddr is where a proxy command leads.
type proxyAddr string

func (proxyAddr) Network() string  { return "tcp" }
func (a proxyAddr) String() string { return string(a) }

// startProxy runs command as ssh does, with the user's shell, but in a process group of its own: ^C at the
// terminal is for the caller to decide about. It ends with Close.
func startProxy(command, addr string) (net.Conn, error) {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.CommandContext(context.Background(), shell, "-c", "exec "+command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	words := &tail{limit: maxProxyWords}
	cmd.Stderr = words
	cmd.WaitDelay = time.Second // a grandchild may hold stderr open
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start ProxyCommand: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start ProxyCommand: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ProxyCommand: %w", err)
	}
	return &proxyConn{in: in, out: out, cmd: cmd, err: words, addr: proxyAddr(addr)}, nil
}

func (p *proxyConn) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err != nil {
		p.ended.Store(true)
	}
	return n, err
}

func (p *proxyConn) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close ends the command and all that it started. One that has closed its output is about to end by itself
// and may take proxyGrace for that, so that its own status is seen.
func (p *proxyConn) Close() error {
	p.closing.Do(func() {
		p.in.Close()
		signal := func(sig syscall.Signal) { syscall.Kill(-p.cmd.Process.Pid, sig) } // gone already is fine
		if !p.ended.Load() {
			signal(syscall.SIGTERM)
		}
		term := time.AfterFunc(proxyGrace, func() { signal(syscall.SIGTERM) })
		kill := time.AfterFunc(2*proxyGrace, func() { signal(syscall.SIGKILL) })
		p.status = p.cmd.Wait()
		term.Stop()
		kill.Stop()
	})
	return nil
}

func (p *proxyConn) LocalAddr() net.Addr              { return proxyAddr("local") }
func (p *proxyConn) RemoteAddr() net.Addr             { return p.addr }
func (p *proxyConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (p *proxyConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (p *proxyConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// proxyError adds to err what a proxy command said on stderr, and tells whether the command failed by itself.
// The connection must have been closed. err comes back as it is where there was no proxy command.
func proxyError(conn net.Conn, err error) (_ error, failed bool) {
	p, ok := conn.(*proxyConn)
	if !ok {
		return err, false
	}
	var exit *exec.ExitError
	failed = errors.As(p.status, &exit) && exit.ExitCode() > 0
	if said := oneLine(p.err.String()); said != "" {
		return fmt.Errorf("%w: ProxyCommand: %s", err, said), failed
	}
	return fmt.Errorf("%w: ProxyCommand: %v", err, p.cmd.ProcessState), failed
}

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - t.limit; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
