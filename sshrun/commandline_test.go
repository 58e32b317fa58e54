package sshrun

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCommandLine(t *testing.T) {
	long := map[string]bool{"allow": true, "config": true, "dry": false}
	for _, c := range []struct {
		line string // words separated by blanks
		want string // options | host | command | long
	}{
		{"db1", "|db1||"},
		{"db1 uptime", "|db1|uptime|"},
		{"root@db1 ls -l /", "-l root|db1|ls -l /|"},
		{"-l ops root@db1", "-l ops -l root|db1||"},
		{"-p 22 -lops -i/k db1", "-p 22 -l ops -i /k|db1||"},
		{"-qnTp2222 db1 true", "-q -n -T -p 2222|db1|true|"},
		{"-tt db1 top", "-t -t|db1|top|"},
		{"db1 -l root -p 22 uptime -p", "-l root -p 22|db1|uptime -p|"},
		{"db1 -- -l root", "|db1|-l root|"},
		{"-- db1 -l root", "|db1|-l root|"},
		{"-o -- db1 -l root", "-o --|db1|-l root|"}, // ssh takes the value for the end of options, too
		{"-v -- db1", "-v|db1||"},
		{"db1 -v -- uptime -- x", "-v|db1|uptime -- x|"},
		{"db1 - x", "|db1|- x|"},
		{"ssh://ops@db1:2222/ uptime", "-l ops -p 2222|db1|uptime|"},
		{"ssh://[2001:db8::1]:22 uptime", "-p 22|2001:db8::1|uptime|"},
		{"ssh://db1", "|db1||"},
		{"2001:db8::1", "|2001:db8::1||"},
		{"a@b@db1", "-l a@b|db1||"},
		{"-s -- db1 sftp", "-s|db1|sftp|"},
		{"-J a,b -L 1:c:2 -D 3 -R 4:d:5 -W h:1 -w 0:0 -b 1.2.3.4 -B eth0 -c x -m y -e none -E /l -F /f -I /p -O exit -Q kex -S none -o A=b db1",
			"-J a,b -L 1:c:2 -D 3 -R 4:d:5 -W h:1 -w 0:0 -b 1.2.3.4 -B eth0 -c x -m y -e none -E /l -F /f -I /p -O exit -Q kex -S none -o A=b|db1||"},
		{"-246AaCfGgKkMNnqsTtVvXxYy db1", "-2 -4 -6 -A -a -C -f -G -g -K -k -M -N -n -q -s -T -t -V -v -X -x -Y -y|db1||"},
		{"-V", "-V|||"},
		{"--allow data --config=/h -p 22 --dry db1 --allow x", "error: option --allow is not known here"},
		{"--allow data --config=/h -p 22 --dry db1 x --allow", "-p 22|db1|x --allow|allow=data config=/h dry="},
		{"db1 ''", "|db1|''|"},
		{"", "|||"},
		{"--dry=1 db1", "error: option --dry takes no value"},
		{"--allow", "error: option --allow: no value"},
		{"--force db1", "error: option --force is not known here"},
		{"-P tag db1 reboot", "error: option -P is not understood: OpenSSH before 9.4 and since then take it differently"},
		{"-z db1", "error: option -z is not known"},
		{"-vz db1", "error: option -z is not known"},
		{"-p", "error: option -p: no value"},
		{"@db1", `error: destination "@db1": its user is not understood: write -l USER`},
		{"ssh://a:b@db1", `error: destination "ssh://a:b@db1": its user is not understood: write -l USER`},
		{"ssh://db1:x", `error: destination "ssh://db1:x": port "x": want 1 to 65535`},
		{"ssh://[::1", `error: destination "ssh://[::1": no closing bracket`},
		{"ssh://db1/x", `error: destination "ssh://db1/x": host name "db1/x": not a host name`},
		{"a;b", `error: destination "a;b": host name "a;b": not a host name`},
	} {
		got, err := ParseCommandLine(strings.Fields(c.line), long)
		var text string
		if err != nil {
			text = "error: " + err.Error()
		} else {
			var own []string
			for _, o := range got.Long {
				own = append(own, o.Name+"="+o.Value)
			}
			text = strings.Join([]string{strings.Join(got.Without(""), " "), got.Host, strings.Join(got.Command, " "), strings.Join(own, " ")}, "|")
		}
		if text != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.line, text, c.want)
		}
	}
}

// TestParseAsSSH asks the system's ssh how it reads a command line. Its ProxyCommand tells which host it has found,
// and ends the attempt.
func TestParseAsSSH(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"h1 uptime", "u@h1 -p 17 -l v ls -p", "-l w u@h1", "h1 -l v -- -x", "-- h1 -l v", "-qTxp19 h1 -4 true", "ssh://u@h1:23 -p 24 x",
		"-o User=a -l b c@h1", "-p 1 -p 2 h1 -p 3", "-F none h1", "h1 -o Port=5 -- -o Port=6", "-v -- h1 -p 4", "-o Port=7 ssh://h1:8",
		"-Tv2 h1 -", "-o User=b h1 -l x", "-6AaCgknxy -c aes128-ctr h1 -m hmac-sha2-256 x", "-lp h1", "h1 -i /dev/null -e none -J none x",
	} {
		file := filepath.Join(t.TempDir(), "said")
		args := append([]string{"-F", "none", "-o", "ProxyCommand=sh -c 'echo %h %p %r >" + file + "'"}, strings.Fields(line)...)
		if strings.Contains(line, "-J none") { // it and ProxyCommand exclude each other
			args = append([]string{"-F", "none", "-G"}, strings.Fields(line)...)
		}
		if strings.Contains(line, "-F none") {
			args = args[2:]
		}
		out, _ := exec.CommandContext(t.Context(), ssh, args...).CombinedOutput()
		var theirs string
		if said, err := os.ReadFile(file); err == nil {
			theirs = strings.TrimSpace(string(said))
		} else {
			theirs = resolvedIn(string(out))
		}
		c, err := ParseCommandLine(strings.Fields(line), nil)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		ask := append(append([]string{"-G"}, c.Without("FG")...), "-F", "none", "--", c.Host)
		out, err = exec.CommandContext(t.Context(), ssh, ask...).Output()
		if err != nil {
			t.Errorf("%s: ssh %q: %v", line, ask, err)
			continue
		}
		if ours := resolvedIn(string(out)); ours != theirs || theirs == "" {
			t.Errorf("%s: ours leads to %q, ssh's to %q", line, ours, theirs)
		}
	}
}

// resolvedIn gives host name, port and user out of what ssh -G prints.
func resolvedIn(out string) string {
	of := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		of[key] = value
	}
	return strings.TrimSpace(of["hostname"] + " " + of["port"] + " " + of["user"])
}

// FuzzParseCommandLine: whatever is read can be written as ssh's arguments again, and is read the same.
func FuzzParseCommandLine(f *testing.F) {
	for _, line := range []string{"db1", "-p 22 root@db1 -v -- ls", "-qnTp2222 ssh://a@[::1]:22 x", "-o -- h x", "- x", "-l"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseCommandLine(strings.Split(line, " "), nil)
		if err != nil || c.Host == "" {
			return
		}
		again, err := ParseCommandLine(append(append(c.Without(""), "--", c.Host), c.Command...), nil)
		if err != nil {
			t.Fatalf("%q: read as %+v, and not again: %v", line, c, err)
		}
		if d := cmp.Diff(c.Options, again.Options); d != "" || again.Host != c.Host {
			t.Fatalf("%q: %s", line, d)
		}
		if len(c.Command)+len(again.Command) > 0 && !cmp.Equal(c.Command, again.Command) {
			t.Fatalf("%q: command %q, then %q", line, c.Command, again.Command)
		}
	})
}
