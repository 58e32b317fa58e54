package fold

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"interlock/replay/binlog"
)

const sortItemBytes = int64(unsafe.Sizeof(sortItem{}))

// sortItem stands for a net change in a sort: the first 16 bytes of its key in an encoding that sorts as the
// index does, big endian, and the number of its entry.
type sortItem struct {
	high, low uint64
	number    uint32
}

// sortLists are the memory of a sort: the items, and a place that they move to and back.
type sortLists struct{ items, other []sortItem }

// sortLists returns lists of n items or more.
func (e *Epoch) sortLists(n int) sortLists {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.spareItems) > 0 {
		last := len(e.spareItems) - 1
		lists := e.spareItems[last]
		e.spareItems = e.spareItems[:last]
		if len(lists.items) >= n {
			return lists
		}
	}
	return sortLists{fresh[sortItem](&e.images, n), fresh[sortItem](&e.images, n)}
}

// keepLists takes lists back.
func (e *Epoch) keepLists(lists sortLists) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spareItems = append(e.spareItems, lists)
}

// radixFrom is the length from which counting bytes beats comparing.
const radixFrom = 256

// sortItems sorts by prefix, and by tie where prefixes are equal. tie must be a total order. other has as many places.
func sortItems(items, other []sortItem, tie func(i, j uint32) int) {
	if len(items) < radixFrom {
		slices.SortFunc(items, func(a, b sortItem) int {
			if c := cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low)); c != 0 {
				return c
			}
			return tie(a.number, b.number)
		})
		return
	}
	radix(items, other[:len(items)])
	for from := 0; from < len(items); {
		to := from + 1
		for to < len(items) && items[to].high == items[from].high && items[to].low == items[from].low {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(items[from:to], func(a, b sortItem) int { return tie(a.number, b.number) })
		}
		from = to
	}
}

// radix sorts by the 16 bytes of the prefixes, last byte first. Bytes that are the same in all items, most of
// them in keys of numbers, take no pass.
func radix(items, other []sortItem) {
	var counts [16][256]int
	for i := range items {
		for b := range 8 {
			counts[b][byte(items[i].low>>(8*b))]++
			counts[8+b][byte(items[i].high>>(8*b))]++
		}
	}
	from, to := items, other
	for b := range counts {
		count := &counts[b]
		digit := func(it *sortItem) byte {
			if b < 8 {
				return byte(it.low >> (8 * b))
			}
			return byte(it.high >> (8 * (b - 8)))
		}
		if count[digit(&from[0])] == len(items) {
			continue
		}
		sum := 0
		for d := range count {
			count[d], sum = sum, sum+count[d]
		}
		for i := range from {
			d := digit(&from[i])
			to[count[d]] = from[i]
			count[d]++
		}
		from, to = to, from
	}
	if &from[0] != &items[0] {
		copy(items, from)
	}
}

// prefixOf returns the first 16 bytes of a sort key as two numbers.
func prefixOf(key []byte) (high, low uint64) {
	var b [16]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// sortKey appends the columns of a key image in index order, encoded so that bytes compare as the index
// does, as near as bytes can know it.
func (s *table) sortKey(dst, key []byte) ([]byte, error) {
	if _, err := s.layout.Image(key, s.sets[s.keySet], s.known); err != nil {
		return dst, fmt.Errorf("fold %s: read key kept: %w", s.Name, err)
	}
	for i, c := range s.Key {
		sp := s.known[c]
		dst = appendOrdered(dst, key[sp.Start:sp.End], s.Orders[i], s.Layout.Columns[c])
	}
	return dst, nil
}

// appendOrdered appends a value so that bytes compare as the values do.
func appendOrdered(dst, value []byte, o Order, c binlog.Column) []byte {
	at := len(dst)
	switch {
	case (o == OrderSigned || o == OrderUnsigned || o == OrderFloat || o == OrderDouble) && len(value) > 0 && len(value) <= 8:
		for i := len(value) - 1; i >= 0; i-- {
			dst = append(dst, value[i])
		}
		number := dst[at:]
		switch {
		case o == OrderUnsigned:
		case o == OrderSigned || number[0] < 0x80:
			number[0] ^= 0x80
		default: // a negative float
			for i := range number {
				number[i] = ^number[i]
			}
		}
		return dst
	}
	text := value[min(c.LengthBytes(), len(value)):]
	dst = append(dst, text...)
	if len(text) < len(value) {
		dst = append(dst, 0) // before every longer string
	}
	return dst
}

// showKey writes a key image as a reader knows the key, in index order.
func (s *table) showKey(key []byte) string {
	if _, err := s.layout.Image(key, s.sets[s.keySet], s.known); err != nil {
		return "?"
	}
	parts := make([]string, 0, len(s.Key))
	for i, c := range s.Key {
		sp := s.known[c]
		parts = append(parts, s.Layout.Columns[c].Show(key[sp.Start:sp.End], s.Orders[i] == OrderUnsigned))
	}
	return strings.Join(parts, ", ")
}

// unsigned reads a little endian integer of up to 8 bytes.
func unsigned(value []byte) uint64 {
	switch len(value) {
	case 4:
		return uint64(binary.LittleEndian.Uint32(value))
	case 8:
		return binary.LittleEndian.Uint64(value)
	}
	var n uint64
	for i := min(len(value), 8) - 1; i >= 0; i-- {
		n = n<<8 | uint64(value[i])
	}
	return n
}

// signed reads a little endian integer of up to 8 bytes in two's complement.
func signed(value []byte) int64 {
	shift := 64 - 8*min(len(value), 8)
	return int64(unsigned(value)<<shift) >> shift
}

// float reads a FLOAT or a DOUBLE.
func float(value []byte) float64 {
	if len(value) == 4 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(value)))
	}
	return math.Float64frombits(unsigned(value))
}

// counter is the value of an AUTO_INCREMENT column, 0 where it is negative; the floor of a float.
func counter(value []byte, o Order) uint64 {
	switch {
	case o == OrderSigned:
		return uint64(max(signed(value), 0))
	case o == OrderUnsigned:
		return unsigned(value)
	case o == OrderFloat && len(value) == 4, o == OrderDouble && len(value) == 8:
		f := float(value)
		switch {
		case !(f > 0): // NaN too
			return 0
		case f >= 1<<64:
			return math.MaxUint64
		}
		return uint64(f)
	}
	return 0
}

// compareKeys orders two entries whose prefixes are equal.
func (s *table) compareKeys(i, j uint32) int {
	a, b := s.keyOf(s.entries.at(i)), s.keyOf(s.entries.at(j))
	var err error
	if s.key, err = s.sortKey(s.key[:0], a); err == nil {
		s.newKey, err = s.sortKey(s.newKey[:0], b)
	}
	if err == nil {
		if c := bytes.Compare(s.key, s.newKey); c != 0 {
			return c
		}
	}
	return bytes.Compare(a, b)
}
