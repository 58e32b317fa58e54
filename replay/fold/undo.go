package fold

import (
	"slices"
	"unsafe"
)

const undoStepBytes = int64(unsafe.Sizeof(step{}))

// journal is what must be put back when a later row of the same event is refused.
type journal struct {
	open  bool
	steps []step
	saved []byte // images that were overwritten in place
}

// step is an entry as it was before a row changed it.
type step struct {
	number  uint32
	was     entry
	savedAt int // where in saved the image of was.cur begins, -1 when its bytes still are in the arena
}

func (j *journal) begin() { j.open = true }

// remember keeps an entry that is about to change.
func (j *journal) remember(number uint32, x *entry) {
	if j.open {
		j.steps = append(j.steps, step{number: number, was: *x, savedAt: -1})
	}
}

// has tells whether an earlier row of the event has changed an entry.
func (j *journal) has(number uint32) bool {
	return slices.ContainsFunc(j.steps, func(s step) bool { return s.number == number })
}

// save keeps the image of the entry last remembered, which is about to be overwritten.
func (j *journal) save(image []byte) {
	if j.open {
		j.steps[len(j.steps)-1].savedAt = len(j.saved)
		j.saved = append(j.saved, image...)
	}
}

// roll puts back every entry, last change first. Entries that the event made stay and know nothing.
func (j *journal) roll(s *table) {
	for k := len(j.steps) - 1; k >= 0; k-- {
		st := &j.steps[k]
		x := s.entries.at(st.number)
		s.putBack(x.base, st.was.base, int(x.baseLen), int(st.was.baseLen))
		s.putBack(x.cur, st.was.cur, int(x.curCap), int(st.was.curCap))
		if st.savedAt >= 0 {
			copy(s.e.images.at(st.was.cur, int(st.was.curLen)), j.saved[st.savedAt:])
		}
		*x = st.was
	}
	j.reset()
}

// putBack exchanges a block for the one before it; one of no bytes is none.
func (s *table) putBack(now, was ref, nowRoom, wasRoom int) {
	if now == was && nowRoom != 0 && wasRoom != 0 {
		return
	}
	s.e.images.drop(now, nowRoom)
	s.e.images.revive(was, wasRoom)
}

// keptUndo bounds what a journal keeps for later events.
const keptUndo = 4 << 20

func (j *journal) reset() {
	if int64(cap(j.steps))*undoStepBytes > keptUndo {
		j.steps = nil
	}
	if cap(j.saved) > keptUndo {
		j.saved = nil
	}
	j.open, j.steps, j.saved = false, j.steps[:0], j.saved[:0]
}
