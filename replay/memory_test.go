package replay_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay"
)

// mostBeside is what a run may hold besides its bound: the program, its buffers, what the collector lets lie.
const mostBeside = 128 << 20

// runAlone replays files in a process of its own, whose peak of memory is the run's, and holds that against the bound.
func runAlone(t *testing.T, to *testrig.Local, memoryBytes int64, files ...string) replay.Summary {
	t.Helper()
	dir := t.TempDir()
	program, summary := filepath.Join(dir, "interlock"), filepath.Join(dir, "summary")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "interlock").CombinedOutput(); err != nil {
		t.Fatalf("build interlock: %v\n%s", err, out)
	}
	args := append([]string{"replay", "-S", to.Socket, "-u", "root", "--memory", fmt.Sprint(memoryBytes), "--summary", summary}, files...)
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("interlock replay: %v\n%s", err, out)
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	var s replay.Summary
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB of log in %d epochs, %.1f s, peak memory %d MB of %d", s.Read.Bytes>>20, s.Epochs, s.Seconds, s.PeakMemory>>20, memoryBytes>>20)
	if s.PeakMemory == 0 || s.PeakMemory > memoryBytes+mostBeside {
		t.Errorf("the run held %d MB, at most %d", s.PeakMemory>>20, (memoryBytes+mostBeside)>>20)
	}
	return s
}

// A million narrow rows with a key and as many without one, changed again: an epoch's memory beside its images is most
// of it, and the next epoch needs that of another kind.
func TestMemoryOfNarrowRows(t *testing.T) {
	const rows = 1_000_000
	products(t, func(t *testing.T, p testrig.Product) {
		settings := []string{"innodb-buffer-pool-size=256M"}
		source := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Settings: settings})
		script := fmt.Sprintf(`CREATE DATABASE d; USE d; CREATE TABLE n (a INT PRIMARY KEY, b INT); CREATE TABLE k (a INT, b INT);
CREATE TABLE digit (i INT); INSERT INTO digit VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
INSERT INTO n SELECT 1 + a.i + 10*b.i + 100*c.i + 1000*d.i + 10000*e.i + 100000*f.i AS x, 1
FROM digit a, digit b, digit c, digit d, digit e, digit f WHERE a.i + 10*b.i + 100*c.i + 1000*d.i + 10000*e.i + 100000*f.i < %d;
INSERT INTO k SELECT a, b FROM n; FLUSH BINARY LOGS; UPDATE n SET a = -a;`, rows)
		if p == testrig.MySQL { // MariaDB reads the table through for each row that goes
			script += "UPDATE k SET b = 2;"
		}
		if _, err := source.Exec(t.Context(), script); err != nil {
			t.Fatal(err)
		}
		files, err := source.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		to := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Settings: settings})
		runAlone(t, to, 256<<20, files...)
		const look = "SELECT COUNT(*), SUM(a), SUM(b), MIN(a), MAX(a) FROM d.n UNION ALL SELECT COUNT(*), SUM(a), SUM(b), MIN(a), MAX(a) FROM d.k"
		want, err := source.Exec(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := to.Exec(t.Context(), look); err != nil || got != want {
			t.Errorf("rows %q, %v; want %q", got, err, want)
		}
	})
}

// A transaction that runs as it stands is held whole: one that is larger than the run may hold is refused, and the memory that
// the message names is enough.
func TestMemoryOfSavepoints(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB); INSERT INTO d.t (b) VALUES (''); BEGIN; INSERT INTO d.t (b) VALUES (REPEAT('x', 1 << 20)); SAVEPOINT s; "+
			strings.Repeat("INSERT INTO d.t (b) SELECT b FROM d.t WHERE id = 2; ", 40)+"COMMIT;")
		s, err := run(t, both.ours, replay.Config{Paths: files, MemoryBytes: 64 << 20})
		words := "takes more than half of --memory (64 MiB): give the same command with --memory 92M at least"
		if err == nil || !strings.Contains(err.Error(), words) || s.State != replay.StateWhole {
			t.Fatalf("%v, state %s; want %q", err, s.State, words)
		}
		runAlone(t, both.ours, 92<<20, files...)
		const look = "SELECT COUNT(*), SUM(id), SUM(CRC32(b)) FROM d.t"
		want, err := both.source.Exec(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := both.ours.Exec(t.Context(), look); err != nil || got != want {
			t.Errorf("rows %q, %v; want %q", got, err, want)
		}
	})
}
