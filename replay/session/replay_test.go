package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// replay runs a log on a target in one session.
func replay(t *testing.T, l logged, target *testrig.Local) {
	t.Helper()
	conn := connect(t, target)
	flavor := flavorOf(target.Product)
	state := New(flavor, version(t, target))
	for _, statement := range state.Opening() {
		execute(t, conn, statement)
	}
	var since *State
	l.walk(t, func(f *binlog.Format, txn *binlog.Txn, ev *binlog.Event) {
		if err := state.See(f, ev); err != nil {
			t.Fatal(err)
		}
		switch {
		case ev.Type == binlog.TypeMariaGTID && ev.Body[12]&1 == 0: // not FL_STANDALONE
			execute(t, conn, "START TRANSACTION")
		case ev.Type == binlog.TypeXID:
			execute(t, conn, "COMMIT")
		case ev.Type == binlog.TypeQuery && !txn.StartAlter:
			statements, err := state.Statements(since)
			if err != nil {
				t.Fatal(err)
			}
			for _, statement := range statements {
				execute(t, conn, statement)
			}
			since = state.Clone()
		}
	})
}

// What our statements leave behind is what the source has, and what mysqlbinlog's output leaves behind.
func TestReplayEqualsSourceAndPipe(t *testing.T) {
	databases := []string{"d1", "we`ird é ☃", "own"}
	for _, product := range products {
		t.Run(string(product), func(t *testing.T) {
			source, ours, pipe := start(t, product), start(t, product), start(t, product)
			workload(t, source, "testdata/common.sql")
			workload(t, source, "testdata/"+string(product)+".sql")
			log := readLog(t, source)
			replay(t, log, ours)
			got := dump(t, ours, databases...)
			if diff := cmp.Diff(dump(t, source, databases...), got); diff != "" {
				t.Errorf("-source +ours:\n%s", diff)
			}
			if err := pipe.Pipe(t.Context(), nil, log.files...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(dump(t, pipe, databases...), got); diff != "" {
				t.Errorf("-pipe +ours:\n%s", diff)
			}
		})
	}
}

// Where mysqlbinlog's output loses something, ours does not: the digits and type of a REAL, the sign of a
// type, names in a session whose character set is not that of names.
func TestReplayEqualsSourceWherePipeDoesNot(t *testing.T) {
	for _, product := range products {
		t.Run(string(product), func(t *testing.T) {
			source, ours := start(t, product), start(t, product)
			workload(t, source, "testdata/exact.sql")
			replay(t, readLog(t, source), ours)
			databases := []string{"exact", "exäct"}
			if diff := cmp.Diff(dump(t, source, databases...), dump(t, ours, databases...)); diff != "" {
				t.Errorf("-source +ours:\n%s", diff)
			}
		})
	}
}
