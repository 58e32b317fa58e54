package replay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"

	"interlock/replay/binlog"
	"interlock/replay/fold"
)

// events are those of one transaction.
type events = iter.Seq2[*binlog.Event, error]

// rows folds a transaction of row changes.
func (p *planner) rows(ctx context.Context, txn *binlog.Txn, size counts) error {
	if p.batch != nil && p.takesRows(txn) {
		return p.appendRows(ctx, txn, size)
	}
	return p.foldTxn(ctx, txn, []binlog.GTID{txn.GTID}, p.reader.Events(ctx), size)
}

// foldTxn folds the rows events of a transaction that ends at txn, which for an XA transaction is not where
// its rows are.
func (p *planner) foldTxn(ctx context.Context, txn *binlog.Txn, gtids []binlog.GTID, all events, size counts) error {
	at := cursor{Txn: txn.Start}
	skip := 0
	if r := p.resume; r != nil && r.start().Txn == txn.Start {
		at = r.start()
		skip = at.RowsEvents
	}
	if err := p.begin(ctx, at); err != nil {
		return err
	}
	p.beginTxn()
	seen := 0
	for ev, err := range all {
		if err != nil {
			return err
		}
		switch {
		case ev.Type == binlog.TypeTableMap:
			if err := p.tableMap(ev); err != nil {
				return err
			}
		case ev.Type.IsRows():
			seen++
			if err := p.rowsEvent(ctx, ev, cursor{Txn: txn.Start, RowsEvents: seen - 1}, seen <= skip); err != nil {
				return fmt.Errorf("rows event at %s: %w", ev.At, err)
			}
			if at := (cursor{Txn: txn.Start, RowsEvents: seen}); seen > skip && p.full(at) {
				if err := p.turn(ctx, at); err != nil {
					return err
				}
			}
		case ev.Type == binlog.TypeGTID, ev.Type == binlog.TypeAnonymousGTID, ev.Type == binlog.TypeGTIDTagged:
			// What it says holds for the statements of its transaction, of which there are none.
		default:
			if err := p.see(p.reader.Format(), ev); err != nil {
				return err
			}
		}
	}
	for _, g := range gtids {
		p.epoch.gtids.Add(g)
	}
	size.Changes = 0 // counted event by event
	p.epoch.count.add(size)
	if end := (cursor{Txn: txn.End}); p.full(end) {
		return p.flush(ctx, end)
	}
	return nil
}

// turn ends the epoch inside a transaction and begins the next one.
func (p *planner) turn(ctx context.Context, at cursor) error {
	if err := p.flush(ctx, at); err != nil {
		return err
	}
	return p.begin(ctx, at)
}

func (p *planner) tableMap(ev *binlog.Event) error {
	if _, err := p.maps.Parse(p.reader.Format(), ev); err != nil {
		return err
	}
	p.mapRaw.put(ev)
	return nil
}

// rowsEvent folds one event or puts it where its order is kept. passed: it was applied before the run was
// interrupted.
func (p *planner) rowsEvent(ctx context.Context, ev *binlog.Event, before cursor, passed bool) error {
	rows := &p.parsed
	var err error
	if *rows, err = p.rowsOf(p.reader.Format(), ev); err != nil || rows.Table == nil {
		return err
	}
	if passed {
		return p.countPassed(rows)
	}
	t, err := p.table(ctx, rows.Table, before)
	if err != nil {
		return err
	}
	for {
		if len(p.epoch.contexts) == maxContexts {
			if err := p.turn(ctx, before); err != nil {
				return err
			}
		}
		ordered, err := p.keepsOrder(ctx, t, rows, before)
		if err != nil {
			return err
		}
		e := p.epoch
		if ordered {
			e.tables[t.name] = t
			return p.inOrder(t, rows, ev)
		}
		if t.folding != e {
			e.folded(t)
			t.folding, t.flags = e, 0
		}
		var context fold.Context
		if t.fold.Recomputed || t.fold.Checked {
			context = e.contextOf(p.state.Computing())
		}
		changes := e.fold.Changes()
		err = e.fold.Add(t.fold, rows, context)
		if need, ok := errors.AsType[*fold.NeedsOrder](err); ok {
			p.keepOrder(t.group, need.Why)
			if err := p.turn(ctx, before); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		changes = e.fold.Changes() - changes
		p.tally.read(counts{Changes: changes})
		if t.flags|rows.Flags != t.flags {
			t.flags |= rows.Flags
			e.flags[t.fold] = t.flags
		}
		e.count.Changes += changes
		return nil
	}
}

// countPassed counts the changes of an event that was applied before the run was interrupted.
func (p *planner) countPassed(rows *binlog.Rows) error {
	changes, err := countChanges(rows)
	p.tally.read(counts{Changes: changes})
	p.tally.skip(beforeInterruption, counts{Changes: changes})
	return err
}

// inOrder puts an event behind those of its group.
func (p *planner) inOrder(t *table, rows *binlog.Rows, ev *binlog.Event) error {
	changes, err := countChanges(rows)
	if err != nil {
		return err
	}
	all, err := p.orderedEvents(rows, ev)
	if err != nil {
		return err
	}
	e := p.epoch
	for _, event := range all {
		e.appendOrdered(t, e.contextOf(p.state.Computing()), p.mapRaw.of(rows.TableID), event)
	}
	e.orderedChanges[t.name] += changes
	e.count.Changes += changes
	p.tally.read(counts{Changes: changes})
	return nil
}

// maxEpochsInOrder is for how many epochs at most a group keeps its order after it could not be folded.
const maxEpochsInOrder = 64

// keepOrder has a group keep its order in the next epochs: twice as many each time.
func (p *planner) keepOrder(group, why string) {
	next := max(p.sticky[group].next, 1)
	p.sticky[group] = stickiness{why: why, left: next, next: min(next*2, maxEpochsInOrder)}
}

// keepsOrder decides between folding and original order for a rows event, and ends the epoch where rows of
// its group have been folded that must now keep their order.
func (p *planner) keepsOrder(ctx context.Context, t *table, rows *binlog.Rows, before cursor) (bool, error) {
	if t.folding != p.epoch { // a group is not ordered in an epoch that has folded rows of it
		if _, ok := p.epoch.ordered[t.group]; ok {
			return true, nil
		}
	}
	why := t.ordered
	if why == "" && t.info.Actions && rows.Flags&binlog.UseSQLForeignKey == 0 {
		why = "foreign keys with actions that the log does not hold"
	}
	if why == "" && rows.Kind == binlog.PartialUpdateRows {
		why = "partial JSON updates"
	}
	if why == "" {
		return false, nil
	}
	if p.epoch.folds(t.group) {
		p.keepOrder(t.group, why)
		if err := p.turn(ctx, before); err != nil {
			return false, err
		}
	}
	p.epoch.ordered[t.group] = why
	return true, nil
}

// orderedEvents is a rows event as it is sent in its original order: each of what it becomes ends its statement, since its
// table map goes before it, and where the cascades of a change are in the log the server must not do them again.
func (p *planner) orderedEvents(rows *binlog.Rows, ev *binlog.Event) ([][]byte, error) {
	stretches := [][]byte{rows.Data}
	if p.flavor == binlog.MySQL && rows.Kind == binlog.UpdateRows && rows.Table.HasBlobs() {
		var err error
		if stretches, err = turns(rows); err != nil {
			return nil, err
		}
	}
	flags := rows.Flags | binlog.StmtEnd
	if flags&binlog.UseSQLForeignKey != 0 {
		flags |= binlog.NoForeignKeyChecks
	}
	head := ev.Raw[:len(ev.Raw)-len(rows.Data)]
	all := make([][]byte, len(stretches))
	for i, stretch := range stretches {
		raw := append(append(make([]byte, 0, len(head)+len(stretch)), head...), stretch...)
		binary.LittleEndian.PutUint32(raw[sizeOffset:], uint32(len(raw)))
		binary.LittleEndian.PutUint16(raw[binlog.HeaderLen+tableIDLen:], flags)
		all[i] = raw
	}
	return all, nil
}

// turns cuts the rows of an update before each that an earlier one of its stretch has made. In a table without a primary
// key MySQL looks for all rows of an event at once, and of a row that is changed twice a BLOB is left as the first change
// made it (9.7; the rows of a REPLACE that take the place of one another are logged so).
func turns(rows *binlog.Rows) ([][]byte, error) {
	var all [][]byte
	before, after := make([]binlog.Span, len(rows.Table.Columns)), make([]binlog.Span, len(rows.Table.Columns))
	made := map[uint64]bool{}
	from := 0
	for at := 0; at < len(rows.Data); {
		old := rows.Data[at:]
		n, err := rows.Table.Image(old, rows.Before, before)
		if err != nil {
			return nil, err
		}
		next := old[n:]
		m, err := rows.Table.Image(next, rows.After, after)
		if err != nil {
			return nil, err
		}
		if from < at && made[rowSum(old, before, nil, nil)] {
			all = append(all, rows.Data[from:at])
			from = at
			clear(made)
		}
		if at += n + m; at < len(rows.Data) { // most events have one row
			made[rowSum(next, after, old, before)] = true
		}
	}
	return append(all, rows.Data[from:]), nil
}

// rowSum is a digest of a row: of an image, and of another one where that has no value. Two rows may share one.
func rowSum(image []byte, spans []binlog.Span, rest []byte, restSpans []binlog.Span) uint64 {
	h := fnv.New64a()
	for i, s := range spans {
		from := image
		if s.State == binlog.Absent && rest != nil {
			s, from = restSpans[i], rest
		}
		h.Write([]byte{byte(s.State)})
		h.Write(from[s.Start:s.End])
	}
	return h.Sum64()
}

// sizeOffset is where an event's header has its length, which in a file counts the checksum.
const sizeOffset = 9

// appendPlain appends an event that came without its checksum with the length that it has now.
func appendPlain(dst, raw []byte) []byte {
	start := len(dst)
	dst = append(dst, raw...)
	binary.LittleEndian.PutUint32(dst[start+sizeOffset:], uint32(len(raw)))
	return dst
}

// tableIDLen is how long the table id is that a rows event begins with, before its flags: 6 bytes since MySQL
// 5.1.4, and in every log that a Reader reads.
const tableIDLen = 6

// mostKnownBytes is what the layouts may hold that are found without their names: beside those of the cache, where
// that has forgotten them and parsed them again.
const mostKnownBytes = 8 << 20

// table is what is known of a table under a layout of the log.
func (p *planner) table(ctx context.Context, layout *binlog.Table, before cursor) (*table, error) {
	if t := p.known[layout]; t != nil {
		return t, nil
	}
	name := tableName(layout.Schema, layout.Name)
	t := p.tables[name]
	if t != nil && (t.layout == layout || t.layout.SameLayout(layout)) {
		if p.kept >= mostKnownBytes {
			p.forgetLayouts()
		}
		p.known[layout] = t
		p.kept += layout.HeldBytes()
		return t, nil
	}
	p.forgetLayouts() // the old layout is not the table's any more
	if t != nil && p.epoch.tables[name] != nil {
		if err := p.turn(ctx, before); err != nil { // rows of two layouts cannot be folded into one another
			return nil, err
		}
	}
	info, err := p.schema.Table(ctx, layout.Schema, layout.Name)
	if err != nil {
		return nil, err
	}
	if err := info.Fit(layout); err != nil {
		return nil, err
	}
	t = newTable(p.flavor, info, layout, p.byPlace != (binlog.Position{}) && p.sel.before(before.Txn, p.byPlace))
	p.tables[name] = t
	return t, nil
}

// forgetLayouts has tables be found by their names once more.
func (p *planner) forgetLayouts() {
	clear(p.known)
	p.kept = 0
}
