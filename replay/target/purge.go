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
	sql := "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len' AND status = 'enabled'"
	if r.server.Flavor == binlog.MariaDB {
		sql = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'"
	}
	deadline := time.Now().Add(bound)
	for {
		var rows [][]Value
		err := r.control(ctx, func(c *Conn) (err error) {
			rows, err = c.Query(ctx, sql)
			return err
		})
		if err != nil {
			return fmt.Errorf("ask how much is to be purged: %w", err)
		}
		if len(rows) == 0 || rows[0][0].Null {
			return nil
		}
		length, err := strconv.ParseInt(rows[0][0].Text, 10, 64)
		if err != nil || length <= historyIsShort || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
