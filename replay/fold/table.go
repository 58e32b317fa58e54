package fold

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"interlock/replay/binlog"
)

// allCols is the number of the set of all columns.
const allCols = 0

// maxColumnSets is how many sets of columns a table's images may have in an epoch: far more than sessions
// make, and their number fits an entry.
const maxColumnSets = 4096

// table is what an epoch knows of a table.
type table struct {
	*Table
	e      *Epoch
	layout *binlog.Table // of the last rows; the same columns as Layout

	sets    []binlog.Bitmap // column sets by number; allCols first
	numbers map[string]uint16
	unique  binlog.Bitmap // Unique and Key
	keySet  uint16        // number of the set of key columns
	keyCols []int         // ascending, as images have them
	keyHead []byte        // null bitmap of a key image: no NULLs, unused bits set as the servers do

	index   index
	entries list[entry]
	bag     list[bagEntry] // of a multiset

	changes int64
	held    int64  // as the epoch has it in its sum
	rows    int64  // likewise
	auto    uint64 // largest value of the AUTO_INCREMENT column

	// Scratch.
	before, after image
	known         []binlog.Span
	key, newKey   []byte
	bitmap        binlog.Bitmap
	merged        mix // the row after a partial update
	base          mix // the row before the epoch, as far as it is known
	mergedSpans   []binlog.Span

	// Of a multiset.
	bagUpdates int64 // updates among its changes
}

// image is a row image with the bounds of its columns.
type image struct {
	data  []byte
	cols  uint16 // number of its column set
	spans []binlog.Span
}

func newTable(e *Epoch, t *Table) (*table, error) {
	if t.Layout == nil {
		return nil, fmt.Errorf("fold %s: the table has no layout", t.Name)
	}
	n := len(t.Layout.Columns)
	if len(t.Orders) != len(t.Key) {
		return nil, fmt.Errorf("fold %s: %d key columns with %d orders", t.Name, len(t.Key), len(t.Orders))
	}
	if t.AutoIncrement >= n {
		return nil, fmt.Errorf("fold %s: AUTO_INCREMENT in column %d of %d", t.Name, t.AutoIncrement+1, n)
	}
	s := &table{Table: t, e: e, layout: t.Layout, numbers: map[string]uint16{}}
	s.merged.set, s.base.set = binlog.NewBitmap(n), binlog.NewBitmap(n)
	s.unique, s.bitmap = binlog.NewBitmap(n), binlog.NewBitmap(n)
	copy(s.unique, t.Unique)
	all, key := binlog.NewBitmap(n), binlog.NewBitmap(n)
	for i := range n {
		all.Set(i)
	}
	for _, c := range t.Key {
		if c < 0 || c >= n {
			return nil, fmt.Errorf("fold %s: key column %d of %d", t.Name, c+1, n)
		}
		key.Set(c)
		s.unique.Set(c)
	}
	s.number(all)
	s.keySet, _ = s.number(key)
	s.keyCols = slices.Sorted(slices.Values(t.Key))
	s.keyCols = slices.Compact(s.keyCols)
	s.keyHead = binlog.NewBitmap(len(s.keyCols))
	closeNulls(s.keyHead, len(s.keyCols))
	s.before.spans, s.after.spans = make([]binlog.Span, n), make([]binlog.Span, n)
	s.known, s.mergedSpans = make([]binlog.Span, n), make([]binlog.Span, n)
	return s, nil
}

// closeNulls sets the bits of a null bitmap that stand for no column, as both servers write them.
func closeNulls(nulls []byte, columns int) {
	if rest := columns & 7; rest != 0 {
		nulls[len(nulls)-1] |= 0xff << rest
	}
}

// number returns the number of a column set; the same set has the same number and the same slice.
func (s *table) number(set binlog.Bitmap) (uint16, bool) {
	if n, ok := s.numbers[string(set)]; ok {
		return n, true
	}
	if len(s.sets) == maxColumnSets {
		return 0, false
	}
	n := uint16(len(s.sets))
	s.sets = append(s.sets, slices.Clone(set))
	s.numbers[string(set)] = n
	return n, true
}

// columns returns the numbers of an event's column sets.
func (s *table) columns(rows *binlog.Rows) (before, after uint16, err error) {
	switch rows.Kind {
	case binlog.WriteRows:
		after, err = s.column(rows.After)
	case binlog.DeleteRows:
		before, err = s.column(rows.Before)
	case binlog.UpdateRows:
		if before, err = s.column(rows.Before); err == nil {
			after, err = s.column(rows.After)
		}
	default:
		err = fmt.Errorf("fold %s: rows of unknown kind %d", s.Name, rows.Kind)
	}
	return before, after, err
}

func (s *table) column(set binlog.Bitmap) (uint16, error) {
	if bytes.Equal(set, s.sets[allCols]) {
		return allCols, nil
	}
	if len(set) != len(s.bitmap) {
		return 0, fmt.Errorf("fold %s: rows with a set of %d bytes for %d columns", s.Name, len(set), len(s.Layout.Columns))
	}
	copy(s.bitmap, set)
	if rest := len(s.Layout.Columns) & 7; rest != 0 { // what is beyond the last column says nothing
		s.bitmap[len(set)-1] &= 1<<rest - 1
	}
	n, ok := s.number(s.bitmap)
	if !ok {
		return 0, &NeedsOrder{s.Name, fmt.Sprintf("row images with more than %d sets of columns", maxColumnSets)}
	}
	return n, nil
}

// parse reads the image at the start of data and returns its length.
func (s *table) parse(im *image, data []byte, cols uint16) (int, error) {
	n, err := s.layout.Image(data, s.sets[cols], im.spans)
	if err != nil {
		return 0, fmt.Errorf("fold %s: read row image: %w", s.Name, err)
	}
	im.data, im.cols = data[:n], cols
	return n, nil
}

// hash is that of a key image.
func (s *table) hash(key []byte) uint32 { return uint32(maphash.Bytes(s.e.seed, key) >> 32) }

// makeRoom lets the index grow before an add.
func (s *table) makeRoom() {
	if s.index.full() {
		old := s.index.grown(s.e.slots(max(firstSlots, 2*len(s.index.slots))))
		s.e.keepSlots(old)
	}
}

// count takes an after-image's AUTO_INCREMENT value.
func (s *table) count(im *image) {
	if s.AutoIncrement < 0 {
		return
	}
	if sp := im.spans[s.AutoIncrement]; sp.State == binlog.Value {
		s.auto = max(s.auto, counter(im.data[sp.Start:sp.End], s.AutoOrder))
	}
}
