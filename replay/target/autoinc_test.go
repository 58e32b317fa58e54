package target

import (
	"testing"

	"interlock/internal/testrig"
)

// A counter of a table that a prepared XA transaction holds is raised by a row that never comes to be. Where the server does
// not take that row, the error names the transaction, and nothing has happened.
func TestRaise(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d",
			"CREATE TABLE d.t (a VARCHAR(9) NOT NULL, id MEDIUMINT UNSIGNED AUTO_INCREMENT, n INT NOT NULL, v INT AS (n + 1) STORED, d DATE NOT NULL, UNIQUE (id))",
			"CREATE TABLE d.u (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, UNIQUE (n))",
			"CREATE TABLE d.fired (n INT)", "CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW INSERT INTO d.fired VALUES (1)")
		s.events("INSERT INTO d.t (a, n, d) VALUES ('a', 1, '2020-01-01')", "INSERT INTO d.u VALUES (1, 0), (2, 7)")
		layouts := layoutsOf(t, s.Local)
		schema := s.server.Schema()
		defer schema.Close()
		r := s.open("run")
		a := s.applier(r)
		s.run("XA START 'held'", "UPDATE d.t SET n = 5", "UPDATE d.u SET n = 8 WHERE id = 2", "XA END 'held'", "XA PREPARE 'held'")
		want := map[testrig.Product]string{testrig.MySQL: "16777215", testrig.MariaDB: "16777216"}[s.Product]
		table, err := schema.Table(ctx, "d", "t")
		s.ok(err)
		for _, c := range []struct {
			highest uint64
			counter string
		}{{700, "701"}, {16_777_215, want}, {900, want}} {
			if err := r.AutoIncrement(ctx, table, c.highest); c.highest != 900 {
				s.refused(err, ErrTableHeld.Error(), "`d`.`t`")
				s.ok(a.Raise(ctx, layouts["t"], table, c.highest))
			} else {
				s.ok(err) // never lower
			}
			s.counter("t", "AUTO_INCREMENT="+c.counter+" ")
		}
		table, err = schema.Table(ctx, "d", "u")
		s.ok(err)
		s.refused(r.AutoIncrement(ctx, table, 900), ErrTableHeld.Error(), "`d`.`u`", "901")
		s.refused(a.Raise(ctx, layouts["u"], table, 900), ErrTableHeld.Error(), "`d`.`u` to 901", "XA transaction (\"held\")", "Duplicate entry", "--stop-position")
		s.run("XA ROLLBACK 'held'")
		s.expect("SELECT a, id FROM d.t", "a,1")
		s.expect("SELECT COUNT(*) FROM d.fired", "1")
		s.expect("SELECT n FROM d.u ORDER BY id", "0 7")
		s.ok(r.AutoIncrement(ctx, table, 900))
	})
}

// The counter outlives the server once anything after it is on disk: an epoch's mark is.
func TestRaiseOutlivesTheServer(t *testing.T) {
	onBothKilled(t, func(t *testing.T, s *site) {
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)", "CREATE TABLE d.mark (n INT)")
		s.events("INSERT INTO d.t VALUES (1)")
		layouts := layoutsOf(t, s.Local)
		schema := s.server.Schema()
		defer schema.Close()
		table, err := schema.Table(t.Context(), "d", "t")
		s.ok(err)
		s.ok(s.applier(s.open("run")).Raise(t.Context(), layouts["t"], table, 700))
		s.run("SET GLOBAL innodb_flush_log_at_trx_commit=1", "INSERT INTO d.mark VALUES (1)")
		s.ok(s.Kill())
		s.ok(s.Start(t.Context()))
		s.reconnect()
		s.counter("t", "AUTO_INCREMENT=701 ")
		s.expect("SELECT id FROM d.t", "1")
	})
}
