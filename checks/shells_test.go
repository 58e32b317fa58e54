package checks

import (
	"fmt"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// The script means the same under each shell that may be a host's /bin/sh, and with each awk that may be its awk.
func TestShellsAndAwks(t *testing.T) {
	rig := testrig.For(t)
	db := addHost(t, rig, "db1", testrig.MySQL)
	server := startServer(t, db, testrig.ServerSpec{Product: testrig.MySQL})
	hosts := map[string]*testrig.Host{
		"primary": db, "clear": addHost(t, rig, "app1"), "stopped": addHost(t, rig, "old1"),
	}
	execOn(t, hosts["stopped"], "mkdir -p '/srv/a b%c'; : >'/srv/a b%c/ibdata1'")
	if _, err := server.Traffic(t.Context(), testrig.TrafficSpec{Idle: 1}); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"dash", "bash", "busybox"} {
		for _, awk := range []string{"mawk", "busybox"} {
			for want, h := range hosts {
				execOn(t, h, fmt.Sprintf("ln -sf $(command -v %s) /usr/bin/sh.new && mv -f /usr/bin/sh.new /usr/bin/sh; ln -sf $(command -v %s) /usr/bin/awk", shell, awk))
				for _, who := range accounts[:2] {
					a := ask(t, h, who, checkOf())
					if a.state() != want {
						t.Errorf("%s, %s as awk, %s: want %s: %v", shell, awk, who.name, want, a)
					}
				}
				if want == "stopped" {
					continue
				}
				r := runOf(Destructive, "echo out; echo err >&2; exit 6")
				a := ask(t, h, accounts[1], r)
				if want == "clear" && (a.code != 6 || a.out != "out\n" || a.stderr != "err\n") || want == "primary" && a.code != 77 {
					t.Errorf("%s, %s as awk: a command: %q, %v", shell, awk, a.out, a)
				}
			}
		}
	}
}

// By hand the script prints what it sends over SSH, and starts nothing.
func TestByHand(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "h1")
	if err := h.WriteFile("/root/check.sh", Script(), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"/bin/sh", "busybox sh", "bash --posix"} {
		out := execOn(t, h, "cd /tmp; IFS=x LC_ALL=C.UTF-8 LANG=C.UTF-8 "+shell+" /root/check.sh 2>&1")
		if lines := strings.Split(out, "\n"); !strings.HasPrefix(lines[0], "interlock-report 1 ") || !strings.Contains(out, "\nstate\tclear\n") {
			t.Errorf("%s: %q", shell, out)
		}
		if out, err := h.Exec(t.Context(), shell+" /root/check.sh mode=run class=destructive cmd64=dG91Y2ggL3RtcC94; ls /tmp"); err == nil && strings.Contains(out, "x") {
			t.Errorf("%s: a command by hand: %q, %v", shell, out, err)
		}
	}
}

// The whole check has a bound of its own, also where timeout is missing and a probe hangs.
func TestWholeBound(t *testing.T) {
	rig := testrig.For(t)
	for _, probe := range []string{"ls", "awk", "find", "tr", "readlink", "mysql"} {
		t.Run(probe, func(t *testing.T) {
			t.Parallel()
			h := addHost(t, rig, "db-"+probe, testrig.MySQL)
			startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL})
			execOn(t, h, "mkdir /usr/lib/shim; cp /usr/bin/busybox /usr/lib/shim/box; rm /usr/bin/timeout; p=$(command -v "+probe+
				"); rm $p; printf '#!/usr/lib/shim/box sh\\nexec /usr/lib/shim/box sleep 1000\\n' >$p; chmod 755 $p")
			for _, who := range accounts {
				r := checkOf()
				r.Timeout = 3e9
				a := ask(t, h, who, r)
				if a.report == nil || a.took.Seconds() > 12 {
					t.Errorf("%s: %v", who.name, a)
				}
				if s := a.state(); s != "unknown" && !(probe == "find" && s == "primary") {
					t.Errorf("%s: %v", who.name, a)
				}
			}
			eventually(t, h, "! /usr/lib/shim/box pidof box >/dev/null || /usr/lib/shim/box killall -9 box")
		})
	}
}
