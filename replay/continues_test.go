package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/target"
)

// refused runs a command that is to be refused before anything is applied, in words.
func refused(t *testing.T, to *testrig.Local, cfg replay.Config, words string) {
	t.Helper()
	if s, err := run(t, to, cfg); !errors.Is(err, replay.ErrRefused) || !strings.Contains(err.Error(), words) {
		t.Errorf("%+v, %v; want a refusal with %q", s, err, words)
	}
}

func rows(t *testing.T, l *testrig.Local, query, want string) {
	t.Helper()
	out, err := l.Exec(t.Context(), query)
	if got := strings.Join(strings.Fields(out), " "); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", query, got, err, want)
	}
}

// setGTIDs says that a server has what another one has now.
func setGTIDs(t *testing.T, source *testrig.Local) string {
	t.Helper()
	if source.Product == testrig.MySQL {
		return "SET GLOBAL gtid_purged='" + global(t, source, "gtid_executed") + "'"
	}
	return "SET GLOBAL gtid_slave_pos='" + global(t, source, "gtid_binlog_pos") + "'"
}

// loaded makes a server what a dump of another one would.
func loaded(t *testing.T, source, to *testrig.Local, dump string) {
	t.Helper()
	mustExec(t, to, "SET sql_log_bin=0; "+dump, setGTIDs(t, source))
}

// A start that changed nothing does not lift the checks of another command, nor keep what the server had then.
func TestStartThatChangedNothing(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1); FLUSH BINARY LOGS",
			"SET sql_log_bin=0; CREATE TABLE d.u (id INT PRIMARY KEY)")
		loaded(t, source, to, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1)")
		mustExec(t, source,
			"INSERT INTO d.u VALUES (1); UPDATE d.t SET n = 2; INSERT INTO d.t VALUES (2, 2); FLUSH BINARY LOGS; INSERT INTO d.t VALUES (3, 3)")
		files := binlogs(t, source)
		behind := "begins behind transactions that it does not have"
		refused(t, to, replay.Config{Paths: files[2:]}, behind)
		if _, err := run(t, to, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "`u`") {
			t.Fatalf("a table that the target does not have: %v", err)
		}
		mustExec(t, to, "SET sql_log_bin=0; CREATE TABLE d.u (id INT PRIMARY KEY)")
		refused(t, to, replay.Config{Paths: files[2:]}, behind)
		if _, err := run(t, to, replay.Config{Paths: files}); err != nil {
			t.Fatal(err)
		}
		rows(t, to, "SELECT * FROM d.t ORDER BY id; SELECT * FROM d.u", "1 2 2 2 3 3 1")
	})
}

// A backup whose GTIDs were forgotten fails where its rows are there already. Once they are set the same command goes by
// them.
func TestGTIDsSetAfterAFailedStart(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "SET sql_log_bin=0; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT)",
			"INSERT INTO d.t VALUES (1, 1)")
		dump, set := "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1)", setGTIDs(t, source)
		mustExec(t, to, "SET sql_log_bin=0; "+dump)
		mustExec(t, source, "UPDATE d.t SET n = 2; INSERT INTO d.t VALUES (2, 2)")
		cfg := replay.Config{Paths: binlogs(t, source)}
		if _, err := run(t, to, cfg); err == nil || !strings.Contains(err.Error(), "1062") {
			t.Fatalf("rows that are there already: %v", err)
		}
		mustExec(t, to, set)
		if _, err := run(t, to, cfg); err != nil {
			t.Fatal(err)
		}
		rows(t, to, "SELECT * FROM d.t ORDER BY id", "1 2 2 2")
	})
}

// A position that is further on than the log would have all of it taken for applied.
func TestPositionBeyondTheLog(t *testing.T) {
	source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB}), testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)")
	mustExec(t, to, "SET GLOBAL gtid_slave_pos='0-9-1000,7-1-5'")
	refused(t, to, replay.Config{Paths: binlogs(t, source)}, "gtid_slave_pos is 0-9-1000,7-1-5, and the log ends at 0-")
	mustExec(t, to, "SET GLOBAL gtid_slave_pos='7-1-5'")
	if _, err := run(t, to, replay.Config{Paths: binlogs(t, source)}); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.t", "1")
}

// A dump that is loaded over what a run has left behind does not take its GTIDs back. What the dump lacks must not be taken
// for applied, neither while the state of the run is there nor without it.
func TestDumpLoadedOverARunsGTIDs(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		dump := "SET sql_log_bin=0; DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)"
		mustExec(t, source, dump, "FLUSH BINARY LOGS; INSERT INTO d.t VALUES (1)")
		mustExec(t, to, dump)
		files := binlogs(t, source)
		cfg := replay.Config{Paths: files, Range: replay.Range{StartPosition: filepath.Base(files[1]) + ":4"}}
		if _, err := run(t, to, cfg); err != nil {
			t.Fatal(err)
		}
		mustExec(t, source, "INSERT INTO d.t VALUES (2); FLUSH BINARY LOGS")
		cfg.Paths = binlogs(t, source)
		if _, err := run(t, to, cfg); err != nil { // the GTIDs are those of the run before
			t.Fatal(err)
		}
		rows(t, to, "SELECT * FROM d.t ORDER BY id", "1 2")
		time.Sleep(1100 * time.Millisecond) // what is made now is younger by whole seconds
		mustExec(t, to, dump)
		refused(t, to, cfg, "table d.t was made since")
		var said strings.Builder
		if err := replay.DropState(t.Context(), target.Options{Socket: to.Socket, User: "root"}, false, &said); err != nil || !strings.Contains(said.String(), "GTIDs stay as they are") {
			t.Fatalf("%q, %v", &said, err)
		}
		forget := "RESET BINARY LOGS AND GTIDS"
		if p == testrig.MariaDB {
			refused(t, to, cfg, "says that it has transactions that --start-position says it has not")
			forget = "SET GLOBAL gtid_slave_pos=''"
		}
		mustExec(t, to, forget)
		if _, err := run(t, to, cfg); err != nil {
			t.Fatal(err)
		}
		rows(t, to, "SELECT * FROM d.t ORDER BY id", "1 2")
	})
}

// Of transactions without a GTID nothing tells which ones a server has whose GTIDs are behind them.
func TestGTIDsTurnedOnInTheLog(t *testing.T) {
	without := []string{"gtid-mode=OFF", "enforce-gtid-consistency=OFF"}
	source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL, Settings: without}), testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
	mustExec(t, source, "SET sql_log_bin=0; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1)", "UPDATE d.t SET n = 2",
		"SET GLOBAL enforce_gtid_consistency=ON; SET GLOBAL gtid_mode=OFF_PERMISSIVE; SET GLOBAL gtid_mode=ON_PERMISSIVE; SET GLOBAL gtid_mode=ON; UPDATE d.t SET n = 3")
	loaded(t, source, to, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 3)")
	mustExec(t, source, "INSERT INTO d.t VALUES (2, 4)")
	cfg := replay.Config{Paths: binlogs(t, source)}
	refused(t, to, cfg, "which of those without one it has, nothing tells")
	_, err := run(t, to, cfg)
	_, after, _ := strings.Cut(err.Error(), "the first one with a GTID is at ")
	cfg.Range.StartPosition = strings.TrimRight(strings.Fields(after)[0], ")")
	if _, err := run(t, to, cfg); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.t ORDER BY id", "1 3 2 4")
	fresh := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
	mustExec(t, fresh, "SET sql_log_bin=0; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1)")
	for _, before := range []bool{false, true} {
		if s, err := run(t, fresh, replay.Config{Paths: cfg.Paths}); err != nil || s.Before != before {
			t.Errorf("all of it, and once more: %+v, %v", s, err)
		}
	}
}

// A table that has transactions at the source and none on the target is not folded, and its rows are not applied twice.
func TestOtherEngineOnTarget(t *testing.T) {
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB, Settings: []string{"default-storage-engine=MyISAM"}})
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.i (id INT PRIMARY KEY, n INT) ENGINE=InnoDB; CREATE TABLE d.m (n INT); FLUSH BINARY LOGS",
		"BEGIN; INSERT INTO d.m VALUES (1); INSERT INTO d.i VALUES (5, 5); COMMIT; FLUSH BINARY LOGS")
	files := binlogs(t, source)
	if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, to, "SET sql_log_bin=0; INSERT INTO d.i VALUES (5, 1)") // in the way
	cfg := replay.Config{Paths: files[1:]}
	if _, err := run(t, to, cfg); err == nil || !strings.Contains(err.Error(), "1062") {
		t.Fatalf("a row that is in the way: %v", err)
	}
	refused(t, to, cfg, "whether it has taken effect cannot be told")
	mustExec(t, to, "SET sql_log_bin=0; DELETE FROM d.i; DELETE FROM d.m")
	cfg.ResolveIntent = "redo"
	if _, err := run(t, to, cfg); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT n FROM d.m UNION ALL SELECT n FROM d.i", "1 5")
}

// GTIDs that somebody resets between two starts are missed: a barrier's are kept by the server alone.
func TestGTIDsResetInBetween(t *testing.T) {
	const reset = "RESET BINARY LOGS AND GTIDS"
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
	mustExec(t, source, "CREATE DATABASE IF NOT EXISTS d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1); CREATE TABLE d.u (id INT PRIMARY KEY); INSERT INTO d.u VALUES (1)")
	cfg := replay.Config{Paths: binlogs(t, source)}
	interrupted := func(backup string) *testrig.Local {
		to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
		mustExec(t, to, "SET sql_log_bin=0; CREATE DATABASE d; CREATE TABLE d.u (n INT); "+backup)
		if _, err := run(t, to, cfg); err == nil || !strings.Contains(err.Error(), "1050") {
			t.Fatalf("a table that is in the way: %v", err)
		}
		mustExec(t, to, "SET sql_log_bin=0; DROP TABLE d.u", reset)
		return to
	}
	executed := global(t, source, "gtid_executed")
	server, _, _ := strings.Cut(executed, ":")

	to := interrupted("")
	_, err := run(t, to, cfg)
	if want := "the server has no longer the GTIDs " + server + ":1-2, which"; err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v; want %q", err, want)
	}
	mustExec(t, to, "SET GLOBAL gtid_purged='+"+server+":1-2'")
	if _, err := run(t, to, cfg); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.t UNION ALL SELECT * FROM d.u; SELECT @@GLOBAL.gtid_executed", "1 1 "+executed)

	to = interrupted("SET GLOBAL gtid_purged='" + server + ":1'")
	refused(t, to, cfg, "when it began the server had the GTIDs "+server+":1, and now it has \"\": somebody has reset them")
}

// An account that the log changes is let in no more. What the run has set is put back all the same.
func TestLogChangesTheAccount(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1); ALTER USER root@localhost IDENTIFIED BY 'other'")
		if _, err := run(t, to, replay.Config{Paths: binlogs(t, source)}); err != nil {
			t.Errorf("the account's password was changed at the end: %v", err)
		}
		client := to.Client(t.Context(), "-uroot", "-pother", "-N", "-e", "SELECT @@GLOBAL."+closing(p)+", (SELECT COUNT(*) FROM d.t)")
		if out, err := client.Output(); err != nil || strings.Join(strings.Fields(string(out)), " ") != "0 1" {
			t.Errorf("closed, and rows: %q, %v", out, err)
		}
	})
}

// Without GTIDs a run over more files than a finished one would begin at the same place again.
func TestMoreFilesWithoutGTIDs(t *testing.T) {
	spec := testrig.LocalSpec{Product: testrig.MySQL, Settings: []string{"gtid-mode=OFF", "enforce-gtid-consistency=OFF"}}
	source, to := testrig.LocalFor(t, spec), testrig.LocalFor(t, spec)
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1); SET binlog_format=STATEMENT; UPDATE d.t SET n = n * 2")
	// The last file is copied while the server writes to it.
	dir, copied := t.TempDir(), []string{}
	for _, file := range binlogs(t, source) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		copied = append(copied, filepath.Join(dir, filepath.Base(file)))
		if err := os.WriteFile(copied[len(copied)-1], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(t, to, replay.Config{Paths: copied}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, source, "SET binlog_format=STATEMENT; UPDATE d.t SET n = n + 1; FLUSH BINARY LOGS; UPDATE d.t SET n = n * 2; FLUSH BINARY LOGS")
	cfg := replay.Config{Paths: binlogs(t, source)}
	words := "go on behind it with --start-position "
	refused(t, to, cfg, words)
	_, err := run(t, to, cfg)
	_, after, _ := strings.Cut(err.Error(), words)
	cfg.Range.StartPosition, _, _ = strings.Cut(after, ",")
	if _, err := run(t, to, cfg); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.t", "1 6")
	if s, err := run(t, to, replay.Config{Paths: copied}); err != nil || !s.Before {
		t.Errorf("the first command once more: %+v, %v", s, err)
	}
}

// A transaction over both engines does not roll back as a whole. Where no GTID says that there is none, nobody runs it
// again unasked.
func TestBothEnginesWithoutGTIDs(t *testing.T) {
	spec := testrig.LocalSpec{Product: testrig.MySQL, Settings: []string{"gtid-mode=OFF", "enforce-gtid-consistency=OFF"}}
	source, to := testrig.LocalFor(t, spec), testrig.LocalFor(t, spec)
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.i (id INT PRIMARY KEY, n INT); CREATE TABLE d.m (n INT) ENGINE=MyISAM; INSERT INTO d.i VALUES (1, 1); INSERT INTO d.m VALUES (0); FLUSH BINARY LOGS",
		"SET SESSION binlog_format=STATEMENT; BEGIN; UPDATE d.i SET n = 2; UPDATE d.m SET n = n + 1; INSERT INTO d.i VALUES (5, 5); COMMIT; FLUSH BINARY LOGS")
	files := binlogs(t, source)
	if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, to, "INSERT INTO d.i VALUES (5, 1)") // in the way of the last statement
	cfg := replay.Config{Paths: files[1:]}
	if _, err := run(t, to, cfg); err == nil || !strings.Contains(err.Error(), "1062") {
		t.Fatalf("a row that is in the way: %v", err)
	}
	mustExec(t, to, "DELETE FROM d.i WHERE id = 5")
	refused(t, to, cfg, "whether it has taken effect cannot be told")
	rows(t, to, "SELECT * FROM d.m; SELECT * FROM d.i", "1 1 1")
	mustExec(t, to, "UPDATE d.m SET n = 0")
	cfg.ResolveIntent = "redo"
	if _, err := run(t, to, cfg); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.m; SELECT * FROM d.i", "1 1 2 5 5")
}

// gtid_strict_mode holds a position against the server's own log, which is not of the log that is replayed.
func TestStrictPosition(t *testing.T) {
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	to := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB, Settings: []string{"gtid-strict-mode=ON"}})
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); SET SESSION gtid_domain_id=7; INSERT INTO d.t VALUES (1)")
	mustExec(t, to, "CREATE DATABASE own; DROP DATABASE own; SET SESSION gtid_domain_id=7; CREATE DATABASE own; CREATE DATABASE own2; CREATE DATABASE own3")
	if _, err := run(t, to, replay.Config{Paths: binlogs(t, source)}); err != nil {
		t.Fatal(err)
	}
	rows(t, to, "SELECT * FROM d.t", "1")
	if now := global(t, to, "gtid_strict_mode"); now != "1" {
		t.Errorf("gtid_strict_mode is %s at the end", now)
	}
}

// A temporary table that was open when a run was interrupted is lost, whatever was merged into one transaction since it
// was made.
func TestTemporaryTableBesideABatch(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.r (a INT PRIMARY KEY); CREATE TABLE d.big (id INT PRIMARY KEY, b LONGTEXT); CREATE TABLE d.tmp (a INT); FLUSH BINARY LOGS")
		one, err := source.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		for _, sql := range []string{"SET SESSION binlog_format=STATEMENT", "USE d", "CREATE TEMPORARY TABLE tmp (a INT)", "INSERT INTO tmp VALUES (1), (2)", "INSERT INTO r SELECT a + 100 FROM tmp"} {
			if _, err := one.Execute(sql); err != nil {
				t.Fatal(err)
			}
		}
		mustExec(t, source, "SET SESSION binlog_format=ROW; INSERT INTO d.big VALUES (1, REPEAT('x', 200000))")
		if _, err := one.Execute("INSERT INTO r SELECT a FROM tmp"); err != nil {
			t.Fatal(err)
		}
		files := binlogs(t, source)
		if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
			t.Fatal(err)
		}
		mustExec(t, to, "SET sql_log_bin=0; INSERT INTO d.r VALUES (1)") // in the way of the last statement
		cfg := replay.Config{Paths: files[1:]}
		if _, err := run(t, to, cfg); err == nil || !strings.Contains(err.Error(), "1062") {
			t.Fatalf("a row that is in the way: %v", err)
		}
		mustExec(t, to, "SET sql_log_bin=0; DELETE FROM d.r WHERE a = 1")
		refused(t, to, cfg, "temporary tables were open when it was interrupted")
	})
}

// lastGTID is that of the last transaction of a server.
func lastGTID(t *testing.T, l *testrig.Local) string {
	t.Helper()
	if l.Product == testrig.MariaDB {
		return global(t, l, "gtid_binlog_pos")
	}
	set := global(t, l, "gtid_executed")
	server, _, _ := strings.Cut(set, ":")
	return server + ":" + set[strings.LastIndexAny(set, ":-")+1:]
}

// What the log is to be replayed up to may be on the server: from an earlier run without an end.
func TestEndThatThePassedServerHas(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1);")
		last := lastGTID(t, both.source)
		time.Sleep(1100 * time.Millisecond)
		late := time.Now().Truncate(time.Second) // MariaDB's commits have no fractions
		more := both.logOf(t, "DROP TABLE d.t;")
		all := append(files, more...)
		accident := lastGTID(t, both.source)
		if _, err := run(t, both.ours, replay.Config{Paths: all, Range: replay.Range{StopBefore: accident}}); err != nil {
			t.Fatal(err)
		}
		rows(t, both.ours, "SELECT * FROM d.t", "1")
		if _, err := run(t, both.ours, replay.Config{Paths: all}); err != nil {
			t.Fatal(err)
		}
		position := filepath.Base(more[0]) + ":4"
		for _, end := range []replay.Range{{StopBefore: accident}, {StopBefore: last}, {StopDatetime: late}, {StopPosition: position}} {
			refused(t, both.ours, replay.Config{Paths: all, Range: end}, "the server has passed the end of the range")
		}
	})
}

// A statement that failed half-way at the source is refused before anything is applied, and what the refusal says leads past it.
func TestStatementThatFailedAtTheSource(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		script := "SET SESSION binlog_format = STATEMENT, sql_mode = ''; CREATE DATABASE d; CREATE TABLE d.m (id INT PRIMARY KEY) ENGINE=MyISAM; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1);"
		mustExec(t, both.source, script)
		if _, err := both.source.Exec(t.Context(), "SET SESSION binlog_format = STATEMENT; INSERT INTO d.m VALUES (1), (2), (1)"); err == nil {
			t.Fatal("a duplicate key is no error")
		}
		files := both.logOf(t, "INSERT INTO d.m VALUES (3); INSERT INTO d.t VALUES (2);")
		failed := "failed at the source with error 1062"
		refused(t, both.ours, replay.Config{Paths: files}, failed)
		_, err := run(t, both.ours, replay.Config{Paths: files})
		position := func(flag string) string {
			_, rest, _ := strings.Cut(err.Error(), flag+" ")
			at, _, _ := strings.Cut(rest+" ", " ")
			return strings.TrimSuffix(at, ",")
		}
		stop, skip := position("--stop-position"), position("--skip-gtid")
		if _, err := run(t, both.ours, replay.Config{Paths: files, Range: replay.Range{StopPosition: stop}}); err != nil {
			t.Fatal(err)
		}
		rows(t, both.ours, "SELECT * FROM d.t", "1")
		mustExec(t, both.ours, "SET sql_log_bin = 0; INSERT INTO d.m VALUES (1), (2)")
		if _, err := run(t, both.ours, replay.Config{Paths: files, Range: replay.Range{SkipGTIDs: []string{skip}}}); err != nil {
			t.Fatal(err)
		}
		rows(t, both.ours, "SELECT * FROM d.m ORDER BY id", "1 2 3")
		rows(t, both.ours, "SELECT * FROM d.t ORDER BY id", "1 2")
	})
}

// Where temporary tables were open nobody is told to go on: one under a new name, and one that a setting hides.
func TestTemporaryTablesUnderOtherNames(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		made := "CREATE TEMPORARY TABLE d.q (a INT); ALTER TABLE d.q RENAME TO d.q2; CREATE TEMPORARY TABLE d.q (a INT); DROP TEMPORARY TABLE d.q;"
		if p == testrig.MariaDB {
			made = "SET STATEMENT max_statement_time = 50 FOR CREATE TEMPORARY TABLE d.q2 (a INT);"
		}
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.s (a INT); CREATE TABLE d.q2 (a INT); INSERT INTO d.q2 VALUES (777); SET SESSION binlog_format = STATEMENT; "+made+
			" INSERT INTO d.q2 VALUES (1), (2); CREATE DATABASE e; INSERT INTO d.s SELECT a FROM d.q2;")
		mustExec(t, both.ours, "SET sql_log_bin = 0; CREATE DATABASE e")
		if _, err := run(t, both.ours, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "temporary tables were open, and are lost") {
			t.Errorf("the start that is interrupted: %v", err)
		}
		mustExec(t, both.ours, "SET sql_log_bin = 0; DROP DATABASE e")
		if _, err := run(t, both.ours, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "restore the backup and begin again") {
			t.Errorf("the next one: %v", err)
		}
	})
}

// Messages and what is kept show no password that the log has in plain text.
func TestPasswordsAreNotShown(t *testing.T) {
	both := newPair(t, testrig.MariaDB)
	files := both.logOf(t, "CREATE USER bob@localhost IDENTIFIED BY 'topsecret';")
	mustExec(t, both.ours, "SET sql_log_bin = 0; CREATE USER bob@localhost IDENTIFIED BY 'topsecret'")
	for range 2 {
		_, err := run(t, both.ours, replay.Config{Paths: files})
		if err == nil || strings.Contains(err.Error(), "topsecret") || !strings.Contains(err.Error(), "CREATE USER bob@localhost IDENTIFIED…") {
			t.Errorf("an account that is there: %v", err)
		}
	}
	if kept, err := both.ours.Exec(t.Context(), "SELECT what FROM interlock_replay.intent"); err != nil || strings.Contains(kept, "topsecret") || kept == "" {
		t.Errorf("%q, %v", kept, err)
	}
}

// Whenever a start is interrupted, the settings of a server that is whole are as they were.
func TestInterruptedWhileItCloses(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		// No epoch of rows: it is whole at all times. A statement that was interrupted may run again.
		files := both.logOf(t, "CREATE DATABASE IF NOT EXISTS d; CREATE TABLE IF NOT EXISTS d.t (id INT PRIMARY KEY); CREATE TABLE IF NOT EXISTS d.u (id INT PRIMARY KEY);")
		mustExec(t, both.ours, "SET GLOBAL event_scheduler = ON, GLOBAL innodb_flush_log_at_trx_commit = 2")
		for delay := time.Duration(0); ; delay += 4 * time.Millisecond {
			ctx, cancel := context.WithTimeout(t.Context(), delay)
			_, err := replay.Run(ctx, replay.Config{Paths: files, ResolveIntent: "redo", Target: target.Options{Socket: both.ours.Socket, User: "root"}})
			cancel()
			rows(t, both.ours, "SELECT @@GLOBAL.event_scheduler, @@GLOBAL.innodb_flush_log_at_trx_commit", "ON 2")
			if err == nil {
				break // it was quicker
			}
			if text := err.Error(); strings.Contains(text, "CONNECTION_ADMIN") || strings.Contains(text, "INCONSISTENT") || delay > 10*time.Second {
				t.Fatalf("interrupted after %s: %v", delay, err)
			}
		}
		rows(t, both.ours, "SELECT COUNT(*) FROM d.u", "0")
	})
}

// An interrupted run goes on with the log as it was, for all that the log has grown since; another command is told the way.
func TestLogThatGrew(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1);")
		mustExec(t, both.source, "CREATE DATABASE e; CREATE TABLE e.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (2)") // in the file that is written now
		mustExec(t, both.ours, "SET sql_log_bin = 0; CREATE DATABASE e")
		all := func() replay.Config { return replay.Config{Paths: binlogs(t, both.source)} }
		if _, err := run(t, both.ours, all()); err == nil || !strings.Contains(err.Error(), "goes on from there") {
			t.Fatalf("a database that is there: %v", err)
		}
		mustExec(t, both.ours, "SET sql_log_bin = 0; DROP DATABASE e")
		if p == testrig.MariaDB {
			mustExec(t, both.ours, "SET sql_log_bin = 0; DELETE FROM interlock_replay.intent")
		}
		mustExec(t, both.source, "INSERT INTO d.t VALUES (3); FLUSH BINARY LOGS; INSERT INTO d.t VALUES (4)")
		refused := "the server is whole up to binlog.00000"
		other := all()
		other.Range.StartPosition = filepath.Base(files[0]) + ":4"
		if _, err := run(t, both.ours, other); err == nil || !strings.Contains(err.Error(), "is unfinished on this server: start position was") || !strings.Contains(err.Error(), refused) {
			t.Errorf("another command: %v", err)
		}
		if s, err := run(t, both.ours, all()); err != nil || !s.Resumed {
			t.Fatalf("%+v, %v", s, err)
		}
		rows(t, both.ours, "SELECT * FROM d.t", "1 2")
		if _, err := run(t, both.ours, all()); err != nil {
			t.Fatal(err)
		}
		rows(t, both.ours, "SELECT * FROM d.t", "1 2 3 4")
	})
}

// What the refusal of another command says leads on: the state is dropped, and the command goes on by GTIDs.
func TestAnotherWayOn(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1); CREATE DATABASE e; INSERT INTO d.t VALUES (2);")
		mustExec(t, both.ours, "SET sql_log_bin = 0; CREATE DATABASE e")
		_, err := run(t, both.ours, replay.Config{Paths: files})
		if err == nil {
			t.Fatal("a database that is there is no error")
		}
		if p == testrig.MariaDB {
			mustExec(t, both.ours, "SET sql_log_bin = 0; DELETE FROM interlock_replay.intent")
		}
		skip := replay.Config{Paths: files, Range: replay.Range{SkipGTIDs: []string{gtidBefore(t, both.source)}}}
		if _, err := run(t, both.ours, skip); err == nil || !strings.Contains(err.Error(), "--drop-state --force and give this command again: the server is whole up to") {
			t.Fatalf("another command: %v", err)
		}
		var said strings.Builder
		if err := replay.DropState(t.Context(), target.Options{Socket: both.ours.Socket, User: "root"}, true, &said); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, both.ours, skip); err != nil {
			t.Fatal(err)
		}
		rows(t, both.ours, "SELECT * FROM d.t", "1 2")
	})
}

// gtidBefore is that of the last transaction but one of a server.
func gtidBefore(t *testing.T, l *testrig.Local) string {
	t.Helper()
	last := lastGTID(t, l)
	at := strings.LastIndexAny(last, ":-") + 1
	n, err := strconv.Atoi(last[at:])
	if err != nil {
		t.Fatal(err)
	}
	return last[:at] + strconv.Itoa(n-1)
}

// Of two XA transactions of one name the first has to end before the second begins: where its end is left out, nothing of
// it may get lost.
func TestXIDAgain(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); "+
			"XA START 'x'; INSERT INTO d.t VALUES (1); XA END 'x'; XA PREPARE 'x'")
		prepared := lastGTID(t, source)
		mustExec(t, source, "XA COMMIT 'x'")
		committed := lastGTID(t, source)
		mustExec(t, source, "XA START 'x'; INSERT INTO d.t VALUES (2); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'; INSERT INTO d.t VALUES (3)")
		files := binlogs(t, source)
		_, err := run(t, to, replay.Config{Paths: files, Range: replay.Range{SkipGTIDs: []string{committed}}})
		if want := "is prepared here again, and the one of that name that was prepared before at binlog.000001:"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
		if err := replay.DropState(t.Context(), target.Options{Socket: to.Socket, User: "root"}, true, io.Discard); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, to, replay.Config{Paths: files, Range: replay.Range{SkipGTIDs: []string{prepared, committed}}}); err != nil {
			t.Error(err)
		}
		rows(t, to, "SELECT id FROM d.t", "2 3")
		rows(t, to, "XA RECOVER", "")
	})
}

// What was prepared before an interruption and is committed behind it is counted once.
func TestInterruptedWhilePrepared(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		source, to := testrig.LocalFor(t, testrig.LocalSpec{Product: p}), testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, a INT); FLUSH BINARY LOGS; XA START 'x'; INSERT INTO d.t VALUES (1, 1), (2, 1); INSERT INTO d.t VALUES (3, 1); XA END 'x'; XA PREPARE 'x'",
			"XA START 'back'; INSERT INTO d.t VALUES (7, 1); XA END 'back'; XA PREPARE 'back'", "XA START 'open'; INSERT INTO d.t VALUES (8, 1); XA END 'open'; XA PREPARE 'open'",
			"CREATE TABLE d.e (a INT); INSERT INTO d.e VALUES (1); XA COMMIT 'x'; XA ROLLBACK 'back'; INSERT INTO d.e VALUES (2)")
		files := binlogs(t, source)
		if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
			t.Fatal(err)
		}
		for _, inTheWay := range []string{"1", "3"} { // at each of the two events of rows
			mustExec(t, to, "SET sql_log_bin=0; INSERT INTO d.t VALUES ("+inTheWay+", 9)")
			if _, err := run(t, to, replay.Config{Paths: files[1:], EpochChanges: 1}); err == nil || !strings.Contains(err.Error(), "1062") {
				t.Fatalf("a row that is in the way: %v", err)
			}
			mustExec(t, to, "SET sql_log_bin=0; DELETE FROM d.t WHERE a = 9")
		}
		s, err := run(t, to, replay.Config{Paths: files[1:], EpochChanges: 1})
		if err != nil {
			t.Fatal(err)
		}
		if s.Read.Transactions != 8 || s.Read.Changes != 7 || len(s.Prepared) != 1 {
			t.Errorf("%+v were read, %v is left prepared; want 8 transactions, 7 changes, one", s.Read, s.Prepared)
		}
		rows(t, to, "SELECT id FROM d.t", "1 2 3")
		rows(t, to, "SELECT a FROM d.e", "1 2")
		mustExec(t, to, "XA COMMIT 'open'")
		rows(t, to, "SELECT id FROM d.t", "1 2 3 8")
	})
}

// What was prepared as it stands before an interruption, since its table keeps a history by transactions, is ended behind it, or
// left as it is.
func TestInterruptedWhilePreparedAsItStands(t *testing.T) {
	spec := testrig.LocalSpec{Product: testrig.MariaDB}
	source, to := testrig.LocalFor(t, spec), testrig.LocalFor(t, spec)
	mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); CREATE TABLE d.v (id INT PRIMARY KEY, rs BIGINT UNSIGNED AS ROW START INVISIBLE, re BIGINT UNSIGNED AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING; FLUSH BINARY LOGS",
		"XA START 'x'; INSERT INTO d.v VALUES (1); XA END 'x'; XA PREPARE 'x'", "XA START 'y'; INSERT INTO d.v VALUES (2); XA END 'y'; XA PREPARE 'y'",
		"XA START 'z'; INSERT INTO d.t VALUES (3); XA END 'z'; XA PREPARE 'z'", "INSERT INTO d.t VALUES (1); XA COMMIT 'x'; INSERT INTO d.t VALUES (2)")
	files := binlogs(t, source)
	if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
		t.Fatal(err)
	}
	for _, inTheWay := range []string{"1", "2"} { // of what lies before the end of x, and behind it
		mustExec(t, to, "SET sql_log_bin=0; INSERT INTO d.t VALUES ("+inTheWay+")")
		if _, err := run(t, to, replay.Config{Paths: files[1:]}); err == nil || !strings.Contains(err.Error(), "1062") {
			t.Fatalf("a row that is in the way: %v", err)
		}
		mustExec(t, to, "SET sql_log_bin=0; DELETE FROM d.t WHERE id = "+inTheWay)
	}
	s, err := run(t, to, replay.Config{Paths: files[1:]})
	if err != nil {
		t.Fatal(err)
	}
	if s.Read.Transactions != 6 || len(s.Prepared) != 2 {
		t.Errorf("%d transactions were read, %v are left prepared; want 6, y and z", s.Read.Transactions, s.Prepared)
	}
	rows(t, to, "SELECT id FROM d.v", "1")
	rows(t, to, "SELECT id FROM d.t", "1 2")
	mustExec(t, to, "XA COMMIT 'y'; XA COMMIT 'z'")
	rows(t, to, "SELECT id FROM d.v", "1 2")
	rows(t, to, "SELECT id FROM d.t", "1 2 3")
}

// A resumed run bounds the transactions into which it merges statements, as one that was not interrupted does.
func TestBatchesOfAResumedRun(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		const batch = 1000 // transactions
		var inserts strings.Builder
		for id := range batch + 1 {
			fmt.Fprintf(&inserts, "INSERT INTO d.t VALUES (%d);", id)
		}
		made := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);")
		files := both.logOf(t, "CREATE TABLE d.u (id INT PRIMARY KEY); SET SESSION binlog_format = STATEMENT;"+inserts.String())
		if _, err := run(t, both.ours, replay.Config{Paths: made}); err != nil {
			t.Fatal(err)
		}
		mustExec(t, both.ours, "SET sql_log_bin=0; INSERT INTO d.t VALUES (7)")
		if _, err := run(t, both.ours, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "1062") {
			t.Fatalf("a row that is in the way: %v", err)
		}
		mustExec(t, both.ours, "SET sql_log_bin=0; DELETE FROM d.t")
		s, err := run(t, both.ours, replay.Config{Paths: files})
		if err != nil {
			t.Fatal(err)
		}
		if s.Barriers != 2 || s.Merged != batch+1 {
			t.Errorf("%d transactions were merged into %d; want %d, 2", s.Merged, s.Barriers, batch+1)
		}
		rows(t, both.ours, "SELECT COUNT(*) FROM d.t", strconv.Itoa(batch+1))
	})
}

// An XA PREPARE that was refused, or has run and is not known to have, is told by XA RECOVER where no GTID tells it.
func TestInterruptedInXAPrepare(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		spec := testrig.LocalSpec{Product: p}
		if p == testrig.MySQL {
			spec.Settings = []string{"gtid-mode=OFF", "enforce-gtid-consistency=OFF"}
		}
		source, to := testrig.LocalFor(t, spec), testrig.LocalFor(t, spec)
		mustExec(t, source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); FLUSH BINARY LOGS",
			"XA START 'x'; INSERT INTO d.t VALUES (1); XA END 'x'; XA PREPARE 'x'", "XA START 'y'; INSERT INTO d.t VALUES (2); XA END 'y'; XA PREPARE 'y'")
		files := binlogs(t, source)
		if _, err := run(t, to, replay.Config{Paths: files[:1]}); err != nil {
			t.Fatal(err)
		}
		interrupt := func() {
			t.Helper()
			mustExec(t, to, "SET sql_log_bin=0; INSERT INTO d.t VALUES (2)")
			if _, err := run(t, to, replay.Config{Paths: files[1:]}); err == nil || !strings.Contains(err.Error(), "1062") {
				t.Fatalf("a row that is in the way: %v", err)
			}
			mustExec(t, to, "SET sql_log_bin=0; DELETE FROM d.t WHERE id = 2")
		}
		interrupt() // y is not prepared
		interrupt()
		mustExec(t, to, "XA START 'y'; INSERT INTO d.t VALUES (2); XA END 'y'; XA PREPARE 'y'") // as if the answer had been lost
		s, err := run(t, to, replay.Config{Paths: files[1:]})
		if err != nil {
			t.Fatal(err)
		}
		if s.Read.Transactions != 2 || len(s.Prepared) != 2 {
			t.Errorf("%d transactions were read, %v are left prepared; want 2, x and y", s.Read.Transactions, s.Prepared)
		}
		mustExec(t, to, "XA COMMIT 'x'; XA COMMIT 'y'")
		rows(t, to, "SELECT id FROM d.t", "1 2")
	})
}
