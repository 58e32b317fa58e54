package target

import (
	"context"
	"errors"
	"fmt"

	"interlock/replay/binlog"
)

// gtids refuses a target that the log does not continue, as far as GTIDs tell: one that lacks transactions from
// before the log, and one that has transactions which the log's source did not have.
func (p *preflight) gtids(ctx context.Context) ([]error, error) {
	if p.log == nil || p.log.GTIDs.Empty() || p.state.unfinished {
		return nil, nil
	}
	executed, err := p.server.gtidSet(ctx, p.conn)
	if err != nil {
		return nil, err
	}
	if p.server.Flavor == binlog.MariaDB {
		return p.position(executed), nil
	}
	if !p.server.GTIDs || p.log.GTIDs.Minus(executed).Empty() { // nothing will be applied
		return nil, nil
	}
	var faults []error
	if missing := p.log.Before.Minus(executed); !p.log.Partial && !missing.Empty() {
		faults = append(faults, fmt.Errorf("the log begins behind transactions that it does not have, %s: add the files that hold them "+
			"(if the backup holds them: SET GLOBAL gtid_purged='+%[1]s'; if it has a position instead: --start-position)", missing))
	}
	// A log that is read from within a file does not know all that came before: whatever has a lower number does.
	known := p.log.Before.Clone()
	known.AddSet(p.log.GTIDs)
	if strange := executed.Minus(known.Through()); !strange.Empty() {
		faults = append(faults, fmt.Errorf("it has executed %s, which the log has not: something wrote here after the restore (make accounts with SET sql_log_bin=0), "+
			"or the newest files of the log are missing, or they are another server's (restore the backup again; if what was written here may stay: "+
			"%s; SET GLOBAL gtid_purged='%s')", strange, p.server.resetGTIDs(), executed.Minus(strange)))
	}
	return faults, nil
}

// resetGTIDs is the statement that empties gtid_executed: MySQL 8.2 gave it its new name, 8.4 took away the old one.
func (s *Server) resetGTIDs() string {
	if binlog.VersionNumber(s.Version) < 80200 {
		return "RESET MASTER"
	}
	return "RESET BINARY LOGS AND GTIDS"
}

// position is gtids for MariaDB, where a backup of a primary brings no position along: without one there is nothing to
// hold against the log.
func (p *preflight) position(executed *binlog.GTIDSet) []error {
	if p.log.Partial || executed.Empty() || executed.ContainsSet(p.log.Before) && !executed.DivergesFrom(p.log.Before) {
		return nil
	}
	return []error{errors.New("the log begins behind transactions that it does not have: its first file follows " + p.log.Before.String() +
		", and gtid_slave_pos is " + executed.String() + ": add the files between them (if the backup is as of the former: SET GLOBAL gtid_slave_pos='" + p.log.Before.String() + "')")}
}
