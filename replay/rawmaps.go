package replay

import (
	"encoding/binary"

	"interlock/replay/binlog"
)

// rawMaps are the table map events of a transaction by id, for what is sent as it stands: in a large transaction an
// event's own bytes live until the next event.
type rawMaps struct {
	bytes []byte
	at    map[uint64]span
}

// span is a stretch of bytes.
type span struct{ from, to int }

const (
	mostRawMapBytes = 256 << 10 // kept from one transaction for the next
	mostRawMaps     = 1024      // likewise: a map is cleared as large as it once was
)

// put keeps the event of a table map. A statement gives the same one again: it takes the place of the one before.
func (m *rawMaps) put(ev *binlog.Event) {
	var id [8]byte
	copy(id[:tableIDLen], ev.Body)
	key := binary.LittleEndian.Uint64(id[:])
	if at, ok := m.at[key]; ok && at.to-at.from == len(ev.Raw) {
		copy(m.bytes[at.from:at.to], ev.Raw)
		return
	}
	if m.at == nil {
		m.at = map[uint64]span{}
	}
	m.at[key] = span{len(m.bytes), len(m.bytes) + len(ev.Raw)}
	m.bytes = append(m.bytes, ev.Raw...)
}

// of is the event last put under an id, valid until the next put; nil if there is none.
func (m *rawMaps) of(id uint64) []byte {
	at := m.at[id]
	return m.bytes[at.from:at.to]
}

// clear forgets all.
func (m *rawMaps) clear() {
	if cap(m.bytes) > mostRawMapBytes {
		m.bytes = nil
	}
	if len(m.at) > mostRawMaps {
		m.at = nil
	}
	m.bytes = m.bytes[:0]
	clear(m.at)
}
