package sshrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func shell(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

func TestRefusedKey(t *testing.T) {
	r := newRig(t)
	write(t, r.path("authorized_keys"), "")
	he := r.whyRefused(r.client(), "127.0.0.1", StageAuthenticate, "user "+me(t), r.key+" ED25519 SHA256:", "the host takes publickey", "ssh-add")
	if strings.Contains(he.Remedy, "openssh") {
		t.Errorf("ssh could do no more here: %s", he.Remedy)
	}
}

func TestNoKeyAtAll(t *testing.T) {
	r := newRig(t)
	r.configure("IdentityFile none")
	write(t, r.config, strings.ReplaceAll(read(t, r.config), "IdentityFile "+r.key, ""))
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "no key to offer")
}

func TestPasswordHostNamesOpenSSH(t *testing.T) {
	r := newRig(t, "PasswordAuthentication yes")
	write(t, r.path("authorized_keys"), "")
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "password", "--transport openssh")
	r.configure("PubkeyAuthentication no")
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "turns public keys off", "--transport openssh")
}

func TestAgent(t *testing.T) {
	r := newRig(t)
	sock := startAgent(t, r.key)
	if err := os.Remove(r.key); err != nil {
		t.Fatal(err)
	}
	r.configure("IdentityAgent " + sock)
	r.dial(r.client(), "127.0.0.1")

	t.Setenv("SSH_AUTH_SOCK", sock)
	r.configure("IdentityAgent SSH_AUTH_SOCK")
	r.dial(r.client(), "127.0.0.1")

	// The public key beside the missing file still says which key of the agent is meant.
	r.configure("IdentityAgent "+sock, "IdentitiesOnly yes")
	r.dial(r.client(), "127.0.0.1")
	if err := os.Remove(r.key + ".pub"); err != nil {
		t.Fatal(err)
	}
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "no key to offer")
	r.configure("IdentityAgent /nonexistent")
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "no key to offer", "/nonexistent")
}

// The order in which keys are offered is ssh's own: where two are accepted, they may mean different things on
// the host (forced commands).
func TestKeysAreOfferedInSSHsOrder(t *testing.T) {
	r := newRig(t)
	write(t, r.path("authorized_keys"), "")
	keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("user_ca"))
	for _, name := range []string{"plain", "certified", "inagent", "both", "cert_only"} {
		keygen(t, "-t", "ed25519", "-N", "", "-f", r.path(name))
	}
	for _, name := range []string{"certified", "cert_only"} {
		keygen(t, "-s", r.path("user_ca"), "-I", name, "-n", me(t), r.path(name+".pub"))
	}
	sock := startAgent(t, r.path("inagent"), r.path("both"))
	if err := os.Rename(r.path("cert_only-cert.pub"), r.path("certificate.pub")); err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{
		{"IdentitiesOnly no"},
		{"IdentitiesOnly yes"},
		{"IdentitiesOnly no", "CertificateFile " + r.path("certificate.pub")},
		{"IdentitiesOnly yes", "CertificateFile " + r.path("certificate.pub")},
	} {
		t.Run(strings.Join(lines, " "), func(t *testing.T) {
			r.configure(append(lines, "IdentityAgent "+sock, "IdentityFile "+r.path("plain"), "IdentityFile "+r.path("certified"),
				"IdentityFile "+r.path("both"), "IdentityFile "+r.path("cert_only"))...)
			out, _ := exec.Command("ssh", "-v", "-F", r.config, "-o", "BatchMode=yes", "127.0.0.1", "true").CombinedOutput()
			var want []string
			for _, m := range regexp.MustCompile(`Will attempt key: \S+ (\S+ SHA256:\S+)`).FindAllStringSubmatch(string(out), -1) {
				want = append(want, m[1])
			}
			c := r.client()
			s, err := c.resolve(t.Context(), Target{Name: "127.0.0.1"}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, id := range c.ring(s).ids {
				got = append(got, describeKey(id.pub))
			}
			if len(want) < 5 || !slices.Equal(got, want) {
				t.Errorf("got\n%s\nssh offers\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestTooManyKeys(t *testing.T) {
	r := newRig(t)
	var keys []string
	for i := range 7 {
		keys = append(keys, r.path(fmt.Sprintf("extra%d", i)))
		keygen(t, "-t", "ed25519", "-N", "", "-f", keys[i])
	}
	r.configure("IdentityAgent " + startAgent(t, keys...))
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "Too many authentication failures", "IdentitiesOnly")
}

// The host wants two keys one after the other.
func TestTwoKeysWanted(t *testing.T) {
	r := newRig(t, "AuthenticationMethods publickey,publickey")
	r.refused(r.client(), "127.0.0.1", StageAuthenticate)
	second := r.path("second")
	keygen(t, "-t", "ed25519", "-N", "", "-f", second)
	write(t, r.path("authorized_keys"), read(t, r.key+".pub")+read(t, second+".pub"))
	r.configure("IdentityFile " + second)
	r.dial(r.client(), "127.0.0.1")
}

func TestUserCertificates(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "user_ca")
	keygen(t, "-t", "ed25519", "-N", "", "-f", ca)
	r := newRig(t, "TrustedUserCAKeys "+ca+".pub")
	write(t, r.path("authorized_keys"), "")
	r.refused(r.client(), "127.0.0.1", StageAuthenticate)

	keygen(t, "-s", ca, "-I", "me", "-n", me(t), r.key+".pub")
	t.Run("beside the key", func(t *testing.T) { r.dial(r.client(), "127.0.0.1") })
	t.Run("CertificateFile", func(t *testing.T) {
		if err := os.Rename(r.key+"-cert.pub", r.path("mine.pub")); err != nil {
			t.Fatal(err)
		}
		r.configure("CertificateFile " + r.path("mine.pub"))
		r.dial(r.client(), "127.0.0.1")
	})
	t.Run("private key in the agent", func(t *testing.T) {
		sock := startAgent(t, r.key)
		r.configure("IdentityAgent "+sock, "CertificateFile "+r.path("mine.pub"))
		write(t, r.config, strings.ReplaceAll(read(t, r.config), "IdentityFile "+r.key, ""))
		r.dial(r.client(), "127.0.0.1")
	})
	t.Run("certificate in the agent", func(t *testing.T) {
		if err := os.Rename(r.path("mine.pub"), r.key+"-cert.pub"); err != nil {
			t.Fatal(err)
		}
		sock := startAgent(t, r.key) // ssh-add takes the certificate too
		r.configure("IdentityAgent " + sock)
		write(t, r.config, strings.ReplaceAll(read(t, r.config), "IdentityFile "+r.key, ""))
		r.dial(r.client(), "127.0.0.1")
	})
	t.Run("RSA", func(t *testing.T) {
		keygen(t, "-t", "rsa", "-b", "2048", "-N", "", "-f", r.path("rsa"))
		keygen(t, "-s", ca, "-I", "me", "-n", me(t), r.path("rsa.pub"))
		r.configure("IdentityFile " + r.path("rsa"))
		r.dial(r.client(), "127.0.0.1")
	})
}

func TestKeyTypes(t *testing.T) {
	r := newRig(t)
	for _, args := range [][]string{{"rsa", "-b", "2048"}, {"rsa", "-b", "2048", "-m", "PEM"}, {"ecdsa"}, {"ed25519"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			key := filepath.Join(t.TempDir(), "key")
			keygen(t, append([]string{"-N", "", "-f", key, "-t"}, args...)...)
			write(t, r.path("authorized_keys"), read(t, key+".pub"))
			r.configure("IdentityFile " + key)
			r.dial(r.client(), "127.0.0.1")
		})
	}
}

func TestOptionsIdentityFile(t *testing.T) {
	r := newRig(t)
	moved := r.path("elsewhere")
	if err := os.Rename(r.key, moved); err != nil {
		t.Fatal(err)
	}
	r.refused(r.client(), "127.0.0.1", StageAuthenticate)
	r.dial(r.client(func(o *Options) { o.IdentityFiles = []string{moved} }), "127.0.0.1")
	r.refused(r.client(func(o *Options) { o.IdentityFiles = []string{r.key} }), "127.0.0.1", StageResolve, "identity file", r.key)
	conn, err := r.client().Dial(t.Context(), Target{Name: "127.0.0.1", IdentityFile: moved})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestKeyThatOthersCanRead(t *testing.T) {
	r := newRig(t)
	if err := os.Chmod(r.key, 0o644); err != nil {
		t.Fatal(err)
	}
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "chmod 600 "+r.key)
}

// One passphrase for all hosts, and only where a host takes the key.
func TestPassphrase(t *testing.T) {
	r := newRig(t)
	shell(t, "ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", r.key)
	r.refused(r.client(), "127.0.0.1", StageAuthenticate, "encrypted", "ssh-add "+r.key)

	term := &scripted{answers: []string{"wrong", "secret"}}
	c := r.client(func(o *Options) { o.Terminal = term })
	var mu sync.Mutex
	var errs []error
	Each(t.Context(), 8, 8, func(ctx context.Context, i int) {
		conn, err := c.Dial(ctx, Target{Name: fmt.Sprintf("127.0.0.%d", i+1)})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
			return
		}
		conn.Close()
	})
	if len(errs) > 0 || len(term.asked) != 2 || !strings.Contains(term.asked[0], "'"+r.key+"'") {
		t.Errorf("asked %q, errors %v", term.asked, errs)
	}

	term = &scripted{answers: []string{"a", "b", "c"}}
	r.refused(r.client(func(o *Options) { o.Terminal = term }), "127.0.0.1", StageAuthenticate, "wrong passphrase")

	write(t, r.path("authorized_keys"), "")
	term = &scripted{}
	r.refused(r.client(func(o *Options) { o.Terminal = term }), "127.0.0.1", StageAuthenticate, "refused "+r.key)
	if len(term.asked) > 0 {
		t.Errorf("asked for a key that no host takes: %q", term.asked)
	}
}

// A key that cannot sign does not keep the next one from being tried.
func TestNextKeyAfterLockedOne(t *testing.T) {
	r := newRig(t)
	locked := r.path("locked")
	keygen(t, "-t", "ed25519", "-N", "secret", "-f", locked)
	write(t, r.path("authorized_keys"), read(t, locked+".pub")+read(t, r.key+".pub"))
	r.configure("IdentityFile " + locked)
	r.dial(r.client(), "127.0.0.1")
}

// A question does not run into ConnectTimeout.
type slowAnswer struct{ *scripted }

func (s slowAnswer) Secret(ctx context.Context, prompt string) (string, error) {
	time.Sleep(1200 * time.Millisecond)
	return s.scripted.Secret(ctx, prompt)
}

func TestQuestionsStopTheClock(t *testing.T) {
	r := newRig(t)
	shell(t, "ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", r.key)
	r.dial(r.client(func(o *Options) {
		o.ConnectTimeout = time.Second
		o.Terminal = slowAnswer{&scripted{answers: []string{"secret"}}}
	}), "127.0.0.1")
}

// openPTY is a terminal: what is written to ours is typed at theirs.
func openPTY(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

func typeIn(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// expect reads from f until it has seen text.
func expect(t *testing.T, f *os.File, text string) string {
	t.Helper()
	var seen strings.Builder
	buf := make([]byte, 1000)
	for !strings.Contains(seen.String(), text) {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("waiting for %q: %v after %q", text, err, seen.String())
		}
		seen.Write(buf[:n])
	}
	return seen.String()
}

func TestPassphraseOnTerminal(t *testing.T) {
	r := newRig(t)
	shell(t, "ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", r.key)
	write(t, r.known, "")
	ours, theirs := openPTY(t)
	c := r.client(func(o *Options) { o.Terminal = NewTTY(theirs) })
	done := make(chan error, 1)
	go func() {
		conn, err := c.Dial(t.Context(), Target{Name: "127.0.0.1"})
		if err == nil {
			err = conn.Close()
		}
		done <- err
	}()
	expect(t, ours, "(yes/no/[fingerprint])? ")
	typeIn(t, ours, "yes\n")
	expect(t, ours, "passphrase for key '"+r.key+"': ")
	time.Sleep(50 * time.Millisecond) // until echo is off
	typeIn(t, ours, "secret\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	typeIn(t, ours, "x\n") // echo is on again
	if seen := expect(t, ours, "x"); strings.Contains(seen, "secret") {
		t.Errorf("the passphrase was shown: %q", seen)
	}
}

func TestCancelAtPrompt(t *testing.T) {
	ours, theirs := openPTY(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := NewTTY(theirs).Secret(ctx, "? ")
		done <- err
	}()
	expect(t, ours, "? ")
	time.Sleep(50 * time.Millisecond)
	cancel()
	if err := <-done; err == nil {
		t.Error("no error")
	}
	typeIn(t, ours, "visible\n") // echo is on again, and the read that was left behind ends
	expect(t, ours, "visible")
}
