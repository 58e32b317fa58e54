package binlog_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

// starts are the positions between the transactions of a log, its end included.
func starts(t *testing.T, log *binlog.Log) []*binlog.Txn {
	t.Helper()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*binlog.Txn
	for {
		txn, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		c := *txn
		out = append(out, &c)
	}
}

// TestReadFrom starts at every position of a log: where a transaction begins it is the first one that is read,
// everywhere else it is an error.
func TestReadFrom(t *testing.T) {
	for _, dir := range []string{"testdata/mysql", "testdata/mariadb"} {
		log := open(t, dir)
		txns := starts(t, log)
		at := map[binlog.Position]bool{}
		for _, txn := range txns {
			at[txn.Start] = true
			r, err := log.Read(txn.Start)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Next(t.Context()); err != nil || got.Start != txn.Start || got.GTID != txn.GTID {
				t.Errorf("from %s the first is %+v, %v", txn.Start, got, err)
			}
			one, err := r.At(t.Context(), txns[0].Start)
			if err != nil || one.Txn().GTID != txns[0].GTID {
				t.Errorf("at %s: %v", txns[0].Start, err)
			}
			one.Close()
			if r.Txn().GTID != txn.GTID {
				t.Error("At has moved the reader")
			}
			r.Close()
		}
		file, good := log.Files[0], 0
		for offset := uint64(5); offset < uint64(file.Size); offset++ {
			r, err := log.Read(binlog.Position{File: file.Name, Offset: offset})
			if err == nil {
				good++
				if got, err := r.Next(t.Context()); err != nil || got.Start.Offset < offset && got.Start.File == file.Name {
					t.Errorf("from %d: %+v, %v", offset, got, err)
				}
				r.Close()
			} else if at[binlog.Position{File: file.Name, Offset: offset}] {
				t.Errorf("from %d: %v", offset, err)
			}
		}
		// Besides transactions begin there: the events behind the format description, and the rotate event.
		if few := len(txns) - 2; good < few || good > few+6 {
			t.Errorf("%d positions are good for %d transactions", good, few)
		}
		for _, from := range []binlog.Position{{File: "other"}, {Offset: 4}, {File: file.Name, Offset: uint64(file.Size) + 1}, {File: file.Name, Offset: 1 << 63}} {
			if r, err := log.Read(from); err == nil {
				t.Errorf("read from %s", from)
				r.Close()
			}
		}
	}
}

// TestEventsTwice reads the events of every transaction twice, and stops in the middle of the first time.
func TestEventsTwice(t *testing.T) {
	log := open(t, "testdata/mysql")
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, err := range r.Events(t.Context()) {
		if err == nil {
			t.Error("events before there is a transaction")
		}
	}
	for {
		txn, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range r.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		n := 0
		for _, err := range r.Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != txn.Events {
			t.Errorf("%d events at %s, want %d", n, txn.Start, txn.Events)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
	again, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestKinds looks at what the scripts of the corpora hold, one transaction of each kind.
func TestKinds(t *testing.T) {
	for _, dir := range []string{"testdata/mysql", "testdata/mariadb"} {
		log := open(t, dir)
		count := map[string]int{}
		for _, txn := range starts(t, log) {
			for what, is := range map[string]bool{
				"xid": txn.Ending == binlog.EndXID, "commit": txn.Ending == binlog.EndCommit, "rollback": txn.Ending == binlog.EndRollback,
				"bare": txn.Ending == binlog.EndBare, "prepare": txn.Ending == binlog.EndPrepare, "one phase": txn.Ending == binlog.EndOnePhase,
				"savepoints": txn.HasSavepoints, "create select": txn.CreateSelect, "rows and statements": txn.HasRows && txn.HasStatements,
				"temporary": txn.CreatesTemporary, "xa commit": txn.Ending == binlog.EndBare && txn.XID == "X'6731',X'6231',7" && !txn.XARollback,
				"xa rollback": txn.XARollback && txn.XID == "X'6733',X'',1", "tagged": txn.GTID.Tag != "", "ddl": txn.DDL,
				"alter": txn.StartAlter != txn.CommitAlter, "standalone": txn.Standalone, "other domain": txn.GTID.Domain == 7,
				"neither": !txn.HasRows && !txn.HasStatements && txn.XID == "",
			} {
				if is {
					count[what]++
				}
			}
			if txn.Committed.Year() < 2020 || txn.ServerID == 0 || txn.Bytes != int64(txn.End.Offset-txn.Start.Offset) {
				t.Errorf("%+v", txn)
			}
		}
		want := map[string]int{"commit": -1, "xid": -1, "bare": -1, "prepare": 2, "savepoints": 1, "rows and statements": -1, "temporary": -1, "xa commit": 1, "xa rollback": 1}
		if strings.HasSuffix(dir, "mysql") {
			want["one phase"], want["create select"], want["tagged"] = 1, 1, 2
		} else {
			want["ddl"], want["alter"], want["standalone"], want["other domain"], want["rollback"] = -1, 2, -1, 1, 1
		}
		for what, n := range want {
			if n >= 0 && count[what] != n || count[what] == 0 {
				t.Errorf("%s: %d %s, want %d (-1: some)", dir, count[what], what, n)
			}
		}
		if count["neither"] > 0 {
			t.Errorf("%s: %d transactions of nothing", dir, count["neither"])
		}
		if n := count["create select"]; strings.HasSuffix(dir, "mariadb") && n != 0 {
			t.Errorf("%d CREATE … START TRANSACTION of MariaDB", n)
		}
	}
}
