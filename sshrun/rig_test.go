package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sshd is a real OpenSSH server of a test's own, on all of 127.0.0.0/8.
type sshd struct {
	dir  string // its files
	port int
	cmd  *exec.Cmd
	log  *bytes.Buffer // read it once the server has ended
}

// rig is a folder with keys, an ssh configuration and known hosts, and a server that fits them.
type rig struct {
	*sshd
	t      *testing.T
	config string // ssh -F
	key    string // the private key that the server takes
	known  string // UserKnownHostsFile
}

// need skips, loudly, or fails where servers are required.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("INTERLOCK_REQUIRE_SERVERS") == "1" {
				t.Fatalf("needs %s: %v", p, err)
			}
			t.Skipf("SKIPPED, NOTHING WAS TESTED: needs %s: %v", p, err)
		}
	}
}

func sshdPath() string {
	if p, err := exec.LookPath("sshd"); err == nil {
		return p
	}
	return "/usr/sbin/sshd"
}

// startSSHD starts a server with extra lines in its configuration.
func startSSHD(t testing.TB, extra ...string) *sshd {
	t.Helper()
	need(t, sshdPath(), "ssh-keygen")
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := &sshd{dir: t.TempDir(), port: freePort(t), log: &bytes.Buffer{}}
	keygen(t, "-t", "ed25519", "-N", "", "-f", d.path("host_ed25519"))
	keygen(t, "-t", "ecdsa", "-N", "", "-f", d.path("host_ecdsa"))
	lines := append(extra, "ListenAddress 0.0.0.0:"+strconv.Itoa(d.port), "HostKey "+d.path("host_ed25519"),
		"HostKey "+d.path("host_ecdsa"), "AuthorizedKeysFile "+d.path("authorized_keys"), "PidFile none", "UsePAM no",
		"StrictModes no", "LogLevel ERROR", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password", "MaxStartups 500")
	write(t, d.path("sshd_config"), strings.Join(lines, "\n")+"\n")
	d.cmd = d.command(t)
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	for range 200 {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port))); err == nil {
			c.Close()
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.stop()
	t.Fatalf("sshd did not start: %s", d.log)
	return nil
}

// command is sshd itself; as root, with /bin/sh for everybody's login shell, in a mount namespace of its own: a
// bash that is started by sshd reads ~/.bashrc, and what stands there would be measured and tested here.
func (d *sshd) command(t testing.TB) *exec.Cmd {
	args := []string{sshdPath(), "-D", "-e", "-f", d.path("sshd_config")}
	if _, err := exec.LookPath("unshare"); err != nil || os.Getuid() != 0 {
		return exec.Command(args[0], args[1:]...)
	}
	passwd := regexp.MustCompile(`(?m):[^:\n]*$`).ReplaceAllString(read(t, "/etc/passwd"), ":/bin/sh")
	write(t, d.path("passwd"), passwd)
	if err := os.Chmod(d.path("passwd"), 0o644); err != nil {
		t.Fatal(err)
	}
	mount := `mount --bind "$0" /etc/passwd && exec "$@"`
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", mount, d.path("passwd")}, args...)...)
}

func (d *sshd) path(name string) string { return filepath.Join(d.dir, name) }

func (d *sshd) stop() {
	d.cmd.Process.Kill()
	_ = d.cmd.Wait() // killed
}

// newRig starts a server and writes a client's configuration that just works.
func newRig(t *testing.T, serverLines ...string) *rig {
	t.Helper()
	r := &rig{sshd: startSSHD(t, serverLines...), t: t}
	r.key, r.known, r.config = r.path("id_ed25519"), r.path("known_hosts"), r.path("config")
	keygen(t, "-t", "ed25519", "-N", "", "-f", r.key)
	write(t, r.path("authorized_keys"), read(t, r.key+".pub"))
	write(t, r.known, fmt.Sprintf("[127.0.*]:%d %s", r.port, read(t, r.path("host_ed25519.pub"))))
	r.configure()
	return r
}

// configure writes the client's configuration: lines come first, so they win.
func (r *rig) configure(lines ...string) {
	r.t.Helper()
	all := append(lines, "Host *", "Port "+strconv.Itoa(r.port), "User "+me(r.t), "IdentityFile "+r.key, "IdentityAgent none",
		"UserKnownHostsFile "+r.known, "GlobalKnownHostsFile /dev/null")
	write(r.t, r.config, strings.Join(all, "\n")+"\n")
}

// client makes a Client with the rig's configuration; change may alter its options.
func (r *rig) client(change ...func(*Options)) *Client {
	o := Options{ConfigFile: r.config, ConnectTimeout: 5 * time.Second}
	for _, f := range change {
		f(&o)
	}
	c := NewClient(o)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// dial reaches the host or ends the test.
func (r *rig) dial(c *Client, name string) *Conn {
	r.t.Helper()
	conn, err := c.Dial(r.t.Context(), Target{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// refused dials a host that must not be reached, for a reason that holds words.
func (r *rig) refused(c *Client, name string, stage Stage, words ...string) {
	r.t.Helper()
	_ = r.whyRefused(c, name, stage, words...)
}

// whyRefused is refused, and returns why.
func (r *rig) whyRefused(c *Client, name string, stage Stage, words ...string) *HostError {
	r.t.Helper()
	conn, err := c.Dial(r.t.Context(), Target{Name: name})
	if err == nil {
		conn.Close()
		r.t.Fatalf("%s was reached", name)
	}
	var he *HostError
	if !errors.As(err, &he) {
		r.t.Fatalf("%T is no HostError: %v", err, err)
	}
	if he.Stage != stage {
		r.t.Errorf("stage is %q, want %q: %v", he.Stage, stage, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+"\n"+he.Remedy, w) {
			r.t.Errorf("error lacks %q: %v\nremedy: %s", w, err, he.Remedy)
		}
	}
	return he
}

// output runs a command that must succeed.
func output(t testing.TB, c *Conn, command string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if exit := c.Run(t.Context(), command, nil, &stdout, &stderr); !exit.OK() || exit.Err != nil {
		t.Fatalf("%s: %v\n%s", command, exit, &stderr)
	}
	return stdout.String()
}

func me(t testing.TB) string {
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func keygen(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", append([]string{"-q"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// startAgent starts an ssh-agent with the given keys.
func startAgent(t testing.TB, keys ...string) (sock string) {
	t.Helper()
	need(t, "ssh-agent", "ssh-add")
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	sock = filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", sock)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		os.RemoveAll(dir)
	})
	for range 200 {
		if _, err := os.Stat(sock); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, k := range keys {
		add := exec.Command("ssh-add", "-q", k)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+sock)
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add %s: %v\n%s", k, err, out)
		}
	}
	return sock
}

// within fails the test if f takes longer than limit.
func within(t testing.TB, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, want at most %v", took, limit)
	}
}

// scripted answers questions from a list, and notes them.
type scripted struct {
	answers []string
	asked   []string
}

func (s *scripted) next(prompt string) (string, error) {
	s.asked = append(s.asked, prompt)
	if len(s.answers) == 0 {
		return "", errors.New("no answer left")
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a, nil
}

func (s *scripted) Secret(_ context.Context, prompt string) (string, error) { return s.next(prompt) }
func (s *scripted) Line(_ context.Context, prompt string) (string, error)   { return s.next(prompt) }
