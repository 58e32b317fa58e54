package main

import (
	"fmt"
	"strings"
)

// The loads that sysbench does not have.

func prepareHot(s *source) error {
	if _, err := s.Query(s.ctx, "CREATE TABLE "+database+".hot (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(100) NOT NULL)"); err != nil {
		return err
	}
	return s.fill("hot", s.size.rows, func(w *writer, i int) string { return fmt.Sprintf("%d, 0, '%s'", i, w.text(100)) })
}

func runHot(s *source) error {
	return s.drive(s.size.transactions, func(w *writer, _ int) error {
		return w.exec("UPDATE hot SET n = n + 1, note = '%s' WHERE id = %d", w.text(100), w.random.IntN(s.size.rows))
	})
}

const (
	wideColumns = 8
	wideColumn  = 1000 // bytes; together 8 KB a row
)

func prepareWide(s *source) error {
	var columns strings.Builder
	for i := range wideColumns {
		fmt.Fprintf(&columns, ", c%d VARCHAR(%d) CHARACTER SET latin1 NOT NULL", i, wideColumn)
	}
	if _, err := s.Query(s.ctx, "CREATE TABLE "+database+".wide (id INT PRIMARY KEY, n INT NOT NULL"+columns.String()+")"); err != nil {
		return err
	}
	return s.fill("wide", s.size.rows, func(w *writer, i int) string {
		return fmt.Sprintf("%d, 0", i) + strings.Repeat(", '"+w.text(wideColumn)+"'", wideColumns)
	})
}

func runWide(s *source) error {
	return s.drive(s.size.transactions, func(w *writer, _ int) error {
		return w.exec("UPDATE wide SET n = n + 1 WHERE id = %d", w.random.IntN(s.size.rows))
	})
}

func prepareUnique(s *source) error {
	if _, err := s.Query(s.ctx, "CREATE TABLE "+database+".slots (id INT PRIMARY KEY, slot INT NOT NULL, pad CHAR(60) NOT NULL, UNIQUE KEY (slot))"); err != nil {
		return err
	}
	return s.fill("slots", s.size.rows, func(w *writer, i int) string { return fmt.Sprintf("%d, %d, '%s'", i, i, w.text(60)) })
}

// runUnique swaps the unique values of two rows through a value that nobody has, as applications must.
func runUnique(s *source) error {
	return s.drive(s.size.transactions, func(w *writer, _ int) error {
		a, b := w.random.IntN(s.size.rows), w.random.IntN(s.size.rows)
		if a == b {
			b = (a + 1) % s.size.rows
		}
		slots, err := w.integers("SELECT slot FROM slots WHERE id IN (%d, %d) ORDER BY id FOR UPDATE", a, b)
		if err != nil {
			return err
		}
		for _, step := range [][2]int64{{int64(min(a, b)), -1 - int64(w.thread)}, {int64(max(a, b)), slots[0]}, {int64(min(a, b)), slots[1]}} {
			if err := w.exec("UPDATE slots SET slot = %d WHERE id = %d", step[1], step[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

func prepareNoKey(s *source) error {
	if _, err := s.Query(s.ctx, "CREATE TABLE "+database+".nokey (a INT NOT NULL, b INT NOT NULL, c CHAR(60) NOT NULL)"); err != nil {
		return err
	}
	return s.fill("nokey", s.size.rows, func(w *writer, i int) string { return fmt.Sprintf("%d, 0, '%s'", i/2, w.text(60)) })
}

// runNoKey updates two rows a transaction, and each tenth one takes a row out and puts another in.
func runNoKey(s *source) error {
	return s.drive(s.size.transactions, func(w *writer, i int) error {
		a := w.random.IntN(s.size.rows / 2)
		if i%10 != 0 {
			return w.exec("UPDATE nokey SET b = b + 1 WHERE a = %d", a)
		}
		if err := w.exec("DELETE FROM nokey WHERE a = %d LIMIT 1", a); err != nil {
			return err
		}
		return w.exec("INSERT INTO nokey VALUES (%d, %d, '%s')", a, i, w.text(60))
	})
}

// ddlEvery is after how many transactions there is a DDL.
const ddlEvery = 100

// runDDL does what oltp_write_only does. Each DDL is the next of four: a table comes, a table that is written
// to gets another default, the new table gets a column, it goes.
func runDDL(s *source) error {
	return s.drive(s.size.transactions, func(w *writer, i int) error {
		if i%ddlEvery == 0 {
			if err := w.ddl(i/ddlEvery, s.size.tables); err != nil {
				return err
			}
			if err := w.exec("BEGIN"); err != nil { // the DDL has committed the one before it
				return err
			}
		}
		return w.writeOnly(s.size)
	})
}

// ddl runs the n-th DDL.
func (w *writer) ddl(n, tables int) error {
	// Which writer comes first is chance: a table is made by whoever needs it, and dropped long after.
	const create = "CREATE TABLE IF NOT EXISTS extra%d (id INT PRIMARY KEY, note VARCHAR(100))"
	switch group := n / 4; n % 4 {
	case 0:
		return w.exec(create, group)
	case 1:
		return w.exec("ALTER TABLE sbtest%d ALTER COLUMN k SET DEFAULT %d", 1+group%tables, n)
	case 2:
		if err := w.exec(create, group); err != nil {
			return err
		}
		return w.exec("ALTER TABLE extra%d ADD COLUMN more INT", group)
	default:
		return w.exec("DROP TABLE IF EXISTS extra%d", max(group-2, 0))
	}
}

// writeOnly is the transaction of sysbench's oltp_write_only on its tables.
func (w *writer) writeOnly(s size) error {
	table, id := 1+w.random.IntN(s.tables), 1+w.random.IntN(s.rows)
	k := w.random.IntN(s.rows)
	for _, statement := range []string{
		fmt.Sprintf("UPDATE sbtest%d SET k = k + 1 WHERE id = %d", 1+w.random.IntN(s.tables), 1+w.random.IntN(s.rows)),
		fmt.Sprintf("UPDATE sbtest%d SET c = '%s' WHERE id = %d", 1+w.random.IntN(s.tables), w.text(119), 1+w.random.IntN(s.rows)),
		fmt.Sprintf("DELETE FROM sbtest%d WHERE id = %d", table, id),
		fmt.Sprintf("INSERT INTO sbtest%d (id, k, c, pad) VALUES (%d, %d, '%s', '%s')", table, id, k, w.text(119), w.text(59)),
	} {
		if err := w.exec("%s", statement); err != nil {
			return err
		}
	}
	return nil
}
