package fold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"interlock/replay/binlog"
)

// bytesTable is a table of one key column, a VARCHAR, and a BLOB of up to 16 MB; without key a multiset.
func bytesTable(t testing.TB, keyed bool) *Table {
	table := &Table{Name: "db.t", AutoIncrement: -1,
		Layout: layout(t, []column{{typ: binlog.ColVarchar, meta: []byte{200, 0}}, {typ: binlog.ColBlob, meta: []byte{3}}})}
	if keyed {
		table.Key, table.Orders, table.Unique = []int{0}, []Order{OrderBytes}, binlog.Bitmap{1}
	}
	return table
}

// blob makes a row of bytesTable.
func blob(key string, value []byte) []byte {
	image := append([]byte{0xfc, byte(len(key))}, key...)
	image = append(image, byte(len(value)), byte(len(value)>>8), byte(len(value)>>16))
	return append(image, value...)
}

func addRows(t testing.TB, e *Epoch, table *Table, kind binlog.RowsKind, images ...[]byte) error {
	t.Helper()
	all := binlog.Bitmap{0b11}
	rows := binlog.Rows{Table: table.Layout, Kind: kind, Before: all, After: all, Data: bytes.Join(images, nil)}
	return e.Add(table, &rows, 0)
}

// TestEvacuate holds invariant 12: rows whose images never keep their length, long keys, rows that come and
// go and come again; garbage stays below half and every image stays what it was.
func TestEvacuate(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	e, keyed, bag := New(), bytesTable(t, true), bytesTable(t, false)
	bag.Name = "db.bag"
	value := func() []byte {
		v := make([]byte, r.IntN(3000))
		if r.IntN(200) == 0 {
			v = make([]byte, 400_000) // a slab of its own
		}
		for i := range v {
			v[i] = byte(r.Uint32())
		}
		return v
	}
	name := func(i int) string {
		if i%2 == 0 {
			return fmt.Sprint(i)
		}
		return fmt.Sprintf("a key that does not lie in its entry %d", i)
	}
	const n = 1000
	first, now := make([][]byte, n), make([][]byte, n)
	var kept [][]byte // of the multiset
	peak := int64(0)
	for range 30_000 {
		i := r.IntN(n)
		next := blob(name(i), value())
		var err error
		switch {
		case first[i] == nil: // a row from before the epoch
			first[i] = blob(name(i), value())
			err = addRows(t, e, keyed, binlog.UpdateRows, first[i], next)
		case now[i] == nil:
			err = addRows(t, e, keyed, binlog.WriteRows, next)
		case r.IntN(5) == 0:
			err = addRows(t, e, keyed, binlog.DeleteRows, now[i])
			next = nil
		default:
			err = addRows(t, e, keyed, binlog.UpdateRows, now[i], next)
		}
		now[i] = next
		if len(kept) < 2000 && err == nil && r.IntN(10) == 0 {
			kept = append(kept, blob(fmt.Sprintf("%05d", len(kept)), value()))
			err = addRows(t, e, bag, binlog.WriteRows, kept[len(kept)-1])
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.images.garbage < 0 || e.images.wasteful() {
			t.Fatalf("%d of %d bytes are garbage", e.images.garbage, e.images.held)
		}
		peak = max(peak, e.images.held)
	}
	living, exact := int64(0), int64(0)
	for i := range n {
		living += int64(len(first[i]) + len(now[i]) + 80)
		exact += int64(len(first[i]) + len(now[i]))
	}
	for _, k := range kept {
		living += int64(len(k) + 16)
		exact += int64(len(k))
	}
	if held := e.images.held - e.images.garbage; held > living*3/2+4*slabBytes {
		t.Errorf("%d bytes count as living, %d live", held, living)
	}
	if held := e.images.held - e.images.garbage; held < exact {
		t.Errorf("%d bytes count as living, %d live", held, exact)
	}
	if peak > 4*living {
		t.Errorf("the arena grew to %d bytes for %d", peak, living)
	}
	e.WholeImages = true
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	byKey := func(image []byte) int {
		var i int
		text := image[2 : 2+int(image[1])]
		if _, err := fmt.Sscan(string(text[bytes.LastIndexByte(text, ' ')+1:]), &i); err != nil {
			t.Fatal(err)
		}
		return i
	}
	for _, c := range outcomes[0].Goes {
		if i := byKey(c.Before); now[i] != nil || !bytes.Equal(c.Before, first[i]) {
			t.Fatalf("row %d goes as another one", i)
		}
	}
	for _, c := range outcomes[0].Comes {
		if i := byKey(c.After); c.Kind != Update || !bytes.Equal(c.Before, first[i]) || !bytes.Equal(c.After, now[i]) {
			t.Fatalf("row %d comes as another one", i)
		}
	}
	if len(outcomes[0].Goes)+len(outcomes[0].Comes) != n {
		t.Fatalf("%d rows go and %d come of %d", len(outcomes[0].Goes), len(outcomes[0].Comes), n)
	}
	if len(outcomes[1].Comes) != len(kept) {
		t.Fatalf("%d rows come, want %d", len(outcomes[1].Comes), len(kept))
	}
	for i, c := range outcomes[1].Comes {
		if !bytes.Equal(c.After, kept[i]) {
			t.Fatalf("row %d of the multiset comes as another one", i)
		}
	}
}

// TestUndoLarge holds invariant 6 on an event of many rows, most of them known: nothing of it is left, and no
// memory is lost over many such events.
func TestUndoLarge(t *testing.T) {
	const n = 2000
	table, e := bytesTable(t, true), New()
	rows := func(version int, kind binlog.RowsKind, upTo int) [][]byte {
		var images [][]byte
		for i := range upTo {
			was := blob(fmt.Sprint("row ", i), bytes.Repeat([]byte{byte(version)}, 10+version*i%70))
			if kind == binlog.UpdateRows {
				images = append(images, was)
				was = blob(fmt.Sprint("row ", i), bytes.Repeat([]byte{byte(version + 1)}, 10+(version+1)*i%70))
			}
			images = append(images, was)
		}
		return images
	}
	if err := addRows(t, e, table, binlog.UpdateRows, rows(1, binlog.UpdateRows, n/2)...); err != nil {
		t.Fatal(err)
	}
	before := live(&e.images)
	for range 20 {
		bad := append(rows(2, binlog.UpdateRows, n), blob("row 3", nil), blob("row 3", nil))
		var broken *ChainError
		if err := addRows(t, e, table, binlog.UpdateRows, bad...); !errors.As(err, &broken) {
			t.Fatalf("got %v", err)
		}
		if now := live(&e.images); now != before {
			t.Fatalf("%d bytes live after an event was refused, %d before", now, before)
		}
	}
	if err := addRows(t, e, table, binlog.UpdateRows, rows(2, binlog.UpdateRows, n/2)...); err != nil {
		t.Fatal(err)
	}
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; len(o.Comes) != n/2 || o.Changes != n || e.Changes() != n {
		t.Fatalf("%d rows come of %d changes", len(o.Comes), o.Changes)
	}
}

// live is how many bytes are in blocks that are in use.
func live(a *arena) int64 { return a.held - a.garbage - int64(len(a.slabs[a.open])-a.used) }

// TestQueue holds invariant 12 for rows that come and go, never to be seen again, and for rows whose images
// were long once.
func TestQueue(t *testing.T) {
	table, e := bytesTable(t, true), New()
	long := bytes.Repeat([]byte("v"), 500)
	for i := range 20_000 {
		row := blob(fmt.Sprint(i), long)
		if err := addRows(t, e, table, binlog.WriteRows, row); err != nil {
			t.Fatal(err)
		}
		if err := addRows(t, e, table, binlog.DeleteRows, row); err != nil {
			t.Fatal(err)
		}
	}
	if n := live(&e.images); n != 0 {
		t.Errorf("%d bytes live of rows that came and went", n)
	}
	for i := range 1000 {
		key := fmt.Sprint("known ", i)
		long, short := blob(key, bytes.Repeat(long, 20)), blob(key, nil)
		for _, rows := range [][][]byte{{short, long}, {long, short}} {
			if err := addRows(t, e, table, binlog.UpdateRows, rows...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := live(&e.images); n > 100*1000 {
		t.Errorf("%d bytes live of a thousand short rows", n)
	}
	if e.images.held > 8*slabBytes {
		t.Errorf("%d bytes are held", e.images.held)
	}
}

// TestSpares holds that epochs of one kind do not keep their memory beside that of epochs of another kind.
func TestSpares(t *testing.T) {
	table, e := bytesTable(t, true), New()
	fill := func(rows, size int) int64 {
		value := make([]byte, size)
		for i := range rows {
			if err := addRows(t, e, table, binlog.WriteRows, blob(fmt.Sprint(i), value)); err != nil {
				t.Fatal(err)
			}
		}
		held := e.Bytes()
		if _, err := e.Outcomes(); err != nil {
			t.Fatal(err)
		}
		return held
	}
	spare := func() int64 {
		return int64(len(e.images.spare))*slabBytes + int64(len(e.spareEntries))*listSlab*entryBytes
	}
	large := fill(1000, 20_000)
	e.Release()
	before := spare()
	small := fill(60_000, 10)
	if now := spare() + small; before < large*8/10 || now > large*13/10 {
		t.Errorf("%d bytes were spare after an epoch of %d; with one of %d rows %d are held", before, large, 60_000, now)
	}
	e.Release()
	for n := 100; n < 200; n++ {
		fill(n, 10)
		e.Release()
	}
	if len(e.spareChanges) > 2 {
		t.Errorf("%d lists of changes are kept", len(e.spareChanges))
	}
}

// TestSteadyState holds invariant 12: no allocation for a change to a row that is known, and none in the
// epochs after the first.
func TestSteadyState(t *testing.T) {
	table, e := bytesTable(t, true), New()
	all := binlog.Bitmap{0b11}
	events := make([]binlog.Rows, 0, 2000)
	for i := range 1000 {
		a, b := blob(fmt.Sprint(i), []byte("one value")), blob(fmt.Sprint(i), []byte("other value"))
		for _, data := range [][]byte{append(bytes.Clone(a), b...), append(bytes.Clone(b), a...)} {
			events = append(events, binlog.Rows{Table: table.Layout, Kind: binlog.UpdateRows, Before: all, After: all, Data: data})
		}
	}
	run := func() {
		for i := range events {
			if err := e.Add(table, &events[i], 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations for changes to known rows", n)
	}
	e.Release()
	if n := testing.AllocsPerRun(10, func() { run(); e.Release() }); n > 60 {
		t.Errorf("%v allocations for an epoch of 2000 changes after the first", n)
	}
}

// TestBytes holds the promise of Bytes against the heap.
func TestBytes(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	table := bytesTable(t, true)
	before := heap()
	e := New()
	value := bytes.Repeat([]byte("v"), 150)
	for i := range 50_000 {
		if err := addRows(t, e, table, binlog.UpdateRows, blob(fmt.Sprint(i), value), blob(fmt.Sprint(i), append(value, 1))); err != nil {
			t.Fatal(err)
		}
	}
	says := e.Bytes()
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	holds := heap() - before
	if reserve := 50_000 * 2 * sortItemBytes; holds > says*11/10 || holds < (says-reserve)*9/10 {
		t.Errorf("holds %d bytes, says %d", holds, says)
	}
	runtime.KeepAlive(outcomes)
	e.Release()
	if e.Bytes() != 0 {
		t.Errorf("holds %d bytes after Release", e.Bytes())
	}
}

// TestManySets holds invariant 10 where a table's updates change more than eight sets of columns: the most
// frequent keep theirs, the others share one.
func TestManySets(t *testing.T) {
	columns := []column{{typ: binlog.ColLong}}
	for range 12 {
		columns = append(columns, column{typ: binlog.ColTiny})
	}
	table := &Table{Name: "db.t", Layout: layout(t, columns), Key: []int{0}, Orders: []Order{OrderSigned}, AutoIncrement: -1}
	e, all := New(), binlog.Bitmap{0xff, 0x1f}
	image := func(id, set int, v byte) []byte {
		im := binary.LittleEndian.AppendUint32([]byte{0, 0xe0}, uint32(id))
		for c := range 12 {
			im = append(im, v*byte(set>>c&1))
		}
		return im
	}
	sets := make([]int, 400)
	for i := range sets {
		sets[i] = 1 << (i % 12)
		if i%12 >= 7 && i > 100 {
			sets[i] = 1
		}
		rows := binlog.Rows{Table: table.Layout, Kind: binlog.UpdateRows, Before: all, After: all,
			Data: append(image(i, 0, 0), image(i, sets[i], 1)...)}
		if err := e.Add(table, &rows, 0); err != nil {
			t.Fatal(err)
		}
	}
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	distinct, wide := map[*byte]binlog.Bitmap{}, 0
	for i, c := range outcomes[0].Comes {
		distinct[&c.AfterCols[0]] = c.AfterCols
		r, err := decode(table.Layout, c.After, c.AfterCols)
		if err != nil {
			t.Fatal(err)
		}
		present := 0
		for column, v := range r[1:] {
			changed := sets[i]>>column&1 == 1
			if v == absent && changed || v != absent && v[0] != map[bool]byte{true: 1}[changed] {
				t.Fatalf("row %d, column %d: %q", i, column, v)
			}
			if v != absent {
				present++
			}
		}
		if present > 1 {
			wide++
		}
	}
	if len(distinct) != maxChanged+1 {
		t.Errorf("%d sets of columns: %08b", len(distinct), distinct)
	}
	if wide == 0 || wide > 40 {
		t.Errorf("%d of %d updates carry more than they changed", wide, len(sets))
	}
}

// TestKinds holds that epochs of rows with keys, of narrow rows without, and of wide ones, turn by turn, hold no more
// memory than the largest of them.
func TestKinds(t *testing.T) {
	const most = 24 << 20
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	e, keyed, bag, wide := New(), bytesTable(t, true), bytesTable(t, false), bytesTable(t, true)
	bag.Name, wide.Name = "db.bag", "db.wide"
	value := make([]byte, 20_000)
	for range 3 {
		for n, table := range []*Table{keyed, bag, wide, bag} {
			size := 4
			if table == wide {
				size = len(value)
			}
			for i := 0; e.Bytes() < most; i++ {
				kind, images := binlog.UpdateRows, [][]byte{blob(fmt.Sprint(i), value[:size]), blob(fmt.Sprint("new ", i), value[:size])}
				if n == 3 { // goes alone: one list, and twice as long
					kind, images = binlog.DeleteRows, images[:1]
				}
				if err := addRows(t, e, table, kind, images...); err != nil {
					t.Fatal(err)
				}
			}
			outcomes, err := e.Outcomes()
			if err != nil {
				t.Fatal(err)
			}
			if held := heap() - before; held > most*5/4 {
				t.Errorf("%s: %d bytes are held for an epoch of %d", table.Name, held, most)
			}
			runtime.KeepAlive(outcomes)
			e.Release()
			if held := heap() - before; held > most*5/4 {
				t.Errorf("%s: %d bytes are held behind an epoch of %d", table.Name, held, most)
			}
		}
	}
	runtime.KeepAlive(e)
}

// TestManyTables holds that the first slabs of tables, which are made anew, do not gather from epoch to epoch.
func TestManyTables(t *testing.T) {
	tables := make([]*Table, 50)
	for i := range tables {
		tables[i] = bytesTable(t, true)
		tables[i].Name = fmt.Sprint("db.t", i)
	}
	e := New()
	for range 20 {
		for _, table := range tables {
			for i := range 300 {
				if err := addRows(t, e, table, binlog.WriteRows, blob(fmt.Sprint(i), nil)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := e.Outcomes(); err != nil {
			t.Fatal(err)
		}
		held := e.Bytes()
		e.Release()
		if spare := int64(len(e.spareEntries)) * 1024 * entryBytes; spare > held*5/4 {
			t.Fatalf("%d bytes of entries are spare behind an epoch of %d", spare, held)
		}
	}
}
