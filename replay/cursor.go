package replay

import (
	"fmt"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// cursor is a place in a log where an epoch may begin or end: before a transaction, or inside it after some
// of its rows events. A transaction is found by where it starts, so that a reader can go there.
type cursor struct {
	Txn        binlog.Position // start of the transaction
	RowsEvents int             // how many of its rows events lie before
}

// String writes binlog.000002:1234+5.
func (c cursor) String() string { return fmt.Sprintf("%s+%d", c.Txn, c.RowsEvents) }

// placeOf is what String wrote for people: without the +0 of a place between transactions.
func placeOf(text string) string { return strings.TrimSuffix(text, "+0") }

// parseCursor reads what String wrote.
func parseCursor(text string) (cursor, error) {
	at, events, ok := cutLast(text, "+")
	n, err := strconv.Atoi(events)
	if !ok || err != nil || n < 0 {
		return cursor{}, fmt.Errorf("read position %q of the run's state: not FILE:OFFSET+N", text)
	}
	p, err := ParsePosition(at)
	if err != nil {
		return cursor{}, fmt.Errorf("read position %q of the run's state: %w", text, err)
	}
	return cursor{Txn: p, RowsEvents: n}, nil
}

// ParsePosition reads FILE:OFFSET as --start-position takes it.
func ParsePosition(text string) (binlog.Position, error) {
	file, offset, ok := cutLast(text, ":")
	n, err := strconv.ParseUint(offset, 10, 64)
	if !ok || err != nil || file == "" {
		return binlog.Position{}, fmt.Errorf("position %q: want FILE:OFFSET, like binlog.000042:157", text)
	}
	return binlog.Position{File: file, Offset: n}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
