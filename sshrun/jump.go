package sshrun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// jumpRetry is how long a jump host that could not be reached is not tried again: the hosts behind it would
// each wait for the same silence.
const jumpRetry = 10 * time.Second

// jumpStore shares one connection per jump host, user and way there.
type jumpStore struct {
	mu      sync.Mutex
	conns   map[string]*jumpConn
	closed  bool
	dialing sync.WaitGroup
}

// jumpConn is a jump host being dialled, or dialled; ready is closed once conn or err is set.
type jumpConn struct {
	cancel context.CancelFunc // of the dial, which no single host may end
	ready  chan struct{}
	conn   *nativeConn
	err    error
	since  time.Time
}

// stale tells whether it is time to dial again.
func (j *jumpConn) stale() bool {
	select {
	case <-j.ready:
	default:
		return false
	}
	if j.err != nil {
		return time.Since(j.since) > jumpRetry
	}
	select {
	case <-j.conn.lost:
		return true
	default:
		return false
	}
}

// jump gives the connection to the last jump host before s; nil where s is its own jump host, which ssh takes
// for "no jump" (`Host * ProxyJump bastion` fits the bastion too). behind are the jump hosts that wait for s.
func (c *Client) jump(ctx context.Context, s *settings, behind []string) (*nativeConn, error) {
	before, last := "", s.proxyJump
	if comma := strings.LastIndexByte(last, ','); comma >= 0 {
		before, last = last[:comma], strings.TrimSpace(last[comma+1:])
	}
	t, err := parseJump(last)
	if err != nil {
		return nil, err
	}
	js, err := c.resolve(ctx, t, Options{}) // flags are meant for the hosts behind it, as with ssh -J
	if err != nil {
		return nil, fmt.Errorf("resolve jump host %s: %w", t.Name, err)
	}
	if before != "" {
		js.proxyJump, js.proxyCommand = before, ""
	} else if js.hostname == s.hostname && js.port == s.port {
		return nil, nil
	}
	key := fmt.Sprintf("%s@%s:%d via %q %q", js.user, js.hostname, js.port, js.proxyJump, js.proxyCommand)
	if slices.Contains(behind, key) {
		return nil, fmt.Errorf("ProxyJump %s of %s leads back to where it began", s.proxyJump, s.name)
	}
	j, err := c.jumps.get(ctx, key, func(ctx context.Context) (*nativeConn, error) {
		return c.dial(ctx, js, append(slices.Clone(behind), key))
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-j.ready:
	case <-ctx.Done():
		return nil, fmt.Errorf("jump host %s: %w", js.name, context.Cause(ctx))
	}
	var he *HostError
	if errors.As(j.err, &he) {
		return nil, &jumpError{he}
	}
	return j.conn, j.err
}

// openThroughJump opens a byte stream to addr on the jump host before s; nil where s is its own jump host. A
// shared connection that turns out to be dead is replaced once.
func (c *Client) openThroughJump(ctx context.Context, s *settings, behind []string, addr string) (net.Conn, error) {
	for try := 0; ; try++ {
		jump, err := c.jump(ctx, s, behind)
		if jump == nil || err != nil {
			return nil, err
		}
		conn, err := jump.client.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn, nil
		}
		var refused *ssh.OpenChannelError
		if try > 0 || ctx.Err() != nil || errors.As(err, &refused) {
			return nil, fmt.Errorf("through jump host %s: %w", jump.host, trimSSH(err))
		}
		_ = jump.close()
	}
}

// jumpError is the jump host's trouble, told for a host behind it.
type jumpError struct{ *HostError }

func (e *jumpError) Error() string {
	return fmt.Sprintf("jump host %s, %s: %v", e.Host, e.Stage, e.Err)
}

// get returns the shared connection for key, being dialled or dialled. It starts dial where there is none that
// lives; the dial outlives ctx and ends with the store.
func (s *jumpStore) get(ctx context.Context, key string, dial func(context.Context) (*nativeConn, error)) (*jumpConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.conns == nil {
		s.conns = map[string]*jumpConn{}
	}
	if j := s.conns[key]; j != nil && !j.stale() {
		return j, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j := &jumpConn{ready: make(chan struct{}), cancel: cancel}
	s.conns[key] = j
	s.dialing.Go(func() {
		defer cancel()
		j.conn, j.err = dial(ctx)
		j.since = time.Now()
		close(j.ready)
	})
	return j, nil
}

// close ends all shared connections, and the dials that are under way.
func (s *jumpStore) close() {
	s.mu.Lock()
	s.closed = true
	for _, j := range s.conns {
		j.cancel()
	}
	s.mu.Unlock()
	s.dialing.Wait()
	for _, j := range s.conns {
		if j.conn != nil {
			_ = j.conn.close()
		}
	}
}

// parseJump reads [user@]host[:port] or ssh://….
func parseJump(text string) (Target, error) {
	var t Target
	rest := strings.TrimSuffix(strings.TrimPrefix(text, "ssh://"), "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		t.User, rest = rest[:at], rest[at+1:]
	}
	t.Name = strings.Trim(rest, "[]")
	if host, port, err := net.SplitHostPort(rest); err == nil {
		if t.Port, err = strconv.Atoi(port); err != nil {
			return t, fmt.Errorf("ProxyJump %q: port %q is not a number", text, port)
		}
		t.Name = host
	}
	return t, nil
}
