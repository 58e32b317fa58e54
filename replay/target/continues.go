package target

import (
	"context"
	"errors"
	"fmt"

	"interlock/replay/binlog"
)

// gtids refuses a target that the log does not continue, as far as GTIDs tell: one that lacks transactions from
// before the log, one that has transactions which the log's source did not have, and one whose GTIDs are not those of its
// data.
func (p *preflight) gtids(ctx context.Context) ([]error, error) {
	if p.log == nil || p.log.GTIDs.Empty() || p.state.unfinished {
		return nil, nil
	}
	executed, err := p.server.gtidSet(ctx, p.conn)
	if err != nil {
		return nil, err
	}
	if stale, err := p.stale(ctx, executed); len(stale) > 0 || err != nil {
		return stale, err
	}
	if p.server.Flavor == binlog.MariaDB {
		return p.position(executed), nil
	}
	if !p.server.GTIDs {
		return nil, nil
	}
	if both := p.log.GTIDs.Intersect(executed); p.log.Anonymous != (binlog.Position{}) && !both.Empty() && !p.asLeft(executed) {
		return []error{fmt.Errorf("the log has transactions without a GTID, the first at %s, and the server has GTIDs of the same log, %s: "+
			"which of those without one it has, nothing tells, and they would be applied again (begin with the first transaction that it has not: "+
			"--start-position; the first one with a GTID is at %s)", p.log.Anonymous, shorten(both.String()), p.log.FirstGTID)}, nil
	}
	if p.log.GTIDs.Minus(executed).Empty() { // nothing will be applied
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

// stale refuses to go by GTIDs that are still those of a finished run where tables were made since: a dump was loaded over
// what it left behind, most likely, which does not take them back. All that the dump lacks would be taken for applied.
func (p *preflight) stale(ctx context.Context, executed *binlog.GTIDSet) ([]error, error) {
	if p.log.Partial && !p.skips(executed) || !p.asLeft(executed) { // they do not matter
		return nil, nil
	}
	made, err := madeSince(ctx, p.conn, finishedAt(p.state.finished[len(p.state.finished)-1].id))
	if err != nil || len(made) == 0 {
		return nil, err
	}
	return []error{fmt.Errorf("it has the GTIDs that a run left behind, %s, and %s made since: if the backup has been restored since, remove the state of the run "+
		"by --drop-state and set the GTIDs to those of the backup (%s); if not, --drop-state alone lets this check pass",
		shorten(executed.String()), tables(made), p.server.setGTIDs())}, nil
}

// skips tells whether part of the log is taken for applied.
func (p *preflight) skips(executed *binlog.GTIDSet) bool {
	return executed.ContainsAny(p.log.GTIDs) || executed.ContainsAny(p.log.Firsts)
}

// asLeft tells whether GTIDs are those that the last finished run has left behind.
func (p *preflight) asLeft(executed *binlog.GTIDSet) bool {
	n := len(p.state.finished)
	return n > 0 && !executed.Empty() && executed.Equal(p.state.finished[n-1].gtids)
}

// setGTIDs are the statements that say what a server has.
func (s *Server) setGTIDs() string {
	if s.Flavor == binlog.MariaDB {
		return "SET GLOBAL gtid_slave_pos='…'"
	}
	return s.resetGTIDs() + "; SET GLOBAL gtid_purged='…'"
}

// position is gtids for MariaDB, where a backup of a primary brings no position along: without one there is nothing to
// hold against the log.
func (p *preflight) position(executed *binlog.GTIDSet) []error {
	end := p.log.Before.Clone()
	end.AddSet(p.log.GTIDs)
	if beyond := executed.Beyond(end); !beyond.Empty() {
		return []error{fmt.Errorf("gtid_slave_pos is %s, and the log ends at %s: what it holds would all be taken for applied (the newest files of the log are missing, "+
			"or it is of a server that took over and never got what is here; if the position is not that of the backup: SET GLOBAL gtid_slave_pos='…')", executed, end)}
	}
	if p.log.Partial {
		// The position of a server that got another backup since stays as it was.
		if p.skips(executed) && !p.state.explains(executed) {
			return []error{fmt.Errorf("gtid_slave_pos, %s, says that it has transactions that --start-position says it has not: which of them is the backup's? "+
				"(if it is the position: SET GLOBAL gtid_slave_pos=''; if it is the GTID: leave out --start-position)", executed)}
		}
		return nil
	}
	if executed.Empty() || executed.ContainsSet(p.log.Before) && !executed.DivergesFrom(p.log.Before) {
		return nil
	}
	return []error{errors.New("the log begins behind transactions that it does not have: its first file follows " + p.log.Before.String() +
		", and gtid_slave_pos is " + executed.String() + ": add the files between them (if the backup is as of the former: SET GLOBAL gtid_slave_pos='" + p.log.Before.String() + "')")}
}

// explains tells whether a finished run has left GTIDs behind.
func (s *ownState) explains(executed *binlog.GTIDSet) bool {
	for _, done := range s.finished {
		if done.gtids.ContainsSet(executed) {
			return true
		}
	}
	return false
}
