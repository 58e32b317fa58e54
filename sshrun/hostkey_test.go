package sshrun

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestUnknownHostIsRefused(t *testing.T) {
	r := newRig(t)
	write(t, r.known, "")
	fp := strings.Fields(shell(t, "ssh-keygen", "-lf", r.path("host_ed25519.pub")))[1]
	r.refused(r.client(), "127.0.0.1", StageHostKey, "not known", "ED25519 "+fp,
		fmt.Sprintf("ssh-keyscan -t ed25519 -p %d 127.0.0.1 >> %s", r.port, r.known))
	if read(t, r.known) != "" {
		t.Error("the refused key was recorded")
	}
	r.configure("StrictHostKeyChecking yes")
	r.refused(r.client(func(o *Options) { o.Terminal = &scripted{answers: []string{"yes"}} }), "127.0.0.1", StageHostKey, "not known")
}

// What the error tells to do must mend it.
func TestRemedyForUnknownHostWorks(t *testing.T) {
	r := newRig(t)
	write(t, r.known, "")
	he := r.whyRefused(r.client(), "127.0.0.1", StageHostKey)
	_, command, ok := strings.Cut(he.Remedy, "then: ")
	command, _, _ = strings.Cut(command, ",")
	if !ok {
		t.Fatal(he.Remedy)
	}
	shell(t, "sh", "-c", command)
	r.dial(r.client(), "127.0.0.1")
}

func TestUnknownHostIsAskedFor(t *testing.T) {
	r := newRig(t)
	fp := strings.Fields(shell(t, "ssh-keygen", "-lf", r.path("host_ed25519.pub")))[1]
	for _, tc := range []struct {
		name    string
		answers []string
		good    bool
	}{
		{"yes", []string{"yes"}, true},
		{"no", []string{"no"}, false},
		{"fingerprint", []string{"SHA256:wrong", fp}, true},
		{"noise", []string{"", "y", "yes"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			write(t, r.known, "# no line end")
			term := &scripted{answers: tc.answers}
			c := r.client(func(o *Options) { o.Terminal = term })
			if !tc.good {
				r.refused(c, "127.0.0.1", StageHostKey, "not accepted")
				return
			}
			r.dial(c, "127.0.0.1")
			r.dial(c, "127.0.0.1") // is not asked again
			if len(term.asked) != len(tc.answers) || !strings.Contains(term.asked[0], fp) {
				t.Errorf("asked %q", term.asked)
			}
			if got := shell(t, "ssh-keygen", "-F", fmt.Sprintf("[127.0.0.1]:%d", r.port), "-f", r.known); !strings.Contains(got, "ssh-ed25519") {
				t.Errorf("ssh does not find it: %q", got)
			}
			r.dial(r.client(), "127.0.0.1")
		})
	}
}

func TestBatchModeIsNotAsked(t *testing.T) {
	r := newRig(t)
	write(t, r.known, "")
	r.configure("BatchMode yes")
	term := &scripted{answers: []string{"yes"}}
	r.refused(r.client(func(o *Options) { o.Terminal = term }), "127.0.0.1", StageHostKey, "not known")
	if len(term.asked) > 0 {
		t.Errorf("asked %q", term.asked)
	}
}

func TestStrictHostKeyCheckingOfTheConfiguration(t *testing.T) {
	for _, value := range []string{"accept-new", "no"} {
		t.Run(value, func(t *testing.T) {
			r := newRig(t)
			write(t, r.known, "")
			r.configure("StrictHostKeyChecking "+value, "HashKnownHosts yes")
			r.dial(r.client(), "127.0.0.1")
			text := read(t, r.known)
			if !strings.HasPrefix(text, "|1|") || strings.Contains(text, "127") {
				t.Errorf("not hashed: %q", text)
			}
			if got := shell(t, "ssh-keygen", "-F", fmt.Sprintf("[127.0.0.1]:%d", r.port), "-f", r.known); got == "" {
				t.Error("ssh does not find it")
			}
			r.dial(r.client(), "127.0.0.1") // now known by its hash
			if read(t, r.known) != text {
				t.Error("recorded twice")
			}
			// A changed key is refused all the same.
			keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("other"))
			write(t, r.known, fmt.Sprintf("# comment\n[127.0.0.1]:%d %s", r.port, read(t, r.path("other.pub"))))
			r.refused(r.client(), "127.0.0.1", StageHostKey, "has changed", r.known+":2 ", "ssh-keygen -R '[127.0.0.1]:")
		})
	}
}

// Known by its ECDSA key alone: the server must be asked for that one, and its ED25519 key is no mismatch.
func TestKnownTypeIsAskedFor(t *testing.T) {
	r := newRig(t)
	write(t, r.known, fmt.Sprintf("[127.0.0.1]:%d %s", r.port, read(t, r.path("host_ecdsa.pub"))))
	r.dial(r.client(), "127.0.0.1")
}

func TestBareNameInKnownHosts(t *testing.T) {
	r := newRig(t)
	write(t, r.known, "127.0.0.1 "+read(t, r.path("host_ed25519.pub")))
	r.dial(r.client(), "127.0.0.1") // a line without the port is good for another port too
	keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("other"))
	write(t, r.known, "127.0.0.1 "+read(t, r.path("other.pub")))
	r.refused(r.client(), "127.0.0.1", StageHostKey, "not known") // port 22 may be another server
}

func TestHostKeyAlias(t *testing.T) {
	r := newRig(t)
	write(t, r.known, "blue "+read(t, r.path("host_ed25519.pub")))
	r.configure("HostKeyAlias blue")
	r.dial(r.client(), "127.0.0.1")
	r.configure("HostKeyAlias green")
	r.refused(r.client(), "127.0.0.1", StageHostKey, "not known", "then log in once with: ssh 127.0.0.1")
}

// The inventory's address is looked up first, then its name.
func TestInventoryAddress(t *testing.T) {
	r := newRig(t)
	write(t, r.known, fmt.Sprintf("[db17]:%d %s", r.port, read(t, r.path("host_ed25519.pub"))))
	c := r.client()
	conn, err := c.Dial(t.Context(), Target{Name: "db17", Address: "127.0.0.9", Port: r.port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != "127.0.0.9:"+strconv.Itoa(r.port) {
		t.Errorf("connected to %s", got)
	}
}

func TestInventoryKnownHosts(t *testing.T) {
	r := newRig(t)
	if err := os.Rename(r.known, r.path("special")); err != nil {
		t.Fatal(err)
	}
	r.refused(r.client(), "127.0.0.1", StageHostKey, "not known")
	conn, err := r.client().Dial(t.Context(), Target{Name: "127.0.0.1", KnownHosts: r.path("special")})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestLinesThatNobodyCanRead(t *testing.T) {
	r := newRig(t)
	good := read(t, r.known)
	write(t, r.known, "127.0.0.1 1024 35 1449\nhost ssh-xmss@openssh.com AAAA\n@odd x y z\nshort\n"+good)
	r.dial(r.client(), "127.0.0.1")

	keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("other"))
	write(t, r.known, fmt.Sprintf("short\n\n[127.0.0.1]:%d %s", r.port, read(t, r.path("other.pub"))))
	r.refused(r.client(), "127.0.0.1", StageHostKey, r.known+":3 ") // the user's own file and line
	write(t, r.known, "@revoked * ssh-ed25519 AAAAnonsense\n"+good)
	r.refused(r.client(), "127.0.0.1", StageHostKey, "@revoked", r.known+":1")
}

func TestRevokedKey(t *testing.T) {
	r := newRig(t)
	write(t, r.known, read(t, r.known)+"@revoked * "+read(t, r.path("host_ed25519.pub")))
	r.configure("HostKeyAlgorithms ssh-ed25519", "StrictHostKeyChecking no")
	r.refused(r.client(), "127.0.0.1", StageHostKey, "revoked", r.known+":2")
}

// Several files count together, the user's and the global one.
func TestSeveralKnownHostsFiles(t *testing.T) {
	r := newRig(t)
	if err := os.Rename(r.known, r.path("global")); err != nil {
		t.Fatal(err)
	}
	write(t, r.path("first"), "other.example.org "+read(t, r.path("host_ecdsa.pub")))
	if err := os.Rename(r.path("first"), r.path("my first")); err != nil {
		t.Fatal(err)
	}
	r.configure(`UserKnownHostsFile "`+r.path("my first")+`" `+r.path("missing"), "GlobalKnownHostsFile "+r.path("global")+" /dev/null")
	r.dial(r.client(), "127.0.0.1")
	r.refused(r.client(), "localhost", StageHostKey, "not known", ">> '"+r.path("my first")+"'")
}

// Whatever stands in a known_hosts file, it can be read, or it is an error that names the line.
func FuzzKnownHosts(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJFc0QmCBvDSDGuXvjBjfpNxTcVsbAGSSRt5WwS8wqhF"
	for _, line := range []string{
		"host " + key, "@cert-authority *.org,!x " + key + " c", "|1|YWJj|ZGVm " + key, "[h]:22,[::1]:2 " + key, "# c", "@revoked * " + key,
		"@revoked * ssh-ed25519 AAAA", "h ssh-rsa AAAA", "!" + " " + key, ", " + key, "[x " + key, "|2|a|b " + key, "a\tb\tc", "@x y z",
	} {
		f.Add(line + "\nhost " + key + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := t.TempDir() + "/known_hosts"
		write(t, file, text)
		k := &knownSet{real: map[string]string{}, revoked: map[string]string{}}
		if err := k.read([]string{file}); err != nil && !strings.Contains(err.Error(), file+":") {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// hostCert has the server show a certificate for principals, signed by a new authority.
func hostCert(t *testing.T, principals string, more ...string) *rig {
	t.Helper()
	r := newRig(t)
	r.stop()
	keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("ca"))
	args := append([]string{"-s", r.path("ca"), "-I", "test host", "-h", "-n", principals}, more...)
	keygen(t, append(args, r.path("host_ed25519.pub"))...)
	old := r.sshd
	r.sshd = startSSHD(t, "HostCertificate "+old.path("host_ed25519-cert.pub"), "HostKey "+old.path("host_ed25519"))
	write(t, r.path("authorized_keys"), read(t, r.key+".pub"))
	write(t, r.known, "@cert-authority 127.0.0.*,[127.0.0.*]:* "+read(t, old.path("ca.pub")))
	write(t, r.path("ca.pub"), read(t, old.path("ca.pub")))
	r.configure()
	return r
}

func TestHostCertificates(t *testing.T) {
	t.Run("good", func(t *testing.T) {
		r := hostCert(t, "127.0.0.1,other")
		r.dial(r.client(), "127.0.0.1")
		r.refused(r.client(), "127.0.0.2", StageHostKey, "principal")
	})
	t.Run("pattern", func(t *testing.T) {
		r := hostCert(t, "127.0.0.*")
		r.dial(r.client(), "127.0.0.77")
	})
	t.Run("expired", func(t *testing.T) {
		r := hostCert(t, "127.0.0.1", "-V", "20200101:20200102")
		r.refused(r.client(), "127.0.0.1", StageHostKey, "expired")
	})
	t.Run("other authority", func(t *testing.T) {
		r := hostCert(t, "127.0.0.1")
		keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("ca2"))
		write(t, r.known, "@cert-authority * "+read(t, r.path("ca2.pub")))
		r.refused(r.client(), "127.0.0.1", StageHostKey, "not known")
	})
	t.Run("revoked authority", func(t *testing.T) {
		r := hostCert(t, "127.0.0.1")
		write(t, r.known, read(t, r.known)+"@revoked * "+read(t, r.path("ca.pub")))
		r.refused(r.client(), "127.0.0.1", StageHostKey, "revoked")
	})
	// An authority for the whole domain does not make a host without a certificate a changed one.
	t.Run("no certificate", func(t *testing.T) {
		r := newRig(t)
		keygen(t, "-t", "ed25519", "-N", "", "-f", r.path("ca"))
		ca := "@cert-authority * " + read(t, r.path("ca.pub"))
		write(t, r.known, ca+read(t, r.known))
		r.dial(r.client(), "127.0.0.1")
		write(t, r.known, ca)
		r.refused(r.client(), "127.0.0.1", StageHostKey, "not known")
	})
	// The authority's own key is no host key.
	t.Run("authority as host", func(t *testing.T) {
		r := newRig(t)
		write(t, r.known, "@cert-authority * "+read(t, r.path("host_ed25519.pub")))
		r.refused(r.client(), "127.0.0.1", StageHostKey, "not known")
	})
}
