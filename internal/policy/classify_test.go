package policy

import (
	"strings"
	"testing"

	"interlock/checks"
)

func TestClassify(t *testing.T) {
	c := classifier(t)
	for _, tt := range []struct {
		title   string
		command string
		shell   string // "" is /bin/sh
		class   checks.Class
		code    string // of the first reason; "" is not looked at
		at      string // what the first reason points at; "" is not looked at
	}{
		{"nothing at all", "", "", checks.ReadOnly, "read-only", ""},
		{"a comment", "# rm -rf /", "", checks.ReadOnly, "", ""},
		{"a reader", "uptime", "", checks.ReadOnly, "read-only", "uptime"},
		{"the accident", "lifecycle=reinstall perform_upgrade", "", checks.Destructive, "assignment", "lifecycle=reinstall"},
		{"unknown program", "frobnicate --all", "", checks.Destructive, "unknown-program", "frobnicate"},
		{"unknown option", "ls --frob", "", checks.Destructive, "unknown-option", "--frob"},
		{"abbreviated option", "sed --in-pla s/a/b/ f", "", checks.Destructive, "unknown-option", "--in-pla"},
		{"clustered option", "sed -ni p f", "", checks.Destructive, "unknown-option", "-ni"},
		{"worst part wins", "uptime; reboot; rm x", "", checks.Destructive, "unknown-program", "rm"},
		{"middle part", "uptime && reboot", "", checks.Disruptive, "reboot", "reboot"},
		{"in a condition", "if rm x; then :; fi", "", checks.Destructive, "unknown-program", "rm"},
		{"in an argument", `echo "$(rm x)"`, "", checks.Destructive, "unknown-program", "rm"},
		{"in an unquoted here-document", "cat <<E\n$(rm x)\nE", "", checks.Destructive, "unknown-program", "rm"},
		{"in a quoted here-document", "cat <<'E'\n$(rm x)\nE", "", checks.ReadOnly, "", ""},
		{"in sh -c", "sudo sh -c 'uptime; rm x'", "", checks.Destructive, "unknown-program", "rm"},
		{"in sh -c in sh -c", `sh -c "sh -c 'rm x'"`, "", checks.Destructive, "unknown-program", "rm"},
		{"path outside the system's", "/tmp/ls", "", checks.Destructive, "unknown-program", "/tmp/ls"},
		{"path that leads away", "/usr/bin/../../tmp/ls", "", checks.Destructive, "unknown-program", ""},
		{"relative path", "./ls", "", checks.Destructive, "unknown-program", ""},
		{"system path", "/usr/bin/ls /", "", checks.ReadOnly, "", ""},
		{"escaped name", `\ls`, "", checks.ReadOnly, "", ""},
		{"program from a variable", "$x", "", checks.Destructive, "unknown-program", "$x"},
		{"function", "ls() { rm x; }; ls", "", checks.Destructive, "function", ""},
		{"write", "uptime > /tmp/x", "", checks.Destructive, "write-redirect", "> /tmp/x"},
		{"append", "uptime >> /tmp/x", "", checks.Destructive, "write-redirect", ""},
		{"write by &>", "uptime &> /tmp/x", "bash", checks.Destructive, "write-redirect", ""},
		{"write to nowhere", "uptime >/dev/null 2>&1", "", checks.ReadOnly, "", ""},
		{"open for both", "cat <> /tmp/x", "", checks.Destructive, "write-redirect", ""},
		{"two-digit descriptor", "mount 10>/dev/null", "", checks.Destructive, "redirection", ""},
		{"named descriptor", "ls {x}>/dev/null", "bash", checks.Destructive, "redirection", ""},
		{"a device", "cat /dev/watchdog", "", checks.Destructive, "operand", "/dev/watchdog"},
		{"a device, in disguise", "cat /var/log/../../dev/sda", "", checks.Destructive, "operand", ""},
		{"a device, by pattern", "cat /d*/sda", "", checks.Destructive, "operand", ""},
		{"a device, after cd", "cd / && cat dev/sda", "", checks.Destructive, "", ""},
		{"a device, by redirection", "cat < /dev/sda", "", checks.Destructive, "operand", "/dev/sda"},
		{"the null device", "cat /dev/null", "", checks.ReadOnly, "", ""},
		{"/sys", "cat /sys/block/sda/size", "", checks.Destructive, "operand", ""},
		{"/proc", "cat /proc/meminfo /proc/1/status", "", checks.ReadOnly, "", ""},
		{"/proc/kcore", "cat /proc/kcore", "", checks.Destructive, "operand", ""},
		{"another's descriptor", "cat /proc/1/fd/3", "", checks.Destructive, "operand", ""},
		{"numbers in a path", "cat /proc/$(pidof mysqld)/limits", "", checks.ReadOnly, "", ""},
		{"words of unknown number", "grep foo $(ls)", "", checks.Destructive, "unknown-value", "$(ls)"},
		{"unknown value that could be an option", `grep "$x" /etc/hosts`, "", checks.Destructive, "unknown-value", `"$x"`},
		{"unknown value behind --", `grep -- "$x" /etc/hosts`, "", checks.ReadOnly, "", ""},
		{"unknown value of an option", `grep -e "$x" /etc/hosts`, "", checks.ReadOnly, "", ""},
		{"unknown value where it does not matter", `echo "$HOSTNAME" $x`, "", checks.ReadOnly, "", ""},
		{"unknown file", `cat "/var/log/$x"`, "", checks.Destructive, "operand", ""},
		{"pattern that can be an option", "cat *", "", checks.Destructive, "glob", "*"},
		{"pattern that cannot", "cat ./*.log /var/log/*.log", "", checks.ReadOnly, "", ""},
		{"pattern in brackets", "ps aux | grep [m]ysqld", "", checks.ReadOnly, "", ""},
		{"pattern that can be a dash", "ps aux | grep [-m]ysqld", "", checks.Destructive, "glob", ""},
		{"loop over literals", "for f in /etc/hosts /etc/passwd; do wc -l $f; done", "", checks.ReadOnly, "", ""},
		{"loop over a device", "for f in /etc/hosts /dev/sda; do wc -l $f; done", "", checks.Destructive, "operand", ""},
		{"loop over files", `for f in /var/log/*.log; do tail -n 1 "$f"; done`, "", checks.ReadOnly, "", ""},
		{"loop over files, unquoted", `for f in /var/log/*.log; do tail -n 1 $f; done`, "", checks.Destructive, "unknown-value", "$f"},
		{"loop over unknown", `for f in $(ls); do tail -n 1 "$f"; done`, "", checks.Destructive, "unknown-value", ""},
		{"loop variable changed by read", `x=/etc/hosts; while true; do cat $x; read -r x; done`, "", checks.Destructive, "unknown-value", ""},
		{"known variable", "d=/var/lib/mysql; du -sh $d", "", checks.ReadOnly, "", ""},
		{"variable that is an option", "d=-i; sed $d s/a/b/ f", "", checks.Destructive, "unknown-option", ""},
		{"variable assigned twice", "d=/a; true && d=-i; du $d", "", checks.Destructive, "unknown-value", ""},
		{"PATH", "PATH=/tmp; ls", "", checks.Destructive, "assignment", "PATH=/tmp"},
		{"IFS", "IFS=x", "", checks.Destructive, "assignment", ""},
		{"a proxy", "http_proxy=x; ls", "", checks.Destructive, "assignment", ""},
		{"LD_PRELOAD", "LD_PRELOAD=/tmp/x.so ls", "", checks.Destructive, "assignment", ""},
		{"env with an assignment", "env LD_PRELOAD=/tmp/x.so ls", "", checks.Destructive, "assignment", ""},
		{"assignment by expansion", "echo ${x:=1}", "", checks.Destructive, "expansion", ""},
		{"prompt expansion", "echo ${x@P}", "bash", checks.Destructive, "expansion", ""},
		{"arithmetic on names", "echo $((x))", "", checks.Destructive, "expansion", ""},
		{"arithmetic on numbers", "echo $((1 + 2))", "", checks.ReadOnly, "", ""},
		{"ANSI-C quotes", `echo $'a'`, "", checks.Destructive, "syntax", `$'a'`},
		{"process substitution", "diff <(ls /a) <(ls /b)", "bash", checks.ReadOnly, "", ""},
		{"process substitution in sh", "diff <(ls /a) <(ls /b)", "", checks.Destructive, "syntax", ""},
		{"brace expansion", "ls /var/log/{mysql,nginx}", "", checks.ReadOnly, "", ""},
		{"brace expansion to an option", "sed {-i,s/a/b/} f", "", checks.Destructive, "", ""},
		{"brace expansion without end", "echo {1..1000000000}", "bash", checks.ReadOnly, "", ""},
		{"test evaluates", `test -v 'a[$(x)]'`, "bash", checks.Destructive, "not-proven", ""},
		{"test with a number that is none", `[ "$x" -eq 1 ]`, "", checks.Destructive, "not-proven", ""},
		{"test of a number", `[ "$(id -u)" -eq 0 ]`, "", checks.ReadOnly, "", ""},
		{"test of a text", `[ "$x" = y ]`, "", checks.ReadOnly, "", ""},
		{"printf -v", "printf -v x y", "bash", checks.Destructive, "not-proven", ""},
		{"printf", `printf '%s %d%%\n' "$x" 1`, "", checks.ReadOnly, "", ""},
		{"read with a subscript", "read -r 'a[$(x)]'", "bash", checks.Destructive, "", ""},
		{"coproc", "coproc ls", "bash", checks.Destructive, "", ""},
		{"no-break space", "ls\u00a0-l", "", checks.Destructive, "characters", ""},
		{"zero width", "l\u200bs", "", checks.Destructive, "characters", ""},
		{"carriage return", "ls\r", "", checks.Destructive, "characters", "\r"},
		{"NUL", "ls\x00", "", checks.Destructive, "characters", "\x00"},
		{"fish", "ls", "fish", checks.Destructive, "interpreter", ""},
		{"zsh by path", "ls", "/bin/zsh", checks.Destructive, "interpreter", ""},
		{"bash from elsewhere", "ls", "/tmp/bash", checks.Destructive, "interpreter", ""},
		{"fish reads this differently", `su mysql -c 'echo '"'"'a\\'"'"' ";touch X #"'`, "", checks.Destructive, "", ""},
		{"sudo -i", "sudo -i df -h", "", checks.ReadOnly, "", ""},
		{"sudo -i with more than words", "sudo -i sh -c 'df -h'", "", checks.Destructive, "login-shell", ""},
		{"sudo -e", "sudo -e /etc/hosts", "", checks.Destructive, "unknown-option", ""},
		{"ssh", "ssh db2 uptime", "", checks.ReadOnly, "", ""},
		{"ssh elsewhere", "ssh db2 reboot", "", checks.Destructive, "other-host", ""},
		{"ssh with a command of its own", "ssh -o ProxyCommand=x db2 uptime", "", checks.Destructive, "unknown-option", ""},
		{"xargs", "echo 1 | xargs ps -fp", "", checks.ReadOnly, "", ""},
		{"xargs of unknown files", "find /a | xargs cat", "", checks.Destructive, "unknown-value", ""},
		{"find -exec", `find /var/log -name '*.log' -exec grep -l x {} +`, "", checks.ReadOnly, "", ""},
		{"find -exec under /dev", `find /dev -exec cat {} +`, "", checks.Destructive, "operand", ""},
		{"find -delete", "find /tmp -name x -delete", "", checks.Destructive, "unknown-option", "-delete"},
		{"find -exec sh -c with a name in it", `find /tmp -exec sh -c 'cat {}' \;`, "", checks.Destructive, "unknown-value", ""},
		{"find without quotes", "find /tmp -name *.log", "", checks.Destructive, "unknown-value", ""},
		{"sort -o", "sort -o x x", "", checks.Destructive, "unknown-option", "-o"},
		{"uniq to a file", "uniq a b", "", checks.Destructive, "not-proven", "b"},
		{"tee", "uptime | tee /tmp/x", "", checks.Destructive, "write", ""},
		{"date", "date +%s", "", checks.ReadOnly, "", ""},
		{"date that sets", "date 010203", "", checks.Destructive, "operand", "010203"},
		{"hostname that sets", "hostname db9", "", checks.Destructive, "operand", "db9"},
		{"ip link s is set", "ip link s dev eth0 down", "", checks.Destructive, "not-proven", "s"},
		{"ss -K", "ss -K dst 1.2.3.4", "", checks.Destructive, "unknown-option", "-K"},
		{"mount of something", "mount /mnt", "", checks.Destructive, "operand", "/mnt"},
		{"sysctl that sets", "sysctl vm.swappiness=1", "", checks.Destructive, "operand", ""},
		{"kill -0", "kill -0 4711", "", checks.ReadOnly, "", ""},
		{"kill", "kill 4711", "", checks.Destructive, "not-proven", ""},
		{"crontab -l", "crontab -l", "", checks.ReadOnly, "", ""},
		{"crontab", "crontab -", "", checks.Destructive, "", ""},
		{"gzip", "gzip -9 /var/log/x", "", checks.Destructive, "write", ""},
		{"bzip2 where the last option counts", "bzip2 -td x.bz2", "", checks.Destructive, "write", ""},
		{"systemctl status", "systemctl --no-pager status mysql", "", checks.ReadOnly, "", ""},
		{"systemctl restart", "sudo systemctl restart mysql", "", checks.Disruptive, "service", "mysql"},
		{"systemctl restart of a target", "systemctl restart poweroff.target", "", checks.Destructive, "not-proven", ""},
		{"systemctl restart of systemd's own", "systemctl restart systemd-repart.service", "", checks.Destructive, "not-proven", ""},
		{"systemctl elsewhere", "systemctl -H db2 restart mysql", "", checks.Destructive, "unknown-option", ""},
		{"service", "service mysql restart", "", checks.Disruptive, "service", ""},
		{"init script", "/etc/init.d/mysql stop", "", checks.Disruptive, "service", ""},
		{"reboot", "reboot", "", checks.Disruptive, "reboot", ""},
		{"reboot -f", "reboot -f", "", checks.Destructive, "not-proven", "-f"},
		{"shutdown -r", "shutdown -r now", "", checks.Disruptive, "reboot", ""},
		{"shutdown", "shutdown now", "", checks.Destructive, "power-off", ""},
		{"poweroff", "systemctl poweroff", "", checks.Destructive, "", ""},
		{"upgrade", "apt-get -y dist-upgrade", "", checks.Disruptive, "packages", ""},
		{"upgrade with an assignment", "DEBIAN_FRONTEND=noninteractive apt-get -y upgrade", "", checks.Destructive, "assignment", ""},
		{"upgrade with a setting", "apt-get -o Dpkg::Pre-Invoke::=x upgrade", "", checks.Destructive, "unknown-option", ""},
		{"install that removes", "apt-get install mysql-server-", "", checks.Destructive, "not-proven", "mysql-server-"},
		{"install of a file", "apt-get install ./x.deb", "", checks.Destructive, "not-proven", "./x.deb"},
		{"remove", "apt-get -y remove mysql-server", "", checks.Destructive, "not-proven", ""},
		{"simulated remove", "apt-get -s remove mysql-server", "", checks.ReadOnly, "", ""},
		{"rpm -i beside a query", "rpm -i x.rpm", "", checks.Destructive, "", ""},
		{"docker exec", "docker exec -it db mysql -e 'show databases'", "", checks.ReadOnly, "", ""},
		{"docker stop", "docker stop db", "", checks.Destructive, "not-proven", ""},
		{"curl of metrics", "curl -s http://localhost:9104/metrics", "", checks.ReadOnly, "", ""},
		{"curl elsewhere", "curl -s http://db2/quit", "", checks.Destructive, "not-proven", ""},
	} {
		shell := tt.shell
		if shell == "" {
			shell = "/bin/sh"
		}
		got := c.Classify(tt.command, shell)
		if got.Class != tt.class {
			t.Errorf("%s: %q is %s, want %s (%s)", tt.title, tt.command, got.Class, tt.class, reasons(got))
			continue
		}
		if len(got.Reasons) == 0 {
			t.Errorf("%s: %q has no reason", tt.title, tt.command)
			continue
		}
		r := got.Reasons[0]
		if tt.code != "" && r.Code != tt.code {
			t.Errorf("%s: %q: reason %s, want %s", tt.title, tt.command, reasons(got), tt.code)
		}
		if r.Start < 0 || r.End < r.Start || r.End > len(tt.command) {
			t.Errorf("%s: %q: reason points at %d:%d", tt.title, tt.command, r.Start, r.End)
		} else if tt.at != "" && tt.command[r.Start:r.End] != tt.at {
			t.Errorf("%s: %q: reason points at %q, want %q", tt.title, tt.command, tt.command[r.Start:r.End], tt.at)
		}
	}
}

func TestBoots(t *testing.T) {
	c := classifier(t)
	for command, want := range map[string]bool{
		"reboot": true, "sudo shutdown -r now": true, "systemctl reboot": true, "uptime; init 6": true, "kexec -e": true,
		"uptime": false, "poweroff": false, "systemctl restart mysql": false,
	} {
		if got := c.Classify(command, "/bin/sh"); got.Boots != want {
			t.Errorf("%q: boots %v, want %v", command, got.Boots, want)
		}
	}
}

// TestBounds: what is too long, too deep or too much is destructive, and soon so.
func TestBounds(t *testing.T) {
	c := classifier(t)
	for title, command := range map[string]string{
		"long":         "echo " + strings.Repeat("a", maxCommandBytes),
		"subshells":    strings.Repeat("(", 5000) + "ls" + strings.Repeat(")", 5000),
		"substitution": "echo " + strings.Repeat("$(", 5000) + strings.Repeat(")", 5000),
		"ifs":          strings.Repeat("if ", 10000) + "ls",
		"loops": "for a in 1 2 3 4 5 6 7 8 9; do for b in 1 2 3 4 5 6 7 8 9; do for c in 1 2 3 4 5 6 7 8 9; do for d in 1 2 3 4 5 6 7 8 9; do " +
			"for e in 1 2 3 4 5 6 7 8 9; do ls; done; done; done; done; done",
		"negations":  strings.Repeat("! ", 20000) + "ls",
		"arithmetic": "echo $((" + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000) + "))",
		"sudo":       strings.Repeat("sudo ", 10000) + "ls",
		"here":       strings.Repeat("cat <<a\n", 5000),
	} {
		if got := c.Classify(command, "/bin/sh"); got.Class != checks.Destructive || len(got.Reasons) == 0 {
			t.Errorf("%s: %s %v", title, got.Class, got.Reasons)
		}
	}
	chain := strings.TrimSuffix(strings.Repeat("ls && ", 1000), "&& ")
	if got := c.Classify(chain, "/bin/sh"); got.Class != checks.ReadOnly {
		t.Errorf("a long chain of readers: %s", reasons(got))
	}
}

// TestPrograms: a program is described once, and each description is understood.
func TestPrograms(t *testing.T) {
	programs, err := buildPrograms()
	if err != nil {
		t.Fatal(err)
	}
	kinds := words("none text path file number")
	for name, p := range programs {
		for kind := range strings.FieldsSeq(p.operands) {
			if !kinds[kind] {
				t.Errorf("%s: operands of kind %q", name, kind)
			}
		}
		for long, o := range p.spec.long {
			if o.kind != "" && !kinds[o.kind] {
				t.Errorf("%s: --%s of kind %q", name, long, o.kind)
			}
		}
		for _, o := range p.spec.short {
			if o != nil && o.kind != "" && !kinds[o.kind] {
				t.Errorf("%s: an option of kind %q", name, o.kind)
			}
		}
	}
}
