package target

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// AutoIncrement raises a table's counter so that the next value is at least highest+1, by ALTER TABLE where the
// server does not have it there already.
//
// The reference is what row events leave behind one by one (tried on MySQL 9.7 and MariaDB 10.11 through mysqlbinlog):
// every inserted or updated row moves the counter past its value, also when it is deleted later, by one,
// whatever auto_increment_increment was; but where a statement that generated values under another increment has used
// the same cached table handle, InnoDB rounds up by that increment (ha_innobase::write_row, autoinc_increment), which no
// log tells: the counter is then up to that increment less one lower than there. MySQL stops at the column's largest value, MariaDB one behind it, both at
// 2^64-1. A value below 1 moves nothing. A counter is never lowered.
//
// Where something holds the table so that it cannot be ALTERed the error is an ErrTableHeld, and Applier.Raise may.
func (r *Run) AutoIncrement(ctx context.Context, t *Table, highest uint64) error {
	next := r.server.nextAutoIncrement(t, highest)
	if next <= 1 {
		return nil
	}
	return r.control(ctx, func(c *Conn) error {
		now, err := counterOf(ctx, c, t)
		if err != nil || now >= next {
			return err
		}
		if err := alterCounter(ctx, c, t, next); err != nil {
			return fmt.Errorf("set AUTO_INCREMENT of %s to %d: %w", t, next, err)
		}
		return nil
	})
}

// ErrTableHeld is an error of AutoIncrement where the table could not be locked.
var ErrTableHeld = errors.New("the table is held by a transaction")

// erLockWaitTimeout is of metadata locks as well.
const erLockWaitTimeout = 1205

// alterCounter sets a counter. A prepared XA transaction holds its tables until the log ends it, which is behind us:
// while there is one the table is not waited for as long as for a session that comes to its end.
func alterCounter(ctx context.Context, c *Conn, t *Table, next uint64) error {
	sql := fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", t, next)
	if len(preparedXA(ctx, c)) == 0 {
		return held(c.Exec(ctx, sql))
	}
	// MySQL waits for the table's definition, MariaDB for the table in InnoDB.
	if err := c.Exec(ctx, "SET SESSION lock_wait_timeout=1, innodb_lock_wait_timeout=1"); err != nil {
		return err
	}
	err := held(c.Exec(ctx, sql))
	if back := c.Exec(ctx, "SET SESSION lock_wait_timeout="+stateLockWait+", innodb_lock_wait_timeout=DEFAULT"); err == nil {
		return back
	}
	return err
}

// held makes an ErrTableHeld of a lock that was not to be had.
func held(err error) error {
	if errorCode(err) == erLockWaitTimeout {
		return fmt.Errorf("%w: %w", ErrTableHeld, err)
	}
	return err
}

// preparedXA are the prepared XA transactions, empty where the account may not know of them (MySQL: XA_RECOVER_ADMIN).
func preparedXA(ctx context.Context, c *Conn) (ids []string) {
	rows, err := c.Query(ctx, "XA RECOVER")
	if err != nil {
		return nil
	}
	for _, row := range rows {
		if len(row) == 4 {
			ids = append(ids, fmt.Sprintf("%q", row[3].Text))
		}
	}
	return ids
}

// counterOf is a table's counter, 0 where nothing has used it yet (MySQL).
func counterOf(ctx context.Context, c *Conn, t *Table) (uint64, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT auto_increment FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
		quoteText(t.Schema), quoteText(t.Name)))
	if err != nil {
		return 0, fmt.Errorf("read AUTO_INCREMENT of %s: %w", t, err)
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("read AUTO_INCREMENT of %s: the table is not there", t)
	}
	if rows[0][0].Null {
		return 0, nil
	}
	now, err := strconv.ParseUint(rows[0][0].Text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read AUTO_INCREMENT of %s: %w", t, err)
	}
	return now, nil
}

// Raise raises a counter of a table that cannot be ALTERed: it has the server insert a row with the highest value and
// takes it back. InnoDB's counter keeps it, on disk too: the insert itself writes it there, and no rollback undoes that
// (MySQL: dict_table_autoinc_log, MariaDB: page_set_autoinc, both in row_ins_clust_index_entry_low). A row event fires no triggers and
// looks at no foreign keys. What it leaves out has its defaults, which a CHECK or a unique index may refuse: then the
// counter stays as it was, and the error says what is to be done.
func (a *Applier) Raise(ctx context.Context, layout *binlog.Table, t *Table, highest uint64) error {
	next := a.run.server.nextAutoIncrement(t, highest)
	events, refused := rowOfCounter(a.run.server.Flavor, layout, t, highest)
	if refused == nil {
		var err error
		if refused, err = a.sender.takenBack(ctx, events); lost(err) {
			return &InterruptedError{What: "lost the connection to the target", Err: err}
		} else if err != nil {
			return fmt.Errorf("set AUTO_INCREMENT of %s to %d: by a row that is taken back: %w", t, next, err)
		}
	}
	return a.run.control(ctx, func(c *Conn) error {
		now, err := counterOf(ctx, c, t)
		if err != nil || now >= next {
			return err
		}
		if refused == nil {
			refused = fmt.Errorf("it is %d behind a row with %d", now, highest)
		}
		by := "something"
		if ids := preparedXA(ctx, c); len(ids) > 0 {
			by = "a prepared XA transaction (" + strings.Join(ids, ", ") + ")"
		}
		return fmt.Errorf("set AUTO_INCREMENT of %s to %d: %w: by %s, and a row that is taken back does not raise it: %w "+
			"(restore the backup, replay it with --stop-position before the XA PREPARE, run mysqlbinlog from there to behind the XA COMMIT or XA ROLLBACK, and replay the rest)",
			t, next, ErrTableHeld, by, refused)
	})
}

// takenBack applies events and rolls them back, also where the server has refused them.
func (o *sender) takenBack(ctx context.Context, events []byte) (refused, err error) {
	if err := o.conn.Exec(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	refused = o.conn.ExecBytes(ctx, appendBinlog(nil, events))
	if refused != nil && errorCode(refused) == 0 || lost(refused) {
		return nil, refused
	}
	return refused, o.conn.Exec(ctx, "ROLLBACK")
}

// rowOfCounter is an event that inserts a row of which it has the counter alone.
func rowOfCounter(flavor binlog.Flavor, layout *binlog.Table, t *Table, value uint64) ([]byte, error) {
	column := slices.IndexFunc(t.Columns, func(c Column) bool { return c.AutoIncrement })
	if column < 0 || column >= len(layout.Columns) {
		return nil, errors.New("it has no such column")
	}
	size := map[binlog.ColumnType]int{binlog.ColTiny: 1, binlog.ColShort: 2, binlog.ColInt24: 3, binlog.ColLong: 4, binlog.ColLongLong: 8}[layout.Columns[column].Type]
	if size == 0 {
		return nil, fmt.Errorf("its column %s is no integer", quoteName(t.Columns[column].Name))
	}
	const id = 1
	builder := binlog.Builder{Flavor: flavor}
	events := builder.AppendTableMap(nil, layout, id)
	columns := binlog.NewBitmap(len(layout.Columns))
	columns.Set(column)
	events, start := builder.BeginRows(events, binlog.WriteRows, layout, id, binlog.StmtEnd|binlog.NoForeignKeyChecks, nil, columns)
	events = append(events, 0xfe) // not NULL; bits beyond the columns are set, as servers set them
	events = append(events, binary.LittleEndian.AppendUint64(nil, value)[:size]...)
	return builder.EndRows(events, start), nil
}

// nextAutoIncrement is where the counter stands after a row of that value.
func (s *Server) nextAutoIncrement(t *Table, highest uint64) uint64 {
	if highest == math.MaxUint64 {
		return highest
	}
	if s.Flavor == binlog.MySQL {
		for _, column := range t.Columns {
			if column.AutoIncrement {
				return min(highest+1, largest(column))
			}
		}
	}
	return highest + 1
}

// largest is the largest value of an integer column.
func largest(c Column) uint64 {
	bits := map[string]uint{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32}[c.DataType]
	if bits == 0 {
		bits = 64
	}
	if !c.Unsigned {
		bits--
	}
	return 1<<bits - 1 // 1<<64 is 0
}
