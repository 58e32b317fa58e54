package binlog

import (
	"encoding/binary"
	"fmt"
)

// Flavor is the family of server that wrote a log.
type Flavor uint8

// The flavors.
const (
	MySQL Flavor = iota + 1
	MariaDB
)

func (f Flavor) String() string {
	switch f {
	case MySQL:
		return "MySQL"
	case MariaDB:
		return "MariaDB"
	}
	return "no flavor"
}

// Header is the 19 bytes before every event.
type Header struct {
	Timestamp uint32 // seconds since 1970
	Type      Type
	ServerID  uint32
	Size      uint32 // of the whole event in the file, checksum included
	NextPos   uint32 // where the next event starts, modulo 4 GiB; 0 inside a compressed payload
	Flags     uint16
}

// HeaderLen is the length of a Header in a file.
const HeaderLen = 19

// checksumLen is the length of the CRC32 behind an event.
const checksumLen = 4

// Flags of a header. Source: mysql/binlog/event/binlog_event.h; the same in MariaDB's log_event.h.
const (
	flagInUse     uint16 = 0x01 // of a format description: the file was not closed; left out of its checksum
	flagRelayLog  uint16 = 0x40
	flagIgnorable uint16 = 0x80
)

// parseHeader reads the HeaderLen bytes before an event.
func parseHeader(b []byte) (h Header) {
	h.read(b)
	return h
}

// read fills h from the HeaderLen bytes before an event.
func (h *Header) read(b []byte) {
	_ = b[HeaderLen-1]
	h.Timestamp = binary.LittleEndian.Uint32(b)
	h.Type = Type(b[4])
	h.ServerID = binary.LittleEndian.Uint32(b[5:])
	h.Size = binary.LittleEndian.Uint32(b[9:])
	h.NextPos = binary.LittleEndian.Uint32(b[13:])
	h.Flags = binary.LittleEndian.Uint16(b[17:])
}

// put writes the header over the first HeaderLen bytes of b.
func (h *Header) put(b []byte) {
	_ = b[HeaderLen-1]
	binary.LittleEndian.PutUint32(b, h.Timestamp)
	b[4] = byte(h.Type)
	binary.LittleEndian.PutUint32(b[5:], h.ServerID)
	binary.LittleEndian.PutUint32(b[9:], h.Size)
	binary.LittleEndian.PutUint32(b[13:], h.NextPos)
	binary.LittleEndian.PutUint16(b[17:], h.Flags)
}

// Event is one event, whole and plain: what was in a compressed payload or in a compressed event of MariaDB
// has been inflated, and its type is the plain one. The bytes are valid until the next transaction is read;
// in a transaction of more than KeepBytes only until the next event is.
type Event struct {
	Header
	Raw  []byte // header and body without checksum; in an inflated event the header is written anew
	Body []byte // Raw[HeaderLen:]
	At   Position
}

// newEvent is an event over raw, which has no checksum.
func newEvent(h Header, raw []byte, at Position) Event {
	return Event{Header: h, Raw: raw, Body: raw[HeaderLen:], At: at}
}

// Position is a place between two events of a log.
type Position struct {
	File   string // base name, as the log's files name one another
	Offset uint64
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Offset) }
