package target

import (
	"context"
	"fmt"
	"time"

	"interlock/replay/binlog"
)

// publishEvery is how often at most epochs and barriers publish GTIDs. On MariaDB that takes 3.7 ms, as long as a
// short epoch (10.11, SET GLOBAL gtid_slave_pos).
const publishEvery = time.Second

// publishInTime is publish, unless it was called a moment ago. What it leaves out the next epoch or barrier publishes,
// before it begins or at its end, Publish, or the next Open.
func (r *Run) publishInTime(ctx context.Context) error {
	if time.Since(r.published) < publishEvery {
		return nil
	}
	return r.publish(ctx)
}

// Publish is publish for a run that ends before its log does. It goes by what the target has written down, over a
// connection of its own: the run's may be gone, and the server have lost what it had acknowledged. Where it cannot be
// reached the next Open does it.
func (r *Run) Publish(ctx context.Context) error {
	err := r.server.withConn(ctx, func(c *Conn) error {
		rows, err := c.Query(ctx, fmt.Sprintf("SELECT gtids FROM %s.run WHERE id = %d AND fingerprint = %s", stateSchema, r.id, hexText(r.Spec.Fingerprint)))
		if absent(err) == nil && len(rows) == 0 { // it is another server by now
			return nil
		}
		if err != nil {
			return wrapState("read GTIDs", err)
		}
		gtids, err := binlog.ParseGTIDSet(r.server.Flavor, rows[0][0].Text)
		if err != nil {
			return wrapState("read GTIDs", err)
		}
		return r.server.publish(ctx, c, gtids)
	})
	if lost(err) {
		return nil
	}
	return err
}

// publish adds to the server's GTIDs those that have been replayed. The control connection must be free, and r.mu held.
func (r *Run) publish(ctx context.Context) error {
	if r.gtids == nil || r.gtids.Empty() {
		return nil
	}
	err := r.server.publish(ctx, r.conn, r.gtids)
	if err == nil {
		r.published = time.Now()
	}
	return err
}

// publish adds GTIDs to the server's: on MySQL to gtid_executed by way of gtid_purged, which takes only what is not
// there yet (error 3546); on MariaDB it moves gtid_slave_pos on, domain by domain. Barriers on a MySQL with GTIDs have
// entered theirs themselves.
//
// What is published may be lost by a crash with innodb_flush_log_at_trx_commit=0; the next Open publishes it again.
func (s *Server) publish(ctx context.Context, c *Conn, gtids *binlog.GTIDSet) error {
	if s.Flavor == binlog.MariaDB {
		return s.publishPosition(ctx, c, gtids)
	}
	if !s.GTIDs {
		return nil
	}
	executed, err := s.gtidSet(ctx, c)
	if err != nil {
		return err
	}
	missing := gtids.Minus(executed)
	if missing.Empty() {
		return nil
	}
	if err := c.Exec(ctx, "SET GLOBAL gtid_purged = "+quoteText("+"+missing.String())); err != nil {
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
func (s *Server) publishPosition(ctx context.Context, c *Conn, gtids *binlog.GTIDSet) error {
	position, err := s.gtidSet(ctx, c)
	if err != nil {
		return err
	}
	if position.ContainsSet(gtids) {
		return nil
	}
	position.AddSet(gtids)
	if err := c.Exec(ctx, "SET GLOBAL gtid_slave_pos = "+quoteText(position.String())); err != nil {
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
