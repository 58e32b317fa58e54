package replay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"
)

// failedOver is two servers of which the second was the first one's replica and has taken over: its log goes on where
// the first one's ends, and holds the end of that, too.
type failedOver struct{ first, second *testrig.Local }

func failOver(t *testing.T, p testrig.Product) *failedOver {
	t.Helper()
	server := func(id int) *testrig.Local {
		return testrig.LocalFor(t, testrig.LocalSpec{Product: p, Loopback: true, Settings: []string{fmt.Sprintf("server-id=%d", id)}})
	}
	f := &failedOver{first: server(71), second: server(72)}
	mustExec(t, f.first, "SET sql_log_bin=0; CREATE USER repl@'%' IDENTIFIED BY 'repl'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
	follow, stop := "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=%d, SOURCE_USER='repl', SOURCE_PASSWORD='repl', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA", "STOP REPLICA; RESET REPLICA ALL"
	if p == testrig.MariaDB {
		follow, stop = "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='repl', MASTER_PASSWORD='repl', MASTER_USE_GTID=slave_pos; START SLAVE", "STOP SLAVE; RESET SLAVE ALL"
	}
	mustExec(t, f.second, fmt.Sprintf(follow, f.first.Port))
	mustExec(t, f.first, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 1), (2, 1)")
	f.until(t, "SELECT COUNT(*) FROM d.t", "2")
	mustExec(t, f.second, "FLUSH BINARY LOGS")
	files, err := f.second.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	mustExec(t, f.second, "PURGE BINARY LOGS TO '"+last[strings.LastIndexByte(last, '/')+1:]+"'")
	mustExec(t, f.first, "UPDATE d.t SET n = 2; INSERT INTO d.t VALUES (3, 2)")
	f.until(t, "SELECT COUNT(*) FROM d.t", "3")
	mustExec(t, f.second, stop+"; UPDATE d.t SET n = 3 WHERE id < 3; INSERT INTO d.t VALUES (4, 3)")
	return f
}

// until waits for what the second server reads.
func (f *failedOver) until(t *testing.T, query, want string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, err := f.second.Exec(t.Context(), query)
		if err == nil && strings.TrimSpace(got) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s on the replica: %q, %v; want %s", query, got, err, want)
		}
	}
}

func binlogs(t *testing.T, l *testrig.Local) []string {
	t.Helper()
	files, err := l.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The logs of two servers, as a failover leaves them, are not joined; what the refusal says to do instead ends where the
// second server is. Where the first one had transactions that the second never got, that is refused.
func TestFailover(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		f := failOver(t, p)
		gtids, logged := "gtid_slave_pos", "gtid_binlog_pos"
		if p == testrig.MySQL {
			gtids, logged = "gtid_executed", "gtid_executed"
		}
		to := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		all := append(binlogs(t, f.first), binlogs(t, f.second)...)
		_, err := run(t, to, replay.Config{Paths: all})
		if err == nil || !strings.Contains(err.Error(), "they are of servers 7") || !strings.Contains(err.Error(), "then those of the other as a run of its own") {
			t.Fatalf("the files of both servers: %v", err)
		}
		_, err = run(t, to, replay.Config{Paths: binlogs(t, f.second)})
		if p == testrig.MySQL && (err == nil || !strings.Contains(err.Error(), "begins behind transactions that it does not have")) {
			t.Fatalf("the files of the second server alone: %v", err)
		}
		if p == testrig.MariaDB { // nothing says what a server without a position has
			to = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		}
		if _, err := run(t, to, replay.Config{Paths: binlogs(t, f.first)}); err != nil {
			t.Fatal(err)
		}
		s, err := run(t, to, replay.Config{Paths: binlogs(t, f.second)})
		if err != nil {
			t.Fatal(err)
		}
		if left := s.Skipped["on the target already"].Transactions; left == 0 {
			t.Errorf("skipped %+v: the second log was to hold the end of the first one", s.Skipped)
		}
		rows := "SELECT * FROM d.t ORDER BY id"
		want, err := f.second.Exec(t.Context(), rows)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := to.Exec(t.Context(), rows); err != nil || got != want {
			t.Errorf("rows %q, %v; want %q", got, err, want)
		}
		if got, end := global(t, to, gtids), global(t, f.second, logged); got != end {
			t.Errorf("%s is %s; want %s", gtids, got, end)
		}

		mustExec(t, f.first, "UPDATE d.t SET n = 99") // which the second server never got
		to = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		if _, err := run(t, to, replay.Config{Paths: binlogs(t, f.first)}); err != nil {
			t.Fatal(err)
		}
		words := "the target has another transaction in its place"
		if p == testrig.MySQL {
			words = "which the log has not"
		}
		if _, err = run(t, to, replay.Config{Paths: binlogs(t, f.second)}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the second log onto what it does not know: %v", err)
		}
		if got, err := to.Exec(t.Context(), "SELECT COUNT(*) FROM d.t WHERE n = 99"); err != nil || strings.TrimSpace(got) != "3" {
			t.Errorf("%q rows, %v; want 3 as they were", got, err)
		}
	})
}
