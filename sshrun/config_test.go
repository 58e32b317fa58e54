package sshrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Which hosts share one answer of ssh -G. "" means that the host is asked for alone.
func TestConfigClasses(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		same, alone  []string // names of one class; names asked for alone
	}{
		{"empty", "", []string{"a", "b.c", "x-1"}, []string{"A", "a@b", "fe80::1", "a/b"}},
		{"plain", "User x\nHost *\n Port 22\n", []string{"a", "b"}, nil},
		{"equals sign", "user=x\nHost=a b\n\tPort = 2\n", []string{"a", "b"}, nil},
		{"pattern", "Host db* !db1\n User x\n", []string{"db2", "db3"}, nil},
		{"host name", "Host a\n HostName 10.0.0.1\nHost *\n User x\n", []string{"b", "c"}, []string{"a"}},
		{"host name for all", "HostName %h.example.org\n", nil, []string{"a", "b"}},
		{"token", "Host a*\n UserKnownHostsFile ~/%h\n", []string{"b", "c"}, []string{"a", "a2"}},
		{"token we expand", "ControlPath ~/.ssh/%r@%h:%p\nProxyCommand nc %h %p\n", []string{"a", "b"}, nil},
		{"match", "Match host a\n User x\n", nil, []string{"a", "b"}},
		{"match all", "Match all\n User x\n", nil, []string{"a"}},
		{"canonicalize", "CanonicalizeHostname yes\n", nil, []string{"a"}},
		{"quotes", "Host \"a b\"\n User x\n", nil, []string{"a"}},
		{"comment", "# Match host a\n#HostName %h\nHost a # b\n User x\n", nil, []string{"a", "b"}},
		{"include", "Include inc\nUser x\n", []string{"b", "c"}, []string{"a"}},
		{"include in block", "Host b\n Include inc\n", nil, []string{"a", "b"}},
		{"include ends block", "Include user\nHostName x\n", nil, []string{"a"}},
		{"include loop", "Include loop\n", nil, []string{"a"}},
		{"include nothing", "Include nothing*\n", []string{"a", "b"}, nil},
		{"include home", "Include ~/.ssh/inc\n", []string{"b", "c"}, []string{"a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			home := t.TempDir()
			dir := filepath.Join(home, ".ssh")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "config"), tc.config)
			write(t, filepath.Join(dir, "inc"), "Host a\n HostName 10.0.0.1\n")
			write(t, filepath.Join(dir, "user"), "Host z\n User z\n")
			write(t, filepath.Join(dir, "loop"), "Include loop\n")
			s := scanConfig(filepath.Join(dir, "config"), home)
			var classes []string
			for _, n := range tc.same {
				class, ok := s.class(n)
				if !ok {
					t.Errorf("%s is asked for alone", n)
				}
				classes = append(classes, class)
			}
			if len(slices.Compact(classes)) > 1 {
				t.Errorf("%v are in classes %q", tc.same, classes)
			}
			for _, n := range tc.alone {
				if class, ok := s.class(n); ok {
					t.Errorf("%s is in class %q", n, class)
				}
			}
		})
	}
	t.Run("different blocks", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "config")
		write(t, file, "Host a*\n User x\nHost *b\n User y\n")
		s := scanConfig(file, "/")
		seen := map[string]bool{}
		for _, n := range []string{"a", "b", "ab", "c"} {
			class, _ := s.class(n)
			seen[class] = true
		}
		if len(seen) != 4 {
			t.Errorf("classes %v", seen)
		}
	})
}

// The answer that hosts share must be the answer that ssh gives for each of them.
func TestSharedAnswersAreSSHs(t *testing.T) {
	need(t, "ssh")
	home := t.TempDir()
	dir := filepath.Join(home, ".ssh")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config")
	write(t, filepath.Join(dir, "inc"), "Host db1? !db13\n User inc\n Port 2200\nHost web*\n HostName 10.9.9.9\n")
	write(t, config, "Include "+filepath.Join(dir, "inc")+"\nHost db*\n IdentityFile ~/%h-%r-%p-%n\n ProxyJump bastion\n User u\n"+
		"Host *2\n HostKeyAlias two-%h\n StrictHostKeyChecking no\nHost *\n ServerAliveInterval 3\n ConnectTimeout 9\n")
	for _, match := range []string{"", "Match host db11 user inc\n Port 2211\n"} {
		write(t, config, match+read(t, config))
		shared := NewClient(Options{ConfigFile: config})
		for _, name := range []string{"db1", "db11", "db12", "db13", "db2", "web1", "web2", "x", "x2", "DB11"} {
			for _, target := range []Target{{Name: name}, {Name: name, Port: 99, User: "me"}, {Name: name, Address: "192.0.2.7"}} {
				alone := NewClient(Options{ConfigFile: config})
				alone.resolver.scanOnce.Do(func() { alone.resolver.scan = &configScan{perHost: true} })
				got, err1 := shared.resolve(t.Context(), target, Options{})
				want, err2 := alone.resolve(t.Context(), target, Options{})
				if err1 != nil || err2 != nil {
					t.Fatal(err1, err2)
				}
				if g, w := fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", *want); g != w {
					t.Errorf("%+v:\n got %s\nwant %s", target, g, w)
				}
				alone.Close()
			}
		}
		t.Logf("%d questions for 30 hosts", len(shared.resolver.answers))
		if match == "" && len(shared.resolver.answers) > 21 {
			t.Errorf("asked %d times", len(shared.resolver.answers))
		}
		shared.Close()
	}
}

func TestResolveReachesTheHost(t *testing.T) {
	r := newRig(t)
	inc := r.path("inc")
	write(t, inc, "Host blue\n HostName 127.0.0.5\nMatch host 127.0.0.6\n User nobody-here\n")
	r.configure("Include " + inc)
	if got := r.dial(r.client(), "blue").RemoteAddr().String(); !strings.HasPrefix(got, "127.0.0.5:") {
		t.Errorf("blue is %s", got)
	}
	r.refused(r.client(), "127.0.0.6", StageAuthenticate, "user nobody-here")
	conn, err := r.client().Dial(t.Context(), Target{Name: "red", Address: "127.0.0.6"}) // Match sees the address
	if err == nil {
		conn.Close()
		t.Error("Match host did not see the inventory's address")
	}
}

func TestWildcard(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "a.b", true}, {"a", "a", true}, {"a", "b", false}, {"a?", "ab", true}, {"a?", "a", false},
		{"*.org", "x.org", true}, {"*.org", "x.orgs", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXc", false},
		{"**a", "a", true}, {"?*", "", false}, {"a*", "ab*", true}, {"", "", true}, {"", "a", false},
	} {
		if got := wildcard(tc.pattern, tc.name); got != tc.want {
			t.Errorf("wildcard(%q, %q) = %v", tc.pattern, tc.name, got)
		}
	}
}
