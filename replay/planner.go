package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync/atomic"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/session"
	"interlock/replay/target"
)

// planner reads the log and cuts it into units of work: epochs, batches of statements, barriers. It runs ahead
// of the executor by one epoch, and waits for it where a statement may have changed the schema that the next
// rows are read against. It is one goroutine.
type planner struct {
	cfg    Config
	sel    *selection
	reader *binlog.Reader
	schema *target.Schema
	flavor binlog.Flavor

	state   *session.State           // as the log has set it so far
	conn    *session.State           // as the barrier session was left; nil: untouched
	byPlace binlog.Position          // as Survey.ByPlace
	domain  uint32                   // MariaDB: its gtid_domain_id, where it is touched
	maps    *binlog.TableCache       // of the transaction being read
	mapRaw  rawMaps                  // of the transaction being read
	tables  map[string]*table        // by schema.table, until the schema may have changed
	known   map[*binlog.Table]*table // those of tables, by each layout that they were met with
	kept    int64                    // bytes of known's layouts
	parsed  binlog.Rows              // of the event being folded
	xa      map[string]prepared
	xaKept  map[string]bool // prepared on the target as it stands

	temporary temporaryTables
	// What the target was asked since the schema may have changed; nil: not yet.
	transactional *bool // all its tables are InnoDB's
	ends          *target.Boundaries

	epoch  *epoch
	batch  *batch
	number int64            // of the last unit
	folds  chan *fold.Epoch // two: one is filled while the other one is applied

	// sticky are the groups that could not be folded lately, with how many epochs they still keep their order
	// and how many the next time: a table that changes its mind in each epoch would make each a short one.
	sticky map[string]stickiness

	resume *resumption // nil: the run is new, or past the epoch where it was interrupted
	units  chan<- *unit
	idle   *atomic.Bool // the executor waits for a unit
	tally  *tally
	waited time.Duration // for the target
}

type stickiness struct {
	why        string
	left, next int
}

// unit is one piece of work for the executor, in order.
type unit struct {
	epoch    *epoch
	outcomes []fold.Outcome
	barrier  *barrier
	to       cursor
	read     time.Time     // what was read when it was sent was committed at the source then
	applied  chan struct{} // closed when it is on the target
}

// run reads the log to its end and sends the units.
func (p *planner) run(ctx context.Context) error {
	defer close(p.units)
	defer func(start time.Time) {
		p.tally.stage(func(s *Stages) { s.Fold = (time.Since(start) - p.waited).Seconds() })
	}(time.Now())
	defer p.schema.Close()
	defer p.reader.Close()
	// What lies outside of the range may be what cannot be read.
	if err := p.reader.StopAt(p.sel.stop); err != nil {
		return err
	}
	for {
		txn, err := p.reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			if p.reader.Stopped() {
				p.tally.stopped(p.sel.stop, "--stop-position")
			}
			break
		}
		if err != nil {
			return err
		}
		verdict, why := p.sel.judge(txn)
		if verdict == stop {
			p.tally.stopped(txn.Start, why)
			return p.end(ctx, cursor{Txn: txn.Start})
		}
		if err := p.transaction(ctx, txn, verdict, why); err != nil {
			return fmt.Errorf("transaction at %s%s: %w", txn.Start, named(txn.GTID), err)
		}
		p.tally.position(txn.End, txn.Committed, p.reader.Offset())
	}
	return p.end(ctx, cursor{Txn: p.tally.end()})
}

// end hands over what is left where the range ends.
func (p *planner) end(ctx context.Context, at cursor) error {
	if err := p.resume.kept(); err != nil {
		return err
	}
	if err := p.flush(ctx, at); err != nil {
		return err
	}
	return p.leaveOpen(ctx, at)
}

func named(g binlog.GTID) string {
	if (g == binlog.GTID{}) {
		return ""
	}
	return " (" + g.String() + ")"
}

// transaction decides what becomes of one.
func (p *planner) transaction(ctx context.Context, txn *binlog.Txn, v verdict, why string) error {
	size := counts{Transactions: 1, Bytes: txn.Bytes}
	if v == onBoth && p.sel.have.Diverges(txn.GTID) {
		return fmt.Errorf("the target has another transaction in its place, and what follows it here was never on the server that the target is of (gtid_slave_pos %s): "+
			"after a failover, transactions that the new primary did not get must not be replayed (--stop-before-gtid)", p.sel.have)
	}
	if v != take {
		changes, err := p.pass(ctx, v == onBoth)
		size.Changes = changes
		p.tally.read(size)
		p.tally.skip(why, size)
		p.passed(txn)
		return err
	}
	if p.behind(txn) {
		p.resume.look(txn)
		changes, err := p.pass(ctx, true)
		size.Changes = changes
		p.remember(txn, size)
		p.passed(txn)
		return err
	}
	if err := p.resume.kept(); err != nil {
		return err
	}
	p.tally.read(counts{Transactions: 1, Bytes: txn.Bytes})
	alone := false
	if rowsOnly(txn) || preparesRows(txn) {
		var err error
		if alone, err = p.standsAlone(ctx, txn); err != nil {
			return err
		}
	}
	switch {
	case txn.StartAlter, txn.RollbackAlter: // COMMIT ALTER alone changes the table
		return p.nothing(ctx, txn, size)
	case preparesRows(txn) && !alone:
		p.tally.hold(size) // its GTID counts once it is committed
		return p.prepare(ctx, txn)
	case txn.Ending == binlog.EndPrepare:
		p.xaKept[txn.XID] = true
		return p.verbatim(ctx, txn, size, cursor{Txn: txn.Start}, cursor{Txn: txn.End})
	case txn.Ending == binlog.EndBare && txn.XID != "":
		return p.xaEnd(ctx, txn, size)
	case rowsOnly(txn) && !alone:
		return p.rows(ctx, txn, size)
	case !txn.HasRows && !txn.HasStatements && txn.Ending != binlog.EndBare:
		return p.nothing(ctx, txn, size)
	}
	merge, err := p.mergeable(ctx, txn)
	if err != nil {
		return err
	}
	if merge {
		return p.statements(ctx, txn, size)
	}
	return p.verbatim(ctx, txn, size, cursor{Txn: txn.Start}, cursor{Txn: txn.End})
}

// passed notes a transaction that is left out, where nothing lies before it that is not handed over.
func (p *planner) passed(txn *binlog.Txn) {
	if p.epoch == nil && p.batch == nil {
		p.tally.reach(txn.End, txn.Committed)
	}
}

// rowsOnly tells whether a transaction is row changes and nothing else, and took effect.
func rowsOnly(t *binlog.Txn) bool {
	return t.HasRows && !t.HasStatements && !t.HasSavepoints && !t.CreateSelect &&
		(t.Ending == binlog.EndXID || t.Ending == binlog.EndCommit || t.Ending == binlog.EndOnePhase)
}

// pass reads a transaction that is not applied for what later ones depend on, and counts its changes.
func (p *planner) pass(ctx context.Context, sticky bool) (changes int64, err error) {
	p.beginTxn()
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return changes, err
		}
		n, err := p.countEvent(p.reader.Format(), ev)
		if err != nil {
			return changes, err
		}
		changes += n
		if sticky {
			if err := p.see(p.reader.Format(), ev); err != nil {
				return changes, err
			}
		}
	}
	return changes, nil
}

// see takes over the session context of an event.
func (p *planner) see(f *binlog.Format, ev *binlog.Event) error {
	switch ev.Type {
	case binlog.TypeQuery, binlog.TypeIntvar, binlog.TypeRand, binlog.TypeUserVar,
		binlog.TypeGTID, binlog.TypeAnonymousGTID, binlog.TypeGTIDTagged:
		return p.state.See(f, ev)
	}
	return nil
}

// countEvent counts the row changes of an event.
func (p *planner) countEvent(f *binlog.Format, ev *binlog.Event) (int64, error) {
	rows, err := p.parseRows(f, ev)
	if err != nil || rows.Table == nil {
		return 0, err
	}
	return countChanges(&rows)
}

// parseRows reads a table map, or the rows of an event; they have no Table where there are none.
func (p *planner) parseRows(f *binlog.Format, ev *binlog.Event) (rows binlog.Rows, err error) {
	switch {
	case ev.Type == binlog.TypeTableMap:
		_, err = p.maps.Parse(f, ev)
	case ev.Type.IsRows():
		rows, err = p.rowsOf(f, ev)
	}
	return rows, err
}

// rowsOf reads a rows event. With the last one of a statement its table maps end, as on a server.
func (p *planner) rowsOf(f *binlog.Format, ev *binlog.Event) (binlog.Rows, error) {
	rows, err := binlog.ParseRows(f, ev, p.maps.Table)
	if rows.Flags&binlog.StmtEnd != 0 {
		p.maps.Clear()
	}
	return rows, err
}

// countChanges counts the rows of an event, a pair of images of an update being one change.
func countChanges(rows *binlog.Rows) (int64, error) {
	if rows.Kind == binlog.PartialUpdateRows {
		return 1, nil // its images are not walked: one change at least
	}
	var n int64
	data := rows.Data
	step := func(present binlog.Bitmap) error {
		if present == nil {
			return nil
		}
		size, err := rows.Table.ImageLen(data, present)
		if err == nil {
			data = data[size:]
		}
		return err
	}
	for len(data) > 0 {
		if err := errors.Join(step(rows.Before), step(rows.After)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (p *planner) beginTxn() {
	p.maps.Clear()
	p.mapRaw.clear()
}

// nothing is a transaction without effect: its GTID counts.
func (p *planner) nothing(ctx context.Context, txn *binlog.Txn, size counts) error {
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return err
		}
		if err := p.see(p.reader.Format(), ev); err != nil {
			return err
		}
	}
	if p.batch != nil {
		p.batch.gtids.Add(txn.GTID)
		p.batch.count.add(size)
		return nil
	}
	if err := p.begin(ctx, cursor{Txn: txn.Start}); err != nil {
		return err
	}
	p.epoch.gtids.Add(txn.GTID)
	p.epoch.count.add(size)
	return nil
}

// begin makes sure that an epoch is open.
func (p *planner) begin(ctx context.Context, at cursor) error {
	if p.batch != nil {
		if err := p.flush(ctx, at); err != nil {
			return err
		}
	}
	if p.epoch != nil && p.epoch.format != p.reader.Format() && len(p.epoch.tables) > 0 {
		if err := p.flush(ctx, at); err != nil { // another server version wrote what follows
			return err
		}
	}
	if p.epoch != nil {
		return nil
	}
	f, err := p.nextFold(ctx)
	if err != nil {
		return err
	}
	p.number++
	p.epoch = newEpoch(p.number, at, f, p.reader.Format())
	if r := p.resume; r != nil && !r.finished {
		p.epoch.number, p.epoch.from = r.number, r.from
		maps.Copy(p.epoch.ordered, r.ordered)
		return nil
	}
	for group, s := range p.sticky {
		if s.left > 0 {
			p.epoch.ordered[group] = s.why
		}
	}
	return nil
}

// nextFold waits until one of the two folds is free.
func (p *planner) nextFold(ctx context.Context) (*fold.Epoch, error) {
	defer p.waits(time.Now())
	select {
	case f := <-p.folds:
		return f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// full tells whether the epoch ends at a place, after some event of a transaction.
func (p *planner) full(at cursor) bool {
	if r := p.resume; r != nil && !r.finished {
		return at == r.to
	}
	if p.cfg.EpochChanges > 0 {
		return p.epoch.count.Changes >= p.cfg.EpochChanges
	}
	return p.epoch.bytes() >= p.cfg.MemoryBytes/2-epochReserve || p.feeds()
}

// feedChanges is from how many changes on an epoch is worth its own eight commits or so.
const feedChanges = 20_000

// feeds tells whether the epoch had better end now, since the executor has nothing to do and nearly every change
// in it is to another row: waiting would fold little more away.
func (p *planner) feeds() bool {
	e := p.epoch
	if e.count.Changes < e.lookedAt+feedChanges || !p.idle.Load() {
		return false
	}
	e.lookedAt = e.count.Changes
	return e.fold.Rows() >= e.count.Changes*9/10
}

// epochReserve is what is kept of an epoch's half of the memory for its sort, its chunks on their way and the
// garbage collector's slack.
const epochReserve = 16 << 20

// flush ends what is open and hands it to the executor.
func (p *planner) flush(ctx context.Context, at cursor) error {
	if p.batch == nil && p.epoch == nil {
		return nil
	}
	if err := p.resumed(at); err != nil {
		return err
	}
	if b := p.batch; b != nil {
		p.batch = nil
		merged := b.barrier()
		merged.temporary = p.temporary.open()
		_, err := p.send(ctx, &unit{barrier: merged, to: at})
		return err
	}
	e := p.epoch
	p.epoch = nil
	for group, s := range p.sticky {
		if s.left > 0 {
			s.left--
			p.sticky[group] = s
		}
	}
	outcomes, err := e.fold.Outcomes()
	if err != nil {
		return err
	}
	_, err = p.send(ctx, &unit{epoch: e, outcomes: outcomes, to: at})
	return err
}

func (p *planner) send(ctx context.Context, u *unit) (*unit, error) {
	u.applied, u.read = make(chan struct{}), p.tally.lastCommit()
	defer p.waits(time.Now())
	select {
	case p.units <- u:
		return u, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// waits adds the time since a moment to that in which the planner waited for the target.
func (p *planner) waits(since time.Time) { p.waited += time.Since(since) }

// wait waits until a unit is on the target.
func (p *planner) wait(ctx context.Context, u *unit) error {
	defer p.waits(time.Now())
	select {
	case <-u.applied:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
