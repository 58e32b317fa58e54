package binlog

// ColumnType is the type of a column as a table map states it, the real one where the map hides it (ENUM and
// SET in a string).
type ColumnType uint8

// Column is a column as a table map describes it.
type Column struct {
	Type     ColumnType
	Meta     uint16 // as in the table map, decoded to one number by type
	Nullable bool
}

// Table is the layout of a table as the log gives it. Two tables with the same bytes are the same pointer
// as long as they come from the same TableCache.
type Table struct {
	ID      uint64
	Flags   uint16
	Schema  string
	Name    string
	Columns []Column
	Raw     []byte // body of the event, a copy
	// Optional metadata (binlog_row_metadata), nil or empty where the log has none.
	Unsigned    Bitmap   // of all columns; MySQL 8.0+, MariaDB 10.5+ write it always for numbers
	HasUnsigned bool     // whether Unsigned is known
	ColumnNames []string // FULL alone
}

// SameLayout tells whether rows of t and o have columns of the same number, types, metadata and nullability.
func (t *Table) SameLayout(o *Table) bool { return false }

// TableCache parses table maps, once for the same bytes. It belongs to one goroutine.
type TableCache struct{}

// Parse returns the table of a table map event and keeps it under its id until another one has that id.
func (c *TableCache) Parse(f *Format, ev *Event) (*Table, error) { return nil, errNotBuilt }

// Table returns the table last parsed under an id, nil if none.
func (c *TableCache) Table(id uint64) *Table { return nil }

// Clear forgets all ids, as the end of a statement does (STMT_END on a rows event).
func (c *TableCache) Clear() {}

// Bitmap is a set of columns, least significant bit of the first byte first, as in rows events.
type Bitmap []byte

func (b Bitmap) Has(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }
func (b Bitmap) Set(i int)      { b[i>>3] |= 1 << (i & 7) }

// NewBitmap is an empty set over n columns.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }
