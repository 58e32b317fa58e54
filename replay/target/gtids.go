package target

import (
	"context"
	"fmt"

	"interlock/replay/binlog"
)

// GTIDSet is what the target has executed: gtid_executed on a MySQL with GTIDs, gtid_slave_pos on MariaDB, which is
// where a run keeps its position too (what the target itself logged is not of the log that is replayed). It is
// empty on a MySQL without GTIDs.
func (s *Server) GTIDSet(ctx context.Context) (set *binlog.GTIDSet, err error) {
	variable := "gtid_executed"
	if s.Flavor == binlog.MariaDB {
		variable = "gtid_slave_pos"
	} else if !s.GTIDs {
		return &binlog.GTIDSet{}, nil
	}
	err = s.ask(ctx, func(c *Conn) error {
		text, err := global(ctx, c, variable)
		if err != nil {
			return err
		}
		if set, err = binlog.ParseGTIDSet(s.Flavor, text); err != nil {
			return fmt.Errorf("read %s: %w", variable, err)
		}
		return nil
	})
	return set, err
}

// GTIDSet is Server.GTIDSet over the connection that the run has: the log may have changed its account.
func (r *Run) GTIDSet(ctx context.Context) (set *binlog.GTIDSet, err error) {
	err = r.control(ctx, func(c *Conn) error {
		set, err = r.server.gtidSet(ctx, c)
		return err
	})
	return set, err
}
