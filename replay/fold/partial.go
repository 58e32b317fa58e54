package fold

import (
	"bytes"
	"fmt"

	"interlock/replay/binlog"
)

// mix is an image that is put together from columns of others.
type mix struct {
	set           binlog.Bitmap
	present       int
	nulls, values []byte
	data          []byte
}

func (m *mix) clear() {
	clear(m.set)
	m.present, m.nulls, m.values, m.data = 0, m.nulls[:0], m.values[:0], m.data[:0]
}

// add appends column c, whose place is sp in an image. Columns are added in ascending order.
func (m *mix) add(c int, sp binlog.Span, image []byte) {
	m.set.Set(c)
	if m.present&7 == 0 {
		m.nulls = append(m.nulls, 0)
	}
	if sp.State == binlog.IsNull {
		m.nulls[m.present>>3] |= 1 << (m.present & 7)
	} else {
		m.values = append(m.values, image[sp.Start:sp.End]...)
	}
	m.present++
}

// done makes the image out of what was added.
func (m *mix) done() []byte {
	closeNulls(m.nulls, m.present)
	m.data = append(append(m.data, m.nulls...), m.values...)
	return m.data
}

// union merges the images of an update with what is known of the row: a column is as the update left it, else
// as it found it, else as an earlier change left it. The result lies in s.merged.data, its bounds in
// s.mergedSpans, and its set is returned. x may know nothing.
func (s *table) union(x *entry, before, after *image) (uint16, error) {
	var cur []byte
	if x.known&there != 0 {
		cur = s.e.images.at(x.cur, int(x.curLen))
		if _, err := s.layout.Image(cur, s.sets[x.curCols], s.known); err != nil {
			return 0, fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
		}
	}
	m := &s.merged
	m.clear()
	for c := range after.spans {
		switch {
		case after.spans[c].State != binlog.Absent:
			m.add(c, after.spans[c], after.data)
		case before.spans[c].State != binlog.Absent:
			m.add(c, before.spans[c], before.data)
		case cur != nil && s.known[c].State != binlog.Absent:
			m.add(c, s.known[c], cur)
		}
	}
	cols, ok := s.number(m.set)
	if !ok {
		return 0, &NeedsOrder{s.Name, fmt.Sprintf("row images with more than %d sets of columns", maxColumnSets)}
	}
	if _, err := s.layout.Image(m.done(), m.set, s.mergedSpans); err != nil {
		return 0, fmt.Errorf("fold %s: read merged image: %w", s.Name, err)
	}
	return cols, nil
}

// merge folds an update that keeps the key, of which some columns are not in the log (invariant 5).
func (s *table) merge(x *entry, i uint32, before, after *image, ctx Context) error {
	cols, err := s.union(x, before, after)
	if err != nil {
		return err
	}
	base, baseCols, err := s.baseWith(x, before)
	if err != nil {
		return err
	}
	if cols != allCols && x.known&born == 0 {
		// The row is one from before the epoch that cannot be put back whole.
		if s.PartialUnsafe {
			return &NeedsOrder{s.Name, "partial row images, and a unique index over an expression"}
		}
		altered, err := s.alters(base, baseCols)
		if err != nil {
			return err
		}
		if altered {
			return &NeedsOrder{s.Name, "a partial row image that alters a column of a unique index"}
		}
	}
	s.e.undo.remember(i, x)
	if x.known == 0 {
		x.baseContext = ctx
	}
	if x.known == 0 || x.known&hasBase != 0 && baseCols != x.baseCols {
		s.setBase(x, base, baseCols)
	}
	s.setCur(x, s.merged.data, cols)
	x.known = x.known&^doubtful | seen | there | counted
	if s.Unnamed && after.cols != allCols {
		x.known |= doubtful
	}
	x.context = ctx
	return nil
}

// baseWith returns the row as it was before the epoch, as far as it is known: what the before-image of an
// update has that no change of the epoch has touched was so from the beginning.
func (s *table) baseWith(x *entry, before *image) ([]byte, uint16, error) {
	if x.known == 0 {
		return before.data, before.cols, nil
	}
	if x.known&hasBase == 0 {
		return nil, 0, nil
	}
	base := s.e.images.at(x.base, int(x.baseLen))
	if x.known&(born|doubtful) != 0 || x.baseCols == allCols {
		return base, x.baseCols, nil // another row by now, or the target's may be otherwise, or known whole
	}
	was, cur := s.sets[x.baseCols], s.sets[x.curCols]
	grown := false
	for c := range before.spans {
		grown = grown || before.spans[c].State != binlog.Absent && !cur.Has(c) && !was.Has(c)
	}
	if !grown {
		return base, x.baseCols, nil
	}
	if _, err := s.layout.Image(base, was, s.known); err != nil {
		return nil, 0, fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
	}
	m := &s.base
	m.clear()
	for c := range before.spans {
		switch {
		case was.Has(c):
			m.add(c, s.known[c], base)
		case before.spans[c].State != binlog.Absent && !cur.Has(c):
			m.add(c, before.spans[c], before.data)
		}
	}
	cols, ok := s.number(m.set)
	if !ok {
		return base, x.baseCols, nil // to know less of it is no harm
	}
	return m.done(), cols, nil
}

// alters tells whether the merged image differs from base in a column of a unique index, or may: a column
// that the base lacks was set by an update.
func (s *table) alters(base []byte, baseCols uint16) (bool, error) {
	if _, err := s.layout.Image(base, s.sets[baseCols], s.known); err != nil {
		return false, fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
	}
	for c, m := range s.mergedSpans {
		if !s.unique.Has(c) || m.State == binlog.Absent {
			continue
		}
		if k := s.known[c]; k.State != m.State || !bytes.Equal(base[k.Start:k.End], s.merged.data[m.Start:m.End]) {
			return true, nil
		}
	}
	return false, nil
}

// move folds an update that alters the key: the old key's row goes, the new key's row comes (invariant 1).
func (s *table) move(i uint32, before, after *image, ctx Context) error {
	x := s.entries.at(i)
	cols, err := s.union(x, before, after)
	if err != nil {
		return err
	}
	if cols != allCols && x.known&born == 0 {
		return &NeedsOrder{s.Name, "a partial row image that alters the key"}
	}
	merged := image{data: s.merged.data, cols: cols, spans: s.mergedSpans}
	key, err := s.keyImage(s.newKey[:0], &merged, before)
	if err != nil {
		return err
	}
	s.newKey = key
	j := s.lookup(key) // may move entries: x is not to be used any more
	if s.entries.at(j).known&there != 0 {
		return s.chain("update to another key", "a row with that key is there already", key)
	}
	s.depart(i, before, ctx)
	s.arrive(j, s.merged.data, cols, ctx)
	return nil
}
