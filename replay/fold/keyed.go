package fold

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"interlock/replay/binlog"
)

func (x *entry) longKey() ref     { return ref(binary.LittleEndian.Uint64(x.key[:])) }
func (x *entry) setLongKey(r ref) { binary.LittleEndian.PutUint64(x.key[:], uint64(r)) }

// keyOf returns the key image of an entry: null bitmap and key columns in order of columns.
func (s *table) keyOf(x *entry) []byte {
	if x.keyLen <= inlineKey {
		return x.key[:x.keyLen:x.keyLen]
	}
	return s.e.images.at(x.longKey(), int(x.keyLen))
}

// lookup returns the number of a key's entry. A key not seen before gets one that knows nothing.
func (s *table) lookup(key []byte) uint32 {
	hash := s.hash(key)
	if len(s.index.slots) > 0 {
		mask := uint32(len(s.index.slots) - 1)
		for i := hash >> s.index.shift; ; i = (i + 1) & mask {
			slot := s.index.slots[i]
			if slot == 0 {
				break
			}
			if uint32(slot>>32) != hash {
				continue
			}
			if number := uint32(slot) - 1; bytes.Equal(s.keyOf(s.entries.at(number)), key) {
				return number
			}
		}
	}
	s.makeRoom()
	number := s.entries.add(s.e.entrySlab)
	x := s.entries.at(number)
	x.keyLen = uint32(len(key))
	if len(key) <= inlineKey {
		copy(x.key[:], key)
	} else {
		x.setLongKey(s.e.images.copyIn(key))
	}
	s.index.add(hash, number)
	return number
}

// addKeyed folds the rows of an event into a table with a key. An event of one row is checked before anything
// changes; one of several rows is undone where a later row is refused (invariant 6).
func (s *table) addKeyed(rows *binlog.Rows, before, after uint16, ctx Context) error {
	if len(rows.Data) == 0 {
		return s.addNoData(rows)
	}
	if s.LooseKey && rows.Kind == binlog.UpdateRows && !s.hasKey(after) {
		return &NeedsOrder{s.Name, "an update that does not log the key, which the server may know by other bytes"}
	}
	undo := &s.e.undo
	auto, changes := s.auto, s.changes
	data := rows.Data
	for len(data) > 0 {
		n, err := s.parseRow(rows.Kind, data, before, after)
		if err == nil && n < len(data) && !undo.open {
			undo.begin()
		}
		if err == nil {
			err = s.addRow(rows.Kind, ctx)
		}
		if err != nil {
			if undo.open {
				undo.roll(s)
			}
			s.auto, s.changes = auto, changes
			return err
		}
		s.changes++
		data = data[n:]
	}
	undo.reset()
	return nil
}

// hasKey tells whether images of a set of columns have those of the key.
func (s *table) hasKey(cols uint16) bool {
	if cols == allCols {
		return true
	}
	for _, c := range s.keyCols {
		if !s.sets[cols].Has(c) {
			return false
		}
	}
	return true
}

// addNoData refuses an event whose images have no columns: how many rows it stands for is not to be seen.
func (s *table) addNoData(rows *binlog.Rows) error {
	if rows.Kind == binlog.WriteRows && len(s.sets[allCols]) > 0 {
		return &NeedsOrder{s.Name, "a row of defaults alone, of which the log has no column"}
	}
	return fmt.Errorf("fold %s: a rows event without rows", s.Name)
}

// parseRow reads one row of an event and returns its length.
func (s *table) parseRow(kind binlog.RowsKind, data []byte, before, after uint16) (int, error) {
	n := 0
	if kind != binlog.WriteRows {
		m, err := s.parse(&s.before, data, before)
		if err != nil {
			return 0, err
		}
		n = m
	}
	if kind != binlog.DeleteRows {
		m, err := s.parse(&s.after, data[n:], after)
		if err != nil {
			return 0, err
		}
		n += m
	}
	if n == 0 {
		return 0, fmt.Errorf("fold %s: row images without columns", s.Name)
	}
	return n, nil
}

// addRow folds the row last parsed. Nothing has changed when it returns an error.
func (s *table) addRow(kind binlog.RowsKind, ctx Context) error {
	switch kind {
	case binlog.WriteRows:
		return s.insert(&s.after, ctx)
	case binlog.DeleteRows:
		return s.remove(&s.before, ctx)
	}
	return s.update(&s.before, &s.after, ctx)
}

// keyImage appends the key image of a row. Columns that im does not have are those of other, which may be nil.
func (s *table) keyImage(dst []byte, im, other *image) ([]byte, error) {
	dst = append(dst, s.keyHead...)
	for _, c := range s.keyCols {
		from, sp := im, im.spans[c]
		if sp.State == binlog.Absent && other != nil {
			from, sp = other, other.spans[c]
		}
		switch sp.State {
		case binlog.IsNull:
			return nil, fmt.Errorf("fold %s: key column %d is NULL in a row image: the target's key is not the source's", s.Name, c+1)
		case binlog.Absent:
			return nil, &NeedsOrder{s.Name, fmt.Sprintf("row images without key column %d", c+1)}
		}
		dst = append(dst, from.data[sp.Start:sp.End]...)
	}
	return dst, nil
}

// moved tells whether an update alters the key's bytes. Key columns missing after are as they were.
func (s *table) moved(before, after *image) bool {
	for _, c := range s.keyCols {
		b, a := before.spans[c], after.spans[c]
		if a.State == binlog.Absent {
			continue
		}
		if a.State != b.State || !bytes.Equal(before.data[b.Start:b.End], after.data[a.Start:a.End]) {
			return true
		}
	}
	return false
}

func (s *table) insert(after *image, ctx Context) error {
	key, err := s.keyImage(s.key[:0], after, nil)
	if err != nil {
		return err
	}
	s.key = key
	i := s.lookup(key)
	x := s.entries.at(i)
	if x.known&there != 0 {
		return s.chain("insert", "the row is there already", key)
	}
	s.arrive(i, after.data, after.cols, ctx)
	s.count(after)
	return nil
}

// find is the entry of the row that a before-image is of, held against what is known of it, its context too
// (invariant 7). It is returned with an error of that, too.
func (s *table) find(before *image, what string, ctx Context) (uint32, *entry, error) {
	key, err := s.keyImage(s.key[:0], before, nil)
	if err != nil {
		return 0, nil, err
	}
	s.key = key
	i := s.lookup(key)
	x := s.entries.at(i)
	if err := s.expect(x, before, what); err != nil {
		return i, x, err
	}
	if s.Recomputed && x.known&there != 0 && x.context != ctx {
		return i, x, &NeedsOrder{s.Name, "a row with computed columns was changed under two session contexts"}
	}
	return i, x, nil
}

func (s *table) remove(before *image, ctx Context) error {
	i, x, err := s.find(before, "delete", ctx)
	if err != nil {
		if s.Cascades && x != nil && x.known&there == 0 && s.e.undo.has(i) {
			return nil // see Table.Cascades
		}
		return err
	}
	s.depart(i, before, ctx)
	x.known |= counted
	return nil
}

func (s *table) update(before, after *image, ctx Context) error {
	i, x, err := s.find(before, "update", ctx)
	if err != nil {
		return err
	}
	switch {
	case s.moved(before, after):
		err = s.move(i, before, after, ctx)
	case before.cols == allCols && after.cols == allCols && (x.known == 0 || x.curCols == allCols):
		s.e.undo.remember(i, x)
		if x.known == 0 {
			s.setBase(x, before.data, allCols)
			x.baseContext = ctx
		}
		s.setCur(x, after.data, allCols)
		x.known = x.known&^doubtful | seen | there | counted
		x.context = ctx
	default:
		err = s.merge(x, i, before, after, ctx)
	}
	if err == nil {
		s.count(after)
	}
	return err
}

// arrive makes a row be there that is not, by an insert or under a new key.
func (s *table) arrive(i uint32, data []byte, cols uint16, ctx Context) {
	x := s.entries.at(i)
	s.e.undo.remember(i, x)
	s.setCur(x, data, cols)
	x.known = x.known&^doubtful | seen | there | born | counted
	x.context = ctx
}

// keptBlock is up to how many bytes the block of a row that is gone is kept.
const keptBlock = 1 << 10

// depart makes a row be gone; before is its image where nothing was known of it.
func (s *table) depart(i uint32, before *image, ctx Context) {
	x := s.entries.at(i)
	s.e.undo.remember(i, x)
	if x.known == 0 {
		s.setBase(x, before.data, before.cols)
		x.baseContext = ctx
		x.known |= seen
		return
	}
	x.known &^= there | born
	// The block is kept for the next row of that key, unless it is large, or the row came and went in the
	// epoch, as in a queue, whose keys are not used again.
	if x.known&hasBase == 0 || x.curCap > keptBlock {
		s.e.images.drop(x.cur, int(x.curCap))
		x.cur, x.curLen, x.curCap = 0, 0, 0
	}
}

// setBase makes data the row's image from before the epoch.
func (s *table) setBase(x *entry, data []byte, cols uint16) {
	if x.known&hasBase != 0 {
		s.e.images.drop(x.base, int(x.baseLen))
	}
	x.base, x.baseLen, x.baseCols = s.e.images.copyIn(data), uint32(len(data)), cols
	x.known |= hasBase
}

// setCur makes data the row's image, in place where it fits and fills at least half of the block.
func (s *table) setCur(x *entry, data []byte, cols uint16) {
	a := &s.e.images
	if x.curCap > 0 && len(data) <= int(x.curCap) && 2*room(len(data)) >= int(x.curCap) {
		to := a.at(x.cur, int(x.curCap))
		s.e.undo.save(to[:x.curLen])
		copy(to, data)
		x.curLen, x.curCols = uint32(len(data)), cols
		return
	}
	a.drop(x.cur, int(x.curCap))
	x.cur, x.curLen, x.curCap, x.curCols = a.copyIn(data), uint32(len(data)), uint32(room(len(data))), cols
}

// expect holds a before-image against what is known of its row (invariant 2).
func (s *table) expect(x *entry, before *image, what string) error {
	if x.known == 0 {
		return nil
	}
	if x.known&there == 0 {
		return s.chain(what, "the row is gone", s.key)
	}
	if s.Cascades || x.known&doubtful != 0 {
		return nil
	}
	cur := s.e.images.at(x.cur, int(x.curLen))
	if x.curCols == before.cols && bytes.Equal(cur, before.data) {
		return nil
	}
	if _, err := s.layout.Image(cur, s.sets[x.curCols], s.known); err != nil {
		return fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
	}
	for c, b := range before.spans {
		k := s.known[c]
		if b.State == binlog.Absent || k.State == binlog.Absent || s.Generated != nil && s.Generated.Has(c) {
			continue
		}
		if b.State != k.State || !bytes.Equal(before.data[b.Start:b.End], cur[k.Start:k.End]) {
			return s.chain(what, fmt.Sprintf("column %d is not what the last change to the row made it", c+1), s.key)
		}
	}
	return nil
}

func (s *table) chain(what, found string, key []byte) error {
	return &ChainError{
		Table: s.Name, What: what + ": " + found,
		Key: bytes.Clone(key[len(s.keyHead):]), Shown: s.showKey(key),
	}
}
