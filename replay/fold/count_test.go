package fold

import (
	"encoding/binary"
	"testing"

	"interlock/replay/binlog"
)

// TestCount holds invariant 11 for rows that were rolled back: they move the counter and nothing else.
func TestCount(t *testing.T) {
	columns := []column{{typ: binlog.ColLong}, {typ: binlog.ColLong}}
	for _, key := range [][]int{{0}, nil} {
		table := &Table{Name: "db.t", Layout: layout(t, columns), Key: key, AutoIncrement: 1, AutoOrder: OrderSigned}
		for range key {
			table.Orders = append(table.Orders, OrderSigned)
		}
		row := func(values ...uint32) []byte {
			image := []byte{0}
			for _, v := range values {
				image = binary.LittleEndian.AppendUint32(image, v)
			}
			return image
		}
		event := func(kind binlog.RowsKind, images ...[]byte) *binlog.Rows {
			r := &binlog.Rows{Table: table.Layout, Kind: kind, Before: binlog.Bitmap{0b11}, After: binlog.Bitmap{0b11}}
			for _, image := range images {
				r.Data = append(r.Data, image...)
			}
			return r
		}
		e := New()
		for _, step := range []struct {
			rows *binlog.Rows
			want uint64
		}{
			{event(binlog.DeleteRows, row(1, 50)), 0},
			{event(binlog.WriteRows, row(1, 7), row(2, 9), row(3, 8)), 9},
			{event(binlog.UpdateRows, row(1, 60), row(1, 30), row(2, 9), row(2, 20)), 30},
			{&binlog.Rows{Table: table.Layout, Kind: binlog.WriteRows, After: binlog.Bitmap{0b01}, Data: row(99)}, 30},
		} {
			if err := e.Count(table, step.rows); err != nil {
				t.Fatal(err)
			}
			if step.want == 0 {
				continue // a table of which nothing is known is not in the epoch
			}
			if got := e.byName["db.t"].auto; got != step.want {
				t.Errorf("key %v: the counter is %d, want %d", key, got, step.want)
			}
		}
		if err := e.Count(table, event(binlog.WriteRows, row(1, 7)[:7])); err == nil {
			t.Errorf("key %v: a row that is cut off is counted", key)
		}
		outcomes, err := e.Outcomes()
		if err != nil || len(outcomes) != 1 {
			t.Fatalf("%d outcomes, %v", len(outcomes), err)
		}
		if o := outcomes[0]; o.AutoIncrement != 30 || o.Changes != 0 || len(o.Goes)+len(o.Comes) != 0 || e.Changes() != 0 {
			t.Errorf("key %v: %+v", key, o)
		}
		e.Release()
		if err := e.Add(table, event(binlog.WriteRows, row(1, 5)), 0); err != nil {
			t.Fatal(err)
		}
		if outcomes, err = e.Outcomes(); err != nil || outcomes[0].AutoIncrement != 5 {
			t.Errorf("key %v: the next epoch's counter: %+v, %v", key, outcomes, err)
		}
	}
}
