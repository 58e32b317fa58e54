package target

import (
	"context"
	"fmt"

	"interlock/replay/binlog"
)

// publish adds to the server's GTIDs those that have been replayed: on MySQL to gtid_executed by way of gtid_purged,
// which takes only what is not there yet (error 3546); on MariaDB it moves gtid_slave_pos on, domain by domain.
// Barriers on a MySQL with GTIDs have entered theirs themselves. The control connection must be free, and r.mu held.
//
// What is published may be lost by a crash with innodb_flush_log_at_trx_commit=0; the next Open publishes it again.
func (r *Run) publish(ctx context.Context) error {
	if r.gtids == nil || r.gtids.Empty() {
		return nil
	}
	if r.server.Flavor == binlog.MariaDB {
		return r.publishPosition(ctx)
	}
	if !r.server.GTIDs {
		return nil
	}
	executed, err := r.server.gtidSet(ctx, r.conn)
	if err != nil {
		return err
	}
	missing := r.gtids.Minus(executed)
	if missing.Empty() {
		return nil
	}
	if err := r.conn.Exec(ctx, "SET GLOBAL gtid_purged = "+quoteText("+"+missing.String())); err != nil {
		return fmt.Errorf("add %q to gtid_executed: %w", shorten(missing.String()), err)
	}
	return nil
}

// gtidSet is GTIDSet over a connection. It is empty on a MySQL without GTIDs.
func (s *Server) gtidSet(ctx context.Context, c *Conn) (*binlog.GTIDSet, error) {
	variable := "gtid_executed"
	if s.Flavor == binlog.MariaDB {
		variable = "gtid_slave_pos"
	} else if !s.GTIDs {
		return &binlog.GTIDSet{}, nil
	}
	text, err := c.text(ctx, "SELECT @@GLOBAL."+variable)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", variable, err)
	}
	set, err := binlog.ParseGTIDSet(s.Flavor, text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", variable, err)
	}
	return set, nil
}

// publishPosition sets gtid_slave_pos. The server refuses it while a replication thread runs; it writes
// mysql.gtid_slave_pos, unlogged in our session.
func (r *Run) publishPosition(ctx context.Context) error {
	position, err := r.server.gtidSet(ctx, r.conn)
	if err != nil {
		return err
	}
	if position.ContainsSet(r.gtids) {
		return nil
	}
	position.AddSet(r.gtids)
	if err := r.conn.Exec(ctx, "SET GLOBAL gtid_slave_pos = "+quoteText(position.String())); err != nil {
		return fmt.Errorf("set gtid_slave_pos to %q: %w", shorten(position.String()), err)
	}
	return nil
}

// shorten cuts a text that stands in an error.
func shorten(text string) string {
	const longest = 200
	if len(text) <= longest {
		return text
	}
	return text[:longest] + "…"
}
