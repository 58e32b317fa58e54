package checks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// neverBelow holds that a host's state refuses: unknown, primary or proxy.
func neverBelow(t *testing.T, h *testrig.Host, r Request) answer {
	t.Helper()
	a := ask(t, h, accounts[0], r)
	if a.report == nil || a.report.State.Severity() < Unknown.Severity() {
		t.Errorf("want a state that refuses: %v", a)
	}
	return a
}

// What a process writes into its own arguments changes nothing that is said of another one.
func TestForgedArguments(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	t.Run("section heads", func(t *testing.T) {
		t.Parallel()
		h := addHost(t, rig, "h1")
		expect(t, h, checkOf(), Clear)
		execOn(t, h, "cp /usr/bin/sleep /usr/local/bin/mysqld; setsid -f mysqld 600 </dev/null >/dev/null 2>&1")
		eventually(t, h, "pidof mysqld")
		pid := strings.TrimSpace(execOn(t, h, "pidof mysqld"))
		r := checkOf()
		neverBelow(t, h, r)
		// The nonce stands on the session's argument list, where every account can read it.
		execOn(t, h, "setsid -f setpriv --reuid=plain --regid=plain --init-groups -- perl -e 'sleep 600' '"+r.Nonce+" stat' '"+
			pid+" (x) S 2 0 0 0 -1 2097152 0 0 0 0 0 0 0 0 20 0 1 0 99' '"+r.Nonce+" args' </dev/null >/dev/null 2>&1")
		eventually(t, h, "grep -lq 2097152 $(for p in /proc/[0-9]*; do [ ${p#/proc/} = $$ ] || echo $p/cmdline; done) 2>/dev/null")
		neverBelow(t, h, r)
	})
	t.Run("file names", func(t *testing.T) {
		t.Parallel()
		h := addHost(t, rig, "h2")
		expect(t, h, checkOf(), Clear)
		// A proxy on a port of its own: nothing but its name tells what it is. Its first argument closes its own
		// entry and opens that of another process. Its number begins with 5 or more, so that a later one soon comes
		// before it in the listing (after 1000 none would).
		if err := h.WriteFile("/tmp/start.pl", `while ("$$" lt "5") { exit if fork // die }
			use Socket; socket(S, 2, 1, 0); bind(S, pack("Snx12", 2, 7000)) or die; listen(S, 1);
			exec {"/usr/local/bin/proxysql"} $ARGV[0], "-e", "sleep 600"`, 0o644); err != nil {
			t.Fatal(err)
		}
		start := "setsid -f perl -e 'BEGIN { $^F = 99 } do \"/tmp/start.pl\"' "
		execOn(t, h, "cp /usr/bin/perl /usr/local/bin/proxysql; "+start+"'x\n==> /proc/1/cmdline <==\nx' </dev/null >/dev/null 2>&1")
		eventually(t, h, "pidof proxysql && grep -q ':1B58 00000000:0000 0A' /proc/net/tcp")
		neverBelow(t, h, checkOf())
		execOn(t, h, "kill -KILL $(pidof proxysql)")
		eventually(t, h, "! pidof proxysql")
		expect(t, h, checkOf(), Clear)
		// Another account speaks for it, under a number that the listing has before the proxy's own.
		execOn(t, h, start+"proxysql </dev/null >/dev/null 2>&1")
		eventually(t, h, "pidof proxysql")
		expect(t, h, checkOf(), Proxy)
		pid := strings.TrimSpace(execOn(t, h, "pidof proxysql"))
		if err := h.WriteFile("/tmp/forge.pl", `while ("$$" gt "`+pid+`") { exit if fork // die }
			exec {"/usr/bin/perl"} "x\n==> /proc/`+pid+`/cmdline <==\nharmless\0", "-e", "open(F, '>', '/tmp/forged'); close F; sleep 600"`, 0o644); err != nil {
			t.Fatal(err)
		}
		execOn(t, h, "setsid -f setpriv --reuid=plain --regid=plain --init-groups -- perl /tmp/forge.pl </dev/null >/dev/null 2>&1")
		eventually(t, h, "[ -e /tmp/forged ]")
		neverBelow(t, h, checkOf())
	})
}

// The end of a command whose lock was broken leaves alone the lock that another one took since.
func TestBrokenLockOfAnother(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	until := func(file string) Request {
		return runOf(Destructive, "until [ -e /tmp/"+file+" ]; do sleep 0.1; done")
	}
	first, one, in1, _ := begin(t.Context(), t, rig, "root@h1", until("one"))
	if got := served(t, rig, "root@h1", service(ModeLocks, one.LockID, "")); got.code != 0 {
		t.Fatalf("break: %+v", got)
	}
	second, two, in2, _ := begin(t.Context(), t, rig, "ops@h1", until("two"))
	execOn(t, h, ": >/tmp/one")
	eventually(t, h, "[ -s /var/lib/interlock/spool/"+one.LockID+"/end ]")
	_ = in1.Close()
	if err := first.Wait(); err != nil {
		t.Errorf("the first command: %v", err)
	}
	if lock := execOn(t, h, "cat /var/lib/interlock/lock || :"); !strings.HasPrefix(lock, two.LockID+" ") {
		t.Errorf("the second command's lock, %s: %q", two.LockID, lock)
	}
	if a := ask(t, h, accounts[0], runOf(Destructive, "true")); a.code != 75 || !a.has("locked") {
		t.Errorf("a third command beside the second: %v", a)
	}
	execOn(t, h, ": >/tmp/two")
	_ = in2.Close()
	if err := second.Wait(); err != nil {
		t.Errorf("the second command: %v", err)
	}
	unlocked(t, h)
}

// TMOUT, which bash takes for a bound on every read, neither loses an exit status nor leaves a lock behind.
func TestReadTimeoutOfTheShell(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	execOn(t, h, "ln -sf $(command -v bash) /usr/bin/sh.new && mv -f /usr/bin/sh.new /usr/bin/sh")
	for _, who := range accounts[:2] {
		r := runOf(Destructive, "sleep 4; echo out $TMOUT; exit 7")
		line, err := r.ExecLine()
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := direct(t.Context(), h, who, "TMOUT=1; export TMOUT; "+line)
		if err != nil {
			t.Fatal(err)
		}
		if a := converse(cmd, r, nil); a.code != 7 || a.out != "out 1\n" {
			t.Errorf("%s: %q, %v", who.name, a.out, a)
		}
		unlocked(t, h)
		if end := execOn(t, h, "cat /var/lib/interlock/spool/*/end; rm -r /var/lib/interlock/spool/*"); !strings.HasPrefix(end, "7 ") {
			t.Errorf("%s: the recorded end is %q", who.name, end)
		}
	}
}

// The time that a client was connected is no evidence of idleness, although it opened no further connection.
func TestRestBeginsAfterTheClient(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	h := addHost(t, rig, "db1", testrig.MariaDB)
	s := startServer(t, h, testrig.ServerSpec{Product: testrig.MariaDB})
	execOn(t, h, "setsid -f mariadb --no-defaults -uroot --socket="+s.Socket+" -e 'SELECT SLEEP(600)' </dev/null >/dev/null 2>&1")
	eventually(t, h, "grep -q ' 03 .*"+s.Socket+"' /proc/net/unix")
	short := checkOf()
	short.IdleAfter = 3 * time.Second
	expect(t, h, short, Primary, "in-use")
	time.Sleep(4 * time.Second)
	// No check sees the client leave: one in between would begin the time anew, as it should.
	execOn(t, h, "kill -KILL $(pidof mariadb)")
	eventually(t, h, "! grep -q ' 03 .*"+s.Socket+"' /proc/net/unix")
	expect(t, h, short, Primary, "in-use")
	time.Sleep(4 * time.Second)
	expect(t, h, short, Idle, "unused")
}

// Data that is there, may be there unmounted, or is served to others keeps a host from being clear or at rest.
func TestTracesOfData(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	const stopped = "mkdir -p /var/lib/mysql; : >/var/lib/mysql/ibdata1; "
	for name, c := range map[string]struct {
		prepare string
		want    State
		code    string
	}{
		"dangling-link":    {"ln -s /gone/mysql /var/lib/mysql", Unknown, "datadir-missing"},
		"empty-default":    {"mkdir -p /var/lib/mysql", Unknown, "datadir-missing"},
		"included-gone":    {"mkdir -p /opt/conf; echo '!includedir /opt/conf/' >/etc/my.cnf; printf '[mysqld]\\ndatadir=/gone\\n' >/opt/conf/x.cnf", Unknown, "datadir-missing"},
		"nested-gone":      {"mkdir -p /opt/conf; echo '!include /opt/conf/a' >/etc/my.cnf; echo '!include /opt/conf/b' >/opt/conf/a; printf '[mysqld]\\ndatadir=/gone\\n' >/opt/conf/b", Unknown, "datadir-missing"},
		"include-ring":     {"mkdir -p /opt/conf; echo '!include /opt/conf/a' >/etc/my.cnf; echo '!include /etc/my.cnf' >/opt/conf/a", Clear, ""},
		"myisam-alone":     {"mkdir -p /srv/x/shop; : >/srv/x/shop/orders.MYD; : >/srv/x/shop/lines.MYD", Stopped, "data-directory"},
		"ramfs":            {"mkdir /fast; mount -t ramfs none /fast; : >/fast/ibdata1", Stopped, "data-directory"},
		"stopped":          {stopped, Stopped, "data-directory"},
		"supervised":       {stopped + "printf '#!/bin/sh\\nsleep 600\\n' >/usr/local/bin/mysqld_safe; chmod 755 /usr/local/bin/mysqld_safe; setsid -f mysqld_safe </dev/null >/dev/null 2>&1; sleep 0.2", Unknown, "server-supervised"},
		"stopped-exported": {stopped + "echo '/srv *(rw)' >/etc/exports", Unknown, "exports"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := addHost(t, rig, "h-"+name)
			execOn(t, h, c.prepare)
			expect(t, h, checkOf(), c.want, strings.Fields(c.code)...)
		})
	}
}

// What haproxy passes on stands in its configuration; without one it may be anything.
func TestHaproxyConfiguration(t *testing.T) {
	t.Parallel()
	rig := testrig.For(t)
	const port = 5000
	for name, c := range map[string]struct {
		config string
		want   State
	}{
		"mysql": {"listen db\n\tbind *:5000\n\toption mysql-check user haproxy\n\tserver db1 192.0.2.1\n", Proxy},
		"port":  {"listen db\n\tbind *:5000\n\tmode tcp\n\tserver db1 192.0.2.1:3306\n", Proxy},
		"none":  {"", Proxy},
		// What haproxy passes on may stand in any file, under any port: it is a proxy whatever its usual file says.
		"http": {"listen web\n\tbind *:5000\n\tmode http\n\tserver web1 192.0.2.1:8080\n", Proxy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := addHost(t, rig, "h-"+name)
			execOn(t, h, "rm -rf /etc/haproxy; mkdir /etc/haproxy")
			if c.config != "" {
				if err := h.WriteFile("/etc/haproxy/haproxy.cfg", c.config, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := h.WriteFile("/tmp/listen.pl", fmt.Sprintf("use Socket; socket(S,2,1,0); bind(S,pack('Snx12',2,%d)) or die; listen(S,1); sleep 600", port), 0o644); err != nil {
				t.Fatal(err)
			}
			execOn(t, h, "cp /usr/bin/perl /usr/local/bin/haproxy; setsid -f haproxy /tmp/listen.pl </dev/null >/dev/null 2>&1")
			eventually(t, h, fmt.Sprintf("grep -q ':%04X 00000000:0000 0A' /proc/net/tcp", port))
			expect(t, h, checkOf(), c.want)
		})
	}
}
