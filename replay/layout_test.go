package replay_test

import (
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/target"
)

// A table that is not as it was when the log begins is refused with its name and its column, and nothing of the epoch
// that its rows are in is applied.
func TestTableThatDoesNotFit(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.alone(t, `CREATE DATABASE d; USE d; CREATE TABLE first (id INT PRIMARY KEY, n INT); INSERT INTO first VALUES (1, 1), (2, 1);
CREATE TABLE second (id INT PRIMARY KEY, word VARCHAR(20) CHARACTER SET latin1, n INT); INSERT INTO second VALUES (1, 'a', 1), (2, 'b', 1);`)
		files := both.logOf(t, "UPDATE d.first SET n = 2; INSERT INTO d.first VALUES (3, 2); UPDATE d.second SET n = 2; INSERT INTO d.second VALUES (3, 'c', 2);")
		// So that tables may be made by hand since.
		if err := replay.DropState(t.Context(), target.Options{Socket: both.ours.Socket, User: "root"}, false, t.Output()); err != nil {
			t.Fatal(err)
		}
		const rows = "SELECT * FROM d.first ORDER BY id; SELECT id, n FROM d.second ORDER BY id"
		before, err := both.ours.Exec(t.Context(), rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name, alter, back string
			want              []string
		}{
			{"a column more", "ADD COLUMN extra INT", "DROP COLUMN extra", []string{"the log has 3 columns, the target 4"}},
			{"a column less", "DROP COLUMN word", "ADD COLUMN word VARCHAR(20) CHARACTER SET latin1 AFTER id", []string{"column 2, `n`", "VARCHAR"}},
			{"another type", "MODIFY n BIGINT", "MODIFY n INT", []string{"column 3, `n`", "the log has INT, the target bigint"}},
			{"another length", "MODIFY word VARCHAR(30) CHARACTER SET latin1", "MODIFY word VARCHAR(20) CHARACTER SET latin1", []string{"column 2, `word`", "VARCHAR of 20 bytes"}},
			{"another nullability", "MODIFY n INT NOT NULL", "MODIFY n INT", []string{"column 3, `n`", "NOT NULL"}},
			{"another order", "MODIFY n INT AFTER id", "MODIFY n INT AFTER word", []string{"column 2, `n`"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				mustExec(t, both.ours, "SET sql_log_bin=0; ALTER TABLE d.second "+c.alter)
				_, err := run(t, both.ours, replay.Config{Paths: files})
				for _, word := range append(c.want, "`d`.`second`", "restore the backup that the log continues") {
					if err == nil || !strings.Contains(err.Error(), word) {
						t.Errorf("error %v has not %q", err, word)
					}
				}
				if after, err := both.ours.Exec(t.Context(), rows); err != nil || after != before {
					t.Errorf("the rows are %q, %v; were %q", after, err, before)
				}
				if now := global(t, both.ours, closing(p)); now != "0" {
					t.Errorf("%s is %s", closing(p), now)
				}
				mustExec(t, both.ours, "SET sql_log_bin=0; ALTER TABLE d.second "+c.back)
			})
		}
		if _, err := run(t, both.ours, replay.Config{Paths: files}); err != nil { // as it was again
			t.Fatal(err)
		}
	})
}
