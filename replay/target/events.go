package target

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"interlock/replay/binlog"
)

// Event types that a BINLOG statement may carry, as far as splitting needs them. Sources: check_event_type in
// sql/sql_binlog.cc of both servers; rows events by enum Log_event_type.
const (
	typeTableMap     = 19
	typeRowsV1First  = 23 // WRITE_ROWS_EVENT_V1, UPDATE, DELETE
	typeRowsV1Last   = 25
	typeRowsV2First  = 30
	typeRowsV2Last   = 32
	typePartialRows  = 39
	dummyTableID     = 0xffffff // of a rows event without rows that ends a statement
	rowsFlagsAt      = binlog.HeaderLen + 6
	smallestPostHead = 8 // table id, flags
)

// batchBytes is how many bytes of events go into one BINLOG statement, if a statement group does not need more.
// From 64 KiB to 16 MiB nothing stood out of the noise (MySQL 9.7, MariaDB 10.11, rows of 130 bytes, one secondary
// index: 18 to 29 MB/s on one connection); the server holds the text and the decoded events of one statement in
// memory, so that smaller is better.
const batchBytes = 1 << 20

// batch is what goes into one BINLOG statement: events[start:end], complete statement groups with their table maps.
type batch struct {
	start, end  int
	first, last string // tables of its first and last map, for errors
}

func (b batch) String() string {
	if b.first == b.last {
		return "table " + b.first
	}
	return "tables " + b.first + " to " + b.last
}

// splitEvents cuts events into batches. It cuts only before a table map that follows the end of a statement
// (STMT_END): a rows event whose table map is not in the same BINLOG statement would return OK and do nothing
// (both servers). Events that would do so are an error, and so is what no BINLOG statement takes.
func splitEvents(events []byte, limit int) ([]batch, error) {
	var (
		batches []batch
		current batch
		open    bool // a statement has begun and not ended
		maps    = map[uint64]string{}
	)
	for at := 0; at < len(events); {
		size, err := eventSize(events[at:])
		if err != nil {
			return nil, fmt.Errorf("split events at byte %d: %w", at, err)
		}
		event := events[at : at+size]
		switch kind := event[4]; {
		case kind == typeTableMap:
			if !open && at-current.start >= limit {
				current.end = at
				batches = append(batches, current)
				current = batch{start: at}
				clear(maps)
			}
			name, err := mappedName(event)
			if err != nil {
				return nil, fmt.Errorf("split events at byte %d: %w", at, err)
			}
			maps[eventTableID(event)] = name
			if current.first == "" {
				current.first = name
			}
			current.last, open = name, true
		case kind >= typeRowsV1First && kind <= typeRowsV1Last, kind >= typeRowsV2First && kind <= typeRowsV2Last, kind == typePartialRows:
			id := eventTableID(event)
			if _, mapped := maps[id]; !mapped && id != dummyTableID {
				return nil, fmt.Errorf("split events at byte %d: rows of table id %d without its table map: the server would pass over them in silence", at, id)
			}
			open = binary.LittleEndian.Uint16(event[rowsFlagsAt:])&binlog.StmtEnd == 0
		default:
			return nil, fmt.Errorf("split events at byte %d: no BINLOG statement carries events of type %d", at, kind)
		}
		at += size
	}
	if open {
		return nil, fmt.Errorf("split events of table %s: the last statement has no end (STMT_END)", current.last)
	}
	if current.start < len(events) {
		current.end = len(events)
		batches = append(batches, current)
	}
	return batches, nil
}

var errCutEvent = errors.New("event is cut")

// eventSize is the length of the event at the start of b, which has at least a header and a table id and flags.
func eventSize(b []byte) (int, error) {
	if len(b) < binlog.HeaderLen+smallestPostHead {
		return 0, errCutEvent
	}
	size := binary.LittleEndian.Uint32(b[9:])
	if size < binlog.HeaderLen+smallestPostHead || uint64(size) > uint64(len(b)) {
		return 0, errCutEvent
	}
	return int(size), nil
}

func eventTableID(event []byte) uint64 {
	body := event[binlog.HeaderLen:]
	return uint64(binary.LittleEndian.Uint32(body)) | uint64(binary.LittleEndian.Uint16(body[4:]))<<32
}

// mappedName is schema.table of a table map: lengths of one byte, names, each with a NUL behind it.
func mappedName(event []byte) (string, error) {
	rest := event[binlog.HeaderLen+smallestPostHead:]
	var names [2]string
	for i := range names {
		if len(rest) < 2 || len(rest) < 2+int(rest[0]) {
			return "", errCutEvent
		}
		names[i], rest = string(rest[1:1+rest[0]]), rest[2+rest[0]:]
	}
	return names[0] + "." + names[1], nil
}

// appendBinlog appends a BINLOG statement with the events, encoded in place.
func appendBinlog(dst, events []byte) []byte {
	dst = append(dst, "BINLOG '"...)
	dst = base64.StdEncoding.AppendEncode(dst, events)
	return append(dst, '\'')
}

// binlogLen is the length of that statement.
func binlogLen(events int) int { return len("BINLOG ''") + base64.StdEncoding.EncodedLen(events) }
