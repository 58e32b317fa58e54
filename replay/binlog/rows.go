package binlog

import (
	"encoding/binary"
	"fmt"
)

// RowsKind is what a rows event does.
type RowsKind uint8

// The kinds.
const (
	WriteRows RowsKind = iota + 1
	UpdateRows
	DeleteRows
	PartialUpdateRows // partial JSON
)

// Flags of a rows event. That the last one of a transaction ends its statement is not asked for: the servers see to it when they
// commit (both set StmtEnd on what is pending then), rows are applied one event at a time, with StmtEnd, whatever the log says, and
// an event that is missing shows by the positions of the others. Source: enum_flag of Rows_event, libs/mysql/binlog/event/rows_event.h.
const (
	StmtEnd             uint16 = 0x01
	NoForeignKeyChecks  uint16 = 0x02
	RelaxedUniqueChecks uint16 = 0x04
	CompleteRows        uint16 = 0x08
	UseSQLForeignKey    uint16 = 0x10 // MySQL 9.6+: the cascades of this change are in the log
)

// dummyTableID is the table of a rows event that has no rows and only ends a statement.
const dummyTableID = 0xffffff

// Rows is a rows event. Its slices point into the event.
type Rows struct {
	Table   *Table // nil for the dummy event that only ends a statement (table id 0xffffff, STMT_END)
	TableID uint64
	Kind    RowsKind
	Version int // 1 or 2
	Flags   uint16
	Extra   []byte // extra row info of version 2, without its length
	Before  Bitmap // columns present in before-images; nil for WriteRows
	After   Bitmap // columns present in after-images; nil for DeleteRows
	Data    []byte // the images, back to back
}

// rowsKind is what a type of rows event does, and its version.
func rowsKind(t Type) (kind RowsKind, version int, ok bool) {
	switch t {
	case TypeWriteRowsV1:
		return WriteRows, 1, true
	case TypeUpdateRowsV1:
		return UpdateRows, 1, true
	case TypeDeleteRowsV1:
		return DeleteRows, 1, true
	case TypeWriteRows:
		return WriteRows, 2, true
	case TypeUpdateRows:
		return UpdateRows, 2, true
	case TypeDeleteRows:
		return DeleteRows, 2, true
	case TypePartialUpdateRows:
		return PartialUpdateRows, 2, true
	}
	return 0, 0, false
}

// ParseRows reads a rows event. lookup gives the table of its id; a rows event without one is an error.
func ParseRows(f *Format, ev *Event, lookup func(id uint64) *Table) (Rows, error) {
	r, err := parseRows(f, ev, lookup)
	if err != nil {
		return Rows{}, fmt.Errorf("parse %s at %s: %w", ev.Type, ev.At, err)
	}
	return r, nil
}

func parseRows(f *Format, ev *Event, lookup func(id uint64) *Table) (Rows, error) {
	r := Rows{}
	var ok bool
	if r.Kind, r.Version, ok = rowsKind(ev.Type); !ok {
		return r, fmt.Errorf("it is not a rows event")
	}
	idLen := f.tableIDLen(ev.Type)
	c := cutter{rest: ev.Body}
	id, flags := c.take(idLen), c.take(2)
	if r.Version == 2 {
		n := c.fixed(2) // the two bytes themselves included
		if c.err == nil && n < 2 {
			return r, fmt.Errorf("extra row info of %d bytes", n)
		}
		r.Extra = c.take(max(int(n)-2, 0))
	}
	if c.err != nil {
		return r, c.err
	}
	r.TableID, r.Flags = uintN(id, idLen), binary.LittleEndian.Uint16(flags)
	columns := c.packed()
	if c.err != nil {
		return r, c.err
	}
	if r.TableID == dummyTableID && columns <= 1 {
		return r, dummyRows(&r, &c)
	}
	if r.Table = lookup(r.TableID); r.Table == nil {
		return r, fmt.Errorf("no table map for table id %d comes before it", r.TableID)
	}
	if columns != uint64(len(r.Table.Columns)) {
		return r, fmt.Errorf("%d columns, but the table map of %s.%s has %d", columns, r.Table.Schema, r.Table.Name, len(r.Table.Columns))
	}
	size := (int(columns) + 7) / 8
	if r.Kind != WriteRows {
		r.Before = Bitmap(c.take(size))
	}
	if r.Kind != DeleteRows {
		r.After = Bitmap(c.take(size))
	}
	r.Data = c.rest
	if c.err == nil && len(r.Data) > 0 && !r.Before.any(int(columns)) && !r.After.any(int(columns)) {
		return r, fmt.Errorf("%d bytes of rows of %s.%s without columns", len(r.Data), r.Table.Schema, r.Table.Name)
	}
	return r, c.err
}

// dummyRows checks the event that only ends a statement. The servers write it where the last rows event of a
// statement was filtered out. Source: Rows_log_event::is_using_dummy_table_id, sql/log_event.cc.
func dummyRows(r *Rows, c *cutter) error {
	if r.Flags&StmtEnd == 0 {
		return fmt.Errorf("it has the table id of no table (%#x) and does not end a statement", r.TableID)
	}
	const bitmaps = 2 // at most, of one byte each
	if len(c.rest) > bitmaps {
		return fmt.Errorf("it has the table id of no table (%#x), and rows", r.TableID)
	}
	return nil
}
