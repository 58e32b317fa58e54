package testrig

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// ssh runs a command on a host as a person would.
func ssh(ctx context.Context, rig *Rig, host, script string) (string, error) {
	out, err := exec.CommandContext(ctx, "ssh", "-F", rig.SSHConfig(), "-o", "ConnectTimeout=2", host, script).Output()
	return string(out), err
}

func mustAdd(t *testing.T, rig *Rig, specs ...HostSpec) []*Host {
	t.Helper()
	hosts, err := rig.AddHosts(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

func mustExec(t *testing.T, h *Host, script string) string {
	t.Helper()
	out, err := h.Exec(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAccountsOverSSH(t *testing.T) {
	rig := For(t)
	mustAdd(t, rig, HostSpec{Name: "h1"}, HostSpec{Name: "h2"})
	for _, account := range Accounts {
		out, err := ssh(t.Context(), rig, account+"@h2", "hostname; id -un; sudo -n id -un || echo refused")
		if err != nil {
			t.Errorf("%s: %v", account, err)
		}
		want := "h2\n" + account + "\nroot\n"
		switch account {
		case "plain", "asks":
			want = "h2\n" + account + "\nrefused\n"
		case "ops-banner":
			want = "*** This machine belongs to the database team ***\n" + want
		}
		if out != want {
			t.Errorf("%s: got %q, want %q", account, out, want)
		}
	}
	out, err := ssh(t.Context(), rig, "asks@h1", "echo '"+AsksPassword+"' | sudo -S -p '' id -un")
	if err != nil || out != "root\n" {
		t.Errorf("sudo with the password: %q, %v", out, err)
	}
}

func TestLoginShells(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "h1"})[0]
	out := mustExec(t, host, "for a in ops ops-bash ops-busybox ops-zsh ops-tcsh ops-fish; do readlink -f $(getent passwd $a | cut -d: -f7); done")
	if want := "/usr/bin/dash\n/usr/bin/bash\n/usr/bin/busybox\n/usr/bin/zsh\n/usr/bin/tcsh\n/usr/bin/fish\n"; out != want {
		t.Errorf("login shells %q, want %q", out, want)
	}
}

// What a host sees of the machine and of the other hosts: nothing. Each command is run on the host with the
// server too, where it must find something, so that an empty answer means something.
func TestHostSeesOnlyItself(t *testing.T) {
	rig := For(t)
	hosts := mustAdd(t, rig, HostSpec{Name: "db1", Products: []Product{MySQL}}, HostSpec{Name: "app1"})
	db, app := hosts[0], hosts[1]
	server, err := db.StartServer(t.Context(), ServerSpec{Product: MySQL})
	if err != nil {
		t.Fatal(err)
	}
	for name, probe := range map[string]string{
		"process":   "ps axo args= | grep '[m]ysqld' || true",
		"locks":     "cat /proc/locks",
		"data":      "find / -xdev -name ibdata1",
		"listeners": "ss -Hltn 'sport = :3306'",
		"program":   "command -v mysqld || true",
	} {
		if out := mustExec(t, db, probe); out == "" {
			t.Errorf("%s: %q finds nothing on the host with the server", name, probe)
		}
		if out := mustExec(t, app, probe); out != "" {
			t.Errorf("%s: the other host sees %q", name, out)
		}
	}
	for name, probe := range map[string]string{
		"disks":         "find /sys/block /sys/class/block /sys/dev/block -mindepth 1",
		"block devices": "find /dev -type b; lsblk -n; blkid",
		"fstab":         "cat /etc/fstab",
		"partitions":    "sed 1d /proc/partitions; cat /proc/diskstats",
		"disk mounts":   "grep '^/dev/' /proc/mounts || true",
	} {
		if out, err := app.Exec(t.Context(), probe); out != "" {
			t.Errorf("%s: the host sees %q (%v)", name, out, err)
		}
	}
	// Not through a pipe: ps may see the other end before that is what it is to be.
	if out := mustExec(t, app, "all=$(ps axo comm=); echo \"$all\" | sort -u | tr '\\n' ' '"); out != "init kthreadd ps sh sshd " {
		t.Errorf("processes of an empty host: %q", out)
	}
	seen := map[string]string{}
	machine := readAll(t, "/etc/machine-id") + readAll(t, "/proc/sys/kernel/random/boot_id")
	for _, h := range hosts {
		for _, file := range []string{"/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/etc/hostname", "/etc/ssh/ssh_host_ed25519_key.pub"} {
			text := mustExec(t, h, "cat "+file)
			if other, found := seen[text]; found || strings.TrimSpace(text) == "" || strings.Contains(machine, text) {
				t.Errorf("%s of %s is %q: also %s", file, h.Name, text, other)
			}
			seen[text] = h.Name + file
		}
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func TestRebootKeepsFilesOnly(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "h1"})[0]
	inside := func(command string) func(string) error {
		return func(before string) error {
			if _, err := ssh(t.Context(), rig, "ops@h1", command); err != nil {
				t.Logf("the session ended with %v", err) // it may be cut before its status is sent
			}
			return host.WaitReboot(t.Context(), before)
		}
	}
	for name, reboot := range map[string]func(before string) error{
		"plug":         func(string) error { return host.Reboot(t.Context()) },
		"reboot":       inside("sudo reboot"),
		"shutdown now": inside("sudo shutdown -r now"),
		"by force":     inside("sudo busybox reboot -f"),
	} {
		t.Run(name, func(t *testing.T) {
			mustExec(t, host, "touch /kept /tmp/lost /run/lost; sleep 1000 >/dev/null 2>&1 &")
			if out := mustExec(t, host, "pgrep -x sleep || true"); out == "" {
				t.Fatal("the process that is to die does not run")
			}
			before := mustExec(t, host, "cat /proc/sys/kernel/random/boot_id")
			if err := reboot(strings.TrimSpace(before)); err != nil {
				t.Fatal(err)
			}
			if after := mustExec(t, host, "cat /proc/sys/kernel/random/boot_id"); after == before {
				t.Errorf("the boot id is still %q", before)
			}
			if out := mustExec(t, host, "ls -d /kept /tmp/lost /run/lost 2>/dev/null || true; pgrep -x sleep || true"); out != "/kept\n" {
				t.Errorf("left after a reboot: %q, want /kept", out)
			}
			if out, err := ssh(t.Context(), rig, "h1", "echo back"); out != "back\n" {
				t.Errorf("ssh after the reboot: %q, %v", out, err)
			}
		})
	}
}

func TestPowerOffFreezeAndCut(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "h1"})[0]
	for _, c := range []struct {
		name     string
		off, on  func() error
		accepted bool // whether a connection can still be made while it is off
	}{
		{"power", func() error { return host.PowerOff(t.Context()) }, func() error { return host.Boot(t.Context()) }, false},
		{"freeze", host.Freeze, host.Thaw, true},
		{"cut", func() error { return host.CutNetwork(t.Context()) }, func() error { return host.JoinNetwork(t.Context()) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.off(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			conn, err := dialSSH(ctx, host)
			if accepted := err == nil; accepted != c.accepted {
				t.Errorf("while it is off: connection accepted: %v (%v), want %v", accepted, err, c.accepted)
			}
			if err == nil {
				conn.Close()
			}
			if out, err := ssh(ctx, rig, "h1", "echo alive"); err == nil {
				t.Errorf("while it is off: ssh says %q", out)
			}
			if err := c.on(); err != nil {
				t.Fatal(err)
			}
			// The machine's ARP entry of an unplugged host needs a moment to recover.
			if err := waitUntil(t.Context(), "ssh works again", func() (bool, string, error) {
				out, err := ssh(t.Context(), rig, "h1", "echo alive")
				return out == "alive\n", out + " " + errText(err), nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWriteFileStaysInTheHost(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "h1"})[0]
	outside := t.TempDir() + "/file"
	mustExec(t, host, "mkdir -p "+outside[:len(outside)-len("/file")]+"; ln -s "+outside+" /etc/link")
	if err := host.WriteFile("/etc/link", "text", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a link of the host led to a file of the machine")
	}
	if out := mustExec(t, host, "cat "+outside); out != "text" {
		t.Errorf("the host's file holds %q", out)
	}
}
