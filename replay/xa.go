package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"interlock/replay/binlog"
	"interlock/replay/session"
)

// An XA transaction is in the log twice: with its rows when it is prepared, and as a single statement when it
// is committed or rolled back, maybe much later. Its rows take effect at the second place; they are read again
// from the first one then, so that nothing needs to be kept. One that is still prepared when the range ends is
// prepared on the target, as it would be on a replica.

// prepared is an XA transaction that waits for its end.
type prepared struct {
	start binlog.Position
	state *session.State // that its rows were logged under
	// behind is what its XA PREPARE holds, where that lies behind the place where a resumed run goes on; nil elsewhere.
	behind *counts
}

// preparesRows tells whether a transaction is XA PREPARE after row changes alone, which wait for their XA COMMIT.
func preparesRows(t *binlog.Txn) bool {
	return t.Ending == binlog.EndPrepare && !t.HasStatements && !t.HasSavepoints
}

// prepare puts an XA transaction aside.
func (p *planner) prepare(ctx context.Context, txn *binlog.Txn) error {
	if first, open := p.xa[txn.XID]; open || p.xaKept[txn.XID] {
		at := ""
		if open {
			at = " at " + first.start.String()
		}
		return fmt.Errorf("the XA transaction %s is prepared here again, and the one of that name that was prepared before%s has not ended: if its end was left out by --skip-gtid, "+
			"leave its XA PREPARE out, too", txn.XID, at)
	}
	if _, err := p.pass(ctx, true); err != nil {
		return err
	}
	p.xa[txn.XID] = prepared{start: txn.Start, state: p.state.Clone()}
	return nil
}

// xaEnd is XA COMMIT or XA ROLLBACK.
func (p *planner) xaEnd(ctx context.Context, txn *binlog.Txn, size counts) error {
	if err := p.recall(ctx, txn.XID); err != nil {
		return err
	}
	held, ok := p.xa[txn.XID]
	if !ok { // prepared as it stands, or before the log begins: then in the backup
		delete(p.xaKept, txn.XID)
		return p.verbatim(ctx, txn, size, cursor{Txn: txn.Start}, cursor{Txn: txn.End})
	}
	delete(p.xa, txn.XID)
	first, err := p.reader.At(ctx, held.start)
	if err != nil {
		return err
	}
	defer first.Close()
	was := *first.Txn()
	p.tally.release(counts{Transactions: 1, Bytes: was.Bytes})
	size.add(counts{Transactions: 1, Bytes: was.Bytes})
	if txn.XARollback {
		if err := p.rolledBack(ctx, first, cursor{Txn: txn.Start}); err != nil {
			return err
		}
		if err := p.nothing(ctx, txn, size); err != nil {
			return err
		}
		p.epoch.gtids.Add(was.GTID)
		return nil
	}
	now := p.state
	p.state = held.state
	err = p.foldTxn(ctx, txn, []binlog.GTID{was.GTID, txn.GTID}, first.Events(ctx), size)
	p.state = now
	if err != nil {
		return err
	}
	_, err = p.pass(ctx, true)
	return err
}

// rolledBack is the rows of an XA transaction that was rolled back at a place: nothing but their AUTO_INCREMENT values stays.
func (p *planner) rolledBack(ctx context.Context, r *binlog.Reader, at cursor) error {
	if err := p.begin(ctx, at); err != nil {
		return err
	}
	p.beginTxn()
	for ev, err := range r.Events(ctx) {
		if err == nil {
			err = p.rolledBackEvent(ctx, r.Format(), ev, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) rolledBackEvent(ctx context.Context, f *binlog.Format, ev *binlog.Event, at cursor) error {
	rows, err := p.parseRows(f, ev)
	if err != nil || rows.Table == nil {
		return err
	}
	changes, err := countChanges(&rows)
	if err != nil {
		return err
	}
	p.tally.read(counts{Changes: changes})
	p.tally.skip("rolled back (XA)", counts{Changes: changes})
	t, err := p.table(ctx, rows.Table, at)
	if err != nil {
		return err
	}
	p.epoch.folded(t)
	return p.epoch.fold.Count(t.fold, &rows)
}

// leaveOpen prepares on the target what the range leaves prepared, in the order of the log. The range ends at a
// place; the n-th of them lies n behind it in the run's state.
func (p *planner) leaveOpen(ctx context.Context, at cursor) error {
	for xid := range p.xa {
		if err := p.recall(ctx, xid); err != nil {
			return err
		}
	}
	open := slices.SortedFunc(maps.Values(p.xa), func(a, b prepared) int {
		switch {
		case p.sel.before(a.start, b.start):
			return -1
		case a.start == b.start:
			return 0
		}
		return 1
	})
	for xid := range p.xaKept {
		p.tally.leftPrepared(xid)
	}
	for i, x := range open {
		from, to := cursor{Txn: at.Txn, RowsEvents: i}, cursor{Txn: at.Txn, RowsEvents: i + 1}
		if err := p.leavePrepared(ctx, x, from, to); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) leavePrepared(ctx context.Context, x prepared, from, to cursor) error {
	r, err := p.reader.At(ctx, x.start)
	if err != nil {
		return err
	}
	defer r.Close()
	txn := r.Txn()
	size := counts{Transactions: 1, Bytes: txn.Bytes}
	p.tally.release(size)
	p.tally.leftPrepared(txn.XID)
	if res := p.resume; res != nil && res.finished && res.to.Txn == from.Txn && from.RowsEvents < res.to.RowsEvents {
		p.tally.skip(beforeInterruption, size)
		return nil
	}
	kept := p.reader
	p.reader = r
	defer func() { p.reader = kept }()
	return p.verbatim(ctx, txn, size, from, to)
}
