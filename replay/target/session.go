package target

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"interlock/replay/binlog"
)

// Session is the one connection on which barriers run, one after the other; temporary tables live in it. It
// belongs to one goroutine.
type Session struct {
	run    *Run
	format []byte
	sender *sender
	broken error // why no barrier can run on it any more
}

// Barrier is what runs alone.
type Barrier struct {
	Number int64 // counted as an epoch
	GTID   binlog.GTID
	// GTIDs are of several transactions that have been merged into one; GTID is zero then, and Transactional true.
	GTIDs         *binlog.GTIDSet
	Steps         []Step // verbatim, in order, BEGIN and COMMIT among them
	Transactional bool   // InnoDB alone, between BEGIN and COMMIT: its mark goes into its transaction
	What          string // for the intent row and errors: position, GTID, the statement's first 200 characters
	From, To      string // as of Epoch
}

// Session opens it. It is not reopened when it is lost.
func (r *Run) Session(ctx context.Context, f *binlog.Format) (*Session, error) {
	s := &Session{run: r, format: r.formatEvent(f)}
	var err error
	if s.sender, err = r.server.statements(ctx, s.format); err != nil {
		return nil, err
	}
	return s, nil
}

// SetFormat sends the format description of another file of the log: what follows was written by another version.
func (s *Session) SetFormat(ctx context.Context, f *binlog.Format) error {
	s.format = s.run.formatEvent(f)
	return s.sender.setFormat(ctx, s.run.server, s.format)
}

// SetTemporary notes whether temporary tables are open, before the statement that opens the first or after the one
// that drops the last: a run that is interrupted while they are cannot be resumed.
func (s *Session) SetTemporary(ctx context.Context, open bool) error {
	return s.run.control(ctx, func(c *Conn) error {
		sql := fmt.Sprintf("UPDATE %s.run SET temporary_open = %d WHERE id = %d", stateSchema, number(open), s.run.id)
		return wrapState("note temporary tables", c.Exec(ctx, sql))
	})
}

// Run runs a barrier exactly once. A Transactional one has its mark in its own transaction. Any other runs after an
// intent that is on disk, and its end is written down behind it; on a MySQL with GTIDs its own GTID, which
// commits with it, tells whether it ran.
//
// Every error ends the run. An *InterruptedError says that the same command resumes it. After an error of the
// server's the transaction has been rolled back; of a barrier that is not Transactional an intent stays, which the
// next Open decides or names, unless the error is an ErrUndone as well. When ctx ends, the statement that runs is
// ended at the server, whose answer says what became of it.
func (s *Session) Run(ctx context.Context, b Barrier) error {
	if s.broken != nil {
		return fmt.Errorf("run %s: %w", b.What, s.broken)
	}
	err := s.check(b)
	work, end := s.heed(ctx)
	defer end()
	if err == nil && b.Transactional {
		err = s.transactional(work, b)
	} else if err == nil {
		err = s.verbatim(work, b)
	}
	if err == nil {
		return nil
	}
	if lost(err) {
		s.broken = errors.New("its session has been lost")
		// Whether it has taken effect is known to the next Open, by mark, GTID or intent; what the session held is gone.
		err = &InterruptedError{What: "lost the connection to the target", Err: err}
	}
	return fmt.Errorf("run %s: %w", b.What, err)
}

// check refuses what cannot be run exactly once.
func (s *Session) check(b Barrier) error {
	if !b.Transactional {
		if b.GTIDs != nil && !b.GTIDs.Empty() {
			return errors.New("several transactions as one barrier must be transactional")
		}
		return nil
	}
	if n := len(b.Steps); n > 0 {
		if sql := b.Steps[n-1].Statements; len(sql) > 0 && len(b.Steps[n-1].Events) == 0 && strings.EqualFold(strings.Trim(sql[len(sql)-1], " \t\r\n;"), "COMMIT") {
			return nil
		}
	}
	return errors.New("a transactional barrier must end in COMMIT")
}

// ownGTID is the GTID under which a barrier runs, empty if none. A Transactional one has its mark, and its GTID is
// published behind it: with log_bin=ON the server writes a GTID to its binary log even of what is not logged, and that
// file survives a kill which the barrier itself, with innodb_flush_log_at_trx_commit=0, may not.
func (s *Session) ownGTID(b Barrier) string {
	if b.Transactional || s.run.server.Flavor != binlog.MySQL || !s.run.server.GTIDs || exchanges(b.Steps) {
		return ""
	}
	return b.GTID.String()
}

// exchanges tells whether a barrier may be ALTER TABLE … EXCHANGE PARTITION. MySQL 9.7 commits that one without its
// GTID when sql_log_bin is 0, so that the GTID cannot tell whether it has run; and done twice it is undone. It
// goes the way of what has no GTID.
func exchanges(steps []Step) bool {
	for _, step := range steps {
		for _, sql := range step.Statements {
			sql = strings.ToUpper(sql)
			if strings.Contains(sql, "EXCHANGE") && strings.Contains(sql, "PARTITION") {
				return true
			}
		}
	}
	return false
}

// epochOf is the finished epoch that stands for a barrier.
func (b Barrier) epochOf() Epoch {
	return Epoch{Number: b.Number, From: b.From, To: b.To, Finished: true}
}

// transactional puts the mark before the COMMIT: the barrier and its mark are one transaction.
func (s *Session) transactional(ctx context.Context, b Barrier) error {
	gtids := s.run.gtidsWith(b, s.ownGTID(b) != "")
	if err := s.own(ctx, b); err != nil {
		return err
	}
	last := b.Steps[len(b.Steps)-1]
	steps := append(append([]Step{}, b.Steps[:len(b.Steps)-1]...), Step{Statements: last.Statements[:len(last.Statements)-1]})
	marks := Step{Statements: []string{forgetEpochs(s.run.id, b.Number), s.run.insertUntimed(b.epochOf())}}
	if gtids != nil {
		marks.Statements = append(marks.Statements, setGTIDs(s.run.id, gtids.String()))
	}
	marks.Statements = append(marks.Statements, last.Statements[len(last.Statements)-1])
	if err := s.steps(ctx, append(steps, marks)); err != nil {
		return err
	}
	if err := s.disown(ctx, b); err != nil {
		return err
	}
	s.run.ran(b, gtids)
	return nil
}

// verbatim runs the barrier between an intent and its mark.
func (s *Session) verbatim(ctx context.Context, b Barrier) error {
	gtids := s.run.gtidsWith(b, s.ownGTID(b) != "")
	if err := s.checkXA(ctx, b); err != nil {
		return err
	}
	if err := s.run.intend(ctx, b, s.ownGTID(b), gtids); err != nil {
		return err
	}
	run := func() error {
		if err := s.own(ctx, b); err != nil {
			return err
		}
		if err := s.logged(ctx, b, func() error { return s.stepsOrNone(ctx, b.Steps) }); err != nil {
			return err
		}
		return s.disown(ctx, b)
	}
	if s.ownGTID(b) == "" {
		err := run()
		if err != nil {
			return err
		}
	} else if err := s.run.durably(ctx, run); err != nil { // the GTID may tell that it ran only once it is on disk
		return err
	}
	if err := s.run.fulfil(ctx, b.epochOf(), s.ownGTID(b), gtids); err != nil {
		return err
	}
	return s.detach(ctx, b)
}

// checkXA refuses the end of an XA transaction that the target does not hold, before the intent: what an open intent
// ends was prepared. What one prepares was not, where no GTID tells whether it ran.
func (s *Session) checkXA(ctx context.Context, b Barrier) error {
	if id := preparesXID(b.Steps); id != "" && s.ownGTID(b) == "" {
		prepared, err := s.run.server.holdsXA(ctx, s.sender.conn, id)
		if err == nil && prepared {
			err = fmt.Errorf("the target has an XA transaction %s prepared already: look what it is and end it, by XA ROLLBACK if a start of this run that was killed has left it", id)
		}
		return err
	}
	id := endsXA(b.Steps)
	if id == "" {
		return nil
	}
	prepared, err := s.run.server.holdsXA(ctx, s.sender.conn, id)
	if err == nil && !prepared {
		err = fmt.Errorf("the target has no prepared XA transaction %s: begin with the log file that has its XA PREPARE, look into the backup for it, or, if it was left out by --skip-gtid, leave its end out, too", id)
	}
	return err
}

// own makes the next transaction the one that the barrier's GTID names. A GTID that the server has already would
// make it pass over the barrier in silence: since Open has decided every interrupted one, somebody else has
// used it up.
func (s *Session) own(ctx context.Context, b Barrier) error {
	gtid := s.ownGTID(b)
	if gtid == "" {
		return nil
	}
	executed, err := hasGTID(ctx, s.sender.conn, gtid)
	if err != nil {
		return err
	}
	if executed {
		return fmt.Errorf("GTID %s is in gtid_executed, but this run has not run it: something else has used it on the target", gtid)
	}
	if err := s.sender.conn.Exec(ctx, gtidNext(gtid)); err != nil {
		return fmt.Errorf("set gtid_next to %s: %w", gtid, err)
	}
	return nil
}

// disown goes back to transactions without a GTID. A barrier that committed nothing under its GTID leaves it to an
// empty transaction, as the source's log has it. XA ROLLBACK lets go of the GTID without using it (9.7 with
// sql_log_bin=0): it is named again. To name one that is still owned is an error, after which it is not.
func (s *Session) disown(ctx context.Context, b Barrier) error {
	gtid := s.ownGTID(b)
	if gtid == "" {
		return nil
	}
	empty := []string{"START TRANSACTION", "COMMIT"}
	for _, statements := range [][]string{nil, empty, append([]string{gtidNext(gtid)}, empty...)} {
		for _, sql := range statements {
			if err := s.sender.conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("end GTID %s: %w", gtid, err)
			}
		}
		executed, err := hasGTID(ctx, s.sender.conn, gtid)
		if err != nil {
			return err
		}
		if executed {
			if err := s.sender.conn.Exec(ctx, gtidNext("AUTOMATIC")); err != nil {
				return fmt.Errorf("end GTID %s: %w", gtid, err)
			}
			return nil
		}
	}
	return fmt.Errorf("end GTID %s: the server does not take it up", gtid)
}

// gtidNext names the next transaction; AUTOMATIC goes back to those without a GTID.
func gtidNext(gtid string) string { return "SET SESSION gtid_next=_latin1" + quoteHexless(gtid) }

// quoteHexless is a string literal of a GTID, which needs no escapes in any sql_mode: the session's is the log's.
func quoteHexless(gtid string) string { return "'" + strings.ReplaceAll(gtid, "'", "") + "'" }

// steps runs them as they are, and rolls back what an error leaves open.
func (s *Session) steps(ctx context.Context, steps []Step) error {
	for _, step := range steps {
		if err := s.sender.step(ctx, step, packetStatements); err != nil {
			s.broken = errors.New("a barrier on it has failed")
			return rollback(ctx, s.sender.conn, err)
		}
	}
	return nil
}

// detach opens the connection again after an XA PREPARE, which MariaDB (and MySQL with xa_detach_on_prepare=OFF)
// leaves attached to it: nothing but XA COMMIT and ROLLBACK could run there any more. The prepared transaction stays.
func (s *Session) detach(ctx context.Context, b Barrier) error {
	if preparesXID(b.Steps) == "" {
		return nil
	}
	if s.run.server.Flavor == binlog.MySQL {
		detached, err := s.sender.conn.text(ctx, "SELECT @@SESSION.xa_detach_on_prepare")
		if err == nil && detached == "1" {
			return nil
		}
	}
	again, err := s.run.server.statements(ctx, s.format)
	if err != nil {
		return err
	}
	s.sender.conn.Close()
	s.sender = again
	return nil
}

// Close ends it.
func (s *Session) Close() error { return s.sender.conn.Close() }
