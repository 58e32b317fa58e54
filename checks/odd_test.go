package checks

import (
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// Names that people and packages do not give, but that the kernel allows, change nothing.
func TestOddNames(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	for _, name := range []string{`x) S 1 1 1`, `(y`, `%2F	tab`, `two lines`, `interlock-report 1 0`, `ö\\n$(touch /tmp/ran)`} {
		if err := h.WriteFile("/tmp/odd.pl", `$0 = "`+strings.NewReplacer("$", `\$`, "(", `\(`).Replace(name)+`\nserver 1 1 S mysqld server - 9 9\n"; open(F, ">", "/proc/self/comm"); print F "`+
			strings.NewReplacer("$", `\$`, "(", `\(`).Replace(name)+`"; close F; sleep 600`, 0o644); err != nil {
			t.Fatal(err)
		}
		execOn(t, h, "setsid -f perl /tmp/odd.pl </dev/null >/dev/null 2>&1; setsid -f tail -f /etc/hostname --pid=1 mysqld </dev/null >/dev/null 2>&1")
	}
	expect(t, h, checkOf(), Clear)

	// A server with blanks in its data directory, its socket and its name, on a port of its own.
	db := addHost(t, rig, "db1", testrig.MariaDB)
	s := startServer(t, db, testrig.ServerSpec{Product: testrig.MariaDB})
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	execOn(t, db, `mv /var/lib/mysql '/srv/my data 100%'; mkdir '/run/my sql'; chown mysql '/run/my sql'
		setsid -f /usr/sbin/mariadbd --defaults-file=/etc/mysql/my.cnf --datadir='/srv/my data 100%' --socket='/run/my sql/s 1.sock' --pid-file='/run/my sql/p' --port=4406 </dev/null >/dev/null 2>&1`)
	eventually(t, db, "mariadb --no-defaults -uroot --socket='/run/my sql/s 1.sock' -e 'select 1'")
	a := expect(t, db, checkOf(), Primary)
	if a.report != nil {
		live := 0
		for _, in := range a.report.Instances {
			if in.State == Primary && in.DataDir == "/srv/my data 100%/" && in.Socket == "/run/my sql/s 1.sock" && in.Port == 4406 {
				live++
			}
		}
		if live != 1 {
			t.Errorf("%+v", a.report.Instances)
		}
	}
	execOn(t, db, "kill -KILL $(pidof mariadbd)")
	eventually(t, db, "! pidof mariadbd")
	expect(t, db, checkOf(), Stopped, "datadir-missing") // my.cnf names /var/lib/mysql, which is gone
	execOn(t, db, "rm /etc/mysql/my.cnf")
	expect(t, db, checkOf(), Stopped)
}

// What sudo may be told in /etc/sudoers changes nothing, or is named.
func TestSudoSettings(t *testing.T) {
	rig := testrig.For(t)
	for setting, want := range map[string]string{"use_pty": "clear", "!use_pty,env_reset,log_output": "clear", "requiretty": "unknown", "umask=077,umask_override": "clear", "lecture=always": "clear"} {
		h := addHost(t, rig, "h-"+strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return '-'
		}, setting))
		if err := h.WriteFile("/etc/sudoers.d/setting", "Defaults "+setting+"\n", 0o440); err != nil {
			t.Fatal(err)
		}
		r := runOf(Destructive, "umask; id -un; cat >&2; exit 4")
		line, err := r.ExecLine()
		if err != nil {
			t.Fatal(err)
		}
		a := converse(overSSH(t.Context(), rig, "ops@"+h.Name, line), r, strings.NewReader("input"))
		if a.state() != want {
			t.Errorf("%s: %v", setting, a)
			continue
		}
		if want == "clear" && (a.code != 4 || a.out != "0022\nops\n" || a.stderr != "input") {
			t.Errorf("%s: %q, %v", setting, a.out, a)
		}
		if want == "unknown" && !a.has("no-root") {
			t.Errorf("%s: %v", setting, a)
		}
		unlocked(t, h)
	}
}
