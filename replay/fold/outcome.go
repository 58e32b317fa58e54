package fold

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"interlock/replay/binlog"

	"golang.org/x/sync/errgroup"
)

const changeBytes = int64(unsafe.Sizeof(Change{}))

// maxChanged is how many sets of changed columns a table's updates in place may have: a rows event has one
// set, so many sets would make many small events. Updates beyond the most frequent ones get the columns that
// any of them changed.
const maxChanged = 8

// Outcomes ends the epoch: the net effect by table, in order of the tables' first appearance.
func (e *Epoch) Outcomes() ([]Outcome, error) {
	if e.ended {
		return nil, fmt.Errorf("end epoch: it has ended already")
	}
	e.ended, e.last = true, nil
	outcomes := make([]Outcome, len(e.tables))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range e.tables {
		g.Go(func() (err error) {
			if len(s.Key) == 0 {
				outcomes[i], err = s.bagOutcome()
			} else {
				outcomes[i], err = s.outcome()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	e.trim()
	return outcomes, nil
}

// changes returns an empty list with room for n changes.
func (e *Epoch) changes(n int) []Change {
	if n == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	best := -1
	for i, list := range e.spareChanges {
		if cap(list) >= n && (best < 0 || cap(list) < cap(e.spareChanges[best])) {
			best = i
		}
	}
	last := len(e.spareChanges) - 1
	var list []Change
	if best >= 0 {
		list = e.spareChanges[best]
	} else {
		list, best = fresh[Change](&e.images, n)[:0], last // in the place of one that is too short
	}
	if last >= 0 {
		e.spareChanges[best], e.spareChanges[last] = e.spareChanges[last], nil
		e.spareChanges = e.spareChanges[:last]
	}
	e.lent = append(e.lent, list[:n])
	return list
}

// goesUnder is the context that what goes carries, 0 where it does not count.
func (s *table) goesUnder(c Context) Context {
	if s.Recomputed {
		return c
	}
	return 0
}

// comesUnder is the context that what comes carries, 0 where it does not count.
func (s *table) comesUnder(c Context) Context {
	if s.Recomputed || s.Checked {
		return c
	}
	return 0
}

// outcome is the net effect on a table with a key (invariants 3 and 4).
func (s *table) outcome() (Outcome, error) {
	o := Outcome{Table: s.Table, AutoIncrement: s.auto, Changes: s.changes}
	slim := !s.e.WholeImages && !s.Recomputed
	lists := s.e.sortLists(s.entries.n)
	defer s.e.keepLists(lists)
	items := lists.items[:0]
	var changed changedSets
	var goes, comes int
	var standing int64
	for i := range uint32(s.entries.n) {
		x := s.entries.at(i)
		if err := s.settle(x, &changed, slim); err != nil {
			return o, err
		}
		switch x.net {
		case nothing:
			continue
		case deleted:
			goes++
		case replaced:
			goes++
			comes++
		default:
			comes++
		}
		if x.known&counted != 0 {
			standing++
		}
		var err error
		if s.newKey, err = s.sortKey(s.newKey[:0], s.keyOf(x)); err != nil {
			return o, err
		}
		high, low := prefixOf(s.newKey)
		items = append(items, sortItem{high, low, i})
	}
	o.Folded = s.changes - standing
	if slim {
		if err := s.slim(&changed); err != nil {
			return o, err
		}
	}
	sortItems(items, lists.other, s.compareKeys)
	o.Goes, o.Comes = s.e.changes(goes), s.e.changes(comes)
	for _, it := range items {
		s.hand(&o, s.entries.at(it.number), slim)
	}
	return o, nil
}

// settle says what an entry comes to.
func (s *table) settle(x *entry, changed *changedSets, slim bool) error {
	isThere, was := x.known&there != 0, x.known&hasBase != 0
	switch {
	case !isThere && !was:
		x.net = nothing
	case !isThere:
		x.net = deleted
	case !was:
		x.net = inserted
	case x.known&born != 0 && (x.baseCols != allCols || x.curCols != allCols):
		x.net = replaced // invariant 5
	case s.Recomputed && x.context != x.baseContext:
		x.net = replaced // invariant 7: even where it came back as it was
	default:
		return s.settleUpdate(x, changed, slim)
	}
	return nil
}

// settleUpdate compares a row's first image with its last.
func (s *table) settleUpdate(x *entry, changed *changedSets, slim bool) error {
	base, cur := s.e.images.at(x.base, int(x.baseLen)), s.e.images.at(x.cur, int(x.curLen))
	if x.baseCols == x.curCols && bytes.Equal(base, cur) {
		x.net = nothing
		return nil
	}
	if _, err := s.layout.Image(base, s.sets[x.baseCols], s.known); err != nil {
		return fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
	}
	if _, err := s.layout.Image(cur, s.sets[x.curCols], s.mergedSpans); err != nil {
		return fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
	}
	clear(s.bitmap)
	altered := false
	x.net = updated
	for c, k := range s.mergedSpans {
		b := s.known[c]
		if k.State == binlog.Absent || b.State == k.State && bytes.Equal(base[b.Start:b.End], cur[k.Start:k.End]) {
			continue
		}
		s.bitmap.Set(c)
		altered = true
		if s.unique.Has(c) || x.known&born != 0 && s.emptied(c, cur[k.Start:k.End]) {
			x.net = replaced
		}
	}
	if !altered {
		x.net = nothing
	}
	if x.net == updated && slim {
		x.mask = changed.see(s, x.curCols == allCols)
	}
	return nil
}

// emptied tells whether a value is the empty one of a geometry column that takes no NULL, which MariaDB's INSERT
// IGNORE stores and no update can: its InnoDB refuses that with error 1416. A row that came with it, under the key
// of one that went, cannot be made into an update.
func (s *table) emptied(c int, value []byte) bool {
	return s.layout.Columns[c].Type == binlog.ColGeometry && len(bytes.Trim(value, "\x00")) == 0
}

// overflow is the mask of an update whose changed columns have no number.
const overflow = math.MaxUint16

// changedSets counts the sets of changed columns among a table's updates.
type changedSets struct {
	counts []int // by number of the set, of whole rows
	rest   binlog.Bitmap
}

// see takes the set in s.bitmap and returns its number.
func (k *changedSets) see(s *table, whole bool) uint16 {
	n, ok := s.number(s.bitmap)
	switch {
	case !ok && whole:
		k.spill(s.bitmap)
		return overflow
	case !ok:
		return overflow
	case whole:
		for len(k.counts) <= int(n) {
			k.counts = append(k.counts, 0)
		}
		k.counts[n]++
	}
	return n
}

// spill adds a set to the union.
func (k *changedSets) spill(set binlog.Bitmap) {
	if k.rest == nil {
		k.rest = make(binlog.Bitmap, len(set))
	}
	for i, b := range set {
		k.rest[i] |= b
	}
}

// choose keeps the most frequent sets and returns, by number of a set, that of the set to be used for it:
// itself, or the union of all that are not kept. Those beyond the end of the list get the union as well.
func (k *changedSets) choose(s *table) (use []uint16, union uint16) {
	use = make([]uint16, len(k.counts))
	for n := range use {
		use[n] = overflow
	}
	for range maxChanged {
		best := -1
		for n, count := range k.counts {
			if count > 0 && use[n] == overflow && (best < 0 || count > k.counts[best]) {
				best = n
			}
		}
		if best < 0 {
			break
		}
		use[best] = uint16(best)
	}
	for n, count := range k.counts {
		if count > 0 && use[n] == overflow {
			k.spill(s.sets[n])
		}
	}
	if k.rest == nil {
		return use, overflow
	}
	union, ok := s.number(k.rest)
	if !ok { // one more than images may have
		union = uint16(len(s.sets))
		s.sets = append(s.sets, k.rest)
	}
	for n := range use {
		if use[n] == overflow {
			use[n] = union
		}
	}
	return use, union
}

// slim reduces the after-images of updates in place to the columns that changed (invariant 10).
func (s *table) slim(changed *changedSets) error {
	use, union := changed.choose(s)
	for i := range uint32(s.entries.n) {
		x := s.entries.at(i)
		if x.net != updated {
			continue
		}
		set := x.mask
		switch {
		case x.curCols != allCols && set == overflow:
			continue // all that is known of a partial row
		case x.curCols != allCols:
		case int(set) < len(use):
			set = use[set]
		default:
			set = union
		}
		cur := s.e.images.at(x.cur, int(x.curLen))
		if _, err := s.layout.Image(cur, s.sets[x.curCols], s.known); err != nil {
			return fmt.Errorf("fold %s: read image kept: %w", s.Name, err)
		}
		s.key = binlog.AppendImage(s.key[:0], s.layout, s.sets[set], cur, s.known)
		x.curLen, x.curCols = uint32(copy(cur, s.key)), set
	}
	return nil
}

// hand appends an entry's net change to the lists.
func (s *table) hand(o *Outcome, x *entry, slim bool) {
	if x.net == nothing {
		return
	}
	before, beforeCols := s.keyOf(x), s.sets[s.keySet]
	if !slim && x.known&hasBase != 0 {
		before, beforeCols = s.e.images.at(x.base, int(x.baseLen)), s.sets[x.baseCols]
	}
	if x.net == deleted || x.net == replaced {
		o.Goes = append(o.Goes, Change{Kind: Delete, Context: s.goesUnder(x.baseContext), Before: before, BeforeCols: beforeCols, Count: 1})
	}
	if x.net == deleted {
		return
	}
	come := Change{Kind: Insert, Context: s.comesUnder(x.context), After: s.e.images.at(x.cur, int(x.curLen)), AfterCols: s.sets[x.curCols], Count: 1}
	if x.net == updated {
		come.Kind, come.Before, come.BeforeCols = Update, before, beforeCols
	}
	o.Comes = append(o.Comes, come)
}
