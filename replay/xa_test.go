package replay_test

import (
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay"

	"github.com/google/go-cmp/cmp"
)

// An XA transaction that is left prepared is prepared still when the server has been started again, and another run ends it.
func TestPreparedOutlivesTheServer(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		servers := []*testrig.Local{both.pipe, both.ours}
		prepared := func() {
			t.Helper()
			for _, s := range servers {
				got, err := s.Exec(t.Context(), "XA RECOVER")
				if err != nil || !strings.Contains(got, "1\t1\t0\ta\n") || !strings.Contains(got, "1\t1\t0\tb\n") {
					t.Errorf("%s has %q prepared, %v", s, got, err)
				}
			}
		}
		mustExec(t, both.source, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, a INT); INSERT INTO d.t VALUES (1, 1), (2, 2)")
		for _, name := range []string{"a", "b"} { // of rows, and of what is run as it was logged
			mustExec(t, both.source, "SET SESSION binlog_format = "+map[string]string{"a": "ROW", "b": "STATEMENT"}[name]+"; XA START '"+name+"'; INSERT INTO d.t VALUES (ASCII('"+name+"'), 7); "+
				"UPDATE d.t SET a = a + 1 WHERE id = ASCII('"+name+"') - 96; XA END '"+name+"'; XA PREPARE '"+name+"'")
		}
		both.same(t, "", replay.Config{})
		prepared()
		for _, s := range servers {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		prepared()
		both.same(t, "XA COMMIT 'a'; XA ROLLBACK 'b'; INSERT INTO d.t VALUES (3, 3)", replay.Config{})
		if diff := cmp.Diff(everything(t, both.source)["rows `d`.`t`"], everything(t, both.ours)["rows `d`.`t`"]); diff != "" {
			t.Errorf("source and target differ (-source +target):\n%s", diff)
		}
	})
}
