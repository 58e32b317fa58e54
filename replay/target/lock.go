package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"interlock/replay/binlog"
)

// lockName is the server-wide lock of a run. A run is of the whole server, so there is one.
const lockName = "interlock_replay"

// lockWait is how long a second start waits for the first one's lock: long enough for a connection that has
// just been closed to be gone.
const lockWait = 2 * time.Second

// control opens the connection that reads and writes the state, and ALTERs counters. Its statements are never logged.
func (s *Server) control(ctx context.Context) (*Conn, error) {
	return s.prepared(ctx, append(s.stateSession(), s.alterSession()...))
}

// prepared opens a connection and runs statements on it.
func (s *Server) prepared(ctx context.Context, statements []string) (*Conn, error) {
	c, err := s.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.takesSeveral(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("prepare session: %w", err)
	}
	if ran, err := c.script(ctx, statements...); err != nil {
		c.Close()
		return nil, fmt.Errorf("prepare session: %s: %w", statements[min(ran, len(statements)-1)], err)
	}
	return c, nil
}

// alterSession has the server ALTER tables that it would not let be made as they are: with a ROW_FORMAT, a
// KEY_BLOCK_SIZE or a length of rows that innodb_strict_mode refuses, and, from MySQL 8.4 on, parents of foreign keys on
// keys that are not unique. Sessions that run the log's own statements do without.
func (s *Server) alterSession() []string {
	// MariaDB passes over comments of such versions.
	return []string{"SET SESSION innodb_strict_mode=0 /*!80400 , restrict_fk_on_non_standard_key=0 */"}
}

// stateLockWait is for how many seconds a session of ours waits for a table's definition: nobody else is there who would
// hold it for longer than a statement.
const stateLockWait = "60"

// stateSession are the settings of a session that writes the state.
func (s *Server) stateSession() []string {
	sets := []string{"SET SESSION sql_log_bin=0", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION lock_wait_timeout=" + stateLockWait}
	if s.Flavor == binlog.MySQL {
		sets = append(sets, "SET SESSION sql_require_primary_key=0, information_schema_stats_expiry=0")
	}
	return sets
}

// LockFree tells whether another replay is at work, before anything else is asked of the target: ErrLocked.
func (s *Server) LockFree(ctx context.Context) error {
	return s.ask(ctx, func(c *Conn) error {
		for deadline := time.Now().Add(lockWait); ; {
			rows, err := c.Query(ctx, "SELECT IS_USED_LOCK('"+lockName+"')")
			if err != nil {
				return fmt.Errorf("lock target: %w", err)
			}
			if len(rows) == 1 && rows[0][0].Null {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("lock target: %w: %s", ErrLocked, whoHolds(ctx, c))
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
}

// takeLock takes the lock or says who has it.
func takeLock(ctx context.Context, c *Conn) error {
	got, err := c.text(ctx, fmt.Sprintf("SELECT GET_LOCK('%s', %d)", lockName, int(lockWait.Seconds())))
	if err != nil {
		return fmt.Errorf("lock target: %w", err)
	}
	switch got {
	case "1":
		return nil
	case "0":
		return fmt.Errorf("lock target: %w: %s", ErrLocked, whoHolds(ctx, c))
	default:
		return errors.New("lock target: the server could not tell (GET_LOCK is NULL)")
	}
}

// whoHolds is who has the lock, in words.
func whoHolds(ctx context.Context, c *Conn) string {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT IS_USED_LOCK('%[1]s'), COALESCE((SELECT CONCAT(holder, ', since ', held_since, ' UTC') "+
		"FROM %[2]s.run WHERE holder_connection = IS_USED_LOCK('%[1]s') ORDER BY held_since DESC LIMIT 1), 'not yet written down who')", lockName, stateSchema))
	if err != nil || len(rows) == 0 {
		return "who it is cannot be read"
	}
	return fmt.Sprintf("connection %s, %s", rows[0][0].Text, rows[0][1].Text)
}

// hold writes down who has the lock.
func (r *Run) hold(ctx context.Context) error {
	sql := fmt.Sprintf("UPDATE %s.run SET holder = %s, holder_connection = %d, held_since = UTC_TIMESTAMP(6) WHERE id = %d",
		stateSchema, hexText(me()), r.conn.ID, r.id)
	return wrapState("write holder", r.conn.Exec(ctx, sql))
}

// me is how this process is named to a second one.
func me() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return host + " process " + strconv.Itoa(os.Getpid())
}
