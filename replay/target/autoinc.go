package target

import (
	"context"
	"fmt"
	"math"
	"strconv"

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
func (r *Run) AutoIncrement(ctx context.Context, t *Table, highest uint64) error {
	next := r.server.nextAutoIncrement(t, highest)
	if next <= 1 {
		return nil
	}
	name := quoteName(t.Schema) + "." + quoteName(t.Name)
	return r.control(ctx, func(c *Conn) error {
		rows, err := c.Query(ctx, fmt.Sprintf("SELECT auto_increment FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
			quoteText(t.Schema), quoteText(t.Name)))
		if err != nil {
			return fmt.Errorf("read AUTO_INCREMENT of %s: %w", name, err)
		}
		if len(rows) != 1 {
			return fmt.Errorf("read AUTO_INCREMENT of %s: the table is not there", name)
		}
		var now uint64 // NULL: nothing has used it yet (MySQL)
		if !rows[0][0].Null {
			if now, err = strconv.ParseUint(rows[0][0].Text, 10, 64); err != nil {
				return fmt.Errorf("read AUTO_INCREMENT of %s: %w", name, err)
			}
		}
		if now >= next {
			return nil
		}
		if err := c.Exec(ctx, fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", name, next)); err != nil {
			return fmt.Errorf("set AUTO_INCREMENT of %s to %d: %w", name, next, err)
		}
		return nil
	})
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
