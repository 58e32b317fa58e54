package testrig

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Replicate makes servers replicas of a primary of the same product, with GTIDs, read-only (super_read_only
// on MySQL), and waits until both threads of each run. A primary may itself be a replica.
func Replicate(ctx context.Context, primary *Server, replicas ...*Server) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, replica := range replicas {
		group.Go(func() error {
			if _, err := replica.Query(ctx, changeSource(primary)); err != nil {
				return err
			}
			return replica.WaitReplicating(ctx)
		})
	}
	return group.Wait()
}

func changeSource(primary *Server) string {
	host, port := primary.Host.Addr, primary.Port
	if primary.spec.Product == MariaDB {
		return fmt.Sprintf(`CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s',
MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1, MASTER_USE_GTID=slave_pos; START SLAVE; SET GLOBAL read_only=ON`, host, port, ReplUser, ReplUser)
	}
	return fmt.Sprintf(`CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%d, SOURCE_USER='%s', SOURCE_PASSWORD='%s',
SOURCE_CONNECT_RETRY=1, SOURCE_HEARTBEAT_PERIOD=1, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA; SET GLOBAL super_read_only=ON`, host, port, ReplUser, ReplUser)
}

// ReplicaStatus is the server's own row about its source, nil if it has none.
func (s *Server) ReplicaStatus(ctx context.Context) (map[string]string, error) {
	statement := "SHOW REPLICA STATUS"
	if s.spec.Product == MariaDB {
		statement = "SHOW SLAVE STATUS"
	}
	rows, err := s.Query(ctx, statement)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// replicating tells whether both threads run, and what the server says if not.
func (s *Server) replicating(ctx context.Context) (bool, string, error) {
	status, err := s.ReplicaStatus(ctx)
	if err != nil {
		return false, "", err
	}
	if status == nil {
		return false, "it has no source", nil
	}
	io, sql := status["Replica_IO_Running"], status["Replica_SQL_Running"]
	if s.spec.Product == MariaDB {
		io, sql = status["Slave_IO_Running"], status["Slave_SQL_Running"]
	}
	return io == "Yes" && sql == "Yes",
		fmt.Sprintf("IO %s, SQL %s: %s %s", io, sql, status["Last_IO_Error"], status["Last_SQL_Error"]), nil
}

// WaitReplicating waits until both replication threads run.
func (s *Server) WaitReplicating(ctx context.Context) error {
	return waitUntil(ctx, fmt.Sprintf("%s replicates", s), func() (bool, string, error) { return s.replicating(ctx) })
}

// WaitCaughtUp waits until the replica has everything that the primary had when it was called.
func (s *Server) WaitCaughtUp(ctx context.Context, primary *Server) error {
	position, wait := "SELECT @@GLOBAL.gtid_executed AS gtid", "SELECT WAIT_FOR_EXECUTED_GTID_SET('%s', 30) AS late"
	if s.spec.Product == MariaDB {
		position, wait = "SELECT @@GLOBAL.gtid_binlog_pos AS gtid", "SELECT MASTER_GTID_WAIT('%s', 30) AS late"
	}
	rows, err := primary.Query(ctx, position)
	if err != nil {
		return err
	}
	gtid := rows[0]["gtid"]
	rows, err = s.Query(ctx, fmt.Sprintf(wait, gtid))
	if err != nil {
		return err
	}
	if rows[0]["late"] != "0" {
		return fmt.Errorf("wait for %s to reach %q: it has not within 30 s", s, gtid)
	}
	return nil
}

// waitUntil polls a condition until it holds; what names it in the error. The bound is for a busy machine.
func waitUntil(ctx context.Context, what string, holds func() (bool, string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		ok, state, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w: %s", what, ctx.Err(), state)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
