package binlog

import "fmt"

// Flavor is the family of server that wrote a log.
type Flavor uint8

// The flavors.
const (
	MySQL Flavor = iota + 1
	MariaDB
)

// Type is the type of an event as its header states it.
type Type uint8

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

// Event is one event, whole and plain: what was in a compressed payload or in a compressed event of MariaDB
// has been inflated, and its type is the plain one. The bytes are valid until the next transaction is read.
type Event struct {
	Header
	Raw  []byte // header and body without checksum; in an inflated event the header is written anew
	Body []byte // Raw[HeaderLen:]
	At   Position
}

// Position is a place between two events of a log.
type Position struct {
	File   string // base name, as the log's files name one another
	Offset uint64
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Offset) }
