package simfleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Options say what a fleet is like. Hosts is needed.
type Options struct {
	Hosts     int           // a multiple of perBlock, so that the set can be said in one word
	RoundTrip time.Duration // of every connection
	Inspect   time.Duration // how long a host looks at itself, on average
	Slow      time.Duration // how long one host in a hundred takes instead
	Dir       string        // where the client's files go: ssh_config, id, known_hosts
	Hashed    bool          // known_hosts as HashKnownHosts makes them, a line a host
}

// perBlock hosts have the last byte of their address 1 to perBlock, in networks 127.NET.0 and on.
const (
	perBlock = 100
	network  = 83 // of 127/8, which nothing else here uses
)

// Fleet is what answers.
type Fleet struct {
	o       Options
	port    int
	server  *ssh.ServerConfig
	hostKey ssh.PublicKey // of all hosts
	scripts scripts
	book    book
	hosts   []*host

	working sync.WaitGroup
	mu      sync.Mutex
	closers map[net.Conn]bool // every connection that is open
	listens []net.Listener
	holes   []net.Conn // what fills the black holes
	closed  bool
}

// Start brings the hosts up and writes the client's files.
func Start(o Options) (f *Fleet, err error) {
	if o.Hosts <= 0 || o.Hosts%perBlock != 0 || o.Hosts > 200*perBlock {
		return nil, fmt.Errorf("start fleet: %d hosts: want a multiple of %d, at most %d", o.Hosts, perBlock, 200*perBlock)
	}
	f = &Fleet{o: o, book: book{held: map[string]bool{}}, closers: map[net.Conn]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start fleet: %w", err), f.Close())
		}
	}()
	if err := f.keys(); err != nil {
		return nil, err
	}
	for i := range o.Hosts {
		h := &host{fleet: f, index: i, name: f.name(i), kind: kindOf(i), running: map[string]*command{}}
		if h.kind == locked {
			h.lock = othersLock
		}
		f.hosts = append(f.hosts, h)
		if err := f.listen(h); err != nil {
			return nil, err
		}
	}
	return f, f.knownHosts()
}

// name is the address of host i.
func (f *Fleet) name(i int) string {
	return fmt.Sprintf("127.%d.%d.%d", network, i/perBlock, i%perBlock+1)
}

// Set is the whole fleet in the words of a host set.
func (f *Fleet) Set() string {
	return fmt.Sprintf("127.%d.[0-%d].[1-%d]", network, f.o.Hosts/perBlock-1, perBlock)
}

func (f *Fleet) portText() string { return strconv.Itoa(f.port) }

// Config is the path of the client's ssh_config.
func (f *Fleet) Config() string { return f.path("ssh_config") }

func (f *Fleet) path(name string) string { return filepath.Join(f.o.Dir, name) }

// Dead is how many hosts never answer.
func (f *Fleet) Dead() int { return f.count(refusing, blackhole) }

// Refuses is how many hosts say no to a destructive command.
func (f *Fleet) Refuses() int { return f.count(primary, replica, unknown, locked) }

func (f *Fleet) count(kinds ...kind) (n int) {
	for _, h := range f.hosts {
		for _, k := range kinds {
			if h.kind == k {
				n++
			}
		}
	}
	return n
}

// listen gives a host its socket. All hosts have the port that the first one got.
func (f *Fleet) listen(h *host) error {
	if h.kind == refusing && f.port != 0 {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp4", net.JoinHostPort(h.name, f.portText()))
	if err != nil {
		return err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("listen on %s: no TCP", h.name)
	}
	f.port = addr.Port
	f.listens = append(f.listens, l)
	if h.kind == blackhole {
		return f.blackhole(l)
	}
	f.working.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !f.keep(conn, true) {
				return
			}
			f.working.Go(func() {
				defer f.keep(conn, false)
				h.serve(conn)
			})
		}
	})
	return nil
}

// keep notes a connection, or forgets it; false: the fleet has been closed, and so is conn.
func (f *Fleet) keep(conn net.Conn, is bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !is {
		delete(f.closers, conn)
		return true
	}
	if f.closed {
		conn.Close()
		return false
	}
	f.closers[conn] = true
	return true
}

// blackhole makes the kernel drop what asks for a connection: with a backlog of none, one connection that nobody
// accepts fills it (tcp_v4_conn_request, sk_acceptq_is_full).
func (f *Fleet) blackhole(l net.Listener) error {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return errors.New("make a black hole: no TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var listenErr error
	if err := errors.Join(raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), 0) }), listenErr); err != nil {
		return fmt.Errorf("make a black hole: %w", err)
	}
	filler, err := new(net.Dialer).DialContext(context.Background(), "tcp4", l.Addr().String())
	if err != nil {
		return fmt.Errorf("make a black hole: %w", err)
	}
	f.holes = append(f.holes, filler)
	return nil
}

// keys makes the fleet's one host key and the client's key.
func (f *Fleet) keys() error {
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	hostSigner, err := ssh.NewSignerFromKey(hostKey)
	if err != nil {
		return err
	}
	pub, clientKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	known, err := ssh.NewPublicKey(pub)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(clientKey, "")
	if err != nil {
		return err
	}
	blob := string(known.Marshal())
	f.server = &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-OpenSSH_9.2p1 simulated",
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != blob {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}
	f.server.AddHostKey(hostSigner)
	f.hostKey = hostSigner.PublicKey()
	return os.WriteFile(f.path("id"), pem.EncodeToMemory(block), 0o600)
}

// knownHosts writes a line a host, as a fleet's has them, and the configuration that points there.
func (f *Fleet) knownHosts() error {
	key := string(ssh.MarshalAuthorizedKey(f.hostKey))
	var b strings.Builder
	for _, h := range f.hosts {
		name := fmt.Sprintf("[%s]:%d", h.name, f.port)
		if f.o.Hashed {
			name = knownhosts.HashHostname(name)
		}
		b.WriteString(name + " " + key)
	}
	config := fmt.Sprintf("Host *\n\tUser root\n\tPort %d\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tUserKnownHostsFile %s\n"+
		"\tGlobalKnownHostsFile none\n\tStrictHostKeyChecking yes\n\tBatchMode yes\n", f.port, f.path("id"), f.path("known_hosts"))
	return errors.Join(os.WriteFile(f.path("known_hosts"), []byte(b.String()), 0o600), os.WriteFile(f.Config(), []byte(config), 0o600))
}

// Idle waits until no connection is open and nothing is at work on any host; ctx's cause, and what is left, where that does not come.
func (f *Fleet) Idle(ctx context.Context) error {
	for {
		l := f.Ledger()
		if l.Open == 0 && l.Working == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections are open, %d sessions at work, commands run on %v: %w", l.Open, l.Working, l.Running(), context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Close ends all hosts and what is open to them.
func (f *Fleet) Close() error {
	var errs []error
	for _, l := range f.listens {
		errs = append(errs, l.Close())
	}
	f.mu.Lock()
	f.closed = true
	for conn := range f.closers {
		conn.Close()
	}
	f.mu.Unlock()
	for _, h := range f.hosts {
		h.mu.Lock()
		for _, c := range h.running {
			select {
			case c.kill <- "KILL":
			default:
			}
		}
		h.mu.Unlock()
	}
	for _, conn := range f.holes {
		conn.Close()
	}
	f.working.Wait()
	return errors.Join(errs...)
}
