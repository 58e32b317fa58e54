package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"interlock/replay/binlog"
	"interlock/replay/target"
)

// barrier is what runs alone on the target, between what lies before it and what lies behind it.
type barrier struct {
	target.Barrier
	count     counts
	temporary bool // temporary tables are open when it has run
	format    *binlog.Format
	merged    bool // several transactions in one
}

// batch is a run of transactions of statements over InnoDB tables alone, merged into one on the target.
type batch struct {
	number int64
	from   cursor
	steps  []target.Step
	gtids  *binlog.GTIDSet
	count  counts
	bytes  int64
	rows   int64 // bytes of row transactions since the last statement
	what   string
	format *binlog.Format
}

// The bounds of a batch. Its locks are held until it ends, and after a deadlock it is done again as a whole.
const (
	batchTransactions = 1000
	batchBytes        = 8 << 20
	// batchRows is how many bytes of transactions of rows may stand between two statements before they are
	// worth an epoch of their own, which costs the target some eight commits.
	batchRows = 64 << 10
)

// takesRows tells whether a transaction of rows goes into the batch as it stands.
func (p *planner) takesRows(txn *binlog.Txn) bool {
	b := p.batch
	return b.rows+txn.Bytes <= batchRows && !b.full() && txn.Ending == binlog.EndXID &&
		(p.flavor != binlog.MariaDB || txn.Transactional)
}

func (b *batch) full() bool {
	return b.count.Transactions >= batchTransactions || b.bytes >= batchBytes
}

func (b *batch) barrier() *barrier {
	steps := append(b.steps, target.Step{Statements: []string{"COMMIT"}})
	return &barrier{
		Barrier: target.Barrier{Number: b.number, GTIDs: b.gtids, Steps: steps, Transactional: true, What: b.what, From: b.from.String()},
		count:   b.count, format: b.format, merged: true,
	}
}

// mergeable tells whether a transaction is statements over InnoDB tables alone, none of which ends a
// transaction by itself.
func (p *planner) mergeable(ctx context.Context, txn *binlog.Txn) (bool, error) {
	if !txn.HasStatements || txn.Ending != binlog.EndXID || txn.HasSavepoints || txn.CreateSelect {
		return false, nil
	}
	if p.flavor == binlog.MariaDB && !txn.Transactional {
		return false, nil
	}
	if ends, err := p.boundaries(ctx); err != nil || ends != (target.Boundaries{}) {
		return false, err
	}
	if p.flavor == binlog.MySQL { // its logs do not tell which engines took part
		only, err := p.allTransactional(ctx)
		if err != nil || !only {
			return false, err
		}
	}
	f := p.reader.Format()
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return false, err
		}
		if ev.Type != binlog.TypeQuery {
			continue
		}
		q, err := binlog.ParseQuery(f, ev)
		if err != nil {
			return false, err
		}
		switch q.Verb {
		case binlog.VerbBegin, binlog.VerbCommit, binlog.VerbDML:
		default:
			return false, nil
		}
	}
	return true, nil
}

// statements puts a transaction of statements into the batch.
func (p *planner) statements(ctx context.Context, txn *binlog.Txn, size counts) error {
	at := cursor{Txn: txn.Start}
	if p.epoch != nil {
		if err := p.flush(ctx, at); err != nil {
			return err
		}
	}
	steps, changes, err := p.steps(ctx, txn)
	if err != nil {
		return err
	}
	size.Changes = changes
	size.Statements = int64(countStatements(steps))
	p.tally.read(counts{Changes: changes, Statements: size.Statements})
	return p.merge(ctx, txn, steps, size, false)
}

// appendRows puts a transaction of rows into the batch as it stands.
func (p *planner) appendRows(ctx context.Context, txn *binlog.Txn, size counts) error {
	steps, changes, err := p.steps(ctx, txn)
	if err != nil {
		return err
	}
	size.Changes = changes
	p.tally.read(counts{Changes: changes})
	return p.merge(ctx, txn, steps, size, true)
}

// merge appends the steps of a transaction without its BEGIN and COMMIT.
func (p *planner) merge(ctx context.Context, txn *binlog.Txn, t txnSteps, size counts, rows bool) error {
	at := cursor{Txn: txn.Start}
	if b := p.batch; b != nil && (b.full() || endsTransaction(t.prelude)) {
		if err := p.flush(ctx, at); err != nil {
			return err
		}
	}
	if p.batch == nil {
		p.number++
		p.batch = &batch{number: p.number, from: at, gtids: &binlog.GTIDSet{}, what: t.what, format: p.reader.Format()}
		p.batch.steps = []target.Step{{Statements: append(t.prelude, "START TRANSACTION")}}
	} else if len(t.prelude) > 0 {
		addStatements(&p.batch.steps, t.prelude)
	}
	b := p.batch
	for _, step := range t.body {
		if step.Events == nil {
			addStatements(&b.steps, step.Statements)
			continue
		}
		s := stepFor(&b.steps, true)
		s.Events = append(s.Events, step.Events...)
	}
	b.gtids.Add(txn.GTID)
	b.count.add(size)
	b.bytes += txn.Bytes
	if rows {
		b.rows += txn.Bytes
	} else {
		b.rows = 0
	}
	return nil
}

// stepFor is the last step, where it holds events or statements as what comes next does, else a new one behind it: behind
// many events, too, which would be copied as they grow.
func stepFor(steps *[]target.Step, events bool) *target.Step {
	if n := len(*steps); n == 0 || ((*steps)[n-1].Events != nil) != events || len((*steps)[n-1].Events) > pieceBytes {
		*steps = append(*steps, target.Step{})
	}
	return &(*steps)[len(*steps)-1]
}

func addStatements(steps *[]target.Step, statements []string) {
	s := stepFor(steps, false)
	s.Statements = append(s.Statements, statements...)
}

// endsTransaction tells whether settings cannot go on in a transaction: a change of autocommit would commit it, one of
// gtid_domain_id is refused in it.
func endsTransaction(sets []string) bool {
	for _, s := range sets {
		if strings.Contains(s, "@@session.autocommit=") || strings.Contains(s, "@@session.gtid_domain_id=") {
			return true
		}
	}
	return false
}

// txnSteps is a transaction as it runs on the target.
type txnSteps struct {
	prelude    []string      // SETs before its BEGIN
	begin      []string      // BEGIN, XA START; empty for a statement that stands alone
	body       []target.Step // what is between
	end        []string      // COMMIT, XA PREPARE …; empty likewise
	statements int
	what       string
	verbs      []binlog.Query // what it runs, without its SQL
	bytes      int64          // of its events and statements
}

// fits refuses a transaction of which more would have to be held than the run may: it is run as a whole, while the epoch before
// it takes the other half of the memory.
func (t *txnSteps) fits(memory int64, txn *binlog.Txn) error {
	if t.bytes <= memory/2 {
		return nil
	}
	need := max(t.bytes, txn.Bytes) * 9 / 4 >> 20 // with what is said again in each statement, as table maps
	return fmt.Errorf("it is held whole, since it is run as it stands, and takes more than half of --memory (%d MiB): give the same command with --memory %dM at least", memory>>20, need)
}

func countStatements(t txnSteps) int { return t.statements }

// steps reads a transaction as statements and events, with the SETs that take the barrier session from what it
// was left with to what the log says.
func (p *planner) steps(ctx context.Context, txn *binlog.Txn) (t txnSteps, changes int64, err error) {
	p.beginTxn()
	t.what = fmt.Sprintf("transaction at %s%s", txn.Start, named(txn.GTID))
	f := p.reader.Format()
	begun := txn.Ending == binlog.EndBare
	if p.flavor == binlog.MariaDB && !begun && (txn.GTID != binlog.GTID{}) { // its GTID event is the BEGIN
		begun = true
		t.begin = []string{"START TRANSACTION"}
		if txn.Ending == binlog.EndPrepare {
			t.begin = []string{"XA START " + txn.XID}
		}
	}
	if p.flavor == binlog.MariaDB && txn.HasStatements && (p.conn == nil || p.domain != txn.GTID.Domain) {
		// Statements can name it, and it cannot be set behind the BEGIN.
		t.prelude = append(t.prelude, fmt.Sprintf("SET @@session.gtid_domain_id=%d", txn.GTID.Domain))
		p.domain = txn.GTID.Domain
	}
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return t, changes, err
		}
		switch {
		case ev.Type == binlog.TypeTableMap:
			err = p.tableMap(ev)
		case ev.Type.IsRows():
			var n int64
			n, err = t.rows(p, f, ev)
			changes += n
		case ev.Type == binlog.TypeXID:
			t.end = []string{"COMMIT"}
		case ev.Type == binlog.TypeXAPrepare && txn.Ending == binlog.EndOnePhase:
			t.end = []string{"XA COMMIT " + txn.XID + " ONE PHASE"}
		case ev.Type == binlog.TypeXAPrepare:
			t.end = []string{"XA PREPARE " + txn.XID}
		case ev.Type == binlog.TypeQuery:
			begun, err = t.query(p, f, ev, txn, begun)
		default:
			err = p.see(f, ev)
		}
		if err == nil {
			err = t.fits(p.cfg.MemoryBytes, txn)
		}
		if err != nil {
			return t, changes, fmt.Errorf("event at %s: %w", ev.At, err)
		}
	}
	return t, changes, nil
}

// query adds a statement, with the SETs before it.
func (t *txnSteps) query(p *planner, f *binlog.Format, ev *binlog.Event, txn *binlog.Txn, begun bool) (bool, error) {
	q, err := binlog.ParseQuery(f, ev)
	if err != nil {
		return begun, err
	}
	if err := p.state.See(f, ev); err != nil {
		return begun, err
	}
	if err := p.state.Check(); err != nil {
		return begun, err
	}
	all, err := p.state.Statements(p.conn)
	if err != nil {
		return begun, err
	}
	p.conn = p.state.Clone()
	sets, sql := all[:len(all)-1], all[len(all)-1]
	first := len(t.body) == 0 && t.statements == 0
	switch {
	case !begun && (q.Verb == binlog.VerbBegin || q.Verb == binlog.VerbXAStart):
		t.prelude = append(t.prelude, sets...)
		t.begin = []string{sql}
		return true, nil
	case txn.Ending != binlog.EndBare && (q.Verb == binlog.VerbCommit || q.Verb == binlog.VerbRollback):
		t.end = append(sets, sql)
		return begun, nil
	}
	if first {
		t.prelude = append(t.prelude, sets...)
		sets = nil
		t.what += ": " + binlog.Shown(string(q.SQL))
	}
	if q.Verb != binlog.VerbXAEnd {
		t.statements++
	}
	t.bytes += int64(2 * len(sql)) // in verbs, too
	q.SQL, q.Vars = append([]byte(nil), q.SQL...), nil
	t.verbs = append(t.verbs, q)
	addStatements(&t.body, append(sets, sql))
	return begun, nil
}

// rows adds a rows event behind its table map.
func (t *txnSteps) rows(p *planner, f *binlog.Format, ev *binlog.Event) (int64, error) {
	rows, err := p.rowsOf(f, ev)
	if err != nil || rows.Table == nil {
		return 0, err
	}
	changes, err := countChanges(&rows)
	if err != nil {
		return 0, err
	}
	all, err := p.orderedEvents(&rows, ev)
	if err != nil {
		return 0, err
	}
	s := stepFor(&t.body, true)
	before := len(s.Events)
	for _, event := range all {
		s.Events = append(appendPlain(s.Events, p.mapRaw.of(rows.TableID)), event...)
	}
	t.bytes += int64(len(s.Events) - before)
	p.conn = p.conn.AfterRows()
	return changes, nil
}

// verbatim runs a transaction, or a statement that stands alone, as it stands in the log.
// from and to are what the run's state says about it.
func (p *planner) verbatim(ctx context.Context, txn *binlog.Txn, size counts, from, to cursor) error {
	if err := p.flush(ctx, from); err != nil {
		return err
	}
	transactional, err := p.rollsBack(ctx, txn)
	if err != nil {
		return err
	}
	t, changes, err := p.steps(ctx, txn)
	if err != nil {
		return err
	}
	size.Changes, size.Statements = changes, int64(t.statements)
	p.tally.read(counts{Changes: changes, Statements: size.Statements})
	p.number++
	b := &barrier{
		Barrier: target.Barrier{
			Number: p.number, GTID: txn.GTID, Steps: t.whole(), What: t.what, From: from.String(), To: to.String(),
			Transactional: transactional,
		},
		count: size, format: p.reader.Format(),
	}
	for _, q := range t.verbs {
		p.temporary.see(q)
	}
	b.temporary = p.temporary.open()
	if txn.Ending == binlog.EndPrepare {
		if b.temporary && p.flavor == binlog.MariaDB {
			return errors.New("an XA transaction is prepared while temporary tables are open: MariaDB cannot do that on one connection; use mysqlbinlog | mysql for this log")
		}
		p.conn = nil // the session may be another one afterwards
	}
	if err := p.resumed(to); err != nil {
		return err
	}
	u, err := p.send(ctx, &unit{barrier: b, to: to})
	if err != nil {
		return err
	}
	if onlyDML(t.verbs) && txn.Ending != binlog.EndBare {
		return nil
	}
	// What follows is read against the schema that the statement leaves behind.
	if err := p.wait(ctx, u); err != nil {
		return err
	}
	p.schema.Forget()
	p.transactional = nil
	if slices.ContainsFunc(t.verbs, makesBoundaries) {
		p.ends = nil
	}
	clear(p.tables)
	p.forgetLayouts()
	clear(p.sticky)
	return nil
}

// rollsBack tells whether a transaction that does not come to its end leaves nothing behind. MySQL's logs do not tell
// which engines took part: with a GTID they are transactional ones alone (enforce_gtid_consistency). Those are the
// source's: a table whose rows it holds may have another one on the target.
func (p *planner) rollsBack(ctx context.Context, txn *binlog.Txn) (bool, error) {
	if txn.Ending != binlog.EndXID || txn.CreateSelect || p.flavor == binlog.MariaDB && !txn.Transactional {
		return false, nil
	}
	all, err := p.allTransactional(ctx)
	if err != nil || all || p.flavor == binlog.MySQL && txn.GTID == (binlog.GTID{}) {
		return all, err
	}
	leaves, err := p.changes(ctx, func(t *target.Table) bool { return t.NotTransactional })
	return !leaves, err
}

// whole is the transaction with its BEGIN and its end.
func (t *txnSteps) whole() []target.Step {
	var steps []target.Step
	if head := append(t.prelude, t.begin...); len(head) > 0 {
		steps = append(steps, target.Step{Statements: head})
	}
	steps = append(steps, t.body...)
	if len(t.end) > 0 {
		steps = append(steps, target.Step{Statements: t.end})
	}
	return steps
}

// makesBoundaries tells whether a statement may give a table a full-text index of InnoDB's, or versions, where the target
// had none: they are named, but where a table comes to InnoDB with its indexes.
func makesBoundaries(q binlog.Query) bool {
	text := bytes.ToUpper(q.SQL)
	return bytes.Contains(text, []byte("FULLTEXT")) || bytes.Contains(text, []byte("VERSIONING")) ||
		bytes.Contains(text, []byte("ALTER")) && bytes.Contains(text, []byte("ENGINE"))
}

func onlyDML(verbs []binlog.Query) bool {
	for _, q := range verbs {
		switch q.Verb {
		case binlog.VerbDML, binlog.VerbSavepoint, binlog.VerbRollbackTo, binlog.VerbXAEnd:
		default:
			return false
		}
	}
	return true
}
