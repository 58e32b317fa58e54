package binlog

import "fmt"

// step is how to walk past one column's value.
type step struct {
	how  how
	size uint32 // bytes of the value when it is fixed
}

type how uint8

const (
	walkFixed how = iota // size bytes
	walkLen1             // 1 byte of length, then the value
	walkLen2
	walkLen3
	walkLen4
	walkNever // its form in an image is not known
)

// parseColumn reads a column's metadata. How long a value is follows calc_field_size,
// libs/mysql/binlog/event/binary_log_funcs.cpp; what the metadata are, from Table_map_event's table of types.
func parseColumn(t ColumnType, meta *cutter) (Column, step, error) {
	col := Column{Type: t}
	var s step
	switch t {
	case ColTiny, ColYear:
		s.size = 1
	case ColShort:
		s.size = 2
	case ColInt24, ColDate, ColNewDate, ColTime:
		s.size = 3
	case ColLong, ColTimestamp:
		s.size = 4
	case ColLongLong, ColDatetime:
		s.size = 8
	case ColNull:
	case ColFloat, ColDouble:
		col.Meta = uint16(meta.byte())
		if col.Meta != 4 && col.Meta != 8 && meta.err == nil {
			return col, s, fmt.Errorf("type %d of %d bytes", t, col.Meta)
		}
		s.size = uint32(col.Meta)
	case ColTime2, ColDatetime2, ColTimestamp2:
		col.Meta = uint16(meta.byte())
		if col.Meta > 6 {
			return col, s, fmt.Errorf("fraction of %d digits", col.Meta)
		}
		base := map[ColumnType]uint32{ColTime2: 3, ColDatetime2: 5, ColTimestamp2: 4}
		s.size = base[t] + uint32(col.Meta+1)/2
	case ColBlob, ColTinyBlob, ColMediumBlob, ColLongBlob, ColJSON, ColGeometry, ColVector, ColBlobCompressed:
		col.Meta = uint16(meta.byte())
		if (col.Meta < 1 || col.Meta > 4) && meta.err == nil {
			return col, s, fmt.Errorf("type %d with lengths of %d bytes", t, col.Meta)
		}
		s.how = walkLen1 + how(col.Meta) - 1
	case ColVarchar, ColVarString, ColVarcharCompressed:
		col.Meta = uint16(meta.fixed(2))
		s.how = byLength(col.Meta)
	case ColBit:
		col.Meta = uint16(meta.fixed(2))
		whole, over := col.Meta>>8, col.Meta&0xff
		if over > 7 || whole > 8 {
			return col, s, fmt.Errorf("BIT of %d bytes and %d bits", whole, over)
		}
		s.size = uint32(whole)
		if over > 0 {
			s.size++
		}
	case ColNewDecimal:
		precision, scale := meta.byte(), meta.byte()
		col.Meta = uint16(precision)<<8 | uint16(scale)
		if meta.err == nil && (precision == 0 || precision > 65 || scale > 38 || scale > precision) {
			return col, s, fmt.Errorf("DECIMAL(%d,%d)", precision, scale)
		}
		s.size = decimalSize(int(precision), int(scale))
	case ColString, ColEnum, ColSet:
		return parseStringColumn(col, meta)
	case ColTypedArray:
		return parseArrayColumn(col, meta)
	default:
		return col, s, fmt.Errorf("type %d is not known: the server is newer than this program", t)
	}
	return col, s, meta.err
}

func byLength(longest uint16) how {
	if longest > 255 {
		return walkLen2
	}
	return walkLen1
}

// parseStringColumn reads the two bytes of a CHAR, whose first one is a type: that of an ENUM or a SET, or 254
// with two bits of the length turned over in it, since a length of more than 255 does not fit into the second.
func parseStringColumn(col Column, meta *cutter) (Column, step, error) {
	b0, b1 := meta.byte(), meta.byte()
	switch inner := ColumnType(b0); {
	case meta.err != nil:
		return col, step{}, meta.err
	case inner == ColEnum || inner == ColSet:
		col.Type, col.Meta = inner, uint16(b1)
		if b1 == 0 || b1 > 8 || inner == ColEnum && b1 > 2 {
			return col, step{}, fmt.Errorf("type %d of %d bytes", inner, b1)
		}
		return col, step{size: uint32(b1)}, nil
	case b0|0x30 != byte(ColString):
		return col, step{}, fmt.Errorf("CHAR with metadata %#x %#x", b0, b1)
	}
	col.Meta = uint16(b0&0x30^0x30)<<4 | uint16(b1)
	return col, step{how: byLength(col.Meta)}, nil
}

// parseArrayColumn reads the metadata of a multi-valued index's hidden column: the type of the elements and
// their metadata, a length of three bytes for strings. Source: Field_typed_array::do_save_field_metadata,
// sql/field.cc. The servers leave such columns out of row images.
func parseArrayColumn(col Column, meta *cutter) (Column, step, error) {
	switch element := ColumnType(meta.byte()); element {
	case ColVarchar:
		meta.take(3)
	case ColNewDecimal:
		meta.take(2)
	case ColTime2, ColDatetime2, ColTimestamp2:
		meta.take(1)
	case ColLongLong, ColNewDate, ColDate, ColYear, ColTiny, ColShort, ColLong, ColInt24:
	default:
		if meta.err == nil {
			return col, step{}, fmt.Errorf("array of type %d is not known", element)
		}
	}
	return col, step{how: walkNever}, meta.err
}

// decimalSize is the length of a DECIMAL: nine digits take four bytes, fewer take as many as they need.
func decimalSize(precision, scale int) uint32 {
	if scale > precision {
		return 0
	}
	bytesOf := [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}
	whole := precision - scale
	return uint32(whole/9*4 + bytesOf[whole%9] + scale/9*4 + bytesOf[scale%9])
}

// numeric tells whether the table map has a sign bit for a type. YEAR has one (seen in MySQL 9.7 and MariaDB
// 10.11), though mysqlbinlog's own list of numeric types leaves it out.
func (t ColumnType) numeric() bool {
	switch t {
	case ColTiny, ColShort, ColInt24, ColLong, ColLongLong, ColYear, ColNewDecimal, ColFloat, ColDouble:
		return true
	}
	return false
}

// Fields of the optional metadata that are read. Source: Optional_metadata_field_type,
// libs/mysql/binlog/event/rows_event.h.
const (
	optionalSignedness = 1
	optionalNames      = 4
)

// parseOptional reads fields of type 1, packed length and value. Those that are not needed are passed over.
func (t *Table) parseOptional(rest []byte) error {
	c := cutter{rest: rest}
	for len(c.rest) > 0 {
		field := c.byte()
		value := c.take(c.count("bytes"))
		if c.err != nil {
			return c.err
		}
		switch field {
		case optionalSignedness:
			if err := t.parseSigns(value); err != nil {
				return err
			}
		case optionalNames:
			if err := t.parseNames(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseSigns spreads the bits of the numeric columns, most significant first, over all columns.
func (t *Table) parseSigns(bits []byte) error {
	t.Unsigned, t.HasUnsigned = NewBitmap(len(t.Columns)), true
	n := 0
	for i, col := range t.Columns {
		if !col.Type.numeric() {
			continue
		}
		if n/8 >= len(bits) {
			return fmt.Errorf("signs of %d numeric columns in %d bytes", n+1, len(bits))
		}
		if bits[n/8]&(0x80>>(n%8)) != 0 {
			t.Unsigned.Set(i)
		}
		n++
	}
	return nil
}

func (t *Table) parseNames(value []byte) error {
	c := cutter{rest: value}
	names := make([]string, 0, len(t.Columns))
	for c.err == nil && len(c.rest) > 0 {
		names = append(names, string(c.take(c.count("bytes of a name"))))
	}
	if c.err != nil {
		return c.err
	}
	if len(names) != len(t.Columns) {
		return fmt.Errorf("%d names for %d columns", len(names), len(t.Columns))
	}
	t.ColumnNames = names
	return nil
}
