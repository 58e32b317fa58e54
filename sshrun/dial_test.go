package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestConnectErrors(t *testing.T) {
	r := newRig(t)
	c := r.client(func(o *Options) { o.Port = freePort(t) })
	r.refused(c, "127.0.0.1", StageConnect, "connection refused")
	r.refused(r.client(), "no-such-host.invalid", StageResolve, "no-such-host.invalid")
	r.refused(r.client(), "-oProxyCommand=touch", StageResolve, "not a host name")
	r.refused(r.client(), "a;b", StageResolve, "not a host name")
	r.refused(r.client(), "", StageResolve, "not a host name")
	r.refused(r.client(func(o *Options) { o.Transport = "telnet" }), "127.0.0.1", StageResolve, `"telnet"`)
	r.refused(r.client(func(o *Options) { o.ConfigFile = "/nonexistent" }), "127.0.0.1", StageResolve, "ssh -G", "/nonexistent")
	write(t, r.config, "Nonsense yes\n")
	r.refused(r.client(), "127.0.0.1", StageResolve, "nonsense")
}

// A host that takes the connection and never speaks costs ConnectTimeout, no more, and leaves nothing behind.
func TestHostThatNeverSpeaks(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	before := goleak.IgnoreCurrent()
	c := r.client(func(o *Options) { o.ConnectTimeout, o.Port = 300*time.Millisecond, port })
	within(t, 600*time.Millisecond, func() {
		he := r.whyRefused(c, "127.0.0.1", StageConnect, "no SSH banner", "no answer within 300ms")
		var timeout interface{ Timeout() bool }
		if !errors.As(he, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", he)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	within(t, 250*time.Millisecond, func() {
		if _, err := c.Dial(ctx, Target{Name: "127.0.0.1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	goleak.VerifyNone(t, before)
}

// An address that swallows packets: TCP itself times out.
func TestTimeoutOfTheConfiguration(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.configure("ConnectTimeout 1", "Port "+strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	c := r.client(func(o *Options) { o.ConnectTimeout = 0 })
	within(t, 1500*time.Millisecond, func() { r.refused(c, "127.0.0.1", StageConnect, "within 1s") })
}

func TestNotAnSSHServer(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var tries atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			fmt.Fprint(conn, "Exceeded MaxStartups\r\n")
			conn.Close()
		}
	}()
	c := r.client(func(o *Options) { o.ConnectTimeout, o.Port = time.Second, l.Addr().(*net.TCPAddr).Port })
	within(t, 1300*time.Millisecond, func() { r.refused(c, "127.0.0.1", StageConnect, "before the SSH banner", "MaxStartups") })
	if n := tries.Load(); n < 3 || n > 20 {
		t.Errorf("%d tries in a second", n)
	}
}

// sshd drops connections over MaxStartups before its banner: all get in all the same.
func TestMaxStartups(t *testing.T) {
	r := newRig(t)
	d := startSSHD(t, "MaxStartups 1", "HostKey "+r.path("host_ed25519"))
	write(t, d.path("authorized_keys"), read(t, r.key+".pub"))
	write(t, r.known, fmt.Sprintf("[127.0.0.1]:%d %s", d.port, read(t, r.path("host_ed25519.pub"))))
	c := r.client(func(o *Options) { o.Port, o.ConnectTimeout = d.port, 20*time.Second })
	var mu sync.Mutex
	Each(t.Context(), 20, 20, func(ctx context.Context, _ int) {
		conn, err := c.Dial(ctx, Target{Name: "127.0.0.1"})
		if err == nil {
			err = conn.Close()
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Error(err)
		}
	})
}

func TestUserAndPort(t *testing.T) {
	r := newRig(t)
	c := r.client(func(o *Options) { o.User = "nobody-here" })
	r.refused(c, "127.0.0.1", StageAuthenticate, "user nobody-here")
	r.refused(c, "somebody@127.0.0.1", StageAuthenticate, "user nobody-here") // -l beats user@, as with ssh
	r.refused(r.client(), "somebody@127.0.0.1", StageAuthenticate, "user somebody")
	if _, err := r.client().Dial(t.Context(), Target{Name: "127.0.0.1", User: "inventory"}); err == nil || !strings.Contains(err.Error(), "user inventory") {
		t.Errorf("got %v", err)
	}
	write(t, r.config, strings.ReplaceAll(read(t, r.config), "Port ", "#Port "))
	conn, err := r.client().Dial(t.Context(), Target{Name: "127.0.0.1", Port: r.port})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.dial(r.client(func(o *Options) { o.Port = r.port }), "127.0.0.1")
}

func TestWithoutSSHBinary(t *testing.T) {
	r := newRig(t)
	home := t.TempDir()
	keys := filepath.Join(home, ".ssh")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(keys, "id_ed25519"), read(t, r.key))
	write(t, filepath.Join(keys, "known_hosts"), read(t, r.known))
	t.Setenv("PATH", "/nonexistent")
	t.Setenv("SSH_AUTH_SOCK", "")
	c := NewClient(Options{Port: r.port, User: me(t)})
	t.Cleanup(func() { c.Close() })
	c.home = home
	r.dial(c, "127.0.0.1")
}

func TestAlgorithms(t *testing.T) {
	r := newRig(t)
	r.configure("Ciphers aes256-ctr", "MACs hmac-sha2-512-etm@openssh.com", "KexAlgorithms ecdh-sha2-nistp384")
	if got := output(t, r.dial(r.client(), "127.0.0.1"), "echo yes"); got != "yes\n" {
		t.Errorf("got %q", got)
	}
	for _, line := range []string{"KexAlgorithms sntrup761x25519-sha512@openssh.com", "MACs umac-64@openssh.com", "HostKeyAlgorithms sk-ssh-ed25519@openssh.com"} {
		r.configure(line)
		r.refused(r.client(), "127.0.0.1", StageResolve, strings.Fields(line)[0], "--transport openssh")
	}
	r.configure("KexAlgorithms diffie-hellman-group14-sha1,sntrup761x25519-sha512@openssh.com")
	r.refused(r.client(), "127.0.0.1", StageConnect, "--transport openssh")
}

func TestProxyCommand(t *testing.T) {
	r := newRig(t)
	need(t, "busybox")
	r.configure(`ProxyCommand sh -c 'echo "%%,%h,%p,%r,%n" >` + r.path("tokens") + `; exec busybox nc %h %p'`)
	conn, err := r.client().Dial(t.Context(), Target{Name: "db17", Address: "127.0.0.3"})
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, conn, "echo through"); got != "through\n" {
		t.Errorf("got %q", got)
	}
	conn.Close()
	if got, want := read(t, r.path("tokens")), fmt.Sprintf("%%,127.0.0.3,%d,%s,db17\n", r.port, me(t)); got != want {
		t.Errorf("tokens are %q, want %q", got, want)
	}

	r.configure("ProxyCommand sh -c 'echo no route for you >&2; exit 9'")
	within(t, 2*time.Second, func() { r.refused(r.client(), "127.0.0.1", StageConnect, "ProxyCommand", "no route for you") })
	r.configure("ProxyCommand sleep 50")
	within(t, 2*time.Second, func() {
		r.refused(r.client(func(o *Options) { o.ConnectTimeout = 300 * time.Millisecond }), "127.0.0.1", StageConnect, "within 300ms")
	})
	if out, _ := exec.Command("pgrep", "-f", "^sleep 50$", "-P", strconv.Itoa(os.Getpid())).Output(); len(out) > 0 {
		t.Errorf("the proxy command is still there: %s", out)
	}
	r.configure("ProxyUseFdpass yes", "ProxyCommand true")
	r.refused(r.client(), "127.0.0.1", StageConnect, "--transport openssh")
}

// Two jump hosts, one connection to each, whatever number of hosts lies behind them.
func TestJumpChain(t *testing.T) {
	a, b, r := newRig(t), newRig(t), newRig(t)
	for _, d := range []*rig{a, b} {
		write(t, d.path("authorized_keys"), read(t, r.key+".pub"))
		write(t, r.known, read(t, r.known)+read(t, d.known))
	}
	r.configure("Host jump-a", "HostName 127.0.0.21", "Port "+strconv.Itoa(a.port), "Host jump-b", "HostName 127.0.0.22",
		"Port "+strconv.Itoa(b.port), "Host 127.0.1.*", "ProxyJump jump-a,"+me(t)+"@jump-b", "Host 127.0.2.*", "ProxyJump jump-a",
		"Host 127.0.3.*", "ProxyJump 127.0.3.1")
	c := r.client()
	Each(t.Context(), 8, 8, func(ctx context.Context, i int) {
		conn, err := c.Dial(ctx, Target{Name: fmt.Sprintf("127.0.%d.%d", 1+i%2, i+1)})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		var out bytes.Buffer
		if exit := conn.Run(ctx, "echo $SSH_CONNECTION", nil, &out, nil); !exit.OK() || !strings.HasSuffix(out.String(), " "+strconv.Itoa(r.port)+"\n") {
			t.Errorf("%v %q", exit, &out)
		}
	})
	for _, d := range []*rig{a, b} {
		// The listener and one connection: with privilege separation, at most two processes more.
		out, _ := exec.Command("pgrep", "-c", "-P", strconv.Itoa(d.cmd.Process.Pid)).Output()
		if got := strings.TrimSpace(string(out)); d == b && got != "1" || d == a && got != "2" && got != "1" {
			t.Errorf("%s connections to a jump host", got)
		}
	}
	if n := len(c.jumps.conns); n != 2 {
		t.Errorf("%d shared connections, want 2 (jump-a, jump-b via jump-a)", n)
	}
	r.dial(c, "127.0.3.1") // its own jump host: none
}

func TestJumpHostTrouble(t *testing.T) {
	r := newRig(t)
	dead := freePort(t)
	r.configure("Host jump", "HostName 127.0.0.21", "Port "+strconv.Itoa(dead), "Host 127.0.1.*", "ProxyJump jump",
		"Host ring", "ProxyJump gnir", "Host gnir", "ProxyJump ring", "Host 127.0.2.*", "ProxyJump live", "Host live", "HostName 127.0.0.4")
	c := r.client()
	r.refused(c, "127.0.1.1", StageConnect, "jump host jump, connect", "connection refused")
	within(t, 200*time.Millisecond, func() { r.refused(c, "127.0.1.2", StageConnect, "jump host jump") })
	r.refused(c, "ring", StageConnect, "leads back")
	r.refused(r.client(func(o *Options) { o.Port = dead }), "127.0.2.1", StageConnect, "through jump host live")

	// A jump host that dies is dialled again for the next host.
	first := r.dial(c, "127.0.2.1")
	for _, j := range c.jumps.conns {
		if j.conn != nil {
			j.conn.conn.Close()
		}
	}
	if exit := first.Run(t.Context(), "sleep 5", nil, nil, nil); exit.Kind != Lost {
		t.Errorf("got %v", exit)
	}
	r.dial(c, "127.0.2.2")
}

func TestClosedClient(t *testing.T) {
	r := newRig(t)
	c := r.client()
	c.Close()
	r.refused(c, "127.0.0.1", StageConnect, "client is closed")
}

func TestTooManySessions(t *testing.T) {
	r := newRig(t, "MaxSessions 1")
	conn := r.dial(r.client(), "127.0.0.1")
	s, err := conn.Start(t.Context(), "cat", StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	exit := conn.Run(t.Context(), "true", nil, nil, nil)
	if exit.Kind != Lost || !strings.Contains(fmt.Sprint(exit.Err), "MaxSessions") {
		t.Errorf("got %v", exit)
	}
	s.Stdin.Close()
	if exit := s.Wait(); !exit.OK() {
		t.Error(exit)
	}
}

// While others shake hands a host waits for its turn, for longer than its ConnectTimeout: that is not its time.
func TestTurnIsNotTheHostsTime(t *testing.T) {
	r := newRig(t)
	c := r.client(func(o *Options) { o.ConnectTimeout = 2 * time.Second })
	for range cap(c.handshakes) {
		c.handshakes <- struct{}{}
	}
	time.AfterFunc(3*time.Second, func() { <-c.handshakes })
	begin := time.Now()
	conn, err := c.Dial(t.Context(), Target{Name: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if took := time.Since(begin); took < 3*time.Second {
		t.Errorf("it did not wait: %v", took)
	}
	if n := len(c.handshakes); n != cap(c.handshakes)-1 {
		t.Errorf("%d turns are taken, want %d: it keeps its own", n, cap(c.handshakes)-1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c.handshakes <- struct{}{}
	if _, err := c.Dial(ctx, Target{Name: "127.0.0.1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
