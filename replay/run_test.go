package replay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/binlog"
	"interlock/replay/target"

	"github.com/google/go-cmp/cmp"
)

func products(t *testing.T, f func(t *testing.T, p testrig.Product)) {
	for _, p := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(p), func(t *testing.T) { f(t, p) })
	}
}

// history is a workload with a bit of everything that a unit of work is made of.
func history(t *testing.T, s *testrig.Local) {
	t.Helper()
	var b strings.Builder
	b.WriteString(`CREATE DATABASE shop; USE shop;
CREATE TABLE item (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, code VARCHAR(20) NOT NULL, stock INT NOT NULL, note TEXT, UNIQUE KEY (code));
CREATE TABLE event (what VARCHAR(20), n INT);
`)
	for i := range 200 {
		fmt.Fprintf(&b, "INSERT INTO item (code, stock, note) VALUES ('c%d', %d, NULL);\n", i, i)
	}
	for i := range 300 {
		fmt.Fprintf(&b, "UPDATE item SET stock = stock + 1 WHERE id = %d;\n", i%10+1)
		fmt.Fprintf(&b, "INSERT INTO event VALUES ('sale', %d);\n", i%7)
	}
	b.WriteString(`BEGIN; UPDATE item SET code = 'tmp' WHERE id = 1; UPDATE item SET code = 'c0' WHERE id = 2; UPDATE item SET code = 'c1' WHERE id = 1; COMMIT;
DELETE FROM item WHERE id > 190; DELETE FROM event WHERE n = 3;
INSERT INTO item (id, code, stock) VALUES (1000, 'gone', 1); DELETE FROM item WHERE id = 1000;
ALTER TABLE item ADD COLUMN price DECIMAL(10,2) NOT NULL DEFAULT 1.5;
UPDATE item SET price = id / 3, id = id + 5000 WHERE id < 20;
SET SESSION binlog_format = STATEMENT;
INSERT INTO item (code, stock) VALUES ('by statement', 5); UPDATE item SET stock = stock * 2 WHERE id > 5000;
SET SESSION binlog_format = ROW;
INSERT INTO event SELECT code, id FROM item;
`)
	if _, err := s.Exec(t.Context(), b.String()); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, s *testrig.Local) string {
	t.Helper()
	out, err := s.Exec(t.Context(), `SELECT * FROM shop.item ORDER BY id; SELECT * FROM shop.event ORDER BY what, n; SHOW CREATE TABLE shop.item; SHOW CREATE TABLE shop.event`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func run(t *testing.T, s *testrig.Local, cfg replay.Config) (*replay.Summary, error) {
	t.Helper()
	cfg.Target = target.Options{Socket: s.Socket, User: "root"}
	cfg.Tell = func(line string) { t.Log(line) }
	return replay.Run(t.Context(), cfg)
}

// The log of a server that began empty makes another empty server equal to it.
func TestWholeHistory(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		history(t, source)
		files, err := source.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		for _, epoch := range []int64{0, 7} {
			t.Run(fmt.Sprintf("epochs of %d changes", epoch), func(t *testing.T) {
				to := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
				s, err := run(t, to, replay.Config{Paths: files, EpochChanges: epoch})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(contents(t, source), contents(t, to)); diff != "" {
					t.Errorf("source and target differ (-source +target):\n%s", diff)
				}
				if s.Read != s.Applied || len(s.Skipped) > 0 {
					t.Errorf("read %+v, applied %+v, skipped %+v", s.Read, s.Applied, s.Skipped)
				}
				again, err := run(t, to, replay.Config{Paths: files})
				if err != nil || again.Read.Transactions != 0 {
					t.Errorf("a second time: %+v, %v", again, err)
				}
			})
		}
	})
}

// What cannot be replayed stops the run before anything is applied, and its own words get one past it: up to it,
// by hand, and on behind it.
func TestPastLoadData(t *testing.T) { pastLoadData(t, "") }

// The same where it is the first transaction of a file.
func TestPastLoadDataAtStart(t *testing.T) { pastLoadData(t, "FLUSH BINARY LOGS; ") }

func pastLoadData(t *testing.T, before string) {
	products(t, func(t *testing.T, p testrig.Product) {
		source := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		data := filepath.Join(t.TempDir(), "rows")
		if err := os.WriteFile(data, []byte("7\n8\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(data), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := source.Exec(t.Context(), "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1); "+before+"SET SESSION binlog_format=STATEMENT; "+
			"LOAD DATA INFILE '"+data+"' INTO TABLE d.t; SET SESSION binlog_format=ROW; INSERT INTO d.t VALUES (2)")
		if err != nil {
			t.Fatal(err)
		}
		files, err := source.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		to := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		_, err = run(t, to, replay.Config{Paths: files})
		if err == nil || !strings.Contains(err.Error(), "LOAD DATA") {
			t.Fatalf("the run is not refused: %v", err)
		}
		at := regexp.MustCompile(`--stop-position[= ](\S+:\d+)`).FindStringSubmatch(err.Error())
		if at == nil {
			t.Fatalf("no way past it is named: %v", err)
		}
		if _, err := run(t, to, replay.Config{Paths: files, Range: replay.Range{StopPosition: at[1]}}); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Exec(t.Context(), "SET sql_log_bin=0; INSERT INTO d.t VALUES (7), (8)"); err != nil {
			t.Fatal(err)
		}
		behind := lastTransaction(t, files)
		if _, err := run(t, to, replay.Config{Paths: files, Range: replay.Range{StartPosition: behind}}); err != nil {
			t.Fatal(err)
		}
		if got, err := to.Exec(t.Context(), "SELECT a FROM d.t ORDER BY a"); err != nil || strings.Join(strings.Fields(got), " ") != "1 2 7 8" {
			t.Errorf("rows %q, %v; want 1 2 7 8", got, err)
		}
	})
}

// Two servers that write into one domain of MariaDB leave GTIDs that do not rise. They are refused, since a target would
// seem to have the second one here, and the words of the refusal get one up to it.
func TestTwoWriters(t *testing.T) {
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	_, err := source.Exec(t.Context(), "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1); SET SESSION server_id=77, gtid_seq_no=2; "+
		"INSERT INTO d.t VALUES (2); SET SESSION server_id=DEFAULT, gtid_seq_no=DEFAULT; INSERT INTO d.t VALUES (3)")
	if err != nil {
		t.Fatal(err)
	}
	to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	_, err = run(t, to, replay.Config{Paths: binlogs(t, source)})
	if err == nil || !regexp.MustCompile(`GTID 0-77-2 comes behind 0-\d+-3: the numbers of domain 0 do not rise`).MatchString(err.Error()) {
		t.Fatalf("the run is not refused: %v", err)
	}
	at := regexp.MustCompile(`--stop-position (\S+:\d+)`).FindStringSubmatch(err.Error())
	if at == nil {
		t.Fatalf("no position is named: %v", err)
	}
	if _, err := run(t, to, replay.Config{Paths: binlogs(t, source), Range: replay.Range{StopPosition: at[1]}}); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Exec(t.Context(), "SELECT a FROM d.t"); err != nil || strings.TrimSpace(got) != "1" {
		t.Errorf("rows %q, %v; want 1", got, err)
	}
}

// lastTransaction is where the last transaction of a log begins, found by trying the ends of its file.
func lastTransaction(t *testing.T, files []string) string {
	t.Helper()
	log, err := binlog.Open(t.Context(), files, binlog.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	last := log.Files[len(log.Files)-1]
	for offset := uint64(last.Size); offset > 4; offset-- {
		r, err := log.Read(binlog.Position{File: last.Name, Offset: offset})
		if err != nil {
			continue
		}
		txn, err := r.Next(t.Context())
		r.Close()
		if err == nil {
			return txn.Start.String()
		}
	}
	t.Fatal("no transaction")
	return ""
}
