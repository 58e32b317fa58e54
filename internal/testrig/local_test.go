package testrig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func query(t *testing.T, l *Local, statement string) []map[string]string {
	t.Helper()
	rows, err := l.Query(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func execLocal(t *testing.T, l *Local, script string) string {
	t.Helper()
	out, err := l.Exec(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A log written by one server is replayed by the pipe into a second one that starts from its snapshot.
func TestLocalPipe(t *testing.T) {
	for _, product := range []Product{MySQL, MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			source := LocalFor(t, LocalSpec{Product: product})
			execLocal(t, source, "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b TEXT); INSERT INTO d.t VALUES (1, 'backup');")
			if err := source.Stop(); err != nil {
				t.Fatal(err)
			}
			snapshot := filepath.Join(t.TempDir(), "snapshot")
			if err := source.Snapshot(t.Context(), snapshot); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := source.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("started in %s", time.Since(begin))
			execLocal(t, source, "INSERT INTO d.t VALUES (2, 'log'), (3, NULL);")
			files, err := source.BinlogFiles()
			if err != nil {
				t.Fatal(err)
			}
			target := LocalFor(t, LocalSpec{Product: product, From: snapshot, Loopback: true})
			if err := target.Pipe(t.Context(), nil, files[len(files)-1]); err != nil {
				t.Fatal(err)
			}
			rows := query(t, target, "SELECT a, b FROM d.t ORDER BY a")
			if len(rows) != 3 || rows[1]["b"] != "log" {
				t.Errorf("got %v", rows)
			}
			if _, there := rows[2]["b"]; there {
				t.Errorf("a NULL is in its row: %v", rows[2])
			}
			err = target.Pipe(t.Context(), nil, files[len(files)-1]+".missing")
			if err == nil || !strings.Contains(err.Error(), "mysqlbinlog") {
				t.Errorf("a missing file gives %v", err)
			}
		})
	}
}

func TestLocalKill(t *testing.T) {
	for _, product := range []Product{MySQL, MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			l := LocalFor(t, LocalSpec{Product: product, Settings: []string{"innodb-flush-log-at-trx-commit=1"}})
			execLocal(t, l, "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1);")
			if err := l.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Query(t.Context(), "SELECT 1"); err == nil || l.Running() {
				t.Errorf("a killed server answers (%v) or runs (%v)", err, l.Running())
			}
			if err := l.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows := query(t, l, "SELECT a FROM d.t"); len(rows) != 1 {
				t.Errorf("after a kill the table holds %v", rows)
			}
			dir := l.dir
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("after Close %s is there: %v", dir, err)
			}
		})
	}
}

func TestLocalSweepsWhatTheDeadLeft(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"dead", "held"} {
		dir = filepath.Join(root, localPrefix+dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := lockFile(t.Context(), filepath.Join(root, localPrefix+"held", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := sweepLocal(root); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(root, "*", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 || !strings.Contains(left[0], "held") {
		t.Errorf("left are %q, want the held one", left)
	}
}
