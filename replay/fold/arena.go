package fold

import (
	"slices"
	"unsafe"
)

// ref is a place in an arena: the slab's number in the high half, the offset in the low one.
type ref uint64

const (
	// slabBytes is the size of a slab: large enough that slabs are few, small enough that they can be
	// emptied one by one.
	slabBytes = 1 << 20
	// firstSlabBytes keeps an epoch of few rows small.
	firstSlabBytes = 64 << 10
	// granule is what blocks are rounded up to, so that an image that grows a little stays where it is.
	granule = 16
)

// arena keeps images back to back in slabs that the garbage collector does not look into. Blocks are never
// freed one by one: their bytes are counted as dead until evacuate empties the slabs that hold most of them.
type arena struct {
	slabs [][]byte
	dead  []int64 // by slab
	open  int     // slab that blocks are taken from
	used  int     // bytes taken from the open slab

	held, garbage int64      // bytes in slabs, and dead ones among them
	spare         [][]byte   // of slabBytes, for later
	first         []byte     // of firstSlabBytes, for later
	free          []uint32   // numbers of slabs that were given back
	fresh         int64      // bytes that were not to be had from spare ones
	advised       [2]uintptr // where huge pages were last asked for
}

// room is how many bytes a block for n bytes takes.
func room(n int) int { return (n + granule - 1) &^ (granule - 1) }

// alloc takes a block of room(n) bytes.
func (a *arena) alloc(n int) ref {
	n = room(n)
	if len(a.slabs) == 0 || a.used+n > len(a.slabs[a.open]) {
		if n > slabBytes/4 { // a slab of its own; the open one stays open
			own := a.grow(n)
			if len(a.slabs) == 1 {
				a.open, a.used = own, n // there was none, and this one is full
			}
			return ref(own) << 32
		}
		a.closeSlab()
		size := slabBytes
		if len(a.slabs) == 0 && n <= firstSlabBytes {
			size = firstSlabBytes
		}
		a.open, a.used = a.grow(size), 0
	}
	r := ref(a.open)<<32 | ref(a.used)
	a.used += n
	return r
}

// closeSlab counts the tail of the open slab as dead.
func (a *arena) closeSlab() {
	if len(a.slabs) == 0 {
		return
	}
	tail := int64(len(a.slabs[a.open]) - a.used)
	a.dead[a.open] += tail
	a.garbage += tail
	a.used = len(a.slabs[a.open])
}

// grow adds a slab and returns its number.
func (a *arena) grow(size int) int {
	var slab []byte
	switch n := len(a.spare); {
	case size == slabBytes && n > 0:
		slab, a.spare = a.spare[n-1], a.spare[:n-1]
	case size == firstSlabBytes && a.first != nil:
		slab, a.first = a.first, nil
	default:
		slab = fresh[byte](a, size)
	}
	a.held += int64(size)
	if n := len(a.free); n > 0 {
		i := a.free[n-1]
		a.free = a.free[:n-1]
		a.slabs[i], a.dead[i] = slab, 0
		return int(i)
	}
	a.slabs, a.dead = append(a.slabs, slab), append(a.dead, 0)
	return len(a.slabs) - 1
}

// fresh makes n values that a spare list did not have.
func fresh[T any](a *arena, n int) []T {
	s := make([]T, n)
	size := int64(n) * int64(unsafe.Sizeof(*new(T)))
	a.fresh += size
	if size >= firstSlabBytes {
		a.adviseHuge(unsafe.Pointer(unsafe.SliceData(s)), uintptr(size))
	}
	return s
}

// copyIn takes a block and copies data into it.
func (a *arena) copyIn(data []byte) ref {
	r := a.alloc(len(data))
	copy(a.at(r, len(data)), data)
	return r
}

// at returns n bytes of the block at r.
func (a *arena) at(r ref, n int) []byte {
	offset := int(uint32(r))
	return a.slabs[r>>32][offset : offset+n : offset+n]
}

// drop counts a block of n bytes as dead. Its bytes stay as they are until evacuate.
func (a *arena) drop(r ref, n int) {
	if n == 0 {
		return
	}
	dead := int64(room(n))
	a.dead[r>>32] += dead
	a.garbage += dead
}

// revive takes back what drop counted.
func (a *arena) revive(r ref, n int) {
	if n == 0 {
		return
	}
	dead := int64(room(n))
	a.dead[r>>32] -= dead
	a.garbage -= dead
}

// wasteful tells whether more than half of the arena is dead, small ones apart.
func (a *arena) wasteful() bool { return a.garbage > a.held/2 && a.held > 2*slabBytes }

// emptiest returns, by slab, whether it is to be emptied: those with the fewest living bytes, up to an
// eighth of the arena in all, so that emptying them needs little memory. The open slab is closed first.
func (a *arena) emptiest() []bool {
	a.closeSlab()
	order := make([]int, 0, len(a.slabs))
	for i, slab := range a.slabs {
		if slab != nil && a.dead[i] > 0 {
			order = append(order, i)
		}
	}
	living := func(i int) int64 { return int64(len(a.slabs[i])) - a.dead[i] }
	slices.SortStableFunc(order, func(i, j int) int { return int(living(i) - living(j)) })
	chosen := make([]bool, len(a.slabs))
	budget := a.held/8 + slabBytes
	for _, i := range order {
		if budget -= living(i); budget < 0 {
			break
		}
		chosen[i] = true
	}
	return chosen
}

// giveBack frees slabs out of which everything living has been copied.
func (a *arena) giveBack(chosen []bool) {
	for i, yes := range chosen {
		if !yes {
			continue
		}
		size := len(a.slabs[i])
		a.held -= int64(size)
		a.garbage -= a.dead[i] // what moved out was not counted dead
		if size == slabBytes {
			a.spare = append(a.spare, a.slabs[i])
		}
		a.slabs[i], a.dead[i] = nil, 0
		a.free = append(a.free, uint32(i))
	}
}

// reset empties the arena and keeps its slabs for the next epoch.
func (a *arena) reset() {
	for _, slab := range a.slabs {
		switch len(slab) {
		case slabBytes:
			a.spare = append(a.spare, slab)
		case firstSlabBytes:
			a.first = slab
		}
	}
	clear(a.slabs)
	*a = arena{slabs: a.slabs[:0], dead: a.dead[:0], free: a.free[:0], spare: a.spare, first: a.first, advised: a.advised}
}
