package fold

import (
	"testing"

	"interlock/replay/binlog"
)

// TestEnded: an epoch that has ended takes nothing and does not end again, until it is released.
func TestEnded(t *testing.T) {
	table, e := bytesTable(t, true), New()
	row := blob("a", nil)
	if err := addRows(t, e, table, binlog.WriteRows, row); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Outcomes(); err != nil {
		t.Fatal(err)
	}
	if err := addRows(t, e, table, binlog.DeleteRows, row); err == nil {
		t.Error("an ended epoch took a row")
	}
	if _, err := e.Outcomes(); err == nil {
		t.Error("an epoch ended twice")
	}
	e.Release()
	if err := addRows(t, e, table, binlog.WriteRows, row); err != nil {
		t.Errorf("after Release: %v", err)
	}
}

// TestBadTables: what does not describe a table is refused, and so are rows of another layout.
func TestBadTables(t *testing.T) {
	good := bytesTable(t, true)
	other := layout(t, []column{{typ: binlog.ColLong}})
	for name, spoil := range map[string]func(*Table){
		"no layout":                  func(t *Table) { t.Layout = nil },
		"key beyond the columns":     func(t *Table) { t.Key = []int{2} },
		"a key column below zero":    func(t *Table) { t.Key = []int{-1} },
		"orders":                     func(t *Table) { t.Orders = nil },
		"counter beyond the columns": func(t *Table) { t.AutoIncrement = 2 },
		"another layout":             func(t *Table) { t.Layout = other },
	} {
		bad := *good
		spoil(&bad)
		rows := binlog.Rows{Table: good.Layout, Kind: binlog.WriteRows, After: binlog.Bitmap{3}, Data: blob("a", nil)}
		if err := New().Add(&bad, &rows, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	e, again := New(), *good
	like := layout(t, []column{{typ: binlog.ColVarchar, meta: []byte{201, 0}}, {typ: binlog.ColBlob, meta: []byte{3}}})
	if err := addRows(t, e, good, binlog.WriteRows, blob("a", nil)); err != nil {
		t.Fatal(err)
	}
	if err := addRows(t, e, &again, binlog.WriteRows, blob("b", nil)); err == nil {
		t.Error("the same table was described twice in an epoch")
	}
	altered := binlog.Rows{Table: like, Kind: binlog.WriteRows, After: binlog.Bitmap{3}, Data: blob("b", nil)}
	if err := e.Add(good, &altered, 0); err == nil {
		t.Error("rows of an altered table were added")
	}
	for _, kind := range []binlog.RowsKind{binlog.WriteRows, binlog.UpdateRows, binlog.DeleteRows, 9} {
		if err := addRows(t, e, good, kind); err == nil {
			t.Errorf("kind %d without rows: no error", kind)
		}
		bits := binlog.Rows{Table: good.Layout, Kind: kind, Before: binlog.Bitmap{3, 3}, After: binlog.Bitmap{}, Data: blob("c", nil)}
		if err := e.Add(good, &bits, 0); err == nil {
			t.Errorf("kind %d with other sets of columns: no error", kind)
		}
	}
}
