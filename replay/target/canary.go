package target

import (
	"context"
	"encoding/binary"
	"fmt"

	"interlock/replay/binlog"
)

// canaryRows are what the canary writes and expects to read.
func canaryRows() map[uint32]string {
	return map[uint32]string{7: "coal", 1 << 20: "mine", 4_000_000_000: "bird"}
}

// Canary applies a row event to a scratch table in interlock_replay and reads it back. A server that takes events and
// applies nothing, or something else, is found before the first chunk: a rows event whose table map does not reach it
// returns OK.
func (r *Run) Canary(ctx context.Context, f *binlog.Format) error {
	events, err := canaryEvents(f)
	if err != nil {
		return fmt.Errorf("make a row event: %w", err)
	}
	return r.canary(ctx, f, events)
}

func (r *Run) canary(ctx context.Context, f *binlog.Format, events []byte) error {
	table := stateSchema + ".canary"
	err := r.control(ctx, func(c *Conn) error {
		for _, sql := range []string{"DROP TABLE IF EXISTS " + table,
			"CREATE TABLE " + table + " (id INT UNSIGNED NOT NULL PRIMARY KEY, word VARCHAR(20) CHARACTER SET latin1 NOT NULL) ENGINE=InnoDB"} {
			if err := c.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("try a row event: make a scratch table: %w", err)
	}
	a, err := r.Applier(ctx, f)
	if err != nil {
		return fmt.Errorf("try a row event: %w", err)
	}
	defer a.Close()
	if err := a.sender.raw(ctx, events); err != nil {
		return fmt.Errorf("try a row event: %w", err)
	}
	err = r.control(ctx, func(c *Conn) error {
		rows, err := c.Query(ctx, "SELECT id, word FROM "+table)
		if err != nil {
			return fmt.Errorf("try a row event: read it back: %w", err)
		}
		got := map[string]string{}
		for _, row := range rows {
			got[row[0].Text] = row[1].Text
		}
		want := canaryRows()
		for id, word := range want {
			if got[fmt.Sprint(id)] != word {
				return fmt.Errorf("try a row event: the target took it and said OK, but row %d reads %q instead of %q: it does not apply row events as they are", id, got[fmt.Sprint(id)], word)
			}
		}
		if len(rows) != len(want) {
			return fmt.Errorf("try a row event: the target has %d rows of it instead of %d", len(rows), len(want))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.control(ctx, func(c *Conn) error {
		return wrapState("drop scratch table", c.Exec(ctx, "DROP TABLE IF EXISTS "+table))
	})
}

// raw applies events in one transaction without looking at them.
func (o *sender) raw(ctx context.Context, events []byte) error {
	if err := o.conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := o.conn.ExecBytes(ctx, appendBinlog(nil, events)); err != nil {
		return o.explain(ctx, err)
	}
	return o.conn.Exec(ctx, "COMMIT")
}

// canaryLayout is the scratch table as a log would describe it. Source of the body: Table_map_log_event.
func canaryLayout(f *binlog.Format) (*binlog.Table, error) {
	const typeLong, typeVarchar, length = 3, 15, 20
	body := []byte{0, 0, 0, 0, 0, 0, 1, 0} // table id, flags
	for _, name := range []string{stateSchema, "canary"} {
		body = append(append(append(body, byte(len(name))), name...), 0)
	}
	body = append(body, 2, typeLong, typeVarchar, 2, length, 0, 0) // columns, types, metadata, null bits
	ev := &binlog.Event{Header: binlog.Header{Type: typeTableMap, Size: uint32(binlog.HeaderLen + len(body))}, Body: body}
	ev.Raw = append(make([]byte, binlog.HeaderLen), body...)
	var cache binlog.TableCache
	return cache.Parse(f, ev)
}

// canaryEvents are a table map and one event that inserts the rows.
func canaryEvents(f *binlog.Format) ([]byte, error) {
	layout, err := canaryLayout(f)
	if err != nil {
		return nil, err
	}
	const id = 1
	builder := binlog.Builder{Flavor: f.Flavor}
	events := builder.AppendTableMap(nil, layout, id)
	columns := binlog.NewBitmap(2)
	columns.Set(0)
	columns.Set(1)
	events, start := builder.BeginRows(events, binlog.WriteRows, layout, id, binlog.StmtEnd, nil, columns)
	for key, word := range canaryRows() {
		events = append(events, 0xfc) // no NULLs; bits beyond the columns are set, as servers set them
		events = binary.LittleEndian.AppendUint32(events, key)
		events = append(append(events, byte(len(word))), word...)
	}
	return builder.EndRows(events, start), nil
}
