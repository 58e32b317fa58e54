package target

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// InterruptedError says that a run cannot go on in this process, but that the same command resumes it: the
// target went away, or came back without what it had committed.
type InterruptedError struct {
	What string
	Err  error // nil where the server reported none
}

func (e *InterruptedError) Error() string {
	text := e.What
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + " (run the same command again, it resumes)"
}

func (e *InterruptedError) Unwrap() error { return e.Err }

// control runs f on the control connection. When that is lost, and with it the lock, or has been given up by a caller
// whose context ended, it is opened again, and f runs again: f must come to the same end if what it did before has been
// committed.
func (r *Run) control(ctx context.Context, f func(*Conn) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.conn.broken
	if err == nil {
		err = f(r.conn)
		if !lost(err) {
			return err
		}
	}
	if err := r.reopen(ctx, err); err != nil {
		return err
	}
	return f(r.conn)
}

// broken tells whether nothing can run on the control connection any more, and its id.
func (r *Run) broken() (bool, uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn.broken != nil, r.conn.ID
}

// recover is called by whoever lost another connection. When it returns nil the target is there, the lock is ours,
// and nothing that was acknowledged has been lost: either the control connection lives, so that the server has
// not been down since that was last verified, or it has been opened again, which verifies it.
func (r *Run) recover(ctx context.Context) error {
	return r.control(ctx, func(c *Conn) error { return c.Exec(ctx, "DO 0") })
}

// reopen opens the control connection again after a loss, takes the lock, and compares what the target holds with
// what it had acknowledged. r.mu is held.
func (r *Run) reopen(ctx context.Context, cause error) error {
	deadline := time.Now().Add(r.Patience)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := r.tryReopen(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var interrupted *InterruptedError
		if errors.As(err, &interrupted) {
			return err
		}
		if !time.Now().Add(wait).Before(deadline) {
			return &InterruptedError{What: fmt.Sprintf("lost the target (%v), and it did not come back within %s", cause, r.Patience), Err: err}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (r *Run) tryReopen(ctx context.Context) error {
	old := r.conn.ID
	r.conn.Close()
	c, err := r.server.control(ctx)
	if err != nil {
		return err
	}
	if err := r.relock(ctx, c, old); err != nil {
		c.Close()
		return err
	}
	r.conn = c
	r.generation++
	if err := r.verify(ctx, c); err != nil {
		return err
	}
	if err := r.hold(ctx); err != nil {
		return err
	}
	// A restarted server has forgotten what it was told for the run; what has been told to it is in the table.
	told, err := c.text(ctx, "SELECT COUNT(*) FROM "+stateSchema+".setting")
	if err != nil || told == "0" {
		return err
	}
	return r.Settings(ctx)
}

// relock takes the lock again. Our own connection of before may still hold it, where the network was lost and
// not the server: then it is ended.
func (r *Run) relock(ctx context.Context, c *Conn, old uint32) error {
	err := takeLock(ctx, c)
	if err == nil {
		return nil
	}
	rows, queryErr := c.Query(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s.run WHERE id = %d AND holder = %s AND holder_connection = %d AND IS_USED_LOCK('%s') = %[4]d",
		stateSchema, r.id, hexText(me()), old, lockName))
	if queryErr != nil {
		return queryErr
	}
	if rows[0][0].Text == "0" {
		return &InterruptedError{What: "lost the connection that held the lock", Err: err}
	}
	if err := c.Exec(ctx, fmt.Sprintf("KILL %d", old)); err != nil {
		return err
	}
	return takeLock(ctx, c)
}

// verify compares the state on the target with what it had acknowledged. A server that went down with
// innodb_flush_log_at_trx_commit=0 or 2 comes back without its last commits, chunks of ours among them.
func (r *Run) verify(ctx context.Context, c *Conn) error {
	there, err := stateThere(ctx, c)
	if err != nil {
		return err
	}
	if !there {
		return &InterruptedError{What: "the target came back without the schema " + stateSchema + ": is it another server?"}
	}
	all, err := records(ctx, c)
	if err != nil {
		return err
	}
	known := false
	for _, one := range all {
		known = known || one.id == r.id && one.spec.Fingerprint == r.Spec.Fingerprint
	}
	if !known {
		return &InterruptedError{What: "the target came back without this run: its last commits are lost, or it is another server"}
	}
	last, err := lastEpoch(ctx, c, r.id)
	if err != nil {
		return err
	}
	if err := r.kept(last); err != nil {
		return err
	}
	if r.last == nil || last.Number > r.last.Number || last.Finished {
		return nil
	}
	done, err := chunksDone(ctx, c, r.id, last.Number)
	if err != nil {
		return err
	}
	for chunk := range r.marks {
		if !done[chunk] {
			return r.lostCommits()
		}
	}
	return nil
}

// kept compares the last epoch that the target has with the last that it acknowledged.
func (r *Run) kept(last *Epoch) error {
	if r.last == nil {
		return nil
	}
	if last == nil || last.Number < r.last.Number || last.Number == r.last.Number && r.last.Finished && !last.Finished {
		return r.lostCommits()
	}
	return nil
}

func (r *Run) lostCommits() error {
	return &InterruptedError{What: fmt.Sprintf("the target went down and came back without commits of epoch %d that it had acknowledged", r.last.Number)}
}
