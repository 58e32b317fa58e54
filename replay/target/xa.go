package target

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// xaEnd is XA COMMIT or XA ROLLBACK as both servers log it, xaPrepare an XA PREPARE likewise; their groups are the parts of
// the XID.
var (
	xaEnd     = regexp.MustCompile(`(?i)^\s*XA\s+(?:COMMIT|ROLLBACK)` + xidWritten)
	xaPrepare = regexp.MustCompile(`(?i)^\s*XA\s+PREPARE` + xidWritten)
)

const xidWritten = `\s+X'([0-9a-f]*)',\s*X'([0-9a-f]*)',\s*([0-9]+)\s*;?\s*$`

// endsXA is the XID of the prepared transaction that a barrier ends, as holdsXA takes it; empty where it ends none.
func endsXA(steps []Step) string { return findXID(steps, xaEnd) }

// preparesXID is the XID of the transaction that a barrier leaves prepared, likewise.
func preparesXID(steps []Step) string { return findXID(steps, xaPrepare) }

func findXID(steps []Step, statement *regexp.Regexp) string {
	for _, step := range steps {
		for _, sql := range step.Statements {
			if m := statement.FindStringSubmatch(sql); m != nil {
				return xid(m[1], m[2], m[3])
			}
		}
	}
	return ""
}

// letGo tells whether an error is MariaDB's way to end a prepared transaction that had changed nothing: once the
// connection that prepared it is gone it is marked as rolled back, since there is nothing to keep (trans_xa_detach), and its XA
// COMMIT or ROLLBACK says so, and forgets it. One that a deadlock or a timeout ended is never prepared.
func (s *Server) letGo(step Step, err error) bool {
	const rolledBack = 1402 // XA_RBROLLBACK
	return s.Flavor == binlog.MariaDB && errorCode(err) == rolledBack && endsXA([]Step{step}) != ""
}

// notEnded tells whether the XA transaction whose end the server refused is surely not ended by that, and adds to the error
// what has become of it: it is prepared still, or the server knows none of that name, though it did before the intent. Of
// any other error a transaction that is gone tells nothing.
func (s *Session) notEnded(ctx context.Context, id string, cause error) (bool, error, error) {
	const unknown = 1397 // XAER_NOTA
	prepared := false
	err := s.run.control(ctx, func(c *Conn) (err error) { // the session's own may be left to nothing but its GTID
		prepared, err = s.run.server.holdsXA(ctx, c, id)
		return err
	})
	switch {
	case err != nil:
		return false, cause, err
	case prepared && errorCode(cause) == unknown:
		return true, fmt.Errorf("%w (it is prepared still, and another connection holds it: end that one, and give the same command)", cause), nil
	case prepared:
		return true, fmt.Errorf("%w (it is prepared still)", cause), nil
	case errorCode(cause) == unknown:
		return true, fmt.Errorf("%w (something else has ended it on the target, and whether by XA COMMIT or XA ROLLBACK is not known: restore the backup)", cause), nil
	}
	return false, cause, nil
}

func xid(global, branch, format string) string {
	return fmt.Sprintf("X'%s',X'%s',%s", strings.ToUpper(global), strings.ToUpper(branch), format)
}

// logged runs the steps of a barrier in the target's binary log where they leave an XA transaction prepared, as the pipe
// does. MySQL 9.7 with log_bin=ON takes back at its next start, a clean one too, what was prepared without it.
func (s *Session) logged(ctx context.Context, b Barrier, run func() error) error {
	if s.run.server.Flavor != binlog.MySQL || preparesXID(b.Steps) == "" {
		return run()
	}
	if err := s.sender.conn.Exec(ctx, "SET SESSION sql_log_bin=1"); err != nil {
		return fmt.Errorf("log a prepared XA transaction: %w", err)
	}
	if err := run(); err != nil {
		return err // nothing runs on this connection any more
	}
	if err := s.sender.conn.Exec(ctx, "SET SESSION sql_log_bin=0"); err != nil {
		return fmt.Errorf("log a prepared XA transaction: %w", err)
	}
	return nil
}

// holdsXA tells whether the server holds a prepared transaction of that XID. It asks for XA_RECOVER_ADMIN on MySQL.
func (s *Server) holdsXA(ctx context.Context, c *Conn, id string) (bool, error) {
	sql := "XA RECOVER CONVERT XID"
	if s.Flavor == binlog.MariaDB {
		sql = "XA RECOVER" // bytes as they are
	}
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return false, fmt.Errorf("look for prepared XA transactions: %w", advise(err, "on MySQL, grant XA_RECOVER_ADMIN"))
	}
	for _, row := range rows {
		found, err := readXID(s.Flavor, row)
		if err != nil {
			return false, err
		}
		if found == id {
			return true, nil
		}
	}
	return false, nil
}

// readXID reads a row of XA RECOVER: format, length of the global part, length of the branch, both parts, of MySQL in hex.
func readXID(flavor binlog.Flavor, row []Value) (string, error) {
	if len(row) != 4 {
		return "", fmt.Errorf("read XA RECOVER: %d columns, want 4", len(row))
	}
	digits, hex := strings.CutPrefix(row[3].Text, "0x")
	if flavor == binlog.MariaDB {
		digits, hex = fmt.Sprintf("%x", row[3].Text), true
	}
	global, err := strconv.Atoi(row[1].Text)
	if err != nil || !hex || 2*global > len(digits) {
		return "", fmt.Errorf("read XA RECOVER: XID %q with a global part of %q bytes", row[3].Text, row[1].Text)
	}
	return xid(digits[:2*global], digits[2*global:], row[0].Text), nil
}
