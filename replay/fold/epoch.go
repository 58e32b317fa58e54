package fold

import (
	"fmt"
	"hash/maphash"
	"sync"

	"interlock/replay/binlog"
)

// Epoch folds a stretch of log. It belongs to one goroutine; Outcomes looks at its tables side by side.
type Epoch struct {
	// WholeImages keeps slimming off: net changes carry every column that is known. To be set before Outcomes.
	WholeImages bool

	images  arena
	tables  []*table // in order of first appearance
	byName  map[string]*table
	last    *table // the table of the last Add
	ended   bool
	held    int64 // memory besides images
	rows    int64 // as Rows says
	largest int64 // what the epochs lately held
	changed int64 // changes added
	undo    journal
	seed    maphash.Seed // of the index alone: no order depends on it

	// Memory of earlier epochs.
	spareEntries [][]entry
	spareBags    [][]bagEntry
	spareSlots   map[int][]uint64
	mu           sync.Mutex // guards what follows, and images.fresh, while the tables' outcomes are taken side by side
	spareChanges [][]Change
	lent         [][]Change
	spareItems   []sortLists
}

// New returns an empty epoch.
func New() *Epoch {
	return &Epoch{byName: map[string]*table{}, seed: maphash.MakeSeed(), spareSlots: map[int][]uint64{}}
}

// Add folds the rows of one event. All of them are added, or none and an error is returned: *NeedsOrder,
// *ChainError, or another one when the event is damaged or does not fit the table.
func (e *Epoch) Add(t *Table, rows *binlog.Rows, ctx Context) error {
	s, err := e.open(t, rows)
	if err != nil {
		return err
	}
	if rows.Kind == binlog.PartialUpdateRows {
		return &NeedsOrder{t.Name, "rows with partial JSON values"}
	}
	before, after, err := s.columns(rows)
	if err != nil {
		return err
	}
	changes := s.changes
	if len(t.Key) == 0 {
		err = s.addToMultiset(rows, before, after, ctx)
	} else {
		err = s.addKeyed(rows, before, after, ctx)
	}
	e.account(s)
	e.changed += s.changes - changes
	if e.images.wasteful() {
		e.evacuate()
	}
	return err
}

// Count takes the AUTO_INCREMENT values of an event whose rows were rolled back: InnoDB's counter keeps them
// (invariant 11). An update with partial JSON values does not say more of them than the others.
func (e *Epoch) Count(t *Table, rows *binlog.Rows) error {
	if t.AutoIncrement < 0 || rows.Kind == binlog.DeleteRows || rows.Kind == binlog.PartialUpdateRows {
		return nil
	}
	s, err := e.open(t, rows)
	if err != nil {
		return err
	}
	defer e.account(s)
	for data := rows.Data; len(data) > 0; {
		n := 0
		if rows.Kind == binlog.UpdateRows {
			if n, err = s.layout.Image(data, rows.Before, s.before.spans); err != nil {
				return fmt.Errorf("fold %s: read row image: %w", t.Name, err)
			}
		}
		m, err := s.layout.Image(data[n:], rows.After, s.after.spans)
		if err != nil {
			return fmt.Errorf("fold %s: read row image: %w", t.Name, err)
		}
		if n+m == 0 {
			return fmt.Errorf("fold %s: row images without columns", t.Name)
		}
		s.after.data = data[n : n+m]
		s.count(&s.after)
		data = data[n+m:]
	}
	return nil
}

// open returns what the epoch holds of the table that an event's rows belong to.
func (e *Epoch) open(t *Table, rows *binlog.Rows) (*table, error) {
	s, err := e.table(t)
	if err != nil {
		return nil, err
	}
	if rows.Table != s.layout {
		if rows.Table == nil || !t.Layout.SameLayout(rows.Table) {
			return nil, fmt.Errorf("fold %s: the rows have other columns than those before them in the epoch: end the epoch first", t.Name)
		}
		s.layout = rows.Table
	}
	return s, nil
}

// table returns what the epoch holds of a table.
func (e *Epoch) table(t *Table) (*table, error) {
	if s := e.last; s != nil && s.Table == t {
		return s, nil
	}
	if e.ended {
		return nil, fmt.Errorf("fold %s: the epoch has ended", t.Name)
	}
	s := e.byName[t.Name]
	if s == nil {
		var err error
		if s, err = newTable(e, t); err != nil {
			return nil, err
		}
		e.byName[t.Name] = s
		e.tables = append(e.tables, s)
	}
	if s.Table != t {
		return nil, fmt.Errorf("fold %s: the table was described anew inside an epoch: end the epoch first", t.Name)
	}
	e.last = s
	return s, nil
}

// outcomeBytes is what an entry takes once the epoch has ended: a net change, and its places in the sort. A
// row that goes and comes under the same key takes one net change more, about a tenth.
const outcomeBytes = changeBytes + 2*sortItemBytes

// Rows is how many different rows the epoch has met: an upper bound of its net changes.
func (e *Epoch) Rows() int64 { return e.rows }

// Bytes is the memory that the epoch holds, everything included, to within a tenth: images, entries, indexes,
// and what Outcomes will need. It costs nothing to ask.
func (e *Epoch) Bytes() int64 {
	return e.images.held + e.held + int64(cap(e.undo.steps))*undoStepBytes + int64(cap(e.undo.saved))
}

// Changes is how many changes have been added.
func (e *Epoch) Changes() int64 { return e.changed }

// account brings the epoch's sums up to date with what a table holds now.
func (e *Epoch) account(s *table) {
	rows := int64(s.entries.n + s.bag.n)
	held := s.entries.held() + int64(len(s.index.slots))*8 + s.bag.held() + tableBytes + rows*outcomeBytes
	e.held += held - s.held
	e.rows += rows - s.rows
	s.held, s.rows = held, rows
	if e.images.fresh >= firstSlabBytes {
		e.trim()
	}
}

// tableBytes is about what a table takes besides its rows.
const tableBytes = 2 << 10

// evacuate empties the slabs that hold the least, so that garbage stays below half of the arena (invariant
// 12). It moves blocks, so no slice into the arena outlives it.
func (e *Epoch) evacuate() {
	chosen := e.images.emptiest()
	move := func(r *ref, n uint32, block uint32) {
		if block > 0 && chosen[*r>>32] {
			from := e.images.at(*r, int(n))
			*r = e.images.alloc(int(block))
			copy(e.images.at(*r, int(n)), from)
		}
	}
	for _, s := range e.tables {
		for i := range uint32(s.bag.n) {
			b := s.bag.at(i)
			move(&b.image, b.len, b.len)
		}
		for i := range uint32(s.entries.n) {
			x := s.entries.at(i)
			move(&x.base, x.baseLen, x.baseLen)
			move(&x.cur, x.curLen, x.curCap)
			if x.keyLen > inlineKey {
				r := x.longKey()
				move(&r, x.keyLen, x.keyLen)
				x.setLongKey(r)
			}
		}
	}
	e.images.giveBack(chosen)
}
