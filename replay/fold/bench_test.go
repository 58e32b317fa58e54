package fold

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"interlock/replay/binlog"
)

// stream makes rows events of one row for a table of sysbench's layout, chained as a source would log them,
// each in the same buffer.
type stream struct {
	layout *binlog.Table
	format *binlog.Format
	table  *Table
	event  binlog.Event
	rowLen int
	images []int    // where the images of the event begin
	now    []uint32 // column k by row
}

// newStream makes a stream over a table of n rows with images of about 190 bytes and wide bytes more.
func newStream(b *testing.B, kind binlog.RowsKind, n, wide int) *stream {
	columns := []column{
		{typ: binlog.ColLong}, {typ: binlog.ColLong},
		{typ: binlog.ColString, meta: []byte{0xee, 0xe0}}, {typ: binlog.ColString, meta: []byte{0xfe, 0xf0}},
		{typ: binlog.ColBlob, meta: []byte{2}},
	}
	if wide == 0 {
		columns = columns[:4]
	}
	s := &stream{layout: layout(b, columns), now: make([]uint32, n)}
	s.format = &binlog.Format{Flavor: binlog.MySQL, PostHeaderLen: bytes.Repeat([]byte{8}, 42)}
	all := binlog.NewBitmap(len(columns))
	for i := range columns {
		all.Set(i)
	}
	s.table = &Table{Name: "sbtest.sbtest1", Layout: s.layout, Key: []int{0}, Orders: []Order{OrderSigned}, Unique: binlog.Bitmap{1}, AutoIncrement: 0, AutoOrder: OrderSigned}
	row := append([]byte{0xf0}, make([]byte, 8)...)
	row = append(append(row, 119, 0), bytes.Repeat([]byte("c"), 119)...)
	row = append(append(row, 59), bytes.Repeat([]byte("p"), 59)...)
	if wide > 0 {
		row[0] = 0xe0
		row = append(binary.LittleEndian.AppendUint16(row, uint16(wide)), bytes.Repeat([]byte("w"), wide)...)
	}
	s.rowLen = len(row)
	builder := binlog.Builder{Flavor: binlog.MySQL}
	raw, start := builder.BeginRows(nil, kind, s.layout, 1, binlog.StmtEnd, all, all)
	for range map[binlog.RowsKind]int{binlog.WriteRows: 1, binlog.UpdateRows: 2}[kind] {
		s.images = append(s.images, len(raw))
		raw = append(raw, row...)
	}
	raw = builder.EndRows(raw, start)
	s.event = binlog.Event{Raw: raw, Body: raw[binlog.HeaderLen:]}
	s.event.Type = map[binlog.RowsKind]binlog.Type{binlog.WriteRows: binlog.TypeWriteRows, binlog.UpdateRows: binlog.TypeUpdateRows}[kind]
	return s
}

// change makes the event the next change of a row.
func (s *stream) change(row int) {
	for _, at := range s.images {
		image := s.event.Raw[at:]
		binary.LittleEndian.PutUint32(image[1:], uint32(row))
		binary.LittleEndian.PutUint32(image[5:], s.now[row])
		s.now[row]++
	}
	s.now[row]--
}

func (s *stream) add(b *testing.B, e *Epoch, row int) {
	s.change(row)
	rows, err := binlog.ParseRows(s.format, &s.event, func(uint64) *binlog.Table { return s.layout })
	if err == nil {
		err = e.Add(s.table, &rows, 0)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what the process has used of the processors: on a machine that is shared it says more than the
// clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchAdd folds b.N changes, epoch after epoch of perEpoch changes, and ends each if outcomes is set. The
// rate is that of the rows events alone, of which ParseRows is a part.
func benchAdd(b *testing.B, s *stream, pick func(r *rand.Rand, i int) int, perEpoch int) {
	e, r := New(), rand.New(rand.NewPCG(1, 2))
	for i := range perEpoch { // memory that a run has from its first epochs
		s.add(b, e, pick(r, i))
	}
	e.Release()
	b.SetBytes(int64(len(s.event.Raw)))
	b.ReportAllocs()
	i, held, before := 0, int64(0), cpuTime(b)
	for b.Loop() {
		if i == perEpoch {
			held = e.Bytes()
			e.Release()
			i = 0
		}
		s.add(b, e, pick(r, i))
		i++
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if held > 0 {
		b.ReportMetric(float64(held)/(1<<20), "MiB/epoch")
	}
}

func BenchmarkAddHot(b *testing.B) {
	s := newStream(b, binlog.UpdateRows, 1000, 0)
	benchAdd(b, s, func(r *rand.Rand, _ int) int { return r.IntN(1000) }, 1_000_000)
}

func BenchmarkAddUniform100k(b *testing.B) {
	s := newStream(b, binlog.UpdateRows, 100_000, 0)
	benchAdd(b, s, func(r *rand.Rand, _ int) int { return r.IntN(100_000) }, 1_000_000)
}

func BenchmarkAddUniform1M(b *testing.B) {
	s := newStream(b, binlog.UpdateRows, 1_000_000, 0)
	benchAdd(b, s, func(r *rand.Rand, _ int) int { return r.IntN(1_000_000) }, 2_000_000)
}

func BenchmarkAddInserts(b *testing.B) {
	s := newStream(b, binlog.WriteRows, 1_000_000, 0)
	benchAdd(b, s, func(_ *rand.Rand, i int) int { return i }, 1_000_000)
}

func BenchmarkAddWide(b *testing.B) {
	s := newStream(b, binlog.UpdateRows, 10_000, 8000)
	benchAdd(b, s, func(r *rand.Rand, _ int) int { return r.IntN(10_000) }, 50_000)
}

// BenchmarkOutcomes ends epochs of 200,000 rows that were updated in place, in the order of their keys'
// hashes: compare, slim, sort.
func BenchmarkOutcomes(b *testing.B) {
	const n = 200_000
	s := newStream(b, binlog.UpdateRows, n, 0)
	e, order := New(), rand.New(rand.NewPCG(1, 2)).Perm(n)
	b.SetBytes(int64(2 * s.rowLen * n))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		e.Release()
		for _, row := range order {
			s.add(b, e, row)
		}
		b.StartTimer()
		if _, err := e.Outcomes(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}
