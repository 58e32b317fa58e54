package binlog

import (
	"encoding/binary"
	"hash/crc32"
)

// Builder writes plain events for a BINLOG statement: no checksums, positions zero, server id as given.
type Builder struct {
	Flavor    Flavor
	ServerID  uint32
	Timestamp uint32 // of every event: what NOW() is when it is applied
}

// AppendFormat appends the log's format description event with its checksum algorithm set to none. Its time of
// creation is zeroed: a server drops the session's temporary tables where it is not.
func (b *Builder) AppendFormat(dst []byte, f *Format) []byte {
	start := len(dst)
	dst = append(dst, f.Raw...)
	dst = append(dst, 0, 0, 0, 0)
	ev := dst[start:]
	h := f.header
	h.Size, h.NextPos = uint32(len(ev)), 0
	h.Flags &^= flagInUse
	h.put(ev)
	clear(ev[formatCreatedAt:formatHeaderLenAt])
	ev[len(ev)-formatTail] = 0
	binary.LittleEndian.PutUint32(ev[len(ev)-checksumLen:], crc32.ChecksumIEEE(ev[:len(ev)-checksumLen]))
	return dst
}

// AppendTableMap appends a table map event for t under the given id.
func (b *Builder) AppendTableMap(dst []byte, t *Table, id uint64) []byte {
	dst, start := b.begin(dst, TypeTableMap)
	dst = append(appendID(dst, id, t.idLen), t.Raw...)
	return b.EndRows(dst, start)
}

// AppendTableMapAs is AppendTableMap under another schema and name, for rewritten databases. Names of more than
// 255 bytes do not exist.
func (b *Builder) AppendTableMapAs(dst []byte, t *Table, id uint64, schema, name string) []byte {
	dst, start := b.begin(dst, TypeTableMap)
	dst = append(appendID(dst, id, t.idLen), t.Raw[:2]...)
	dst = append(append(append(dst, byte(len(schema))), schema...), 0)
	dst = append(append(append(dst, byte(len(name))), name...), 0)
	dst = append(dst, t.Raw[2+len(t.Schema)+2+len(t.Name)+2:]...)
	return b.EndRows(dst, start)
}

// BeginRows appends a rows event up to its images and returns where it starts; EndRows, called after the
// images have been appended, writes its length. MySQL gets version 2, MariaDB version 1.
func (b *Builder) BeginRows(dst []byte, kind RowsKind, t *Table, id uint64, flags uint16, before, after Bitmap) ([]byte, int) {
	dst, start := b.begin(dst, b.rowsType(kind))
	dst = appendID(dst, id, t.idLen)
	dst = binary.LittleEndian.AppendUint16(dst, flags)
	if b.Flavor != MariaDB {
		dst = append(dst, 2, 0) // no extra row info: the length counts itself
	}
	dst = appendPacked(dst, len(t.Columns))
	if kind != WriteRows {
		dst = append(dst, before...)
	}
	if kind != DeleteRows {
		dst = append(dst, after...)
	}
	return dst, start
}

// EndRows writes the length of the event that starts at start.
func (b *Builder) EndRows(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint32(dst[start+9:], uint32(len(dst)-start))
	return dst
}

func (b *Builder) begin(dst []byte, t Type) ([]byte, int) {
	start := len(dst)
	var header [HeaderLen]byte
	h := Header{Timestamp: b.Timestamp, Type: t, ServerID: b.ServerID}
	h.put(header[:])
	return append(dst, header[:]...), start
}

func (b *Builder) rowsType(kind RowsKind) Type {
	if kind == PartialUpdateRows {
		return TypePartialUpdateRows
	}
	if b.Flavor == MariaDB {
		return TypeWriteRowsV1 + Type(kind-WriteRows)
	}
	return TypeWriteRows + Type(kind-WriteRows)
}

// appendID appends a table id of n bytes.
func appendID(dst []byte, id uint64, n int) []byte {
	for i := range n {
		dst = append(dst, byte(id>>(8*i)))
	}
	return dst
}

// appendPacked appends a length-encoded number of at most 65,535: no table has more columns.
func appendPacked(dst []byte, n int) []byte {
	if n < 251 {
		return append(dst, byte(n))
	}
	return append(dst, 0xfc, byte(n), byte(n>>8))
}
