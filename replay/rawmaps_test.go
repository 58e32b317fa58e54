package replay

import (
	"bytes"
	"encoding/binary"
	"testing"

	"interlock/replay/binlog"
)

// Table maps are found by their ids within a transaction, and not behind it.
func TestRawMaps(t *testing.T) {
	mapOf := func(id uint64, rest string) *binlog.Event {
		raw := append(make([]byte, binlog.HeaderLen), binary.LittleEndian.AppendUint64(nil, id)[:tableIDLen]...)
		raw = append(raw, rest...)
		return &binlog.Event{Raw: raw, Body: raw[binlog.HeaderLen:]}
	}
	var m rawMaps
	for n := range uint64(3) {
		a, b := mapOf(1+n, "one table"), mapOf(0xfffffffffff0+n, "another")
		for range 1000 {
			m.put(a)
			m.put(b)
		}
		if size := len(m.bytes); size > 2*len(a.Raw) {
			t.Errorf("two maps take %d bytes", size)
		}
		again := mapOf(1+n, "altered since")
		m.put(again)
		if !bytes.Equal(m.of(1+n), again.Raw) || !bytes.Equal(m.of(0xfffffffffff0+n), b.Raw) {
			t.Fatalf("%q and %q", m.of(1+n), m.of(0xfffffffffff0+n))
		}
		m.clear()
		if got := m.of(1 + n); len(got) > 0 {
			t.Fatalf("%q behind its transaction", got)
		}
	}
	for id := range uint64(60_000) {
		m.put(mapOf(id, "a name"))
		m.clear()
	}
	if len(m.at) > 0 || cap(m.bytes) > mostRawMapBytes {
		t.Errorf("%d maps, %d bytes are kept", len(m.at), cap(m.bytes))
	}
}
