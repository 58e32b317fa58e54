package fold

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"interlock/replay/binlog"
)

// TestAppendOrdered holds that encoded values compare as numbers do, in every width.
func TestAppendOrdered(t *testing.T) {
	encode := func(o Order, v []byte) []byte { return appendOrdered(nil, v, o, binlog.Column{}) }
	little := func(n int64, width int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n))[:width] }
	for _, width := range []int{1, 2, 3, 4, 8} {
		half := int64(1) << (8*width - 1)
		values := []int64{-half, -half + 1, -2, -1, 0, 1, 2, half - 1}
		for i, v := range values[1:] {
			if bytes.Compare(encode(OrderSigned, little(values[i], width)), encode(OrderSigned, little(v, width))) >= 0 {
				t.Errorf("%d bytes: %d sorts after %d", width, values[i], v)
			}
		}
		for _, v := range values {
			if got := signed(little(v, width)); got != v {
				t.Errorf("%d bytes: %d reads as %d", width, v, got)
			}
		}
		if bytes.Compare(encode(OrderUnsigned, little(1, width)), encode(OrderUnsigned, little(-1, width))) >= 0 {
			t.Errorf("%d bytes: the greatest unsigned number sorts first", width)
		}
	}
	floats := []float64{math.Inf(-1), -math.MaxFloat32, -1.5, -1, -1e-30, 0, 1e-30, 1, 1.5, math.MaxFloat32, math.Inf(1)}
	for i, v := range floats[1:] {
		a, b := floats[i], v
		if bytes.Compare(encode(OrderDouble, binary.LittleEndian.AppendUint64(nil, math.Float64bits(a))), encode(OrderDouble, binary.LittleEndian.AppendUint64(nil, math.Float64bits(b)))) >= 0 {
			t.Errorf("double %v sorts after %v", a, b)
		}
		if bytes.Compare(encode(OrderFloat, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(a)))), encode(OrderFloat, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(b))))) >= 0 {
			t.Errorf("float %v sorts after %v", a, b)
		}
	}
}

// TestCounter holds invariant 11 by type.
func TestCounter(t *testing.T) {
	double := func(f float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)) }
	for _, c := range []struct {
		value []byte
		order Order
		want  uint64
	}{
		{[]byte{0xff}, OrderSigned, 0},
		{[]byte{0xff}, OrderUnsigned, 255},
		{[]byte{0x7f}, OrderSigned, 127},
		{[]byte{1, 0, 0x80}, OrderSigned, 0},
		{[]byte{1, 0, 0x80}, OrderUnsigned, 0x800001},
		{bytes.Repeat([]byte{0xff}, 8), OrderUnsigned, math.MaxUint64},
		{bytes.Repeat([]byte{0xff}, 8), OrderSigned, 0},
		{double(7.9), OrderDouble, 7},
		{double(-7.9), OrderDouble, 0},
		{double(math.NaN()), OrderDouble, 0},
		{double(math.Inf(1)), OrderDouble, math.MaxUint64},
		{double(1 << 63), OrderDouble, 1 << 63},
		{binary.LittleEndian.AppendUint32(nil, math.Float32bits(16.5)), OrderFloat, 16},
		{[]byte("12"), OrderBytes, 0},
		{double(1), OrderFloat, 0}, // not a FLOAT at all
	} {
		if got := counter(c.value, c.order); got != c.want {
			t.Errorf("counter(%x, %d) = %d, want %d", c.value, c.order, got, c.want)
		}
	}
}

// TestSortItems holds the radix sort against the comparing one, with long runs of equal prefixes.
func TestSortItems(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{0, 1, 2, radixFrom - 1, radixFrom, 5000} {
		for _, bits := range []uint64{0, 0xff, 0xff00ff, math.MaxUint64} {
			items := make([]sortItem, n)
			for i := range items {
				items[i] = sortItem{r.Uint64() & bits, r.Uint64() & bits, uint32(i)}
			}
			tie := func(i, j uint32) int { return cmp.Compare(j, i) } // the later, the earlier
			want := slices.Clone(items)
			slices.SortStableFunc(want, func(a, b sortItem) int {
				return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low), tie(a.number, b.number))
			})
			sortItems(items, make([]sortItem, len(items)), tie)
			if !slices.Equal(items, want) {
				t.Errorf("%d items, bits %x: not in order", n, bits)
			}
		}
	}
}

// TestTextKeys holds invariant 9 for keys whose first 16 bytes are the same, and of which one begins as
// another one does.
func TestTextKeys(t *testing.T) {
	table, e := bytesTable(t, true), New()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("the same beginning %d", i), fmt.Sprintf("%d", i), fmt.Sprintf("%d\x01", i))
	}
	for _, i := range rand.New(rand.NewPCG(7, 8)).Perm(len(names)) {
		if err := addRows(t, e, table, binlog.WriteRows, blob(names[i], nil)); err != nil {
			t.Fatal(err)
		}
	}
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for i, c := range outcomes[0].Comes {
		if got := string(c.After[2 : 2+int(c.After[1])]); got != names[i] {
			t.Fatalf("row %d is %q, want %q", i, got, names[i])
		}
	}
}

// TestLengthBytes holds which part of a string's value is its length.
func TestLengthBytes(t *testing.T) {
	for _, c := range []struct {
		column binlog.Column
		want   int
	}{
		{binlog.Column{Type: binlog.ColVarchar, Meta: 255}, 1},
		{binlog.Column{Type: binlog.ColVarchar, Meta: 256}, 2},
		{binlog.Column{Type: binlog.ColString, Meta: 480}, 2},
		{binlog.Column{Type: binlog.ColString, Meta: 40}, 1},
		{binlog.Column{Type: binlog.ColBlob, Meta: 3}, 3},
		{binlog.Column{Type: binlog.ColJSON, Meta: 4}, 4},
		{binlog.Column{Type: binlog.ColVarcharCompressed, Meta: 300}, 2},
		{binlog.Column{Type: binlog.ColBlobCompressed, Meta: 2}, 2},
		{binlog.Column{Type: binlog.ColNewDecimal, Meta: 10<<8 | 2}, 0},
		{binlog.Column{Type: binlog.ColEnum, Meta: 1}, 0},
	} {
		if got := c.column.LengthBytes(); got != c.want {
			t.Errorf("LengthBytes(%+v) = %d, want %d", c.column, got, c.want)
		}
	}
}
