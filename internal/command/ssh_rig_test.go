package command

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// hostsOfRig is three real hosts: db1, a primary; db2, its replica; app1, without a database. What calls ssh on this
// machine (scp, sftp, rsync, git, ansible) finds the program under its two names in dir.
type hostsOfRig struct {
	*testrig.Rig
	dir string // also the directory that everything runs in, and that has hosts.toml
	env []string
}

const fleetInventory = `
[clusters.users]
hosts = ["db[1-2]"]
[groups]
others = ["app1"]
`

func newFleet(t *testing.T) *hostsOfRig {
	t.Helper()
	f := &hostsOfRig{Rig: testrig.For(t), dir: t.TempDir()}
	mysql := []testrig.Product{testrig.MySQL}
	hosts, err := f.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: mysql, FarEnds: true},
		testrig.HostSpec{Name: "db2", Products: mysql}, testrig.HostSpec{Name: "app1", FarEnds: true})
	if err != nil {
		t.Fatal(err)
	}
	var servers []*testrig.Server
	for _, h := range hosts[:2] {
		server, err := h.StartServer(t.Context(), testrig.ServerSpec{Product: testrig.MySQL})
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
	}
	if err := testrig.Replicate(t.Context(), servers[0], servers[1]); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"interlock", sshName} {
		if err := os.Symlink(self, filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.inventory(t, fleetInventory)
	// Programs that give ssh no -F find the rig's hosts in the system's configuration: a name of theirs is not among
	// the machine's own, and ssh takes the account's home from the password database, so HOME will not do.
	f.write(t, "ssh-f", "#!/bin/sh\nexec "+f.dir+"/"+sshName+" -F "+f.SSHConfig()+` "$@"`+"\n", 0o755)
	f.env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "HOME="+t.TempDir(), "PATH="+f.dir+":"+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=/dev/null", "ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=False")
	return f
}

func (f *hostsOfRig) inventory(t *testing.T, text string) { f.write(t, "hosts.toml", text, 0o600) }

func (f *hostsOfRig) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func (f *hostsOfRig) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

type said struct {
	stdout, stderr string
	status         int
}

// run runs a program in the fleet's directory; in is its standard input, /dev/null where empty. FFF stands for -F and
// the rig's ssh configuration.
func (f *hostsOfRig) run(t *testing.T, in string, words ...string) said {
	t.Helper()
	var argv []string
	for _, word := range words {
		if word == "FFF" {
			argv = append(argv, "-F", f.SSHConfig())
		} else {
			argv = append(argv, strings.ReplaceAll(word, "FFF", "-F "+f.SSHConfig()))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // ansible calls ssh seven times, on whatever else is going on here
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if filepath.Base(argv[0]) == argv[0] {
		if own := filepath.Join(f.dir, argv[0]); fileThere(own) {
			cmd.Path, cmd.Err = own, nil
		}
	}
	cmd.Dir, cmd.Env = f.dir, f.env
	if in != "" {
		cmd.Stdin = strings.NewReader(in)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func fileThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// ssh runs `interlock ssh`.
func (f *hostsOfRig) ssh(t *testing.T, in string, words ...string) said {
	t.Helper()
	return f.run(t, in, append([]string{"interlock", "ssh", "FFF"}, words...)...)
}

// exec runs a script on a host behind everybody's back.
func (f *hostsOfRig) exec(t *testing.T, host, script string) string {
	t.Helper()
	out, err := f.Host(host).Exec(t.Context(), script)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return strings.TrimSpace(out)
}

func (f *hostsOfRig) there(t *testing.T, host, path string) bool {
	t.Helper()
	return f.exec(t, host, "if [ -e "+path+" ]; then echo yes; else echo no; fi") == "yes"
}

// fine fails unless a program ended well and gave this.
func (s said) fine(t *testing.T, what, stdout string) {
	t.Helper()
	if s.status != 0 || s.stdout != stdout {
		t.Errorf("%s: status %d, stdout %q, want %q; stderr:\n%s", what, s.status, s.stdout, stdout, s.stderr)
	}
}

// anyFailure is every exit status but 0: rsync gives ssh's or its own, whichever it hears of first.
const anyFailure = -1

// refused fails unless it ended with status and a refusal that gives a reason.
func (s said) refused(t *testing.T, what string, status int) {
	t.Helper()
	as := s.status == status || status == anyFailure && s.status > 0
	if !as || !strings.Contains(s.stderr+s.stdout, "interlock: refused: ") || !strings.Contains(s.stderr+s.stdout, "reason: ") {
		t.Errorf("%s: status %d, want %d and a refusal; stdout %q, stderr:\n%s", what, s.status, status, s.stdout, s.stderr)
	}
}

// TestPrefixesOnRealHosts puts `interlock ssh` in the place of ssh, by hand and for the programs that call it, and
// `interlock local` before commands of this machine, on hosts with real servers.
func TestPrefixesOnRealHosts(t *testing.T) {
	f := newFleet(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *hostsOfRig)
	}{
		{"commands", sshCommands},
		{"a script on standard input", sshScripts},
		{"what is passed to ssh", sshPasses},
		{"hosts of the inventory by any name", sshNames},
		{"breaking the glass", breakGlass},
		{"through the system's ssh", sshBeyond},
		{"in the background", sshBackground},
		{"shells", sshShells},
		{"scp and sftp", sshCopies},
		{"rsync", sshRsync},
		{"git", sshGit},
		{"ansible", sshAnsible},
		{"local: refusals", localRefusals},
		{"local: a command that fails", localFails},
		{"local: a host that boots", localBoots},
		{"local: until", localUntil},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, f) })
	}
}

func sshCommands(t *testing.T, f *hostsOfRig) {
	got := f.ssh(t, "", "app1", "echo out; echo err >&2; touch /tmp/ran; exit 3")
	if got != (said{"out\n", "err\n", 3}) || !f.there(t, "app1", "/tmp/ran") {
		t.Errorf("a command: %+v", got)
	}
	// Words are joined by blanks, and what is classified is what runs.
	f.ssh(t, "", "app1", "echo", "a  b", ";", "echo", "$0").fine(t, "words", "a b\n/bin/sh\n")
	f.ssh(t, "", "-l", "ops-fish", "-o", "SetEnv=LC_ALL=C", "app1", "touch /tmp/fish; x=$(id -un); echo $x").fine(t, "as another, whose shell is fish", "ops-fish\n")
	f.ssh(t, "", "db1", "cat", "/etc/hostname").fine(t, "read-only on a primary", "db1\n")
	f.ssh(t, "in\n", "db1", "cat").fine(t, "its input", "in\n")
	f.ssh(t, "in\n", "-n", "db1", "cat").fine(t, "without input", "")
	f.ssh(t, "", "-tt", "db1", "tty", "|", "cut", "-c1-8").fine(t, "with a terminal", "/dev/pts\r\n")
	for _, host := range []string{"db1", "db2"} {
		f.ssh(t, "", host, "touch /tmp/ran").refused(t, "touch on "+host, 255)
		f.run(t, "", sshName, "FFF", host, "touch /tmp/ran").refused(t, "interlock-ssh touch on "+host, 255)
		if f.there(t, host, "/tmp/ran") {
			t.Errorf("it ran on %s", host)
		}
	}
	f.ssh(t, "", "--allow", "data,replica", "db1", "touch /tmp/ran").refused(t, "with allowances", 255)
	if got := f.ssh(t, "", "app1", "kill -9 $$"); got.status != 255 && got.status != 137 {
		t.Errorf("killed: %+v", got)
	}
	if got := f.ssh(t, "", "app1", "lifecycle=reinstall", "perform_upgrade"); got.status != 255 || !strings.Contains(got.stderr, "selector of hosts") {
		t.Errorf("a misplaced selector: %+v", got)
	}
	f.inventory(t, "[hosts.app1\n")
	if got := f.ssh(t, "", "app1", "true"); got.status != 255 || !strings.Contains(got.stderr, "hosts.toml:1") {
		t.Errorf("a broken inventory: %+v", got)
	}
	f.inventory(t, fleetInventory)
}

func sshScripts(t *testing.T, f *hostsOfRig) {
	f.ssh(t, "echo $0; hostname; touch /tmp/script\n", "app1").fine(t, "heredoc", "/bin/sh\napp1\n")
	f.ssh(t, "touch /tmp/script\n", "db1").refused(t, "heredoc to a primary", 255)
	f.ssh(t, "", "db1").refused(t, "no command and no input", 255)
	if !f.there(t, "app1", "/tmp/script") || f.there(t, "db1", "/tmp/script") {
		t.Error("the script ran where it should not, or not where it should")
	}
}

func sshPasses(t *testing.T, f *hostsOfRig) {
	theirs := f.run(t, "", "ssh", "FFF", "-G", "db1")
	f.ssh(t, "", "-G", "db1").fine(t, "-G", theirs.stdout)
	f.run(t, "", sshName, "-Q", "kex").fine(t, "-Q", f.run(t, "", "ssh", "-Q", "kex").stdout)
	if got := f.run(t, "", "interlock", "ssh", "-V"); got.status != 0 || !strings.HasPrefix(got.stderr, "OpenSSH_") {
		t.Errorf("-V: %+v", got)
	}
	if got := f.ssh(t, "", "-W", "127.0.0.1:22", "db1"); !strings.HasPrefix(got.stdout, "SSH-2.0-") {
		t.Errorf("-W: %+v", got)
	}
	if got := f.ssh(t, "", "-O", "check", "db1"); got.status != 255 || strings.Contains(got.stderr, "interlock") {
		t.Errorf("-O: %+v", got)
	}
	// A host that the inventory does not name is none of ours: no check, and its own shell.
	f.inventory(t, "[groups]\nothers = [\"db[1-2]\"]\n")
	f.ssh(t, "", "app1", "echo", "$0", "&&", "touch", "/tmp/passed").fine(t, "another host", "sh\n")
	f.inventory(t, "[defaults]\nssh_scope = \"all\"\n[groups]\nothers = [\"db[1-2]\"]\n")
	f.ssh(t, "", "app1", "echo", "$0", "&&", "touch", "/tmp/guarded").fine(t, "another host with ssh_scope", "/bin/sh\n")
	f.inventory(t, "")
	f.ssh(t, "", "db1", "touch /tmp/ran").refused(t, "an inventory without a host", 255)
	f.inventory(t, fleetInventory)
}

func sshNames(t *testing.T, f *hostsOfRig) {
	config := f.SSHConfig()
	f.write(t, "ssh_config", fmt.Sprintf("Include %s\nHost alias db1.example.com\n\tHostName %s\n\tHostKeyAlias db1\n", config, f.Host("db1").Addr), 0o600)
	f.inventory(t, fleetInventory+"[hosts.db1]\naddress = \""+f.Host("db1").Addr.String()+"\"\n")
	for _, name := range []string{"db1", "DB1", "root@db1", "ssh://root@db1:22", "alias", "db1.example.com", f.Host("db1").Addr.String()} {
		got := f.run(t, "", "interlock", "ssh", "-F", "ssh_config", name, "touch /tmp/ran")
		got.refused(t, name, 255)
		if !strings.Contains(got.stderr, " on db1\n") || f.there(t, "db1", "/tmp/ran") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	f.run(t, "", "interlock", "ssh", "-F", "ssh_config", "alias", "hostname").fine(t, "an alias", "db1\n")
	f.inventory(t, fleetInventory)
}

// breakGlass types the line that a refusal ends with, as it stands, but for the reason: it lets that command through,
// whichever prefix it had, and whichever side refused it.
func breakGlass(t *testing.T, f *hostsOfRig) {
	const command = "touch /tmp/glass; echo 'it ran'"
	for _, one := range []struct {
		host, reason string
		words        []string
	}{
		{"db1", "primary", []string{"interlock", "ssh", "FFF", "-l", "root", "db1", command}},
		{"db1", "primary", []string{sshName, "FFF", "root@db1", "touch", "/tmp/glass;", "echo", "'it ran'"}},
		{"db2", "db2 is the only replica of db1", []string{"interlock", "run", "FFF", "-l", "root", "--no-wait-healthy", "--allow", "replica,data", "db2", "--", command}},
	} {
		got := f.run(t, "", one.words...)
		got.refused(t, fmt.Sprint(one.words), anyFailure)
		_, line, offered := strings.Cut(got.stderr, "at your own risk: ")
		line, _, _ = strings.Cut(line, "\n")
		if !offered || !strings.Contains(got.stderr, one.reason) {
			t.Errorf("%q: nothing to type, or not for %q:\n%s", one.words, one.reason, got.stderr)
			continue
		}
		typed := strings.Replace(line, " TEXT ", " 'the disk is on fire' ", 1)
		if got := f.run(t, "", "sh", "-c", typed); got.status != 0 || got.stdout != "it ran\n" || !strings.Contains(got.stderr, "overridden: ") || !f.there(t, one.host, "/tmp/glass") {
			t.Errorf("%s: %+v", typed, got)
		}
		f.exec(t, one.host, "rm -f /tmp/glass")
		if got := f.run(t, "", "sh", "-c", typed); got.status == 0 || f.there(t, one.host, "/tmp/glass") {
			t.Errorf("a second time: %+v", got)
		}
	}
}

func sshBeyond(t *testing.T, f *hostsOfRig) {
	forward := "127.0.0.1:" + fmt.Sprint(20000+os.Getpid()%20000) + ":127.0.0.1:22"
	f.ssh(t, "", "-A", "-L", forward, "-o", "ExitOnForwardFailure=yes", "app1", "touch /tmp/forward; cat").fine(t, "-L", "")
	f.ssh(t, "", "-A", "-L", forward, "-o", "ExitOnForwardFailure=yes", "db1", "touch /tmp/ran").refused(t, "-L to a primary", 255)
	f.ssh(t, "x\n", "--transport", "openssh", "app1", "cat; touch /tmp/forward; exit 4").expect(t, said{"x\n", "", 4})
	if f.there(t, "db1", "/tmp/ran") {
		t.Error("it ran on the primary")
	}
	got := f.ssh(t, "", "-s", "db1", "netconf")
	got.refused(t, "another subsystem", 255)
}

func (s said) expect(t *testing.T, want said) {
	t.Helper()
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func sshBackground(t *testing.T, f *hostsOfRig) {
	// As with ssh's own, its output stays ours, and nobody would see the end of a pipe.
	const line = `exec ./interlock ssh FFF -f app1 'until [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/background; echo end' >background 2>&1`
	f.run(t, "", "sh", "-c", line).fine(t, "-f", "")
	if f.there(t, "app1", "/tmp/background") {
		t.Error("it waited for the command, or that did not wait for us")
	}
	f.exec(t, "app1", "touch /tmp/go")
	until(t, "the command in the background has ended", func() bool { return f.there(t, "app1", "/tmp/background") && f.locked(t) == "" })
	if got := f.read(t, "background"); got != "end\n" {
		t.Errorf("its output: %q", got)
	}
	f.ssh(t, "", "-f", "db1", "touch /tmp/ran").refused(t, "-f to a primary", 255)
}

// terminal runs `interlock ssh` on a terminal of its own, and types text.
func (f *hostsOfRig) terminal(t *testing.T, text string, words ...string) said {
	t.Helper()
	line := "./interlock ssh " + strings.Join(words[:len(words)-1], " ") + " -F " + f.SSHConfig() + " " + words[len(words)-1]
	got := f.run(t, text, "script", "-q", "-e", "-c", line, "/dev/null")
	got.stdout = strings.ReplaceAll(got.stdout, "\r\n", "\n")
	return got
}

func sshShells(t *testing.T, f *hostsOfRig) {
	const typed = "hostname >/tmp/typed; exit 7\n"
	for host, state := range map[string]string{"app1": "clear", "db1": "primary"} {
		got := f.terminal(t, typed, host)
		if got.status != 7 || !strings.Contains(got.stdout, "interlock: "+host+" is "+state+"\n") ||
			!strings.Contains(got.stdout, "nothing guards what is typed in this shell") || f.exec(t, host, "cat /tmp/typed; rm /tmp/typed") != host {
			t.Errorf("a shell on %s: %+v", host, got)
		}
	}
	f.inventory(t, "[defaults]\nrequire_shell_allow = true\n"+fleetInventory)
	defer f.inventory(t, fleetInventory)
	for _, host := range []string{"db1", "db2"} {
		got := f.terminal(t, typed, host)
		got.refused(t, "a shell on "+host, 255)
		if !strings.Contains(got.stdout, "to proceed: interlock ssh --allow shell "+host) || f.there(t, host, "/tmp/typed") {
			t.Errorf("a shell on %s: %+v", host, got)
		}
	}
	if got := f.terminal(t, typed, "app1"); got.status != 7 {
		t.Errorf("a shell on a clear host: %+v", got)
	}
	if got := f.terminal(t, typed, "--allow shell", "db1"); got.status != 7 || f.exec(t, "db1", "cat /tmp/typed") != "db1" {
		t.Errorf("a shell that is allowed: %+v", got)
	}
}
