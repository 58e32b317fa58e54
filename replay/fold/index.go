package fold

import "math/bits"

// index finds entries by the hash of their key: open addressing with linear probing, a slot being the upper
// half of the hash above the entry's number plus one; 0 is free. Entries are never taken out of it.
type index struct {
	slots []uint64
	shift uint8 // of the 32 bits of a hash, so that what is left numbers a slot
	used  int
}

const firstSlots = 32

// full tells whether the index must grow before the next add: above 7/10 probes get long.
func (x *index) full() bool { return x.used*10 >= len(x.slots)*7 }

// grown moves the slots into an array of twice the size (a power of two), all zero, and returns the old one.
func (x *index) grown(slots []uint64) []uint64 {
	old := x.slots
	x.slots, x.shift = slots, uint8(32-bits.TrailingZeros(uint(len(slots))))
	mask := uint32(len(slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := uint32(slot>>32) >> x.shift
		for slots[i] != 0 {
			i = (i + 1) & mask
		}
		slots[i] = slot
	}
	return old
}

// add puts an entry's number under a hash that find did not find it under.
func (x *index) add(hash uint32, number uint32) {
	mask := uint32(len(x.slots) - 1)
	i := hash >> x.shift
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = uint64(hash)<<32 | uint64(number+1)
	x.used++
}
