package binlog_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"interlock/replay/binlog"
)

// tableMap is the table map of w.<name> under an id, with so many INT columns whose names are in it.
func tableMap(id uint64, name string, columns int) *binlog.Event {
	body := binary.LittleEndian.AppendUint64(nil, id)[:6]
	body = append(body, 1, 0, 1, 'w', 0, byte(len(name)))
	body = append(append(body, name...), 0)
	packed := func(n int) { body = append(body, 0xfc, byte(n), byte(n>>8)) }
	packed(columns)
	for range columns {
		body = append(body, byte(binlog.ColLong))
	}
	packed(0)
	body = append(body, make([]byte, (columns+7)/8)...)
	body = append(body, 4) // names
	packed(columns * 15)
	for i := range columns {
		body = append(append(body, 14), fmt.Sprintf("column_no_%04d", i)...)
	}
	raw := append(make([]byte, binlog.HeaderLen), body...)
	return &binlog.Event{Header: binlog.Header{Type: binlog.TypeTableMap, Size: uint32(len(raw))}, Raw: raw, Body: raw[binlog.HeaderLen:]}
}

// A table that is opened again has another id and the same layout.
func TestTableOpenedAgain(t *testing.T) {
	format := someFormat(t)
	var tables binlog.TableCache
	first, err := tables.Parse(format, tableMap(1000, "t", 300))
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(1001); id < 1100; id++ {
		tables.Clear()
		ev := tableMap(id, "t", 300)
		table, err := tables.Parse(format, ev)
		if err != nil || table != first || tables.Table(id) != first {
			t.Fatalf("under id %d it is another table: %v", id, err)
		}
		if tables.Table(id-1) != nil {
			t.Fatalf("id %d has a table after Clear", id-1)
		}
		b := binlog.Builder{Flavor: binlog.MySQL}
		if got := b.AppendTableMap(nil, table, id)[binlog.HeaderLen:]; string(got) != string(ev.Body) {
			t.Fatalf("built again under id %d: %x, was %x", id, got, ev.Body)
		}
	}
	if other, err := tables.Parse(format, tableMap(1099, "u", 300)); err != nil || other == first || tables.Table(1099) != other {
		t.Errorf("another table under an id that is taken: %v", err)
	}
}

// What the cache holds is bounded in bytes, by ids and by layouts; the tables of the statement are kept.
func TestTableCacheIsBounded(t *testing.T) {
	const most = 32 << 20
	format := someFormat(t)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for name, of := range map[string]func(n int) string{
		"ids":     func(int) string { return "t" },
		"layouts": func(n int) string { return fmt.Sprint("t", n) },
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			var tables binlog.TableCache
			for n := range 5000 {
				tables.Clear()
				if _, err := tables.Parse(format, tableMap(uint64(n), of(n), 300)); err != nil {
					t.Fatal(err)
				}
			}
			if held := heap() - before; held > most {
				t.Errorf("the cache holds %d bytes, at most %d", held, most)
			}
			tables.Clear()
			for n := range 3000 {
				if _, err := tables.Parse(format, tableMap(uint64(n), fmt.Sprint("s", n), 300)); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 3000 {
				if table := tables.Table(uint64(n)); table == nil || table.Name != fmt.Sprint("s", n) {
					t.Fatalf("table %d of a statement is forgotten", n)
				}
			}
		})
	}
}
