package target

import (
	"context"
	"fmt"
)

// Fail writes down that a run has come to a wrong end, which another start must not pass over: the target is not to be
// used. Such a run is neither resumed nor finished.
func (r *Run) Fail(ctx context.Context, what string) error {
	return r.control(ctx, func(c *Conn) error {
		err := c.Exec(ctx, fmt.Sprintf("REPLACE INTO %s.failure VALUES (%d, %s)", stateSchema, r.id, hexText(what)))
		if err != nil {
			return wrapState("write failure", err)
		}
		return r.flush(ctx, c)
	})
}

// readFailure is why a run has failed, empty if it has not.
func readFailure(ctx context.Context, c *Conn, run int64) (string, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT what FROM %s.failure WHERE run = %d", stateSchema, run))
	if absent(err) != nil {
		return "", wrapState("read failure", err)
	}
	if len(rows) == 0 {
		return "", nil
	}
	return rows[0][0].Text, nil
}

// refuseFailed refuses a run that has failed.
func refuseFailed(ctx context.Context, c *Conn, run int64, started string) error {
	what, err := readFailure(ctx, c, run)
	if err != nil || what == "" {
		return err
	}
	return fmt.Errorf("open run: the run begun %s UTC has failed on this server, which is not to be used: %s (restore the backup; its state goes by --drop-state --force)", started, what)
}
