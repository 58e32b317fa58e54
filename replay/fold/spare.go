package fold

import "slices"

// An epoch keeps the memory of those before it. Epochs differ: one of rows with keys needs other memory than one of
// rows without, and what is kept must not be the sum of what each kind has needed.

// slots returns n zero slots.
func (e *Epoch) slots(n int) []uint64 {
	if s := e.spareSlots[n]; s != nil {
		delete(e.spareSlots, n)
		clear(s)
		return s
	}
	return fresh[uint64](&e.images, n)
}

// keepSlots takes slots back.
func (e *Epoch) keepSlots(s []uint64) {
	if len(s) > firstSlots {
		e.spareSlots[len(s)] = s
	}
}

// entrySlab returns a slab of entries.
func (e *Epoch) entrySlab() []entry { return slabOf(e, &e.spareEntries) }

// bagSlab returns a slab of a multiset.
func (e *Epoch) bagSlab() []bagEntry { return slabOf(e, &e.spareBags) }

func slabOf[T any](e *Epoch, spare *[][]T) []T {
	if s, ok := pop(spare); ok {
		return s
	}
	return fresh[T](&e.images, listSlab)
}

// pop takes the last value of a list, and out of it.
func pop[T any](all *[]T) (last T, ok bool) {
	n := len(*all)
	if n == 0 {
		return last, false
	}
	last, (*all)[n-1] = (*all)[n-1], last
	*all = (*all)[:n-1]
	return last, true
}

// spare is memory of earlier epochs by kind, in bytes.
type spare struct{ images, entries, bags, slots, changes, items int64 }

func (e *Epoch) spare() spare {
	s := spare{
		images:  int64(len(e.images.spare)) * slabBytes,
		entries: int64(len(e.spareEntries)) * listSlab * entryBytes,
		bags:    int64(len(e.spareBags)) * listSlab * bagEntryBytes,
	}
	for n := range e.spareSlots {
		s.slots += int64(n) * 8
	}
	for _, list := range e.spareChanges {
		s.changes += int64(cap(list)) * changeBytes
	}
	for _, lists := range e.spareItems {
		s.items += int64(len(lists.items)+len(lists.other)) * sortItemBytes
	}
	return s
}

// total is the memory that lies besides what Bytes counts. What an outcome needs is counted there before it is taken.
func (s spare) total(e *Epoch) int64 {
	outcome := s.changes + s.items
	for _, list := range e.lent {
		outcome += int64(cap(list)) * changeBytes
	}
	return s.images + s.entries + s.bags + s.slots + max(0, outcome-e.rows*outcomeBytes)
}

// trimSlack is the part of the largest epoch by which spare memory may go beyond it, so that epochs of nearly the same
// rows do not each make their lists anew.
const trimSlack = 8

// trim lets go of spare memory until it and what the epoch holds are at what the largest epoch held lately: of the kind
// that has the most, since it is another one that new memory was taken of.
func (e *Epoch) trim() {
	e.images.fresh = 0
	most := e.largest + e.largest/trimSlack
	for s := e.spare(); s.total(e) > 0 && e.Bytes()+s.total(e) > most; s = e.spare() {
		switch max(s.images, s.entries, s.bags, s.slots, s.changes, s.items) {
		case 0:
			return // what is left is lent
		case s.images:
			pop(&e.images.spare)
		case s.entries:
			pop(&e.spareEntries)
		case s.bags:
			pop(&e.spareBags)
		case s.slots:
			largest := 0
			for n := range e.spareSlots {
				largest = max(largest, n)
			}
			delete(e.spareSlots, largest)
		case s.changes:
			slices.SortFunc(e.spareChanges, func(a, b []Change) int { return cap(a) - cap(b) })
			pop(&e.spareChanges)
		case s.items:
			pop(&e.spareItems)
		}
	}
}

// Release gives the epoch's memory back for the next one; everything it handed out is invalid then.
func (e *Epoch) Release() {
	// One large epoch does not count for ever.
	e.largest = max(e.Bytes(), e.largest-e.largest/trimSlack)
	for _, s := range e.tables {
		e.keepSlots(s.index.slots)
		e.spareEntries = append(e.spareEntries, s.entries.whole()...)
		e.spareBags = append(e.spareBags, s.bag.whole()...)
	}
	for _, list := range e.lent {
		clear(list)
		e.spareChanges = append(e.spareChanges, list[:0])
	}
	clear(e.byName)
	clear(e.tables)
	clear(e.lent)
	e.tables, e.lent, e.last, e.ended = e.tables[:0], e.lent[:0], nil, false
	e.held, e.changed, e.rows = 0, 0, 0
	e.images.reset()
	e.undo.reset()
	e.trim()
}
