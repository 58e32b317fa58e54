package replay_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/target"
)

var huge = flag.Bool("replay.huge", false, "rows of 200 MB and a transaction of 2 GB, too: minutes and 10 GB of disk")

// Rows and transactions that are larger than the memory of the run.
func TestLargerThanMemory(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		megabytes, rows := 16, 60
		if *huge {
			megabytes, rows = 200, 2000
		}
		dir := t.TempDir()
		packet := []string{"max-allowed-packet=1G", "innodb-buffer-pool-size=256M"}
		if p == testrig.MySQL {
			packet = append(packet, "innodb-redo-log-capacity=4G")
		} else {
			packet = append(packet, "innodb-log-file-size=4G")
		}
		source := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Settings: packet, TempDir: dir})
		script := fmt.Sprintf(`CREATE DATABASE d; CREATE TABLE d.wide (id INT PRIMARY KEY, b LONGBLOB, n INT);
INSERT INTO d.wide VALUES (1, REPEAT('x', %[1]d<<20), 1), (2, REPEAT('y', 100), 1); UPDATE d.wide SET n = 2;
CREATE TABLE d.many (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB); BEGIN; INSERT INTO d.many (b) VALUES (REPEAT('z', 1<<20));
%[2]s UPDATE d.many SET b = CONCAT(id, b) WHERE id %% 3 = 0; COMMIT;`, megabytes,
			strings.Repeat("INSERT INTO d.many (b) SELECT b FROM d.many LIMIT "+fmt.Sprint(rows/20)+";\n", 20))
		if _, err := source.Exec(t.Context(), script); err != nil {
			t.Fatal(err)
		}
		files, err := source.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		const look = "SELECT id, n, LENGTH(b), CRC32(b) FROM d.wide UNION ALL SELECT COUNT(*), 0, SUM(LENGTH(b)), SUM(CRC32(b) + id) FROM d.many"
		want, err := source.Exec(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		to := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Settings: packet[1:], TempDir: dir})
		s := runAlone(t, to, 64<<20, files...)
		if got, err := to.Exec(t.Context(), look); err != nil || got != want {
			t.Errorf("rows %q, %v; want %q", got, err, want)
		}
		if s.Epochs < 2 {
			t.Errorf("%d epochs: the transaction did not end any", s.Epochs)
		}
	})
}

// A disk that is full stops the run with the server's words; with room again the same command ends it. MySQL alone:
// MariaDB maps its log where the data is in memory, as a small file system for a test is, and dies by SIGBUS.
func TestDiskFull(t *testing.T) {
	const p = testrig.MySQL
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
	script := `CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, b MEDIUMBLOB);` +
		strings.Repeat("INSERT INTO d.t (b) VALUES (REPEAT(UUID(), 20000));", 120) + "SELECT COUNT(*), SUM(CRC32(b)) FROM d.t;"
	want, err := source.Exec(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	files, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	dir := smallDisk(t, "600M")
	settings := []string{"skip-log-bin", "innodb-redo-log-capacity=16M"}
	to := testrig.LocalFor(t, testrig.LocalSpec{Product: p, TempDir: dir, Settings: settings})
	filler := filepath.Join(dir, "filler")
	fill(t, dir, filler, 40<<20)
	if _, err = run(t, to, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "MiB free") {
		t.Fatalf("a target without room is not refused: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	fill(t, dir, filler, 78<<20)
	// The server says so, or dies of it, in memory as this disk is.
	if _, err = run(t, to, replay.Config{Paths: files}); err == nil || !strings.Contains(err.Error(), "is full") && !strings.Contains(err.Error(), "lost the target") {
		t.Fatalf("the run on a disk that fills up: %v", err)
	}
	t.Log(err)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	// A server that dies of it may do so some moments later.
	for deaths := 0; ; deaths++ {
		back(t, to)
		if _, err = run(t, to, replay.Config{Paths: files}); err == nil {
			break
		}
		time.Sleep(time.Second)
		if to.Running() || deaths == 2 {
			t.Fatal(err)
		}
		t.Log("the server died once more: ", err)
	}
	if got, err := to.Exec(t.Context(), "SELECT COUNT(*), SUM(CRC32(b)) FROM d.t"); err != nil || got != want {
		t.Errorf("rows %q, %v; want %q", got, err, want)
	}
}

// back waits until a server answers, and starts it if it has died.
func back(t *testing.T, s *testrig.Local) {
	t.Helper()
	for range 100 {
		if _, err := s.Query(t.Context(), "SELECT 1"); err == nil {
			return
		}
		if !s.Running() {
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not come back: %s", s, s.LastWords())
}

// smallDisk is a file system of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size+",mode=755", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// fill leaves so many bytes free.
func fill(t *testing.T, dir, file string, free int64) {
	t.Helper()
	out, err := exec.Command("df", "--output=avail", "-B1", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var avail int64
	if _, err := fmt.Sscan(strings.Fields(string(out))[1], &avail); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("fallocate", "-l", fmt.Sprint(avail-free), file).CombinedOutput(); err != nil {
		t.Fatalf("fallocate: %v: %s", err, out)
	}
}

// A server that allows fewer connections than are asked for is used over those that it allows.
func TestFewConnections(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		var script strings.Builder
		script.WriteString("CREATE DATABASE d; USE d; CREATE TABLE n AS " + tenRows + ";")
		for i := range 30 {
			fmt.Fprintf(&script, "CREATE TABLE t%d (id INT PRIMARY KEY, a VARCHAR(200));", i)
		}
		for i := range 30 {
			fmt.Fprintf(&script, "INSERT INTO t%d SELECT a.n + 10 * b.n + 100 * c.n, REPEAT('x', 200) FROM n a, n b, n c;", i)
		}
		script.WriteString("SET SESSION binlog_format = STATEMENT; UPDATE t1 SET a = id; CREATE TABLE f (a INT);")
		mustExec(t, both.ours, "SET GLOBAL max_connections = 10")
		if s := both.same(t, script.String(), replay.Config{Connections: 40}); s.Connections < 1 || s.Connections > 8 {
			t.Errorf("it went over %d connections", s.Connections)
		}
	})
}

const tenRows = "SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9"

// What an account lacks is named with the GRANT before anything is applied, and by --status.
func TestAccountLacks(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		files := both.logOf(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);")
		to := func(user string) target.Options { return target.Options{Socket: both.ours.Socket, User: user} }
		start := func(user string) error {
			_, err := replay.Run(t.Context(), replay.Config{Paths: files, Target: to(user)})
			return err
		}
		refuses := func(err error, words ...string) {
			t.Helper()
			for _, word := range words {
				if !errors.Is(err, replay.ErrRefused) || !strings.Contains(err.Error(), word) {
					t.Errorf("%v; want a refusal with %q", err, word)
				}
			}
		}
		log := map[testrig.Product]string{testrig.MySQL: "SESSION_VARIABLES_ADMIN", testrig.MariaDB: "BINLOG ADMIN"}[p]
		mustExec(t, both.ours, "SET sql_log_bin = 0; CREATE USER nothing@localhost, reader@localhost; GRANT SELECT, PROCESS ON *.* TO reader@localhost")
		refuses(start("nothing"), "GRANT SELECT ON *.*")
		refuses(start("reader"), "the account lacks", log, "INSERT", "GRANT")
		if _, err := run(t, both.ours, replay.Config{Paths: files}); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		if err := replay.Status(t.Context(), to("reader"), &said); err != nil || !strings.Contains(said.String(), "finished") {
			t.Errorf("status: %q, %v", said.String(), err)
		}
		if err := replay.Status(t.Context(), to("nothing"), &said); err == nil || !strings.Contains(err.Error(), "GRANT SELECT") || strings.Contains(err.Error(), "rename") {
			t.Errorf("status: %v", err)
		}
	})
}
