package session

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// products are the servers that every test here runs on.
var products = []testrig.Product{testrig.MySQL, testrig.MariaDB}

func flavorOf(p testrig.Product) binlog.Flavor {
	if p == testrig.MariaDB {
		return binlog.MariaDB
	}
	return binlog.MySQL
}

// start starts a server with a time zone of its own: one hour ahead until 1700000000, two from then on.
func start(t *testing.T, p testrig.Product) *testrig.Local {
	t.Helper()
	server := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Settings: []string{"binlog-format=STATEMENT"}})
	if _, err := server.Exec(t.Context(), `SET sql_log_bin = 0; USE mysql;
		INSERT INTO time_zone (time_zone_id, use_leap_seconds) VALUES (4711, 'N');
		INSERT INTO time_zone_name (name, time_zone_id) VALUES ('Test/Zone', 4711);
		INSERT INTO time_zone_transition_type VALUES (4711, 0, 3600, 0, 'ONE'), (4711, 1, 7200, 1, 'TWO');
		INSERT INTO time_zone_transition VALUES (4711, 0, 0), (4711, 1700000000, 1);`); err != nil {
		t.Fatal(err)
	}
	return server
}

// workload runs a file of testdata.
func workload(t *testing.T, server *testrig.Local, file string) {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	connections := map[string]*client.Conn{}
	var conn *client.Conn
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "--") {
			continue
		}
		if number, ok := strings.CutPrefix(line, "connection "); ok {
			if conn = connections[number]; conn == nil {
				conn = connect(t, server)
				connections[number] = conn
			}
			continue
		}
		execute(t, conn, line)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, server *testrig.Local) *client.Conn {
	t.Helper()
	conn, err := server.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func execute(t *testing.T, conn *client.Conn, statement string) {
	t.Helper()
	result, err := conn.Execute(statement)
	if err != nil {
		t.Fatalf("%s\n%v", statement, err)
	}
	result.Close()
}

// version is the server's VERSION().
func version(t *testing.T, server *testrig.Local) string {
	t.Helper()
	rows, err := server.Query(t.Context(), "SELECT VERSION() AS v")
	if err != nil {
		t.Fatal(err)
	}
	return rows[0]["v"]
}

// logged is a log that a source has written, and how to walk it.
type logged struct {
	log   *binlog.Log
	files []string
}

func readLog(t *testing.T, source *testrig.Local) logged {
	t.Helper()
	if _, err := source.Query(t.Context(), "FLUSH BINARY LOGS"); err != nil {
		t.Fatal(err)
	}
	files, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	files = files[:len(files)-1] // the one in use
	log, err := binlog.Open(t.Context(), files, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return logged{log: log, files: files}
}

// walk shows every event of every transaction.
func (l logged) walk(t *testing.T, see func(f *binlog.Format, txn *binlog.Txn, ev *binlog.Event)) {
	t.Helper()
	reader, err := l.log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		txn, err := reader.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for ev, err := range reader.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			see(reader.Format(), txn, ev)
		}
	}
}

var dumpPositions = regexp.MustCompile(`(?m)^(--|/\*!).*\n`)

// dump is everything in the databases that a workload makes.
func dump(t *testing.T, server *testrig.Local, databases ...string) string {
	t.Helper()
	args := append([]string{"--no-defaults", "--user=root", "--socket=" + server.Socket, "--hex-blob", "--skip-dump-date", "--skip-extended-insert",
		"--routines", "--default-character-set=utf8mb4", "--databases"}, databases...)
	if server.Product == testrig.MySQL {
		args = append([]string{args[0], "--set-gtid-purged=OFF"}, args[1:]...)
	}
	argv := server.Tools().Command("mysqldump", args...)
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("mysqldump: %v", err)
	}
	text := dumpPositions.ReplaceAllString(string(out), "")
	if !strings.Contains(text, "CREATE TABLE") {
		t.Fatalf("nothing was dumped: %s", out)
	}
	return text
}
