package fold

import (
	"bytes"
	"cmp"
	"unsafe"

	"interlock/replay/binlog"
)

const bagEntryBytes = int64(unsafe.Sizeof(bagEntry{}))

// bagEntry is one image of a multiset and how many more rows of it there are than before the epoch.
type bagEntry struct {
	image ref
	count int64
	len   uint32
	// context is one under which such a row came. It does for all of them: the check sees the same bytes.
	context Context
}

// ComputedWithoutKey is why a table is not folded in which rows are found by columns that the server computes: two
// events may show one row with other values of these (MariaDB 10.11: a stored column that depends on the session's time
// zone; a row under +00:00 is deleted under +09:00 by what it would be there).
const ComputedWithoutKey = "computed columns, and no key"

// addToMultiset folds the rows of an event into a table without a key (invariant 8). All rows are read before
// the first is counted.
func (s *table) addToMultiset(rows *binlog.Rows, before, after uint16, ctx Context) error {
	switch {
	case len(rows.Data) == 0:
		return s.addNoData(rows)
	case before != allCols:
		return &NeedsOrder{s.Name, "partial row images, and no key"}
	case rows.Kind == binlog.WriteRows && after != allCols:
		return &NeedsOrder{s.Name, "an insert that leaves out columns, and no key"}
	case s.Recomputed:
		return &NeedsOrder{s.Name, ComputedWithoutKey}
	}
	for data := rows.Data; len(data) > 0; {
		n, err := s.parseRow(rows.Kind, data, before, after)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	for data := rows.Data; len(data) > 0; {
		n, err := s.parseRow(rows.Kind, data, before, after)
		if err != nil {
			return err
		}
		data = data[n:]
		if rows.Kind != binlog.WriteRows {
			s.tally(s.before.data, -1, 0)
		}
		if rows.Kind != binlog.DeleteRows {
			s.tally(s.wholeAfter(), 1, ctx)
			s.count(&s.after)
		}
		s.changes++
		if rows.Kind == binlog.UpdateRows {
			s.bagUpdates++
		}
	}
	return nil
}

// wholeAfter is the after-image last read, completed from the before-image where columns are missing
// (FULL_NODUP of MariaDB).
func (s *table) wholeAfter() []byte {
	if s.after.cols == allCols {
		return s.after.data
	}
	m := &s.merged
	m.clear()
	for c, sp := range s.after.spans {
		if sp.State != binlog.Absent {
			m.add(c, sp, s.after.data)
		} else {
			m.add(c, s.before.spans[c], s.before.data)
		}
	}
	return m.done()
}

// tally adds to an image's count; ctx is that of a row that comes.
func (s *table) tally(image []byte, by int64, ctx Context) {
	s.key = append(s.key[:0], image...)
	closeNulls(s.key[:len(s.bitmap)], len(s.Layout.Columns))
	hash := s.hash(s.key)
	if len(s.index.slots) > 0 {
		mask := uint32(len(s.index.slots) - 1)
		for i := hash >> s.index.shift; s.index.slots[i] != 0; i = (i + 1) & mask {
			slot := s.index.slots[i]
			if uint32(slot>>32) != hash {
				continue
			}
			b := s.bag.at(uint32(slot) - 1)
			if bytes.Equal(s.e.images.at(b.image, int(b.len)), s.key) {
				b.count += by
				if by > 0 {
					b.context = ctx
				}
				return
			}
		}
	}
	s.makeRoom()
	number := s.bag.add(s.e.bagSlab)
	s.index.add(hash, number)
	*s.bag.at(number) = bagEntry{image: s.e.images.copyIn(s.key), len: uint32(len(s.key)), count: by, context: ctx}
}

// bagOutcome is the net effect on a multiset.
func (s *table) bagOutcome() (Outcome, error) {
	o := Outcome{Table: s.Table, AutoIncrement: s.auto, Changes: s.changes}
	var goes, comes int
	var gone, came int64
	lists := s.e.sortLists(s.bag.n)
	defer s.e.keepLists(lists)
	items := lists.items[:0]
	for i := range uint32(s.bag.n) {
		b := s.bag.at(i)
		switch {
		case b.count == 0:
			continue
		case b.count < 0:
			goes++
			gone -= b.count
		default:
			comes++
			came += b.count
		}
		image := s.e.images.at(b.image, int(b.len))
		high, low := prefixOf(image[len(s.bitmap):])
		items = append(items, sortItem{high, low, i})
	}
	sortItems(items, lists.other, s.compareImages)
	o.Goes, o.Comes = s.e.changes(goes), s.e.changes(comes)
	for _, it := range items {
		b := s.bag.at(it.number)
		image := s.e.images.at(b.image, int(b.len))
		if b.count < 0 {
			o.Goes = append(o.Goes, Change{Kind: Delete, Before: image, BeforeCols: s.sets[allCols], Count: int(-b.count)})
		} else {
			o.Comes = append(o.Comes, Change{Kind: Insert, Context: s.comesUnder(b.context), After: image, AfterCols: s.sets[allCols], Count: int(b.count)})
		}
	}
	// An update stands for one row that goes and one that comes.
	o.Folded = s.changes - (gone + came - min(gone, came, s.bagUpdates))
	return o, nil
}

// compareImages orders two images whose first values are the same: the values first, then the NULLs.
func (s *table) compareImages(i, j uint32) int {
	x, y := s.bag.at(i), s.bag.at(j)
	a, b := s.e.images.at(x.image, int(x.len)), s.e.images.at(y.image, int(y.len))
	nulls := len(s.bitmap)
	return cmp.Or(bytes.Compare(a[nulls:], b[nulls:]), bytes.Compare(a[:nulls], b[:nulls]))
}
