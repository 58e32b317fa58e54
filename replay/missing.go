package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/target"
)

// missingRowError is a row that the log deletes or updates and that the target does not have. The server names its table
// alone (error 1032).
type missingRowError struct {
	cause   error
	layout  *binlog.Table
	columns []int // that identify the row: the key's, or all that the image has
	values  [][]byte
	shown   string
	keyless bool // all of its columns had to be alike
}

func (e *missingRowError) Error() string {
	why := "wrong backup or start position, or something else has written"
	if e.keyless {
		// MariaDB's columns in a format of old times, a table that was made over on one of the two.
		why += "; or the table, which has no key to find a row by, holds the same values in another form than the log: its columns are declared or stored otherwise than at the source when that was logged"
	}
	return fmt.Sprintf("%v: the row with %s is not on the target (%s)", e.cause, e.shown, why)
}

func (e *missingRowError) Unwrap() error { return e.cause }

// searchTime is how long a missing row is looked for. The run has failed already: its message must not wait for ever.
const searchTime = time.Minute

// nameRow finds out which row of a chunk the target does not have, by applying ever smaller parts of it and taking them
// back. The cause stays as it is where that does not come to an end.
func (w *worker) nameRow(ctx context.Context, e *epoch, j *job, c *chunk, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	if c.pieces != nil {
		return w.nameRowOfEvents(ctx, e, c, cause)
	}
	n, ok := w.firstMissing(ctx, len(c.changes), func(n int) []target.Step {
		part := *c
		part.changes = c.changes[:n]
		return w.encoder.steps(e, j, &part)
	})
	if !ok {
		return cause
	}
	ch := c.changes[n-1]
	return newMissingRowError(cause, j.table, ch.Before, ch.BeforeCols)
}

// firstMissing is how many of n parts it takes for a row to be missing, found by halving.
func (w *worker) firstMissing(ctx context.Context, n int, steps func(n int) []target.Step) (first int, ok bool) {
	sure := true
	first = 1 + sort.Search(n, func(i int) bool {
		err := w.applier.Try(ctx, steps(i+1))
		sure = sure && (err == nil || target.RowMissing(err))
		return err != nil
	})
	return first, sure && first <= n
}

// nameRowOfEvents is nameRow of a chunk that is events in their original order, each behind its table map.
func (w *worker) nameRowOfEvents(ctx context.Context, e *epoch, c *chunk, cause error) error {
	piece := c.pieces[0]
	under := target.Step{Statements: e.contexts[piece.context].Statements()}
	events := splitPlain(piece.events)
	size := func(n int) (size int) {
		for _, ev := range events[:n] {
			size += len(ev)
		}
		return size
	}
	pairs, ok := w.firstMissing(ctx, len(events)/2, func(n int) []target.Step {
		return []target.Step{under, {Events: piece.events[:size(2*n)]}}
	})
	if !ok {
		return cause
	}
	var maps binlog.TableCache
	layout, err := maps.Parse(e.format, plainEvent(events[2*pairs-2]))
	if err != nil {
		return errors.Join(cause, err)
	}
	last := plainEvent(events[2*pairs-1])
	rows, err := binlog.ParseRows(e.format, last, maps.Table)
	t := e.tables[tableName(layout.Schema, layout.Name)]
	if err != nil || t == nil || rows.Before == nil || rows.Kind == binlog.PartialUpdateRows {
		return errors.Join(cause, err)
	}
	images, ends, err := beforeImages(&rows)
	if err != nil {
		return errors.Join(cause, err)
	}
	before := piece.events[:size(2*pairs-1)]
	n, ok := w.firstMissing(ctx, len(images), func(n int) []target.Step {
		cut := last.Raw[:len(last.Raw)-len(rows.Data)+ends[n-1]]
		return []target.Step{under, {Events: appendPlain(bytes.Clone(before), cut)}}
	})
	if !ok {
		return cause
	}
	return newMissingRowError(cause, t, images[n-1], rows.Before)
}

// splitPlain cuts plain events apart.
func splitPlain(events []byte) [][]byte {
	var all [][]byte
	for len(events) > sizeOffset+4 {
		size := int(events[sizeOffset]) | int(events[sizeOffset+1])<<8 | int(events[sizeOffset+2])<<16 | int(events[sizeOffset+3])<<24
		all = append(all, events[:size:size])
		events = events[size:]
	}
	return all
}

// plainEvent is an event of ours, without a place in a log.
func plainEvent(raw []byte) *binlog.Event {
	return &binlog.Event{Header: binlog.Header{Type: binlog.Type(raw[4]), Size: uint32(len(raw))}, Raw: raw, Body: raw[binlog.HeaderLen:]}
}

// beforeImages are the before-images of a rows event, and where each row ends in its data.
func beforeImages(rows *binlog.Rows) (images [][]byte, ends []int, err error) {
	for at := 0; at < len(rows.Data); {
		n, err := rows.Table.ImageLen(rows.Data[at:], rows.Before)
		if err != nil {
			return nil, nil, err
		}
		images = append(images, rows.Data[at:at+n])
		at += n
		if rows.After != nil {
			if n, err = rows.Table.ImageLen(rows.Data[at:], rows.After); err != nil {
				return nil, nil, err
			}
			at += n
		}
		ends = append(ends, at)
	}
	return images, ends, nil
}

// newMissingRowError reads from a before-image what identifies the row.
func newMissingRowError(cause error, t *table, image []byte, present binlog.Bitmap) error {
	spans := make([]binlog.Span, len(t.layout.Columns))
	if _, err := t.layout.Image(image, present, spans); err != nil {
		return errors.Join(cause, err)
	}
	m := &missingRowError{cause: cause, layout: t.layout, columns: t.info.Key, keyless: t.info.Key == nil}
	if m.columns == nil {
		for i := range spans {
			if spans[i].State != binlog.Absent {
				m.columns = append(m.columns, i)
			}
		}
	}
	var shown []string
	for _, i := range m.columns {
		m.values = append(m.values, valueOf(image, spans[i]))
		text := "NULL"
		if spans[i].State == binlog.Value {
			text = t.layout.Columns[i].Show(image[spans[i].Start:spans[i].End], t.info.Columns[i].Unsigned)
		}
		shown = append(shown, t.info.Columns[i].Name+" = "+text)
	}
	const most = 12 // columns of a table without a key
	if len(shown) > most {
		shown = append(shown[:most], "…")
	}
	m.shown = strings.Join(shown, ", ")
	return m
}

// valueOf is the bytes of a value, nil where there is none. An empty one is not nil.
func valueOf(image []byte, s binlog.Span) []byte {
	if s.State != binlog.Value {
		return nil
	}
	return append([]byte{}, image[s.Start:s.End]...)
}

// placeRow adds to an error about a missing row which transaction of the epoch changes it first.
func (x *executor) placeRow(ctx context.Context, e *epoch, to cursor, cause error) error {
	m, ok := errors.AsType[*missingRowError](cause)
	if !ok {
		return cause
	}
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	at, err := m.firstChange(ctx, x.log, e.from, to)
	switch {
	case err != nil:
		return fmt.Errorf("%w; where the log changes it first was not found: %s", cause, err.Error())
	case at != "":
		return fmt.Errorf("%w; the transaction at %s changes it first", cause, at)
	}
	return cause
}

// firstChange reads a stretch of the log again for the first change to the row; empty: there is none in it (the rows of
// an XA transaction can lie before it).
func (e *missingRowError) firstChange(ctx context.Context, log *binlog.Log, from, to cursor) (string, error) {
	r, err := log.Read(from.Txn)
	if err != nil {
		return "", err
	}
	defer r.Close()
	if to.RowsEvents == 0 { // what lies behind may be outside of the range
		if err := r.StopAt(to.Txn); err != nil {
			return "", err
		}
	}
	for {
		txn, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		found, err := e.changedBy(ctx, r)
		if found {
			return txn.Start.String() + named(txn.GTID), nil
		}
		if err != nil || txn.Start == to.Txn {
			return "", err
		}
	}
}

// changedBy tells whether the transaction that a reader is at changes the row.
func (e *missingRowError) changedBy(ctx context.Context, r *binlog.Reader) (bool, error) {
	var maps binlog.TableCache
	for ev, err := range r.Events(ctx) {
		if err != nil {
			return false, err
		}
		if ev.Type == binlog.TypeTableMap {
			if _, err := maps.Parse(r.Format(), ev); err != nil {
				return false, err
			}
		}
		if !ev.Type.IsRows() {
			continue
		}
		rows, err := binlog.ParseRows(r.Format(), ev, maps.Table)
		if err != nil {
			return false, err
		}
		if found, err := e.isIn(&rows); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// isIn tells whether the row is among the before-images of an event.
func (e *missingRowError) isIn(rows *binlog.Rows) (bool, error) {
	t := rows.Table
	if t == nil || rows.Before == nil || rows.Kind == binlog.PartialUpdateRows || t.Schema != e.layout.Schema || t.Name != e.layout.Name || len(t.Columns) != len(e.layout.Columns) {
		return false, nil
	}
	images, _, err := beforeImages(rows)
	if err != nil {
		return false, err
	}
	spans := make([]binlog.Span, len(t.Columns))
	for _, image := range images {
		if _, err := t.Image(image, rows.Before, spans); err != nil {
			return false, err
		}
		if e.is(image, spans) {
			return true, nil
		}
	}
	return false, nil
}

// is tells whether an image is the row's.
func (e *missingRowError) is(image []byte, spans []binlog.Span) bool {
	for i, column := range e.columns {
		value := valueOf(image, spans[column])
		if (value == nil) != (e.values[i] == nil) || !bytes.Equal(value, e.values[i]) {
			return false
		}
	}
	return true
}
