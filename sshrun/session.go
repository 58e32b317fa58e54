package sshrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// ExitKind is how a command ended.
type ExitKind int

// The three ends of a command. Lost is the zero value: an Exit that nobody filled in must not look like success.
const (
	Lost     ExitKind = iota // nobody knows: the connection broke, or it was given up; the command may still run
	Exited                   // with Exit.Status
	Signaled                 // by Exit.Signal
)

// String is the kind in a word.
func (k ExitKind) String() string {
	switch k {
	case Exited:
		return "exited"
	case Signaled:
		return "signaled"
	}
	return "lost"
}

// Exit is the end of a command.
type Exit struct {
	Kind   ExitKind
	Status int    // Exited: 0 to 255
	Signal string // Signaled: without SIG: TERM, KILL
	Err    error  // Lost: why; otherwise nil, or what went wrong here (writing its output)
}

// OK tells whether the command is known to have succeeded.
func (e Exit) OK() bool { return e.Kind == Exited && e.Status == 0 }

// String says it in words.
func (e Exit) String() string {
	switch e.Kind {
	case Exited:
		return fmt.Sprintf("exit %d", e.Status)
	case Signaled:
		return "killed by SIG" + e.Signal
	}
	return fmt.Sprintf("connection lost, the command may still be running: %v", e.Err)
}

// Session is a command on a host.
type Session struct {
	Stdin          io.WriteCloser // Close it to say that nothing more comes
	Stdout, Stderr io.Reader

	backend sessionBackend
}

// sessionBackend is what differs between the transports.
type sessionBackend interface {
	wait() Exit
	close() error
	signal(name string) error
	resize(cols, rows int) error
}

// Wait gives the end of the command. Call it after Stdout and Stderr have been read to their ends.
func (s *Session) Wait() Exit { return s.backend.wait() }

// Close gives the session up. The command is not told.
func (s *Session) Close() error { return s.backend.close() }

// Signal asks the host to signal the command: "INT", "TERM", "KILL" (RFC 4254 section 6.10). No answer comes:
// sshd ignores it for root and under ForceCommand, and for a command that runs under sudo.
func (s *Session) Signal(name string) error { return s.backend.signal(name) }

// Resize tells the host the new size of the terminal, in characters.
func (s *Session) Resize(cols, rows int) error { return s.backend.resize(cols, rows) }

// nativeSession is a command on a nativeConn.
type nativeSession struct {
	conn    *nativeConn
	ch      *ssh.Session
	streams [2]*stream

	done chan struct{} // closed once exit is set
	exit Exit

	giveUp    sync.Once
	abandoned chan struct{} // closed once why is set
	why       error         // why it was closed from here
}

// follow waits for the end, and gives the session up when ctx ends before.
func (s *nativeSession) follow(ctx context.Context) {
	s.conn.working.Go(func() {
		stop := context.AfterFunc(ctx, func() { s.abandon(context.Cause(ctx)) })
		defer stop()
		s.exit = s.result(s.ch.Wait())
		close(s.done)
	})
}

func (s *nativeSession) wait() Exit {
	select {
	case <-s.done:
		return s.exit
	case <-s.abandoned:
	}
	select {
	case <-s.done: // the status had come already
		return s.exit
	default:
		return Exit{Kind: Lost, Err: s.why}
	}
}

// abandon closes the session because of err, and does not wait: sshd confirms a close only once the command has
// closed its stderr.
func (s *nativeSession) abandon(err error) {
	s.giveUp.Do(func() {
		s.why = err
		close(s.abandoned)
		s.ch.Close() // its error is that it has ended already
		for _, st := range s.streams {
			st.finish(err)
		}
	})
}

func (s *nativeSession) close() error {
	select {
	case <-s.done:
	default:
		s.abandon(errors.New("session closed"))
	}
	return nil
}

// result tells the three ends apart by what the host has sent.
func (s *nativeSession) result(err error) Exit {
	var ended *ssh.ExitError
	switch {
	case err == nil:
		return Exit{Kind: Exited}
	case errors.As(err, &ended) && ended.Signal() != "":
		return Exit{Kind: Signaled, Signal: ended.Signal()}
	case errors.As(err, &ended):
		return Exit{Kind: Exited, Status: ended.ExitStatus()}
	}
	select {
	case <-s.abandoned:
		return Exit{Kind: Lost, Err: s.why}
	default:
	}
	// A lost connection ends its sessions before it ends itself: ask whether it stands.
	if _, _, dead := s.conn.client.SendRequest("keepalive@openssh.com", true, nil); dead != nil {
		<-s.conn.lost
		return Exit{Kind: Lost, Err: s.conn.whyLost()}
	}
	return Exit{Kind: Lost, Err: errors.New("host ended the session without an exit status")}
}

func (s *nativeSession) signal(name string) error { return s.ch.Signal(ssh.Signal(name)) }

func (s *nativeSession) resize(cols, rows int) error { return s.ch.WindowChange(rows, cols) }

// Run runs command to its end. A nil stdin is empty, a nil stdout or stderr is thrown away. A writer that fails
// is told no more, the command goes on, and Exit.Err says so. A command that cannot be started is Lost: what
// became of it is not known. When Run returns, stdin may still be being read, until that read ends.
func (c *Conn) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) Exit {
	s, err := c.Start(ctx, command, StartOptions{})
	if err != nil {
		return Exit{Kind: Lost, Err: err}
	}
	defer s.Close()
	if stdin == nil {
		s.Stdin.Close()
	} else {
		go func() { // not waited for: a read from a terminal ends when the user types
			_, _ = io.Copy(s.Stdin, stdin) // the command may not want all of it
			s.Stdin.Close()
		}()
	}
	var wg sync.WaitGroup
	var stderrErr error
	wg.Go(func() { stderrErr = drain(stderr, s.Stderr, "stderr") })
	stdoutErr := drain(stdout, s.Stdout, "stdout")
	wg.Wait()
	exit := s.Wait()
	if exit.Err == nil {
		exit.Err = errors.Join(stdoutErr, stderrErr)
	}
	return exit
}

// drain copies r to w, and reads on when w fails, so that the command never waits for a reader. How reading
// ended, Wait tells.
func drain(w io.Writer, r io.Reader, name string) error {
	if w == nil {
		w = io.Discard
	}
	g := &gate{w: w}
	_, _ = io.Copy(g, r)
	if _, err := g.close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
