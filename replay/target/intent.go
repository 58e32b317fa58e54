package target

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// OpenIntentError is returned by Open where a barrier was interrupted and nothing on the target tells whether it has
// taken effect. A person looks, and calls ResolveIntent.
type OpenIntentError struct{ What string }

func (e *OpenIntentError) Error() string {
	return "resume run: it was interrupted while this ran, and whether it has taken effect cannot be told: " + e.What +
		" (look whether it has; then say so by --resolve-intent done, or --resolve-intent redo if it has not at all)"
}

// intent is a barrier that has begun.
type intent struct {
	epoch Epoch
	gtid  string // under which it runs; empty: none
	gtids string // record.gtids once it has run
	xid   string // of the XA transaction that it ends, or prepares; empty: none
	// prepares tells which; gtid is empty then.
	prepares bool
	what     string
}

// prepareMark stands in the state before the XID of an XA transaction that an intent prepares.
const prepareMark = "PREPARE "

func readIntent(ctx context.Context, c *Conn, run int64) (*intent, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT number, from_position, to_position, gtid, gtids, xid, what FROM %s.intent WHERE run = %d", stateSchema, run))
	if err != nil || len(rows) == 0 {
		return nil, wrapState("read intent", err)
	}
	row := rows[0]
	n, err := strconv.ParseInt(row[0].Text, 10, 64)
	if err != nil {
		return nil, wrapState("read intent", err)
	}
	xid, prepares := strings.CutPrefix(row[5].Text, prepareMark)
	return &intent{
		epoch: Epoch{Number: n, From: row[1].Text, To: row[2].Text, Finished: true},
		gtid:  row[3].Text, gtids: row[4].Text, xid: xid, prepares: prepares, what: row[6].Text,
	}, nil
}

// gtidsWith is the run's GTIDs once a barrier has run, nil where they stay as they are: on a MySQL with GTIDs a
// barrier enters its own.
func (r *Run) gtidsWith(b Barrier, owns bool) *binlog.GTIDSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	single := !owns && b.GTID != (binlog.GTID{})
	if !single && (b.GTIDs == nil || b.GTIDs.Empty()) {
		return nil
	}
	all := r.gtids.Clone()
	if single {
		all.Add(b.GTID)
	}
	if b.GTIDs != nil {
		all.AddSet(b.GTIDs)
	}
	return all
}

func setGTIDs(run int64, gtids string) string {
	return fmt.Sprintf("UPDATE %s.run SET gtids = %s WHERE id = %d", stateSchema, hexText(gtids), run)
}

// intend writes the intent down, on disk.
func (r *Run) intend(ctx context.Context, b Barrier, gtid string, gtids *binlog.GTIDSet) error {
	after := ""
	if gtids != nil {
		after = gtids.String()
	}
	xid := endsXA(b.Steps)
	if id := preparesXID(b.Steps); id != "" && gtid == "" {
		xid = prepareMark + id
	}
	return r.control(ctx, func(c *Conn) error {
		last, err := lastEpoch(ctx, c, r.id)
		if err == nil {
			err = r.kept(last)
		}
		if err != nil {
			return err
		}
		if last != nil && (!last.Finished || last.Number >= b.Number) {
			return fmt.Errorf("epoch %d must be finished before barrier %d", last.Number, b.Number)
		}
		if err := r.publishInTime(ctx); err != nil { // it may take long
			return err
		}
		sql := fmt.Sprintf("REPLACE INTO %s.intent VALUES (%d, %d, %s, %s, %s, %s, %s, %s)", stateSchema, r.id, b.Number,
			hexText(b.From), hexText(b.To), hexText(gtid), hexText(after), hexText(xid), hexText(b.What))
		if err := c.Exec(ctx, sql); err != nil {
			return wrapState("write intent", err)
		}
		return r.flush(ctx, c)
	})
}

// flush brings every commit so far to the disk, whatever innodb_flush_log_at_trx_commit is: by one more commit under 1, since
// there is one redo log. FLUSH ENGINE LOGS does nothing on MariaDB while the variable is 0 (10.11: Innodb_lsn_flushed stays),
// and asks for RELOAD on MySQL.
func (r *Run) flush(ctx context.Context, c *Conn) error {
	was, err := c.text(ctx, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")
	if err != nil {
		return wrapState("flush", err)
	}
	commit := fmt.Sprintf("UPDATE %s.run SET flushes = flushes + 1 WHERE id = %d", stateSchema, r.id)
	statements := []string{"SET GLOBAL innodb_flush_log_at_trx_commit=1", commit, "SET GLOBAL innodb_flush_log_at_trx_commit=" + was}
	if was == "1" {
		statements = []string{commit}
	}
	_, err = c.script(ctx, statements...)
	return wrapState("flush", err)
}

// durably runs f while every commit goes to the disk.
func (r *Run) durably(ctx context.Context, f func() error) error {
	set := func(ctx context.Context, value string) error {
		return r.control(ctx, func(c *Conn) error {
			return wrapState("flush", c.Exec(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit="+value))
		})
	}
	var was string
	err := r.control(ctx, func(c *Conn) (err error) {
		was, err = c.text(ctx, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit")
		return wrapState("flush", err)
	})
	if err != nil {
		return err
	}
	if was == "1" {
		return f()
	}
	if err := set(ctx, "1"); err != nil {
		return err
	}
	if err := f(); err != nil {
		return errors.Join(err, set(context.WithoutCancel(ctx), was))
	}
	return set(ctx, was)
}

// fulfil writes down that a barrier has run, in the place of its intent. Where no GTID tells it, that goes to the disk at
// once: DDL is there already, and a crash before its mark is would leave a question to a person.
func (r *Run) fulfil(ctx context.Context, e Epoch, gtid string, gtids *binlog.GTIDSet) error {
	return r.control(ctx, func(c *Conn) error {
		if err := r.fulfilled(ctx, c, e, gtids); err != nil || gtid != "" {
			return err
		}
		return r.flush(ctx, c)
	})
}

func (r *Run) fulfilled(ctx context.Context, c *Conn, e Epoch, gtids *binlog.GTIDSet) error {
	last, err := lastEpoch(ctx, c, r.id)
	if err != nil {
		return err
	}
	if last != nil && last.Number == e.Number && last.Finished { // by a commit whose answer was lost
		r.note(e, gtids)
		return nil
	}
	if err := r.lookForTables(ctx, c); err != nil {
		return err
	}
	statements := []string{
		forgetEpochs(r.id, e.Number+1),
		r.insertEpoch(e),
		fmt.Sprintf("DELETE FROM %s.intent WHERE run = %d", stateSchema, r.id),
	}
	if gtids != nil {
		statements = append(statements, setGTIDs(r.id, gtids.String()))
	}
	if err := transaction(ctx, c, statements...); err != nil {
		return wrapState("finish barrier", err)
	}
	r.note(e, gtids)
	return nil
}

// note takes over what the target now keeps. r.mu is held.
func (r *Run) note(e Epoch, gtids *binlog.GTIDSet) {
	r.last, r.marks = e.clone(), nil
	if gtids != nil {
		r.gtids = gtids
	}
}

// ran notes a transactional barrier, which has written its epoch itself.
func (r *Run) ran(b Barrier, gtids *binlog.GTIDSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(b.epochOf(), gtids)
}

// settleIntent decides an intent that an interrupted run left open. The end of an XA transaction has run if that one is
// not prepared any more, which it was before the intent; where no GTID tells, an XA PREPARE has if it is prepared, which it
// was not before the intent. Otherwise a GTID that is there has run. One that is not
// there has not, if everything on the target is transactional: then the barrier rolled back as a whole.
func (r *Run) settleIntent(ctx context.Context) error {
	open, err := readIntent(ctx, r.conn, r.id)
	if err != nil || open == nil {
		return err
	}
	if open.prepares {
		prepared, err := r.server.holdsXA(ctx, r.conn, open.xid)
		if err != nil {
			return err
		}
		if prepared {
			return r.settle(ctx, open, true)
		}
		return r.settleUndone(ctx, open)
	}
	if open.xid != "" {
		prepared, err := r.server.holdsXA(ctx, r.conn, open.xid)
		if err == nil && !prepared && open.gtid != "" {
			err = takeUp(ctx, r.conn, open.gtid)
		}
		if err != nil {
			return err
		}
		return r.settle(ctx, open, !prepared)
	}
	if open.gtid == "" {
		return &OpenIntentError{What: open.what}
	}
	executed, err := hasGTID(ctx, r.conn, open.gtid)
	if err != nil {
		return err
	}
	if executed {
		return r.settle(ctx, open, true)
	}
	return r.settleUndone(ctx, open)
}

// settleUndone decides an intent whose barrier has not come to its end.
func (r *Run) settleUndone(ctx context.Context, open *intent) error {
	if others, err := r.others(ctx, r.conn); err != nil {
		return err
	} else if others {
		return &OpenIntentError{What: open.what}
	}
	return r.settle(ctx, open, false)
}

// takeUp has the server count a GTID as executed. MySQL 9.7 commits an XA transaction first and takes up the GTID of its
// XA COMMIT afterwards: a kill between the two leaves the one without the other.
func takeUp(ctx context.Context, c *Conn, gtid string) error {
	executed, err := hasGTID(ctx, c, gtid)
	if err != nil || executed {
		return err
	}
	for _, sql := range []string{gtidNext(gtid), "START TRANSACTION", "COMMIT", gtidNext("AUTOMATIC")} {
		if err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("take up GTID %s: %w", gtid, err)
		}
	}
	return nil
}

// hasGTID tells whether the server has executed a GTID.
func hasGTID(ctx context.Context, c *Conn, gtid string) (bool, error) {
	there, err := c.text(ctx, "SELECT GTID_SUBSET(_latin1"+quoteHexless(gtid)+", @@GLOBAL.gtid_executed)")
	if err != nil {
		return false, fmt.Errorf("look for GTID %s: %w", gtid, err)
	}
	return there != "0", nil
}

// others tells whether there are tables of users that are not transactional.
func (r *Run) others(ctx context.Context, c *Conn) (bool, error) {
	count, err := c.text(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') "+
		"AND (engine IS NULL OR engine <> 'InnoDB') AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')")
	if err != nil {
		return false, fmt.Errorf("look for tables that are not transactional: %w", err)
	}
	return count != "0", nil
}

// settle writes down how an intent ended.
func (r *Run) settle(ctx context.Context, open *intent, done bool) error {
	if !done {
		return wrapState("remove intent", r.conn.Exec(ctx, fmt.Sprintf("DELETE FROM %s.intent WHERE run = %d", stateSchema, r.id)))
	}
	var gtids *binlog.GTIDSet
	if open.gtids != "" {
		var err error
		if gtids, err = binlog.ParseGTIDSet(r.server.Flavor, open.gtids); err != nil {
			return wrapState("read GTIDs", err)
		}
	}
	return r.fulfilled(ctx, r.conn, open.epoch, gtids)
}

// ResolveIntent says how the barrier of an *OpenIntentError ended: done, or not at all, so that it is run again. The
// run can then be used as if Open had returned no error.
func (r *Run) ResolveIntent(ctx context.Context, done bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	open, err := readIntent(ctx, r.conn, r.id)
	if err != nil {
		return err
	}
	if open == nil {
		return fmt.Errorf("resolve intent: none is open")
	}
	if err := r.settle(ctx, open, done); err != nil {
		return err
	}
	r.Last = r.last.clone()
	return r.publish(ctx)
}
