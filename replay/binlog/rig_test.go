package binlog_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

var update = flag.Bool("update", false, "write the logs of real servers to testdata")

// corpora are the committed logs of real servers, by product.
func corpora() map[string]testrig.Product {
	return map[string]testrig.Product{"mysql": testrig.MySQL, "mariadb": testrig.MariaDB}
}

// TestRealServers has servers of this machine write logs and holds what is read against go-mysql and against
// what the servers say. With -update the logs become those of TestCorpus.
func TestRealServers(t *testing.T) {
	for name, product := range corpora() {
		t.Run(name, func(t *testing.T) {
			server := testrig.LocalFor(t, testrig.LocalSpec{Product: product})
			script, err := os.ReadFile(filepath.Join("testdata", name+".sql"))
			if err != nil {
				t.Fatal(err)
			}
			run(t, server, string(script))
			files, err := server.BinlogFiles()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				save(t, files, filepath.Join("testdata", name))
			}
			log := open(t, files...)
			checkLog(t, log)
			checkGTIDs(t, server, log)
			small(t, server, name)
			types := t.TempDir()
			run(t, server, "flush binary logs;\n"+columnsSQL(product))
			more, err := server.BinlogFiles()
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				save(t, more[len(more)-1:], filepath.Join("testdata", name+"-types"))
			}
			save(t, more[len(more)-1:], types)
			checkLog(t, open(t, types))
			crash(t, server)
		})
	}
}

// small writes a short log: what TestDamage changes byte by byte, and fuzzing begins with.
func small(t *testing.T, server *testrig.Local, name string) {
	t.Helper()
	compress := map[string]string{
		"mysql":   "set binlog_transaction_compression=on;",
		"mariadb": "set global log_bin_compress=on; set global log_bin_compress_min_len=10;",
	}
	run(t, server, `flush binary logs;
create table t.s (id int primary key, v varchar(300), b blob, e enum('a','b'), f bit(9), d decimal(9,3), u json);
insert into t.s values (1,'a',null,'b',3,-1.5,'{}'),(2,null,'x',null,null,2,null);
xa start 'x'; update t.s set v='c' where id=2; xa end 'x'; xa prepare 'x'; xa commit 'x';
`+compress[name]+"insert into t.s(id,v) select id+10,repeat(v,100) from t.s; flush binary logs; "+strings.ReplaceAll(compress[name], "=on", "=off"))
	files, err := server.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		save(t, files[len(files)-2:len(files)-1], filepath.Join("testdata", name+"-small"))
	}
}

// crash kills the server twice, once in a log without transactions, and reads what it leaves behind.
func crash(t *testing.T, server *testrig.Local) {
	t.Helper()
	for range 2 {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, server, "insert into t.s(id) values (1000);")
	files, err := server.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	log := open(t, files...)
	checkLog(t, log)
	checkGTIDs(t, server, log)
}

func run(t *testing.T, server *testrig.Local, script string) {
	t.Helper()
	if out, err := server.Exec(t.Context(), script); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func save(t *testing.T, files []string, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, paths ...string) *binlog.Log {
	t.Helper()
	log, err := binlog.Open(t.Context(), paths, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// checkGTIDs compares the GTIDs of a whole log with what its server says it has executed, and set operations
// with the server's.
func checkGTIDs(t *testing.T, server *testrig.Local, log *binlog.Log) {
	t.Helper()
	survey, err := log.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(sql string) string {
		t.Helper()
		out, err := server.Exec(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(strings.ReplaceAll(out, `\n`, ""))
	}
	if server.Product == testrig.MariaDB {
		want, err := binlog.ParseGTIDSet(binlog.MariaDB, ask("select @@gtid_binlog_pos"))
		if err != nil {
			t.Fatal(err)
		}
		if got := survey.GTIDs; !got.Equal(want) || got.String() != want.String() {
			t.Errorf("GTIDs are %s, the server says %s", got, want)
		}
		return
	}
	if want := ask("select @@gtid_executed"); survey.GTIDs.String() != want {
		t.Errorf("GTIDs are %s, the server says %s", survey.GTIDs, want)
	}
	const a, b = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000b"
	sets := []string{"", a + ":1", a + ":1-5:7-9", a + ":3-8", b + ":2", a + ":t:1-4," + b + ":1-3", a + ":1-9:t:2-3:u:5", survey.GTIDs.String()}
	for _, x := range sets {
		for _, y := range sets {
			sx, sy := parseSet(t, x), parseSet(t, y)
			if got, want := sx.Minus(sy).String(), ask("select gtid_subtract('"+x+"','"+y+"')"); got != want {
				t.Errorf("%q minus %q is %q, the server says %q", x, y, got, want)
			}
			if got, want := sy.ContainsSet(sx), ask("select gtid_subset('"+x+"','"+y+"')") == "1"; got != want {
				t.Errorf("%q in %q is %v, the server says %v", x, y, got, want)
			}
		}
	}
}

func parseSet(t *testing.T, text string) *binlog.GTIDSet {
	t.Helper()
	s, err := binlog.ParseGTIDSet(binlog.MySQL, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
