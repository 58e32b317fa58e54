package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"interlock/replay/binlog"
)

// ErrUndone is an error of Session.Run as well where the server has refused a barrier that is not Transactional and
// nothing of it stays: its intent has been withdrawn.
var ErrUndone = errors.New("nothing of it was done")

// killPatience is how long a statement may take to end once it has been killed.
const killPatience = 15 * time.Second

// heed returns the context that a barrier runs under. It outlives ctx, by killPatience at most: when ctx ends the
// statement that runs is killed, so that it neither goes on without us, holding its locks, nor leaves us without an
// answer.
func (s *Session) heed(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	id := s.sender.conn.ID
	stop := context.AfterFunc(ctx, func() {
		patience, end := context.WithTimeout(work, killPatience)
		defer end()
		for patience.Err() == nil {
			// One that arrives between two statements ends none.
			err := s.run.server.withConn(patience, func(c *Conn) error { return c.Exec(patience, fmt.Sprintf("KILL QUERY %d", id)) })
			if err != nil {
				break
			}
			select {
			case <-patience.Done():
			case <-time.After(time.Second):
			}
		}
		cancel(context.Cause(ctx))
	})
	return work, func() {
		stop()
		cancel(nil)
	}
}

// stepsOrNone runs the steps of a barrier behind its intent. Where the server refuses one and it is certain that
// nothing of the barrier stays, the intent is withdrawn.
func (s *Session) stepsOrNone(ctx context.Context, steps []Step) error {
	for i, step := range steps {
		// One by one: what a crash or a KILL leaves of it must be as little as can be.
		cause := s.sender.step(ctx, step, 1)
		if cause == nil || s.run.server.letGo(step, cause) {
			continue
		}
		s.broken = errors.New("a barrier on it has failed")
		if errorCode(cause) == 0 || lost(cause) {
			return cause
		}
		var undone bool
		var err error
		if id := endsXA(steps[i : i+1]); id != "" {
			undone, cause, err = s.notEnded(ctx, id, cause)
		} else {
			undone, err = s.undone(ctx, steps, i)
		}
		if err == nil && undone {
			err = s.run.withdraw(ctx)
		}
		switch {
		case err != nil:
			return rollback(ctx, s.sender.conn, cause)
		case undone:
			return fmt.Errorf("%w (%w)", cause, ErrUndone)
		}
		return cause
	}
	return nil
}

// undone rolls back what a refused barrier left open, and tells whether nothing of it stays. failed is the step
// that was refused.
func (s *Session) undone(ctx context.Context, steps []Step, failed int) (bool, error) {
	if err := s.sender.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return false, err
	}
	rows, err := s.sender.conn.Query(ctx, "SHOW WARNINGS")
	if err != nil {
		return false, err
	}
	const notComplete = "1196" // some non-transactional changed tables couldn't be rolled back
	for _, row := range rows {
		if len(row) > 1 && row[1].Text == notComplete {
			return false, nil
		}
	}
	begun, statements := false, []string(nil)
	for i, step := range steps {
		if len(step.Events) > 0 {
			statements = append(statements, "BINLOG")
		}
		for _, sql := range step.Statements {
			switch firstWord(sql) {
			case "SET", "USE":
			case "BEGIN", "START":
				begun = true
			case "COMMIT":
				if i == failed {
					return false, nil // what a COMMIT did that failed is not known
				}
			default:
				statements = append(statements, sql)
			}
		}
	}
	if begun {
		for _, sql := range statements {
			if !changesRows(firstWord(sql)) {
				return false, nil // it may have committed what was before it
			}
		}
		return true, nil
	}
	return s.aloneUndone(ctx, statements)
}

// aloneUndone tells whether a statement outside of a transaction leaves nothing behind when it fails: on tables that
// are all InnoDB's a change of rows does not, nor does any DDL of MySQL 8, nor, of MariaDB's, that of one object.
// Sources: "Atomic DDL" in both manuals; MariaDB's DROP of several tables stops in the middle.
func (s *Session) aloneUndone(ctx context.Context, statements []string) (bool, error) {
	if len(statements) != 1 {
		return false, nil
	}
	if others, err := s.run.others(ctx, s.sender.conn); err != nil || others {
		return false, err
	}
	if changesRows(firstWord(statements[0])) {
		return true, nil
	}
	words := strings.Fields(strings.ToUpper(statements[0]))
	if len(words) < 2 || words[0] == "XA" {
		return false, nil
	}
	if s.run.server.Flavor == binlog.MySQL {
		return binlog.VersionNumber(s.run.server.Version) >= 80000, nil
	}
	switch words[0] + " " + words[1] {
	case "CREATE TABLE", "ALTER TABLE", "CREATE INDEX", "DROP INDEX", "CREATE DATABASE":
		return true, nil
	}
	return false, nil
}

func firstWord(sql string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	return strings.ToUpper(strings.TrimRight(word, ";"))
}

func changesRows(word string) bool {
	switch word {
	case "BINLOG", "INSERT", "UPDATE", "DELETE", "REPLACE", "SAVEPOINT", "ROLLBACK":
		return true
	}
	return false
}

// withdraw removes the intent of a barrier that has done nothing.
func (r *Run) withdraw(ctx context.Context) error {
	return r.control(ctx, func(c *Conn) error {
		return wrapState("remove intent", c.Exec(ctx, fmt.Sprintf("DELETE FROM %s.intent WHERE run = %d", stateSchema, r.id)))
	})
}
