package binlog

// RowsKind is what a rows event does.
type RowsKind uint8

// The kinds.
const (
	WriteRows RowsKind = iota + 1
	UpdateRows
	DeleteRows
	PartialUpdateRows // partial JSON
)

// Flags of a rows event. Source: enum_flag of Rows_event, libs/mysql/binlog/event/rows_event.h.
const (
	StmtEnd             uint16 = 0x01
	NoForeignKeyChecks  uint16 = 0x02
	RelaxedUniqueChecks uint16 = 0x04
	CompleteRows        uint16 = 0x08
	UseSQLForeignKey    uint16 = 0x10 // MySQL 9.6+: the cascades of this change are in the log
)

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

// ParseRows reads a rows event. lookup gives the table of its id; a rows event without one is an error.
func ParseRows(f *Format, ev *Event, lookup func(id uint64) *Table) (Rows, error) {
	return Rows{}, errNotBuilt
}

// Span is where a column's value lies in an image: image[Start:End], length bytes included. A NULL has
// Start == End == 0 and IsNull, a column that is not present in the image Absent.
type Span struct {
	Start, End uint32
	State      SpanState
}

// SpanState says what a Span is.
type SpanState uint8

// The states.
const (
	Value SpanState = iota
	IsNull
	Absent
)

// Image finds the bounds of one row image at the start of data and returns its length. spans has one place for
// each column of the table and is filled. An image that is cut or does not make sense is an error.
func (t *Table) Image(data []byte, present Bitmap, spans []Span) (int, error) { return 0, errNotBuilt }

// ImageLen is Image without the bounds.
func (t *Table) ImageLen(data []byte, present Bitmap) (int, error) { return 0, errNotBuilt }

// AppendImage appends an image with the columns of present, whose values are taken from an image and its
// spans. Every column of present must not be Absent in spans.
func AppendImage(dst []byte, t *Table, present Bitmap, image []byte, spans []Span) []byte { return nil }

// Builder writes plain events for a BINLOG statement: no checksums, positions zero, server id as given.
type Builder struct {
	Flavor   Flavor
	ServerID uint32
}

// AppendFormat appends the log's format description event with its checksum algorithm set to none.
func (b *Builder) AppendFormat(dst []byte, f *Format) []byte { return nil }

// AppendTableMap appends a table map event for t under the given id.
func (b *Builder) AppendTableMap(dst []byte, t *Table, id uint64) []byte { return nil }

// BeginRows appends a rows event up to its images and returns where it starts; EndRows, called after the
// images have been appended, writes its length. MySQL gets version 2, MariaDB version 1.
func (b *Builder) BeginRows(dst []byte, kind RowsKind, t *Table, id uint64, flags uint16, before, after Bitmap) ([]byte, int) {
	return nil, 0
}

func (b *Builder) EndRows(dst []byte, start int) []byte { return nil }
