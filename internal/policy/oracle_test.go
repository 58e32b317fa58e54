package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"interlock/checks"
)

// TestOracle runs generated commands that are classified read-only in real shells, in a mount, process and
// network namespace of their own, and demands that they have changed nothing. A command is put together from
// pieces that dash, bash and busybox read in unlike ways; the programs that it may reach are in a scratch
// directory that is all the shell can write to.
//
// The seed is printed; INTERLOCK_ORACLE_SEED=N repeats a run.
func TestOracle(t *testing.T) {
	for _, tool := range []string{"dash", "bash", "busybox", "unshare", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil || os.Getuid() != 0 {
			if os.Getenv("INTERLOCK_REQUIRE_SERVERS") == "1" {
				t.Fatalf("the oracle needs root, dash, bash, busybox, unshare and chroot: %s: %v", tool, err)
			}
			t.Skipf("SKIPPED: the oracle needs root, dash, bash, busybox, unshare and chroot: %s: %v", tool, err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("INTERLOCK_ORACLE_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("INTERLOCK_ORACLE_SEED=%d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	c := classifier(t)

	// The oracle itself must see a write, or it proves nothing.
	scratch := newScratch(t)
	scratch.run(t, []string{"echo x > canary", "cat /etc/one"})
	if scratch.changes(t) == "" {
		t.Fatal("a command that writes has not been noticed")
	}

	var harmless []string
	tried := 0
	for ; len(harmless) < 120 && tried < 400_000; tried++ {
		command := g.command()
		if c.Classify(command, "/bin/sh").Class == checks.ReadOnly {
			harmless = append(harmless, command)
		}
	}
	if len(harmless) < 100 {
		t.Fatalf("only %d of %d generated commands are read-only", len(harmless), tried)
	}
	t.Logf("%d read-only of %d generated", len(harmless), tried)
	scratch = newScratch(t)
	scratch.run(t, harmless)
	if scratch.changes(t) == "" {
		return
	}
	for _, command := range harmless { // which one was it?
		one := newScratch(t)
		one.run(t, []string{command})
		if what := one.changes(t); what != "" {
			t.Errorf("%q is classified read-only, yet: %s", command, what)
		}
	}
	if !t.Failed() {
		t.Errorf("the commands together changed the scratch directory: %s", scratch.changes(t))
	}
}

// generator makes commands out of what shells disagree about.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// command is a list of one to three commands.
func (g generator) command() string {
	out := g.simple()
	for range g.IntN(3) {
		out += g.pick("; ", " && ", " || ", " | ", " & ", "\n", " |& ") + g.simple()
	}
	switch g.IntN(12) {
	case 0:
		return "( " + out + " )"
	case 1:
		return "{ " + out + "; }"
	case 2:
		return "for i in " + g.word() + " " + g.word() + "; do " + out + "; done"
	case 3:
		return "if " + g.simple() + "; then " + out + "; fi"
	case 4:
		return "case " + g.word() + " in " + g.word() + ") " + out + ";; esac"
	case 5:
		return "x=" + g.word() + "; " + out
	case 6:
		return "sh -c '" + strings.ReplaceAll(out, "'", `'\''`) + "'"
	}
	return out
}

func (g generator) simple() string {
	out := g.pick("echo", "cat", "ls", "printf", "grep", "head", "test", "sed -n", "sort", "uniq", "awk", "find", "true", "wc", "cut -c1", "touch", "rm", "tee", "env", "xargs echo", "tr a b", "command", "nice", ":")
	for range g.IntN(4) {
		out += " " + g.word()
	}
	if g.IntN(4) == 0 {
		out += " " + g.redirect()
	}
	return out
}

func (g generator) word() string {
	out := ""
	for range 1 + g.IntN(3) {
		out += g.pick("a", "/etc/one", "/etc/two", "-n", "-e", "p", "%s", "'{print}'", "*", "./*", "/etc/*", "?", "[a-z]", "{a,b}", "{/etc/one,-i}",
			"'a b'", `"a b"`, `\`+g.pick("a", " ", ";", ">", "$", "'", `"`, "\n", `\`), "$x", `"$x"`, "$i", `"$i"`, "${x:-a}", "${x%a}", `"${x:-$i}"`,
			"$(echo a)", "`echo a`", `"$(cat /etc/one)"`, "$((1 + 1))", "$?", "$#", "~", "#", "''", `""`, "'\\'", `"\\"`, `"\$x"`, "'$(touch new)'", `"\"; touch new #"`,
			"'; touch new #'", "-o", "new", "-i", "-exec", "touch", `\;`, "-delete", "w", "'w new'", "'1w new'", `'{print > "new"}'`, "--", "=", "$'a'", "!", "1", "2", ">", "[", "]", "-a", "-f")
	}
	return out
}

func (g generator) redirect() string {
	return g.pick(">/dev/null", "2>/dev/null", "2>&1", ">&2", "</etc/one", "<<E\n$x\nE\n", "<<'E'\n$(touch new)\nE\n", "> new", ">> new", ">| new", "<> new", "&> new", ">& new",
		"2>&1 >/dev/null", "<<< a", "10>/dev/null", "{x}>/dev/null", "< $x", `< "$x"`, ">$x", ">/dev/null/../new", "<&0", "<&-")
}

// scratch is a directory tree that a shell is shut up in.
type scratch struct {
	root   string
	before string
}

// newScratch makes a root with the shells, busybox's programs under /bin, and a few files.
func newScratch(t *testing.T) *scratch {
	t.Helper()
	s := &scratch{root: t.TempDir()}
	for _, d := range []string{"bin", "usr/bin", "etc", "dev", "home", "tmp", "proc"} {
		if err := os.MkdirAll(filepath.Join(s.root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"etc/one": "a\nb\n", "etc/two": "-i\n-o\nnew\n", "home/a": "a b\n", "home/-n": "x\n", "home/p": "w new\n"} {
		if err := os.WriteFile(filepath.Join(s.root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := `set -e
cd "$1"
cp "$(readlink -f "$(command -v dash)")" bin/dash
cp "$(readlink -f "$(command -v bash)")" bin/bash
for b in "$(command -v dash)" "$(command -v bash)"; do
	ldd "$b" | awk '{for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i}' | while read -r lib; do
		mkdir -p ".${lib%/*}"
		[ -e ".$lib" ] || cp -L "$lib" ".$lib"
	done
done
cp -L "$(command -v busybox)" bin/busybox
ldd bin/busybox 2>/dev/null | awk '{for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i}' | while read -r lib; do
	mkdir -p ".${lib%/*}"
	[ -e ".$lib" ] || cp -L "$lib" ".$lib"
done
for p in $(bin/busybox --list); do
	[ -e "bin/$p" ] || ln -s busybox "bin/$p"
done
ln -sf dash bin/sh
mknod -m 666 dev/null c 1 3
`
	if out, err := exec.Command("sh", "-c", script, "sh", s.root).CombinedOutput(); err != nil {
		t.Fatalf("make a scratch root: %v\n%s", err, out)
	}
	s.before = s.listing(t)
	return s
}

// run gives each command to each of the shells, in namespaces of their own, without a way out of the root.
func (s *scratch) run(t *testing.T, commands []string) {
	t.Helper()
	var lines strings.Builder
	for _, command := range commands {
		for _, shell := range []string{"/bin/dash -c", "/bin/bash --posix -c", "/bin/bash -c", "/bin/busybox sh -c"} {
			fmt.Fprintf(&lines, "cd /home; /bin/busybox timeout -s KILL 2 %s %s </dev/null >/dev/null 2>&1\n", shell, Quote([]string{command + "\n"}))
		}
	}
	cmd := exec.Command("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
		"chroot", s.root, "/bin/busybox", "env", "-i", "PATH=/bin:/usr/bin", "HOME=/home", "x=-o new", "i=-delete", "/bin/busybox", "sh")
	cmd.Stdin = strings.NewReader(lines.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		if !errors.As(err, new(*exec.ExitError)) {
			t.Fatalf("run in a scratch root: %v\n%s", err, out)
		}
	}
}

// changes tells what is not as it was.
func (s *scratch) changes(t *testing.T) string {
	t.Helper()
	before, after := strings.Split(s.before, "\n"), strings.Split(s.listing(t), "\n")
	had := map[string]bool{}
	for _, line := range before {
		had[line] = true
	}
	var out []string
	for _, line := range after {
		if !had[line] {
			out = append(out, line)
		}
		delete(had, line)
	}
	for line := range had {
		out = append(out, "gone: "+line)
	}
	return strings.Join(out, "; ")
}

// listing names every file with its mode, size and time of change; directories without their times.
func (s *scratch) listing(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, s.root)
		switch {
		case d.IsDir() || name == "/dev/null":
			fmt.Fprintf(&b, "%s %s\n", name, info.Mode())
		default:
			fmt.Fprintf(&b, "%s %s %d %d\n", name, info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
