package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Waits between tries while a host closes connections before its banner (sshd's MaxStartups).
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// dial connects, checks, authenticates. behind are the jump hosts that wait for s, so that a ring of them ends.
func (c *Client) dial(ctx context.Context, s *settings, behind []string) (*nativeConn, error) {
	// Looking through what is known of the host is our time, not its: hashed names of thousands take milliseconds.
	check, err := c.newHostCheck(s)
	if err != nil {
		return nil, &HostError{Host: s.name, Stage: StageHostKey, Err: err}
	}
	limit := c.connectTimeout(s)
	var waiting questions
	ctx, stop := withBudget(ctx, limit, &c.prompt.clock, &waiting)
	defer stop()
	for try := 0; ; try++ {
		n, err := c.try(ctx, s, check, behind, &waiting)
		var early *earlyCloseError
		var jump *jumpError // has been tried again already
		if err == nil || errors.As(err, &jump) || !errors.As(err, &early) {
			return n, err
		}
		c.log.Debug("closed before its banner, trying again", "host", s.name, "try", try+1)
		wait := min(firstRetry<<min(try, 10), lastRetry)
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			early.tries = try + 1
			return nil, err
		}
	}
}

func (c *Client) connectTimeout(s *settings) time.Duration {
	switch {
	case c.opts.Args != nil && s.connectTimeout > 0: // ssh's own command line may have said it
		return s.connectTimeout
	case c.opts.ConnectTimeout > 0:
		return c.opts.ConnectTimeout
	case s.connectTimeout > 0:
		return s.connectTimeout
	}
	return DefaultConnectTimeout
}

// keepAlive is how often a silent host is asked for a sign of life. A ServerAliveInterval can make it shorter;
// a longer one was chosen against idle firewalls and would leave a dead host unnoticed for minutes.
func (c *Client) keepAlive(s *settings) time.Duration {
	if c.opts.KeepAlive > 0 {
		return c.opts.KeepAlive
	}
	if s.aliveInterval > 0 {
		return min(s.aliveInterval, DefaultKeepAlive)
	}
	return DefaultKeepAlive
}

// earlyCloseError: the host took the connection and closed it before it said SSH-.
type earlyCloseError struct {
	tries int
	err   error
}

func (e *earlyCloseError) Error() string {
	return fmt.Sprintf("closed before the SSH banner, %d times: too many connections at once (MaxStartups), or not an SSH server: %v", e.tries, e.err)
}

// handshakesPerCPU bounds how many hosts shake hands at once. It costs 1 to 2 ms of CPU each, spread over some six
// round trips: 128 at once keep a processor busy where hosts are 50 ms away. Without a bound, 512 hosts on a machine
// that has other work each got so little of it that four in ten ran into their ConnectTimeout, half-way.
const handshakesPerCPU = 128

// turn waits until s may shake hands. That is our time, not the host's.
func (c *Client) turn(ctx context.Context, waiting *questions) (done func(), err error) {
	waiting.begin()
	defer waiting.end()
	select {
	case c.handshakes <- struct{}{}:
		return func() { <-c.handshakes }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// try is one connection.
func (c *Client) try(ctx context.Context, s *settings, check *hostCheck, behind []string, waiting *questions) (*nativeConn, error) {
	cfg, err := c.clientConfig(s)
	if err == nil {
		cfg.HostKeyAlgorithms, err = check.algorithms()
	}
	if err != nil {
		return nil, &HostError{Host: s.name, Stage: StageResolve, Err: err, Remedy: useOpenSSH}
	}
	raw, err := c.open(ctx, s, behind)
	if err != nil {
		return nil, openError(ctx, s, err)
	}
	done, err := c.turn(ctx, waiting)
	if err != nil {
		raw.Close()
		return nil, openError(ctx, s, err)
	}
	defer done()
	h := &handshake{s: s, raw: raw, check: check, login: &login{s: s, ring: c.ring(s)}}
	h.login.open = func(f *keyFile) (ssh.Signer, error) { return f.open(ctx, &c.prompt, s.batch) }
	h.conn = &watchedConn{Conn: raw, since: time.Now()}
	return h.run(ctx, c, cfg)
}

// openError says why there is no byte stream to s.
func openError(ctx context.Context, s *settings, err error) *HostError {
	e := &HostError{Host: s.name, Stage: StageConnect, Err: err}
	var jump *jumpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &jump):
		e.Remedy = jump.Remedy
	case context.Cause(ctx) != nil:
		e.Err = context.Cause(ctx)
	case errors.As(err, &dns):
		e.Stage, e.Err = StageResolve, dns
	}
	return e
}

// handshake is everything between an open byte stream and a connection.
type handshake struct {
	s     *settings
	raw   net.Conn
	conn  *watchedConn
	check *hostCheck
	login *login
	// verdict is on the host's key; nil before. x/crypto asks for it in a goroutine of its own, which may still
	// wait for the user when the connection is gone.
	verdict atomic.Pointer[keyVerdict]
}

// keyVerdict is what hostCheck.check said.
type keyVerdict struct{ err error }

func (h *handshake) run(ctx context.Context, c *Client, cfg *ssh.ClientConfig) (*nativeConn, error) {
	abort := context.AfterFunc(ctx, func() { h.raw.Close() }) // deadlines do not work through jump hosts
	defer abort()
	cfg.HostKeyCallback = func(_ string, remote net.Addr, key ssh.PublicKey) error {
		err := h.check.check(ctx, remote, key)
		h.verdict.Store(&keyVerdict{err})
		return err
	}
	cfg.AuthCallback = h.login.method
	conn, chans, reqs, err := ssh.NewClientConn(h.conn, h.check.lookup, cfg)
	if err == nil && !abort() {
		err = errors.Join(context.Cause(ctx), conn.Close())
	}
	if err != nil {
		h.raw.Close()
		return nil, h.explain(ctx, trimSSH(err))
	}
	return newNativeConn(c, h.s, h.conn, conn, chans, reqs), nil
}

// explain finds the stage at which err happened.
func (h *handshake) explain(ctx context.Context, err error) *HostError {
	e := &HostError{Host: h.s.name, Stage: StageConnect, Err: err}
	verdict := h.verdict.Load()
	var refused *hostKeyError
	switch {
	case verdict != nil && errors.As(verdict.err, &refused):
		return &HostError{Host: h.s.name, Stage: StageHostKey, Err: refused.err, Remedy: refused.remedy}
	case verdict != nil && verdict.err != nil:
		e.Stage, e.Err = StageHostKey, verdict.err
	case verdict != nil:
		e.Stage, e.Remedy = StageAuthenticate, h.login.remedy(err)
	default:
		e.Remedy, e.Err = h.explainConnect(context.Cause(ctx), err)
		return e
	}
	if cause := context.Cause(ctx); cause != nil {
		e.Err, e.Remedy = cause, ""
	}
	return e
}

// explainConnect is for what went wrong before the host showed its key. given is why ctx ended; nil if it has not.
func (h *handshake) explainConnect(given, err error) (remedy string, _ error) {
	closed, spoke := isClosed(err), h.conn.banner.Load()
	err, proxyFailed := proxyError(h.raw, err)
	var mismatch *ssh.AlgorithmNegotiationError
	switch {
	case given != nil && !spoke:
		return "", fmt.Errorf("connection is open, but no SSH banner came: %w", given)
	case given != nil:
		return "", given
	case closed && !spoke && !proxyFailed:
		return "", &earlyCloseError{1, err}
	case errors.As(err, &mismatch):
		return "the host has none of the algorithms that work in process: " + useOpenSSH, err
	}
	return "", err
}

// isClosed tells an end of the connection from what the peer may have said wrong.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// trimSSH strips x/crypto's layers of prefixes, and keeps the error inside for errors.Is.
func trimSSH(err error) error {
	text := err.Error()
	for _, prefix := range []string{"ssh: handshake failed: ", "ssh: "} {
		if len(text) > len(prefix) && text[:len(prefix)] == prefix {
			text = text[len(prefix):]
		}
	}
	return &worded{text, err}
}

// worded is an error in better words.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

// clientConfig maps what the configuration allows to what x/crypto has. A list that leaves nothing is an error:
// x/crypto would take its own defaults, which the user has excluded.
func (c *Client) clientConfig(s *settings) (*ssh.ClientConfig, error) {
	supported, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	cfg := &ssh.ClientConfig{User: s.user, ClientVersion: "SSH-2.0-interlock"}
	cfg.KeyExchanges = both(s.kex, supported.KeyExchanges, old.KeyExchanges)
	cfg.MACs = both(s.macs, supported.MACs, old.MACs)
	cfg.Ciphers = both(s.ciphers, supported.Ciphers, old.Ciphers)
	for keyword, list := range map[string][]string{"KexAlgorithms": cfg.KeyExchanges, "MACs": cfg.MACs, "Ciphers": cfg.Ciphers} {
		if len(list) == 0 {
			return nil, fmt.Errorf("none of the configured %s works in process", keyword)
		}
	}
	if c.opts.Args == nil && (c.resolver.scan == nil || !c.resolver.scan.ciphers) {
		// Nobody has chosen: AES-GCM before ChaCha20, which is slower where the CPU has AES.
		cfg.Ciphers = both(supported.Ciphers, cfg.Ciphers, nil)
	}
	cfg.BannerCallback = func(message string) error {
		c.log.Debug("banner", "host", s.name, "text", message)
		return nil
	}
	return cfg, nil
}

// both are the members of want that have or old hold, in want's order; have where want is empty.
func both(want, have, old []string) []string {
	if len(want) == 0 {
		return have
	}
	var out []string
	for _, w := range want {
		if slices.Contains(have, w) || slices.Contains(old, w) {
			out = append(out, w)
		}
	}
	return out
}

// open gives a byte stream to the host: through its proxy command, its jump hosts, or TCP.
func (c *Client) open(ctx context.Context, s *settings, behind []string) (net.Conn, error) {
	addr := net.JoinHostPort(s.hostname, strconv.Itoa(s.port))
	switch {
	case s.proxyCommand != "":
		if s.fdPass {
			return nil, errors.New("ProxyUseFdpass needs " + useOpenSSH)
		}
		return startProxy(s.tokens(c, s.proxyCommand), addr)
	case s.proxyJump != "":
		if conn, err := c.openThroughJump(ctx, s, behind, addr); conn != nil || err != nil {
			return conn, err
		}
	}
	dialer := net.Dialer{KeepAlive: -1} // SSH has its own
	if s.bindAddress != "" {
		ip, err := net.ResolveIPAddr("ip", s.bindAddress)
		if err != nil {
			return nil, fmt.Errorf("BindAddress: %w", err)
		}
		dialer.LocalAddr = &net.TCPAddr{IP: ip.IP, Zone: ip.Zone}
	}
	conn, err := dialer.DialContext(ctx, s.network, addr)
	if err != nil {
		return nil, err
	}
	return quick(conn), nil
}

// watchedConn notes when the host was last heard of, and whether it has said SSH- at all.
type watchedConn struct {
	net.Conn
	since  time.Time    // when it was made; its monotonic clock is what heard counts on
	heard  atomic.Int64 // nanoseconds after since
	banner atomic.Bool
	head   []byte // what came before the banner, at most maxBeforeBanner; owned by the reader
	ahead  []byte // read and not yet given away; owned by the reader
}

// maxBeforeBanner is more than x/crypto reads in search of the banner (256 bytes a line, few lines).
const maxBeforeBanner = 16 << 10

// silent is how long nothing has come.
func (w *watchedConn) silent() time.Duration {
	return time.Since(w.since) - time.Duration(w.heard.Load())
}

// aheadBytes is more than a banner and the host's first packet are (some 40 and 1,100 bytes).
const aheadBytes = 2 << 10

// Read reads ahead until the banner has come: x/crypto asks for it a byte at a time, which were 40 system calls (and
// as many to acknowledge at once), 7 % of the CPU that a host costs.
func (w *watchedConn) Read(p []byte) (int, error) {
	if len(w.ahead) == 0 {
		if w.banner.Load() {
			n, err := w.Conn.Read(p)
			if n > 0 {
				w.heard.Store(int64(time.Since(w.since)))
			}
			return n, err
		}
		if err := w.listen(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.ahead)
	w.ahead = w.ahead[n:]
	return n, nil
}

// listen reads what comes before and with the banner into ahead. An error that comes with bytes comes again without.
func (w *watchedConn) listen() error {
	buf := make([]byte, aheadBytes)
	n, err := w.Conn.Read(buf)
	if n == 0 {
		return err
	}
	w.heard.Store(int64(time.Since(w.since)))
	w.ahead = buf[:n]
	if len(w.head) < maxBeforeBanner {
		w.head = append(w.head, w.ahead...)
		if bytes.Contains(w.head, []byte("SSH-")) {
			w.banner.Store(true)
			w.head = nil
		}
	}
	return nil
}
