package binlog

import (
	"encoding/binary"
	"fmt"
	"math"
)

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
//
// An image is a bit for each present column, set where it is NULL, and then the values of the others.
func (t *Table) Image(data []byte, present Bitmap, spans []Span) (int, error) {
	if len(spans) < len(t.steps) {
		return 0, fmt.Errorf("read row of %s.%s: %d spans for %d columns", t.Schema, t.Name, len(spans), len(t.steps))
	}
	nulls, err := t.nullBits(data, present)
	if err != nil {
		return 0, err
	}
	pos, bit, whole := len(nulls), 0, t.isAll(present)
	for i, s := range t.steps {
		if !whole && !present.Has(i) {
			spans[i] = Span{State: Absent}
			continue
		}
		null := nulls[bit>>3]&(1<<(bit&7)) != 0
		bit++
		if null {
			spans[i] = Span{State: IsNull}
			continue
		}
		end := s.end(data, pos)
		if end > len(data) || end > math.MaxUint32 {
			return 0, t.badImage(data, i, pos)
		}
		spans[i] = Span{Start: uint32(pos), End: uint32(end)}
		pos = end
	}
	return pos, nil
}

// ImageLen is Image without the bounds.
func (t *Table) ImageLen(data []byte, present Bitmap) (int, error) {
	nulls, err := t.nullBits(data, present)
	if err != nil {
		return 0, err
	}
	pos, bit, whole := len(nulls), 0, t.isAll(present)
	for i, s := range t.steps {
		if !whole && !present.Has(i) {
			continue
		}
		null := nulls[bit>>3]&(1<<(bit&7)) != 0
		bit++
		if null {
			continue
		}
		end := s.end(data, pos)
		if end > len(data) {
			return 0, t.badImage(data, i, pos)
		}
		pos = end
	}
	return pos, nil
}

// tooLong is what end returns for a value that is not in the data: longer than any image.
const tooLong = math.MaxInt

// end is where the value that begins at pos ends.
func (s step) end(data []byte, pos int) int {
	switch s.how {
	case walkFixed:
		return pos + int(s.size)
	case walkLen1:
		if pos < len(data) {
			return pos + 1 + int(data[pos])
		}
	case walkLen2:
		if pos+2 <= len(data) {
			return pos + 2 + int(binary.LittleEndian.Uint16(data[pos:]))
		}
	case walkLen3:
		if pos+3 <= len(data) {
			return pos + 3 + int(uintN(data[pos:], 3))
		}
	case walkLen4:
		if pos+4 <= len(data) {
			return pos + 4 + int(binary.LittleEndian.Uint32(data[pos:]))
		}
	}
	return tooLong
}

// nullBits are the bits at the start of an image.
func (t *Table) nullBits(data []byte, present Bitmap) ([]byte, error) {
	if len(present) != len(t.all) {
		return nil, fmt.Errorf("read row of %s.%s: columns of %d bytes for %d columns", t.Schema, t.Name, len(present), len(t.steps))
	}
	n := len(t.all)
	if !t.isAll(present) {
		n = (present.count(len(t.steps)) + 7) / 8
	}
	if len(data) < n {
		return nil, fmt.Errorf("read row of %s.%s: its NULL bits take %d bytes, %d are left", t.Schema, t.Name, n, len(data))
	}
	return data[:n], nil
}

// isAll tells whether present holds every column. The bits behind the last column may be anything.
func (t *Table) isAll(present Bitmap) bool {
	for i := range t.all {
		if present[i]&t.all[i] != t.all[i] {
			return false
		}
	}
	return true
}

// count is how many of the first n columns are in the set.
func (b Bitmap) count(n int) int {
	count := 0
	for i := range n {
		if b.Has(i) {
			count++
		}
	}
	return count
}

// any tells whether one of the first n columns is in the set; nil has none.
func (b Bitmap) any(n int) bool {
	if b == nil {
		return false
	}
	for i := range n {
		if b.Has(i) {
			return true
		}
	}
	return false
}

func (t *Table) badImage(data []byte, column, pos int) error {
	if t.steps[column].how == walkNever {
		return fmt.Errorf("read row of %s.%s: column %d has type %d, whose values are not known", t.Schema, t.Name, column+1, t.Columns[column].Type)
	}
	return fmt.Errorf("read row of %s.%s: column %d of type %d does not fit: it begins at %d of %d bytes",
		t.Schema, t.Name, column+1, t.Columns[column].Type, pos, len(data))
}

// AppendImage appends an image with the columns of present, whose values are taken from an image and its
// spans. Every column of present must not be Absent in spans. The bits behind the last NULL bit are zero, as
// MySQL 8.0 and later write them; MariaDB sets them, and no server reads them.
func AppendImage(dst []byte, t *Table, present Bitmap, image []byte, spans []Span) []byte {
	start := len(dst)
	n := (present.count(len(t.steps)) + 7) / 8
	for range n {
		dst = append(dst, 0)
	}
	bit := 0
	for i := range t.steps {
		if !present.Has(i) {
			continue
		}
		if s := spans[i]; s.State == Value {
			dst = append(dst, image[s.Start:s.End]...)
		} else {
			dst[start+bit>>3] |= 1 << (bit & 7)
		}
		bit++
	}
	return dst
}
