package audit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func entries(t *testing.T, path string) (whole []Entry, broken int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			broken++
			continue
		}
		whole = append(whole, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return whole, broken
}

func TestPath(t *testing.T) {
	t.Setenv("HOME", "/home/ops")
	for _, c := range []struct{ state, want string }{
		{"", "/home/ops/.local/state/interlock/audit.jsonl"},
		{"/var/state", "/var/state/interlock/audit.jsonl"},
		{"relative", "/home/ops/.local/state/interlock/audit.jsonl"},
	} {
		t.Setenv("XDG_STATE_HOME", c.state)
		got, err := Path()
		if err != nil || got != c.want {
			t.Errorf("XDG_STATE_HOME=%q: %q, %v; want %q", c.state, got, err, c.want)
		}
	}
}

func TestFileIsTheOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "audit.jsonl")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

// Two logs on one file stand for two processes: flock is per open file.
func TestLinesStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	logs := []*Log{open(t, path), open(t, path)}
	const perWriter, writers = 50, 8
	long := strings.Repeat("x", 20_000)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range perWriter {
				e := Entry{Time: time.Now(), Event: "decision", Host: "db1", Command: long}
				if err := logs[w%2].Append(e, i == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	whole, broken := entries(t, path)
	if len(whole) != perWriter*writers || broken != 0 {
		t.Fatalf("%d whole lines and %d broken, want %d and 0", len(whole), broken, perWriter*writers)
	}
	for _, e := range whole {
		if e.Command != long {
			t.Fatal("a line came back altered")
		}
	}
}

func TestTornLineSpoilsNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte("{\"event\":\"decision\",\"ho"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Append(Entry{Event: "decision", Host: "db2"}, true); err != nil {
		t.Fatal(err)
	}
	whole, broken := entries(t, path)
	if len(whole) != 1 || whole[0].Host != "db2" || broken != 1 {
		t.Fatalf("got %d whole lines %v and %d broken", len(whole), whole, broken)
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	l := open(t, "/dev/full")
	if err := l.Append(Entry{Event: "decision"}, true); err == nil {
		t.Fatal("a line that could not be written was taken for written")
	}
}

func TestCommandStaysReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := open(t, path).Append(Entry{Command: "a <b >c && d"}, true); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"a <b >c && d"`) {
		t.Errorf("command not readable in %s", text)
	}
}
