package replay

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
	"interlock/replay/target"
)

// changedLog is a log of a real server whose events are not what it wrote, with checksums that fit.
type changedLog struct {
	product testrig.Product
	script  string // on the source, with d.t there
	change  func(t *testing.T, all []frame) []frame
	skip    int    // the n-th transaction is left out by its GTID, 0: none
	words   string // of the refusal
}

func changedLogs() map[string]changedLog {
	twice := "INSERT INTO d.t VALUES (1, 1); INSERT INTO d.t VALUES (2, 2);"
	xa := "XA START 'x'; INSERT INTO d.t VALUES (1, 1); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x';"
	logs := map[string]changedLog{
		// A server applies it once.
		"mysql GTID twice": {testrig.MySQL, twice, func(_ *testing.T, all []frame) []frame {
			last := lastOf(all, binlog.TypeGTID)
			return slices.Insert(all, last, clones(all[last:])...)
		}, 0, "is that of an earlier one"},
		"mysql other server's rows in a payload": {testrig.MySQL, "SET binlog_transaction_compression = ON; INSERT INTO d.t SELECT seq, seq FROM (WITH RECURSIVE r (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM r WHERE seq < 100) SELECT seq FROM r) AS s;",
			func(_ *testing.T, all []frame) []frame {
				inner := all[lastOf(all, binlog.TypePayload)].inner
				inner[lastOf(inner, binlog.TypeWriteRows)].raw[4] = byte(binlog.TypeWriteRowsCompressedV1)
				return all
			}, 0, "MySQL does not write such events"},
	}
	for product, rows := range map[testrig.Product]binlog.Type{testrig.MySQL: binlog.TypeWriteRows, testrig.MariaDB: binlog.TypeWriteRowsV1} {
		logs[string(product)+" rows without columns"] = changedLog{product, xa, func(_ *testing.T, all []frame) []frame {
			raw := all[lastOf(all, rows)].raw
			at := binlog.HeaderLen + 6 + 2 + 1 // the columns of an insert
			if rows == binlog.TypeWriteRows {
				at += 2
			}
			raw[at] = 0
			return all
		}, 0, "without columns"}
		logs[string(product)+" rows behind the end of a statement"] = changedLog{product, "BEGIN; " + twice + "COMMIT;", func(_ *testing.T, all []frame) []frame {
			n := lastOf(all, binlog.TypeTableMap)
			return slices.Delete(all, n, n+1)
		}, 0, "no table map"}
		logs[string(product)+" XA name twice"] = changedLog{product, xa + strings.ReplaceAll(xa, "(1, 1)", "(2, 2)"), nil, 2, "is prepared here again"}
	}
	return logs
}

func lastOf(all []frame, kind binlog.Type) int {
	last := -1
	for i, f := range all {
		if f.kind() == kind && !(kind == binlog.TypeGTID && i+1 < len(all) && all[i+1].kind() == binlog.TypeRotate) {
			last = i
		}
	}
	return last
}

func clones(all []frame) []frame {
	var out []frame
	for _, f := range all {
		if f.kind() != binlog.TypeRotate {
			out = append(out, frame{raw: bytes.Clone(f.raw)})
		}
	}
	return out
}

// TestChangedLogs replays logs that a server takes in part without a word, or that were passed over, or had no end.
func TestChangedLogs(t *testing.T) {
	sources := map[testrig.Product]*testrig.Local{}
	for _, p := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		sources[p] = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
	}
	const table = "SET sql_log_bin=0; DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.t (a INT, b INT);"
	for name, c := range changedLogs() {
		t.Run(name, func(t *testing.T) {
			source, to := sources[c.product], testrig.LocalFor(t, testrig.LocalSpec{Product: c.product})
			exec := func(l *testrig.Local, script string) string {
				out, err := l.Exec(t.Context(), script)
				if err != nil {
					t.Fatal(err, out)
				}
				return out
			}
			exec(source, table)
			exec(to, table)
			reset := "RESET MASTER;"
			if c.product == testrig.MySQL {
				reset = "RESET BINARY LOGS AND GTIDS;"
			}
			exec(source, reset)
			exec(source, c.script+"; FLUSH BINARY LOGS;")
			files, err := source.BinlogFiles()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), filepath.Base(files[0]))
			data, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				data = join(c.change(t, cut(t, data)))
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := Config{Paths: []string{path}, Target: target.Options{Socket: to.Socket, User: "root"}, Tell: func(line string) { t.Log(line) }}
			if c.skip > 0 {
				cfg.Range.SkipGTIDs = []string{gtidOf(t, path, c.skip)}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			watched(name, func() { _, err = Run(ctx, cfg) })
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, want one with %q; the table has %q", err, c.words, exec(to, "SELECT a, b FROM d.t"))
			} else if rows := exec(to, "SELECT a, b FROM d.t"); rows != "" {
				t.Errorf("rows came: %q", rows)
			}
		})
	}
}

// gtidOf is the GTID of the n-th transaction of a log.
func gtidOf(t *testing.T, path string, n int) string {
	t.Helper()
	log, err := binlog.Open(t.Context(), []string{path}, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range n {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r.Txn().GTID.String()
}
