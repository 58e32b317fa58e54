package replay

import (
	"context"
	"fmt"

	"interlock/replay/binlog"
)

// beforeInterruption is why what an earlier start of the run has applied is skipped.
const beforeInterruption = "applied before the run was interrupted"

// resumption is what a resumed run knows of the unit that was not finished.
type resumption struct {
	from, to cursor
	ordered  map[string]string // as then
	number   int64
	finished bool // the unit was, and the next one begins at to
	passed   bool // the reader is past from

	executed *binlog.GTIDSet // by the server now; nil: it keeps no set
	lost     *binlog.GTIDSet // of what was applied, those that it has no longer
}

// start is where the run goes on.
func (r *resumption) start() cursor {
	if r.finished {
		return r.to
	}
	return r.from
}

// behind tells whether a transaction lies wholly before the place where a resumed run goes on.
func (p *planner) behind(txn *binlog.Txn) bool {
	r := p.resume
	if r == nil || r.passed {
		return false
	}
	if p.sel.before(txn.Start, r.start().Txn) {
		return true
	}
	r.passed = true
	return false
}

// look takes note of the GTID of a transaction that is behind us and that the server has no longer. That of an XA PREPARE
// may count only once it is committed.
func (r *resumption) look(txn *binlog.Txn) {
	if r.executed != nil && (txn.GTID != binlog.GTID{}) && txn.Ending != binlog.EndPrepare && !r.executed.Contains(txn.GTID) {
		r.lost.Add(txn.GTID)
	}
}

// kept refuses to go on where the server has lost GTIDs of what was applied: those of barriers, which nothing else keeps.
func (r *resumption) kept() error {
	if r == nil || r.lost.Empty() {
		return nil
	}
	return fmt.Errorf("resume run: the server has no longer the GTIDs %s, which the run has applied: somebody has reset them; "+
		"SET GLOBAL gtid_purged='+%[1]s', and give the same command again", r.lost)
}

// remember accounts for a transaction that is behind us, and keeps what it left open.
func (p *planner) remember(txn *binlog.Txn, size counts) {
	if preparesRows(txn) { // applied or not, as its end lies behind us or before us
		p.tally.read(counts{Transactions: size.Transactions, Bytes: size.Bytes})
		p.tally.hold(size)
		p.xa[txn.XID] = prepared{start: txn.Start, state: p.state.Clone(), behind: &size}
		return
	}
	p.tally.read(size)
	p.tally.skip(beforeInterruption, size)
	switch {
	case txn.Ending == binlog.EndPrepare:
		p.xaKept[txn.XID] = true
	case txn.Ending == binlog.EndBare && txn.XID != "":
		p.ended(txn.XID)
		delete(p.xaKept, txn.XID)
	}
}

// ended takes it that a prepared transaction was applied before the run was interrupted.
func (p *planner) ended(xid string) {
	held, open := p.xa[xid]
	if !open {
		return
	}
	delete(p.xa, xid)
	p.tally.release(*held.behind)
	p.tally.read(counts{Changes: held.behind.Changes})
	p.tally.skip(beforeInterruption, *held.behind)
}

// recall finds out whether a prepared transaction that lies behind us was prepared on the target as it stands: its tables
// say so still, which nobody can alter before it ends.
func (p *planner) recall(ctx context.Context, xid string) error {
	held, open := p.xa[xid]
	if !open || held.behind == nil {
		return nil
	}
	r, err := p.reader.At(ctx, held.start)
	if err != nil {
		return err
	}
	defer r.Close()
	here := p.reader
	p.reader = r
	defer func() { p.reader = here }()
	alone, err := p.standsAlone(ctx, r.Txn())
	if err == nil && alone {
		p.ended(xid)
		p.xaKept[xid] = true
	}
	return err
}

// resumed checks that the first unit of a resumed run ends where it did before.
func (p *planner) resumed(at cursor) error {
	r := p.resume
	if r == nil {
		return nil
	}
	p.resume = nil
	if !r.finished && at != r.to {
		return fmt.Errorf("the interrupted epoch %d ended at %s and now ends at %s: these are not the same logs or options", r.number, r.to, at)
	}
	return nil
}
