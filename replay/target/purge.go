package target

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"interlock/replay/binlog"
)

// historyIsShort is how many transactions may wait for purge for their delete marks not to matter.
const historyIsShort = 4

// WaitPurge waits until InnoDB has purged what was deleted, at most for the bound. Inserts into unique secondary
// indexes over delete-marked entries lock their neighbours, and workers deadlock there: 300,000 rows whose unique
// values were swapped took 3.9 s on one connection and 11.6 s on eight with 145 deadlocks; with the entries purged
// eight are quick. A server that does not tell how much there is to purge is not waited for.
func (r *Run) WaitPurge(ctx context.Context, bound time.Duration) error {
	deadline := time.Now().Add(bound)
	for {
		var length int64
		var known bool
		err := r.control(ctx, func(c *Conn) (err error) {
			length, known, err = r.server.history(ctx, c)
			return err
		})
		if err != nil || !known || length <= historyIsShort || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// history is how many transactions wait for purge, where the server tells.
func (s *Server) history(ctx context.Context, c *Conn) (length int64, known bool, err error) {
	sql := "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len' AND status = 'enabled'"
	if s.Flavor == binlog.MariaDB {
		sql = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'"
	}
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return 0, false, fmt.Errorf("ask how much is to be purged: %w", err)
	}
	if len(rows) == 0 || rows[0][0].Null {
		return 0, false, nil
	}
	length, err = strconv.ParseInt(rows[0][0].Text, 10, 64)
	return length, err == nil, err
}

// PurgeHold keeps InnoDB from purging while rows are applied, by a read view of its own. What changed rows leave behind
// is purged afterwards, while the next epoch is folded: of the server's CPU for 190,000 updated rows with a secondary
// index, 4.2 s, purge was a third, and took it from those who applied. Undo logs grow meanwhile by what one epoch
// changes. It belongs to one goroutine; its zero value with a Run is ready.
//
// It is for speed alone, so it has no errors: one that cannot be had, or is lost, holds nothing.
type PurgeHold struct {
	Run  *Run
	conn *Conn // nil: not open
	held bool
}

// Hold begins to keep what is purged from now on.
func (h *PurgeHold) Hold(ctx context.Context) {
	if h.held {
		return
	}
	if h.conn == nil {
		s := h.Run.server
		c, err := s.prepared(ctx, append(s.stateSession(), "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
		if err != nil {
			return
		}
		h.conn = c
	}
	h.held = h.exec(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
}

// Release lets purge go on.
func (h *PurgeHold) Release(ctx context.Context) {
	if h.held {
		h.exec(ctx, "COMMIT")
		h.held = false
	}
}

// exec closes the connection, and with it the view, where a statement fails.
func (h *PurgeHold) exec(ctx context.Context, sql string) bool {
	if err := h.conn.Exec(ctx, sql); err != nil {
		h.Close()
		return false
	}
	return true
}

// Close ends the connection.
func (h *PurgeHold) Close() {
	if h.conn != nil {
		h.conn.Close()
		h.conn, h.held = nil, false
	}
}
