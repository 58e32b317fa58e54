package replay_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/binlog"
)

// A row that is not on the target is named, with the transaction that changes it first, whatever the strategy.
func TestMissingRowIsNamed(t *testing.T) {
	updates := func(table, set, where string) string {
		var b strings.Builder
		for i := range 9 {
			fmt.Fprintf(&b, "UPDATE d.%s SET %s WHERE %s IN (%d, %d);\n", table, fmt.Sprintf(set, i+1), where, i+1, 100+i)
		}
		return b.String()
	}
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.alone(t, `CREATE DATABASE d; USE d;
CREATE TABLE wide (a INT UNSIGNED, b VARCHAR(20), c DATETIME(2), e DECIMAL(8,2), n INT, PRIMARY KEY (b, a, c, e));
CREATE TABLE keyless (a INT, b VARCHAR(10)); CREATE TABLE ordered (id INT PRIMARY KEY, b VARCHAR(10), UNIQUE (b));
INSERT INTO wide VALUES (1, 'x1', '2026-01-02 03:04:05.5', 1, 1), (2, 'x2', '2026-01-02 03:04:05.5', 2, 1), (3, 'Gr\'3', '2026-01-02 03:04:05.5', -3.25, 1), (4, 'x4', '2026-01-02 03:04:05.5', 4, 1);
INSERT INTO keyless VALUES (1, 'x'), (2, 'x'), (3, NULL), (4, 'x'); INSERT INTO ordered VALUES (1, 'x1'), (2, 'x2'), (3, 'x3'), (4, 'x4');`)
		for _, c := range []struct{ name, log, take, back, shown string }{
			{"folded", updates("wide", "n = 10 + %d", "a"), "DELETE FROM d.wide WHERE a = 3", "INSERT INTO d.wide VALUES (3, 'Gr\\'3', '2026-01-02 03:04:05.5', -3.25, 1)",
				`b = "Gr'3", a = 3, c = '2026-01-02 03:04:05.50', e = -3.25`},
			{"without a key", updates("keyless", "a = a + 10 - 0 * %d", "a"), "DELETE FROM d.keyless WHERE a = 3", "INSERT INTO d.keyless VALUES (3, NULL)", "a = 3, b = NULL"},
			{"in order", "SET SESSION binlog_row_image=MINIMAL;" + updates("ordered", "b = CONCAT(b, %d)", "id"), "DELETE FROM d.ordered WHERE id = 3", "INSERT INTO d.ordered VALUES (3, 'x3')", "id = 3"},
		} {
			t.Run(c.name, func(t *testing.T) {
				files := both.logOf(t, c.log)
				mustExec(t, both.ours, "SET sql_log_bin=0; "+c.take)
				_, err := run(t, both.ours, replay.Config{Paths: files})
				third := transactionNumber(t, files, 3)
				row, place := "the row with "+c.shown+" is not on the target", fmt.Sprintf("; the transaction at %s (%s) changes it first", third.Start, third.GTID)
				if keyless := c.name == "without a key"; err != nil && strings.Contains(err.Error(), "in another form than the log") != keyless {
					t.Errorf("the form of its columns as a cause: want %t: %v", keyless, err)
				}
				if err == nil || !strings.Contains(err.Error(), row) || !strings.Contains(err.Error(), place) {
					t.Errorf("error %v\nhas not %q and %q", err, row, place)
				}
				mustExec(t, both.ours, "SET sql_log_bin=0; "+c.back)
				if _, err := run(t, both.ours, replay.Config{Paths: files}); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// transactionNumber is the nth transaction of a log, from 1.
func transactionNumber(t *testing.T, files []string, n int) binlog.Txn {
	t.Helper()
	log, err := binlog.Open(t.Context(), files, binlog.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		txn, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(errors.Join(err, io.ErrUnexpectedEOF))
		}
		if n--; n == 0 {
			return *txn
		}
	}
}
