package command

import (
	"strings"
	"testing"
)

func sshCopies(t *testing.T, f *hostsOfRig) {
	f.write(t, "up", "text\n", 0o600)
	for _, mode := range []string{"-s", "-O"} { // the protocol of sftp, and scp's own
		f.run(t, "", "scp", mode, "-q", "-S", "./"+sshName, "FFF", "up", "app1:/tmp/up"+mode).fine(t, "scp "+mode+" to app1", "")
		f.run(t, "", "scp", mode, "-q", "-S", "./"+sshName, "FFF", "app1:/tmp/up"+mode, "down"+mode).fine(t, "scp "+mode+" from app1", "")
		if got := f.read(t, "down"+mode); got != "text\n" {
			t.Errorf("scp %s: %q came back", mode, got)
		}
		if got := f.run(t, "", "scp", mode, "-q", "-S", "./"+sshName, "FFF", "db1:/etc/hostname", "name"+mode); got != (said{}) || f.read(t, "name"+mode) != "db1\n" {
			t.Errorf("scp %s from a primary: %+v", mode, got)
		}
		if got := f.run(t, "", "scp", mode, "-S", "./"+sshName, "FFF", "up", "db1:/tmp/up"+mode); got.status == 0 || !strings.Contains(got.stderr, "no allowance lets a destructive command through") {
			t.Errorf("scp %s to a primary: %+v", mode, got)
		}
		if f.there(t, "db1", "/tmp/up"+mode) {
			t.Errorf("scp %s has written to a primary", mode)
		}
	}
	f.run(t, "put up /tmp/by-sftp\nrename /tmp/by-sftp /tmp/renamed\nget /tmp/renamed back\n", "sftp", "-q", "-b", "-", "-S", "./"+sshName, "FFF", "app1").fine(t, "sftp to app1",
		"sftp> put up /tmp/by-sftp\nsftp> rename /tmp/by-sftp /tmp/renamed\nsftp> get /tmp/renamed back\n")
	got := f.run(t, "get /etc/hostname name\n-put up /tmp/by-sftp\n-rm /etc/hostname\n-mkdir /tmp/by-sftp\n", "sftp", "-b", "-", "-S", "./"+sshName, "FFF", "db1")
	if got.status != 0 || strings.Count(got.stderr, "Permission denied")+strings.Count(got.stderr, "ermission denied") == 0 ||
		!strings.Contains(got.stderr, "interlock: sftp only reads on db1: the host is a live primary") {
		t.Errorf("sftp to a primary: %+v", got)
	}
	if f.read(t, "name") != "db1\n" || f.there(t, "db1", "/tmp/by-sftp") || !f.there(t, "db1", "/etc/hostname") {
		t.Error("sftp to a primary did not read, or wrote")
	}
}

func sshRsync(t *testing.T, f *hostsOfRig) {
	f.write(t, "file", "of rsync\n", 0o600)
	f.run(t, "", "rsync", "-a", "-e", "./"+sshName+" FFF", "file", "app1:/tmp/rsync/").fine(t, "to app1", "")
	f.run(t, "", "rsync", "-a", "-z", "-e", "./interlock ssh FFF", "app1:/tmp/rsync/", "by-rsync/").fine(t, "from app1", "")
	if got := f.read(t, "by-rsync/file"); got != "of rsync\n" {
		t.Errorf("%q came back", got)
	}
	f.run(t, "", "rsync", "-a", "-e", "./interlock ssh FFF", "db1:/etc/hostname", "db1-name").fine(t, "from a primary", "")
	if got := f.read(t, "db1-name"); got != "db1\n" {
		t.Errorf("%q came from the primary", got)
	}
	f.run(t, "", "rsync", "-a", "-e", "./interlock ssh FFF", "file", "db1:/tmp/rsync/").refused(t, "to a primary", anyFailure)
	f.run(t, "", "rsync", "-a", "--remove-source-files", "-e", "./interlock ssh FFF", "db1:/etc/hostname", "gone").refused(t, "away from a primary", anyFailure)
	if f.there(t, "db1", "/tmp/rsync") || !f.there(t, "db1", "/etc/hostname") {
		t.Error("rsync has changed the primary")
	}
	if left := f.exec(t, "app1", "cat /var/lib/interlock/lock 2>/dev/null || echo none"); left != "none" {
		t.Errorf("app1 is still locked: %s", left)
	}
}

func sshGit(t *testing.T, f *hostsOfRig) {
	for _, host := range []string{"app1", "db1"} {
		f.exec(t, host, "git init -q --bare /srv/app.git && git -C /srv/app.git symbolic-ref HEAD refs/heads/main && git config --system --add safe.directory '*'")
	}
	git := func(how string, words ...string) said {
		if how == "GIT_SSH" {
			f.env = append(f.env, "GIT_SSH="+f.dir+"/ssh-f", "GIT_SSH_COMMAND=")
			defer func() { f.env = f.env[:len(f.env)-2] }()
			return f.run(t, "", append([]string{"env", "-u", "GIT_SSH_COMMAND", "git"}, words...)...)
		}
		return f.run(t, "", append([]string{"env", "GIT_SSH_COMMAND=" + f.dir + "/interlock ssh FFF", "git"}, words...)...)
	}
	git("", "init", "-q", "-b", "main", "work").fine(t, "init", "")
	git("", "-C", "work", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first").fine(t, "commit", "")
	// What runs in work finds no ./hosts.toml, so that every host is guarded.
	git("GIT_SSH", "-C", "work", "push", "-q", "app1:/srv/app.git", "main").fine(t, "push with GIT_SSH", "")
	git("GIT_SSH_COMMAND", "clone", "-q", "ssh://root@app1/srv/app.git", "clone").fine(t, "clone with GIT_SSH_COMMAND", "")
	git("GIT_SSH", "-C", "clone", "fetch", "-q").fine(t, "fetch", "")
	if got := git("GIT_SSH", "ls-remote", "db1:/srv/app.git"); got.status != 0 || got.stdout != "" {
		t.Errorf("ls-remote on a primary: %+v", got)
	}
	git("GIT_SSH", "-C", "work", "push", "-q", "db1:/srv/app.git", "main").refused(t, "push to a primary", 128)
	if refs := f.exec(t, "db1", "git -C /srv/app.git for-each-ref"); refs != "" {
		t.Errorf("the primary took %s", refs)
	}
}

func sshAnsible(t *testing.T, f *hostsOfRig) {
	f.write(t, "inventory", "[all:vars]\nansible_ssh_executable="+f.dir+"/"+sshName+"\nansible_ssh_common_args=-F "+f.SSHConfig()+
		"\nansible_ssh_transfer_method=piped\nansible_python_interpreter=/usr/bin/python3\n[all]\napp1\ndb1\n", 0o600)
	if got := f.run(t, "", "ansible", "-i", "inventory", "app1", "-m", "copy", "-a", "content=x dest=/tmp/by-ansible"); got.status != 0 || !f.there(t, "app1", "/tmp/by-ansible") {
		t.Errorf("a module on a clear host: %+v", got)
	}
	got := f.run(t, "", "ansible", "-i", "inventory", "db1", "-m", "copy", "-a", "content=x dest=/tmp/by-ansible")
	got.refused(t, "a module on a primary", 4)
	if !strings.Contains(got.stdout, "UNREACHABLE") || f.there(t, "db1", "/tmp/by-ansible") {
		t.Errorf("a module on a primary: %+v", got)
	}
	if got := f.run(t, "", "ansible", "-i", "inventory", "db1", "-m", "raw", "-a", "cat /etc/hostname"); got.status != 0 || !strings.Contains(got.stdout, "\ndb1") {
		t.Errorf("a look at a primary: %+v", got)
	}
}
