package fleet

import (
	"os"
	"os/signal"
	"syscall"

	"interlock/sshrun"

	"golang.org/x/term"
)

// ttyEcho is the opcode of the ECHO mode of a terminal (RFC 4254, section 8).
const ttyEcho = 53

// guardedPTY is pty without echo: the go line must not be seen. The host turns echo on once it has read it.
func (r *Run) guardedPTY() *sshrun.PTY {
	pty := r.pty()
	if pty != nil {
		pty.Modes = map[uint8]uint32{ttyEcho: 0}
	}
	return pty
}

// pty is the terminal that the command gets with -t: of our own's kind and size, where there is one (ssh -tt
// needs none). nil without -t.
func (r *Run) pty() *sshrun.PTY {
	if !r.o.TTY {
		return nil
	}
	pty := &sshrun.PTY{Term: os.Getenv("TERM")}
	in, ok := r.s.In.(*os.File)
	if !ok {
		return pty
	}
	if cols, rows, err := term.GetSize(int(in.Fd())); err == nil {
		pty.Cols, pty.Rows = cols, rows
	}
	return pty
}

// raw hands our own terminal to the command: every key goes there, ^C too, and its size follows ours. The
// function that it returns takes it back.
func (r *Run) raw(session *sshrun.Session) (restore func()) {
	in, ok := r.s.In.(*os.File)
	if !r.o.TTY || !ok || !isTerminal(in) {
		return func() {}
	}
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		r.s.notef("warning: terminal stays in line mode: %v", err)
		return func() {}
	}
	sizes, done, stopped := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(sizes, syscall.SIGWINCH)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-sizes:
				if cols, rows, err := term.GetSize(fd); err == nil {
					_ = session.Resize(cols, rows)
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(sizes)
		close(done)
		<-stopped
		_ = term.Restore(fd, before)
	}
}
