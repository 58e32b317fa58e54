package sshrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Conn is a connection to one host. Its methods may be called at once; several commands can run on it, as
// many as the host's MaxSessions lets (10 unless set).
type Conn struct {
	host string
	user string
	addr net.Addr
	backend
}

// backend is how commands are started: in process or by the system's ssh.
type backend interface {
	start(ctx context.Context, command string, o StartOptions) (*Session, error)
	close() error
}

// Host is the host's name as the user wrote it.
func (c *Conn) Host() string { return c.host }

// User is the account logged in to; "" where only ssh knows (transport openssh).
func (c *Conn) User() string { return c.user }

// RemoteAddr is the address connected to; nil where only ssh knows, and what the jump host was asked for
// where there is one.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// Close ends the connection and with it all sessions. The commands go on on the host unless they notice.
func (c *Conn) Close() error { return c.close() }

// StartOptions is what a session can have beside its command.
type StartOptions struct {
	PTY *PTY // nil: none
}

// PTY is a terminal on the host.
type PTY struct {
	Term       string           // TERM; "" means dumb
	Cols, Rows int              // characters; 0 means 80 by 24
	Modes      map[uint8]uint32 // encoded terminal modes, RFC 4254 section 8
}

// Start runs command on the host, with the account's login shell, as ssh does. When ctx ends, the session is
// closed; the command is not told, and may run on. Read Stdout and Stderr at the same time: a host that
// nobody listens to stops once 2 MiB are under way.
func (c *Conn) Start(ctx context.Context, command string, o StartOptions) (*Session, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("start command on %s: %w", c.host, err)
	}
	s, err := c.start(ctx, command, o)
	if err != nil {
		return nil, fmt.Errorf("start command on %s: %w", c.host, err)
	}
	return s, nil
}

// closeGrace is how long a host may take to answer when a command is being started and ctx has ended, before
// the connection is given up for lost. It also bounds the end of a local ssh process.
const closeGrace = 2 * time.Second

// nativeConn is a connection in process.
type nativeConn struct {
	host   string
	client *ssh.Client
	conn   *watchedConn
	remote net.Addr
	env    []envVar

	lost    chan struct{} // closed once the connection is gone
	mu      sync.Mutex
	cause   error // why it is gone, if known
	working sync.WaitGroup
	pumps   pumps
}

// envVar is an environment variable to ask the host for.
type envVar struct{ name, value string }

func newNativeConn(c *Client, s *settings, watched *watchedConn, conn ssh.Conn, chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) *nativeConn {
	n := &nativeConn{host: s.name, client: &ssh.Client{Conn: conn}, conn: watched, remote: watched.RemoteAddr(),
		env: s.environment(), lost: make(chan struct{})}
	n.working.Go(func() { n.serve(chans, reqs) })
	n.watch(c.keepAlive(s))
	return n
}

// serve answers what the host asks for, which is no, until the connection ends. It does in one goroutine what
// ssh.NewClient does in three.
func (n *nativeConn) serve(chans <-chan ssh.NewChannel, reqs <-chan *ssh.Request) {
	for chans != nil || reqs != nil {
		select {
		case ch, ok := <-chans:
			if !ok {
				chans = nil
				continue
			}
			_ = ch.Reject(ssh.Prohibited, "not asked for")
		case r, ok := <-reqs:
			if !ok {
				reqs = nil
				continue
			}
			_ = r.Reply(false, nil) // keepalives among them
		}
	}
	n.giveUp(n.client.Wait())
	close(n.lost)
}

// environment is what SendEnv and SetEnv ask for; SetEnv wins.
func (s *settings) environment() []envVar {
	var env []envVar
	for _, kv := range s.setEnv {
		name, value, _ := strings.Cut(kv, "=")
		env = append(env, envVar{name, value})
	}
	if len(s.sendEnv) == 0 {
		return env
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		wanted := false
		for _, pattern := range s.sendEnv {
			if ok, err := path.Match(strings.TrimPrefix(pattern, "-"), name); err == nil && ok {
				wanted = !strings.HasPrefix(pattern, "-")
			}
		}
		for _, set := range env[:min(len(s.setEnv), len(env))] {
			wanted = wanted && set.name != name
		}
		if wanted {
			env = append(env, envVar{name, value})
		}
	}
	return env
}

// watch asks a silent host for a sign of life every interval, and ends the connection when it has said nothing
// for missedKeepAlives of them. A timer, not a goroutine: there may be thousands of silent hosts.
func (n *nativeConn) watch(interval time.Duration) {
	limit := missedKeepAlives * interval
	var asking atomic.Bool
	var check func()
	check = func() {
		select {
		case <-n.lost:
			return
		default:
		}
		silent := n.conn.silent()
		if silent >= limit {
			n.giveUp(fmt.Errorf("host has not answered for %v", limit))
			n.conn.Close()
			return
		}
		time.AfterFunc(interval-silent%interval, check)
		if silent >= interval && asking.CompareAndSwap(false, true) {
			_, _, _ = n.client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do; conn sees it
			asking.Store(false)
		}
	}
	time.AfterFunc(interval, check)
}

// giveUp notes why the connection is gone; the first reason stays.
func (n *nativeConn) giveUp(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cause == nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("connection closed by the host")
		}
		n.cause = err
	}
}

// whyLost is the reason, or nil while the connection stands.
func (n *nativeConn) whyLost() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cause
}

func (n *nativeConn) close() error {
	n.giveUp(errConnClosed)
	n.conn.Close()
	n.pumps.stop()
	n.working.Wait()
	return nil
}

func (n *nativeConn) start(ctx context.Context, command string, o StartOptions) (*Session, error) {
	started := make(chan struct{})
	defer close(started)
	stop := context.AfterFunc(ctx, func() { n.hurry(started) })
	defer stop()
	ch, err := n.client.NewSession()
	if err != nil {
		var full *ssh.OpenChannelError
		if errors.As(err, &full) {
			return nil, fmt.Errorf("host refuses another session on this connection (MaxSessions): %w", err)
		}
		return nil, n.lostError(err)
	}
	s, err := n.startOn(ctx, ch, command, o)
	if err != nil {
		ch.Close()
		return nil, err
	}
	return s, nil
}

func (n *nativeConn) startOn(ctx context.Context, ch *ssh.Session, command string, o StartOptions) (*Session, error) {
	for _, e := range n.env {
		// No reply is asked for: most hosts take few variables, and none is worth a round trip.
		if _, err := ch.SendRequest("env", false, ssh.Marshal(&struct{ Name, Value string }{e.name, e.value})); err != nil {
			return nil, n.lostError(err)
		}
	}
	if o.PTY != nil {
		p := o.PTY.filled()
		if err := ch.RequestPty(p.Term, p.Rows, p.Cols, p.Modes); err != nil {
			return nil, n.lostError(fmt.Errorf("ask for a terminal: %w", trimSSH(err)))
		}
	}
	stdin, err1 := ch.StdinPipe()
	stdout, err2 := ch.StdoutPipe()
	stderr, err3 := ch.StderrPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if err := ch.Start(command); err != nil {
		if strings.HasPrefix(err.Error(), "ssh: command ") { // it would repeat the whole command
			err = errors.New("host refuses to run it")
		}
		return nil, n.lostError(err)
	}
	native := &nativeSession{conn: n, ch: ch, done: make(chan struct{}), abandoned: make(chan struct{}),
		streams: [2]*stream{newStream(stdout, n), newStream(stderr, n)}}
	native.follow(ctx)
	return &Session{Stdin: stdin, Stdout: native.streams[0], Stderr: native.streams[1], backend: native}, nil
}

func (p PTY) filled() PTY {
	if p.Term == "" {
		p.Term = "dumb"
	}
	if p.Cols <= 0 || p.Rows <= 0 {
		p.Cols, p.Rows = 80, 24
	}
	return p
}

// lostError prefers the reason why the connection is gone to the EOF that it shows as.
func (n *nativeConn) lostError(err error) error {
	if why := n.whyLost(); why != nil {
		return why
	}
	if errors.Is(err, io.EOF) {
		return errors.New("connection closed by the host")
	}
	return err
}

// hurry ends the connection unless done comes within closeGrace.
func (n *nativeConn) hurry(done <-chan struct{}) {
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		n.giveUp(fmt.Errorf("host has not answered for %v", closeGrace))
		n.conn.Close()
	}
}
