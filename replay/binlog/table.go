package binlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"unsafe"
)

// ColumnType is the type of a column as a table map states it, the real one where the map hides it (ENUM and
// SET in a string).
type ColumnType uint8

// The column types. Source: include/field_types.h of MySQL; sql/field.h of MariaDB for 140 and 141.
const (
	ColDecimal           ColumnType = 0
	ColTiny              ColumnType = 1
	ColShort             ColumnType = 2
	ColLong              ColumnType = 3
	ColFloat             ColumnType = 4
	ColDouble            ColumnType = 5
	ColNull              ColumnType = 6
	ColTimestamp         ColumnType = 7
	ColLongLong          ColumnType = 8
	ColInt24             ColumnType = 9
	ColDate              ColumnType = 10
	ColTime              ColumnType = 11
	ColDatetime          ColumnType = 12
	ColYear              ColumnType = 13
	ColNewDate           ColumnType = 14
	ColVarchar           ColumnType = 15
	ColBit               ColumnType = 16
	ColTimestamp2        ColumnType = 17
	ColDatetime2         ColumnType = 18
	ColTime2             ColumnType = 19
	ColTypedArray        ColumnType = 20 // multi-valued index; in no row image
	ColBlobCompressed    ColumnType = 140
	ColVarcharCompressed ColumnType = 141
	ColVector            ColumnType = 242
	ColJSON              ColumnType = 245
	ColNewDecimal        ColumnType = 246
	ColEnum              ColumnType = 247
	ColSet               ColumnType = 248
	ColTinyBlob          ColumnType = 249
	ColMediumBlob        ColumnType = 250
	ColLongBlob          ColumnType = 251
	ColBlob              ColumnType = 252
	ColVarString         ColumnType = 253
	ColString            ColumnType = 254
	ColGeometry          ColumnType = 255
)

// Column is a column as a table map describes it.
type Column struct {
	Type ColumnType
	// Meta by type. Strings: the greatest length in bytes. ENUM, SET: bytes of a value. BLOB and its like:
	// bytes of the length. NEWDECIMAL: precision<<8 | scale. BIT: whole bytes<<8 | bits over. FLOAT, DOUBLE:
	// bytes. TIME2, DATETIME2, TIMESTAMP2: digits of the fraction.
	Meta     uint16
	Nullable bool
}

// Table is the layout of a table as the log gives it. Two table maps with the same bytes behind their ids are the
// same pointer as long as a TableCache keeps it: a table that is opened again gets a new id, and nothing else.
type Table struct {
	Flags   uint16
	Schema  string
	Name    string
	Columns []Column
	Raw     []byte // body of the event behind the table id, a copy
	// Optional metadata (binlog_row_metadata), nil or empty where the log has none.
	Unsigned    Bitmap   // of all columns; MySQL 8.0+, MariaDB 10.5+ write it always for numbers
	HasUnsigned bool     // whether Unsigned is known
	ColumnNames []string // FULL alone

	idLen int    // bytes of the table id before Raw
	steps []step // how to walk an image, one by column
	all   Bitmap // every column
}

// SameLayout tells whether rows of t and o have columns of the same number, types, metadata and nullability.
func (t *Table) SameLayout(o *Table) bool {
	if t == o {
		return true
	}
	if len(t.Columns) != len(o.Columns) {
		return false
	}
	for i, c := range t.Columns {
		if c != o.Columns[i] {
			return false
		}
	}
	return true
}

// HasBlobs tells whether a column's value lies outside the row in the server's memory: BLOB, TEXT, JSON, GEOMETRY, VECTOR.
func (t *Table) HasBlobs() bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool {
		switch c.Type {
		case ColTinyBlob, ColMediumBlob, ColLongBlob, ColBlob, ColJSON, ColGeometry, ColVector:
			return true
		}
		return false
	})
}

// HeldBytes is about how much memory the layout takes.
func (t *Table) HeldBytes() int64 {
	n := int64(unsafe.Sizeof(*t)) + int64(len(t.Raw)+len(t.Schema)+len(t.Name)+len(t.Unsigned)+len(t.all))
	n += int64(len(t.Columns)) * int64(unsafe.Sizeof(Column{})+unsafe.Sizeof(step{}))
	for _, name := range t.ColumnNames {
		n += int64(unsafe.Sizeof(name)) + int64(max(len(name), 16)) // the least that is allocated
	}
	return n
}

// TableCache parses table maps, once for the same bytes behind the table id. It belongs to one goroutine.
type TableCache struct {
	seed    maphash.Seed
	known   map[uint64][]*Table // by hash of the body behind the id
	held    int64               // bytes of known
	byID    map[uint64]*mapped
	idsMost int    // how many byID takes before forget
	age     uint64 // how often Clear was called
}

// mapped is the table last parsed under an id.
type mapped struct {
	table *Table
	age   uint64 // of the cache then: of another age it is forgotten, but mostly the same map comes again
}

const (
	// cacheBytes is what the layouts may hold before all are forgotten, some ten thousand ordinary ones: a server
	// with more tables would otherwise fill the memory, and a table map takes microseconds to parse again.
	cacheBytes = 8 << 20
	// cacheIDs is how many ids are kept beside those of the statement.
	cacheIDs = 20_000
)

// Parse returns the table of a table map event and keeps it under its id until another one has that id.
func (c *TableCache) Parse(f *Format, ev *Event) (*Table, error) {
	if ev.Type != TypeTableMap {
		return nil, fmt.Errorf("parse table map at %s: it is a %s event", ev.At, ev.Type)
	}
	cut := cutter{rest: ev.Body}
	id := cut.fixed(f.tableIDLen(TypeTableMap))
	if cut.err != nil {
		return nil, fmt.Errorf("parse table map at %s: %w", ev.At, cut.err)
	}
	was := c.byID[id]
	if was != nil && bytes.Equal(was.table.Raw, cut.rest) {
		was.age = c.age
		return was.table, nil
	}
	t, err := c.layout(f, cut.rest)
	if err != nil {
		return nil, fmt.Errorf("parse table map at %s: %w", ev.At, err)
	}
	if was = c.byID[id]; was != nil { // else it has been forgotten by now
		was.table, was.age = t, c.age
		return t, nil
	}
	if len(c.byID) >= c.idsMost {
		c.forget()
	}
	c.byID[id] = &mapped{t, c.age}
	return t, nil
}

// forget drops the ids that Clear has left for the next map to find, and with them what only they hold.
func (c *TableCache) forget() {
	current := map[uint64]*mapped{}
	for id, m := range c.byID {
		if m.age == c.age {
			current[id] = m
		}
	}
	c.byID, c.idsMost = current, max(cacheIDs, 2*len(current))
}

// layout parses the body of a table map behind its id, or finds the table that one with the same bytes came to.
func (c *TableCache) layout(f *Format, body []byte) (*Table, error) {
	if c.known == nil || c.held >= cacheBytes {
		c.seed, c.known, c.held = maphash.MakeSeed(), map[uint64][]*Table{}, 0
		c.forget()
	}
	hash := maphash.Bytes(c.seed, body)
	for _, t := range c.known[hash] {
		if bytes.Equal(t.Raw, body) {
			return t, nil
		}
	}
	t, err := parseTable(f, body)
	if err != nil {
		return nil, err
	}
	c.known[hash] = append(c.known[hash], t)
	c.held += t.HeldBytes()
	return t, nil
}

// Table returns the table last parsed under an id, nil if none.
func (c *TableCache) Table(id uint64) *Table {
	if m := c.byID[id]; m != nil && m.age == c.age {
		return m.table
	}
	return nil
}

// Clear forgets all ids, as the end of a statement does (STMT_END on a rows event).
func (c *TableCache) Clear() { c.age++ }

// Bitmap is a set of columns, least significant bit of the first byte first, as in rows events.
type Bitmap []byte

func (b Bitmap) Has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }
func (b Bitmap) Set(i int)      { b[i>>3] |= 1 << (i & 7) }

// NewBitmap is an empty set over n columns.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// parseTable reads the body of a table map behind its id: flags 2, schema, name, column types, metadata, nullability, and
// optional metadata. Source: Table_map_event, libs/mysql/binlog/event/rows_event.h.
func parseTable(f *Format, body []byte) (*Table, error) {
	t := &Table{Raw: bytes.Clone(body), idLen: f.tableIDLen(TypeTableMap)}
	c := cutter{rest: t.Raw}
	flags := c.take(2)
	schema := c.take(int(c.byte()))
	c.nul("schema")
	name := c.take(int(c.byte()))
	c.nul("table name")
	if c.err != nil {
		return nil, c.err
	}
	t.Flags = binary.LittleEndian.Uint16(flags)
	t.Schema, t.Name = string(schema), string(name)
	if err := t.parseColumns(&c); err != nil {
		return nil, fmt.Errorf("table %s.%s: %w", t.Schema, t.Name, err)
	}
	if err := t.parseOptional(c.rest); err != nil {
		return nil, fmt.Errorf("table %s.%s: optional metadata: %w", t.Schema, t.Name, err)
	}
	t.all = NewBitmap(len(t.Columns))
	for i := range t.Columns {
		t.all.Set(i)
	}
	return t, nil
}

func (t *Table) parseColumns(c *cutter) error {
	count := c.count("columns")
	types := c.take(count)
	meta := cutter{rest: c.take(c.count("metadata")), err: c.err}
	nulls := Bitmap(c.take((count + 7) / 8))
	if c.err != nil {
		return c.err
	}
	t.Columns = make([]Column, count)
	t.steps = make([]step, count)
	for i := range t.Columns {
		col, s, err := parseColumn(ColumnType(types[i]), &meta)
		if err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
		col.Nullable = nulls.Has(i)
		t.Columns[i], t.steps[i] = col, s
	}
	if len(meta.rest) > 0 {
		return fmt.Errorf("%d bytes of metadata are left over", len(meta.rest))
	}
	return nil
}

// cutter cuts bytes from the front and keeps the first error.
type cutter struct {
	rest []byte
	err  error
}

// take returns the next n bytes, nil when there are fewer.
func (c *cutter) take(n int) []byte {
	if c.err != nil || len(c.rest) < n {
		return c.short(n)
	}
	part := c.rest[:n]
	c.rest = c.rest[n:]
	return part
}

// short keeps the error that fewer than n bytes are left, if it is the first one.
func (c *cutter) short(n int) []byte {
	if c.err == nil {
		c.err = fmt.Errorf("it is cut: %d bytes are wanted, %d are left", n, len(c.rest))
	}
	return nil
}

func (c *cutter) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cutter) nul(what string) {
	if b := c.byte(); c.err == nil && b != 0 {
		c.err = fmt.Errorf("%s does not end with NUL", what)
	}
}

// packed reads a length-encoded number, as the client protocol has them.
func (c *cutter) packed() uint64 {
	switch b := c.byte(); b {
	case 0xfc:
		return c.fixed(2)
	case 0xfd:
		return c.fixed(3)
	case 0xfe:
		return c.fixed(8)
	case 0xfb, 0xff:
		if c.err == nil {
			c.err = fmt.Errorf("%#x does not begin a length", b)
		}
		return 0
	default:
		return uint64(b)
	}
}

func (c *cutter) fixed(n int) uint64 {
	if b := c.take(n); b != nil {
		return uintN(b, n)
	}
	return 0
}

// count reads a packed number that cannot be more than the bytes that follow it.
func (c *cutter) count(what string) int {
	n := c.packed()
	if c.err == nil && n > uint64(len(c.rest)) {
		c.err = fmt.Errorf("%d %s in %d bytes", n, what, len(c.rest))
	}
	if c.err != nil {
		return 0
	}
	return int(n)
}
