package checks

import (
	"testing"

	"interlock/internal/testrig"
)

// A host without a server is clear only when every place that could hold data was looked at.
func TestDataWithoutServer(t *testing.T) {
	rig := testrig.For(t)
	for name, c := range map[string]struct {
		prepare string
		want    State
		code    string
	}{
		"nothing":          {"true", Clear, ""},
		"data-directory":   {"mkdir -p /var/lib/mysql; : >/var/lib/mysql/ibdata1", Stopped, "data-directory"},
		"unusual-place":    {"mkdir -p '/opt/our data/my db'; : >'/opt/our data/my db/ibdata1'", Stopped, "data-directory"},
		"a-table-alone":    {"mkdir -p /srv/x/shop; : >/srv/x/shop/orders.ibd", Stopped, "data-directory"},
		"unusual-mount":    {"mkdir /data; mount -t tmpfs none /data; : >/data/ibdata1", Stopped, "data-directory"},
		"blank-in-mount":   {"mkdir '/my data'; mount -t tmpfs none '/my data'; : >'/my data/mysql.ibd'", Stopped, "data-directory"},
		"fstab-unmounted":  {"mkdir /data; echo '/dev/vdz /data ext4 defaults 0 0' >/etc/fstab", Unknown, "not-mounted"},
		"fstab-comment":    {"echo '# /dev/vdz /data ext4 defaults 0 0' >/etc/fstab", Clear, ""},
		"under-a-mount":    {"mkdir -p /data/db; : >/data/db/ibdata1; mount -t tmpfs none /data", Stopped, "data-directory"},
		"mount-on-mount":   {"mkdir /data; mount -t tmpfs none /data; : >/data/ibdata1; mount -t tmpfs none /data", Unknown, "covered-mount"},
		"configured-gone":  {"printf '[mysqld]\\ndatadir = /gone\\n' >/etc/my.cnf", Unknown, "datadir-missing"},
		"configured-empty": {"mkdir -p /etc/mysql/conf.d /d; printf '[mysqld]\\ndatadir=\"/d\"\\r\\n' >/etc/mysql/conf.d/x.cnf", Unknown, "datadir-missing"},
		"declared":         {"mkdir -p '/back up'; : >'/back up/full.xb'", Stopped, "declared-data"},
		"declared-empty":   {"mkdir -p '/back up'", Clear, ""},
		"nfs-export":       {"echo '/srv *(rw)' >/etc/exports", Unknown, "exports"},
		"private-mount": {"mkdir /data; setsid -f unshare -m --propagation private sh -c 'mount -t tmpfs none /data; : >/data/ibdata1; exec sleep 600' </dev/null >/dev/null 2>&1; sleep 0.3",
			Stopped, "data-directory"},
		"log-of-a-server":   {"mkdir -p /var/log/mysql; : >/var/log/mysql/error.log; setsid -f tail -f /var/log/mysql/error.log mysqld </dev/null >/dev/null 2>&1", Clear, ""},
		"container-runtime": {"cp /usr/bin/sleep /usr/local/bin/dockerd; setsid -f dockerd 600 </dev/null >/dev/null 2>&1", Unknown, "container-runtime"},
		"virtual-machine":   {"cp /usr/bin/sleep /usr/local/bin/qemu-system-x86_64; setsid -f qemu-system-x86_64 600 </dev/null >/dev/null 2>&1", Unknown, "virtual-machine"},
		"vm-and-data":       {"mkdir -p /var/lib/mysql; : >/var/lib/mysql/ibdata1; cp /usr/bin/sleep /usr/local/bin/kvm; setsid -f kvm 600 </dev/null >/dev/null 2>&1", Unknown, "virtual-machine"},
		"mysql-socket":      {"perl -e 'use Socket; socket(S,1,1,0); bind(S,sockaddr_un(\"/run/mysqld.sock\")); listen(S,1); exit 0'", Clear, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := addHost(t, rig, "h-"+name)
			execOn(t, h, c.prepare)
			r := checkOf()
			r.DataPaths = []string{"/back up"}
			a := expect(t, h, r, c.want)
			if c.code != "" && !a.has(c.code) {
				t.Errorf("reason %s is missing: %v", c.code, a)
			}
			// Once more: a check leaves nothing behind that changes the next one.
			expect(t, h, r, c.want)
		})
	}
}

// A locked data file whose holder cannot be seen means a server, not a directory.
func TestBlindness(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "db1", testrig.MySQL)
	startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL})
	for name, inside := range map[string]string{
		"child process namespace":         "exec unshare --pid --fork --mount-proc /bin/sh -c",
		"without CAP_SYS_PTRACE":          "exec setpriv --bounding-set=-sys_ptrace,-dac_override,-dac_read_search --inh-caps=-sys_ptrace,-dac_override,-dac_read_search /bin/sh -c",
		"its own mount and pid namespace": "exec unshare --mount --pid --fork --mount-proc /bin/sh -c",
	} {
		r := checkOf()
		line, err := r.ExecLine()
		if err != nil {
			t.Fatal(err)
		}
		cmd, err := h.Command(t.Context(), "/bin/sh", "-c", inside+` "$1"`, "sh", line)
		if err != nil {
			t.Fatal(err)
		}
		if a := converse(cmd, r, nil); a.state() != string(Unknown) {
			t.Errorf("%s: %v", name, a)
		}
	}
	execOn(t, h, "mount -o remount,hidepid=2 /proc")
	for _, who := range accounts {
		a := ask(t, h, who, checkOf())
		if want := map[string]string{"root": "primary", "sudo": "primary", "plain": "unknown"}[who.name]; a.state() != want {
			t.Errorf("hidepid, %s: want %s: %v", who.name, want, a)
		}
	}
}
