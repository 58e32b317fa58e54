package fold

import "unsafe"

// known says what an epoch knows of a row, as bits.
type known uint8

const (
	seen     known = 1 << iota // anything at all; an entry without it stands for a row not yet touched
	hasBase                    // the row was there before the epoch: base is its image then
	there                      // the row is there now: cur is its image
	born                       // it is there because of an insert in the epoch, or because it got its key in it
	counted                    // a change of the log is counted for this row
	doubtful                   // its last change may have altered columns that the log does not name: see Table.Unnamed
)

// net is what an entry comes to, once the epoch has ended.
type net uint8

const (
	nothing  net = iota
	inserted     // comes
	deleted      // goes
	replaced     // goes and comes
	updated      // in place
)

// inlineKey is how long a key image may be to lie in its entry.
const inlineKey = 20

// entry is one row of a table with a key: 64 bytes, a cache line, without pointers.
type entry struct {
	base, cur         ref
	baseLen, curLen   uint32
	curCap            uint32  // bytes of cur's block
	context           Context // of the row's last insert or update
	baseContext       Context // of the first change to the row that base is the image of
	keyLen            uint32
	baseCols, curCols uint16 // numbers of column sets
	mask              uint16 // changed columns, once the epoch has ended
	known             known
	net               net
	key               [inlineKey]byte // or the ref of a longer one, little endian
}

const entryBytes = int64(unsafe.Sizeof(entry{}))

// listSlab is how many values a slab of a list holds: 64 KiB of entries.
const listSlab = 1024

// list is a growing list of values that stay where they are, but for those of the first slab while it is the only one.
type list[T any] struct {
	slabs [][]T
	n     int
}

func (s *list[T]) at(i uint32) *T { return &s.slabs[i/listSlab][i%listSlab] }

// add appends a zero value and returns its number. fresh hands out slabs.
func (s *list[T]) add(fresh func() []T) uint32 {
	i := s.n
	switch {
	case i%listSlab == 0 && i > 0:
		s.slabs = append(s.slabs, fresh())
	case i == 0:
		s.slabs = append(s.slabs[:0], make([]T, 16))
	case i < listSlab && i == len(s.slabs[0]):
		next := make([]T, min(4*i, listSlab))
		copy(next, s.slabs[0])
		s.slabs[0] = next
	}
	s.n++
	*s.at(uint32(i)) = *new(T)
	return uint32(i)
}

// held is the memory of the list in bytes.
func (s *list[T]) held() int64 {
	size := int64(unsafe.Sizeof(*new(T)))
	switch len(s.slabs) {
	case 0:
		return 0
	case 1:
		return int64(len(s.slabs[0])) * size
	}
	return int64(len(s.slabs)) * listSlab * size
}

// whole are the slabs that a later list can have.
func (s *list[T]) whole() [][]T {
	if len(s.slabs) > 0 && len(s.slabs[0]) < listSlab {
		return nil
	}
	return s.slabs
}
