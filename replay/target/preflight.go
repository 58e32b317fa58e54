package target

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"interlock/replay/binlog"
)

// Preflight looks at everything that must be true before a run, and returns all that is not, each with what
// would mend it. It changes nothing. What an unfinished run of ours has set is no fault.
//
// The account is best root over the socket. One of its own needs, in MySQL:
//
//	GRANT ALL ON *.* TO interlock@localhost WITH GRANT OPTION
//
// of which a log without DDL and accounts uses SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, PROCESS,
// RELOAD, REPLICATION CLIENT, REPLICATION_APPLIER, SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN and CONNECTION_ADMIN; in
// MariaDB SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, PROCESS, SUPER, SLAVE MONITOR,
// REPLICATION SLAVE ADMIN and DELETE HISTORY, and where SUPER does not hold them any more BINLOG REPLAY, BINLOG ADMIN and
// CONNECTION ADMIN.
func (s *Server) Preflight(ctx context.Context, log *binlog.Survey, flavor binlog.Flavor) error {
	c, err := s.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if flavor != s.Flavor {
		// All else would be asked in the wrong words.
		return fmt.Errorf("check target %s: it is %s %s, and the log is %s's: restore the backup onto a server of the log's own kind",
			s.opts, flavorName(s.Flavor), s.Version, flavorName(flavor))
	}
	p := &preflight{server: s, conn: c, log: log}
	if p.state, err = readOwnState(ctx, c, flavor); err != nil {
		return fmt.Errorf("check target %s: %w", s.opts, err)
	}
	checks := []func(context.Context) ([]error, error){
		p.variables, p.privileges, p.replication, p.clients, p.events, p.gtids, p.diskSpace,
	}
	var faults []error
	for _, check := range checks {
		found, err := check(ctx)
		if err != nil {
			found = append(found, err)
		}
		for _, fault := range found {
			faults = append(faults, fmt.Errorf("check target %s: %w", s.opts, fault))
		}
		if lost(err) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}

// TakesLog tells whether the target's version can take a log that f describes: one of an older series does not
// know what a newer one logs.
func (s *Server) TakesLog(f *binlog.Format) error {
	if f.Flavor != s.Flavor {
		return fmt.Errorf("check version: the target is %s %s, the log is %s's", flavorName(s.Flavor), s.Version, flavorName(f.Flavor))
	}
	have, need := binlog.VersionNumber(s.Version), binlog.VersionNumber(f.ServerVersion)
	for text, number := range map[string]int{s.Version: have, f.ServerVersion: need} {
		if number == 0 {
			return fmt.Errorf("check version: %q is not understood", text)
		}
	}
	// Within a series the format of the log does not change.
	if have/100 < need/100 {
		return fmt.Errorf("check version: the target is %s, older than the log's %s: restore onto %d.%d or newer", s.Version, f.ServerVersion, need/10000, need/100%100)
	}
	return nil
}

func flavorName(f binlog.Flavor) string {
	if f == binlog.MariaDB {
		return "MariaDB"
	}
	return "MySQL"
}

// preflight is one look at a target.
type preflight struct {
	server *Server
	conn   *Conn
	log    *binlog.Survey
	state  ownState
}

// ownState is what an earlier run has left on the target.
type ownState struct {
	ours       map[string]string // variables as we have set them
	unfinished bool              // a run has begun to change the server, and not ended
	started    bool              // a run has been started, and not ended
	finished   []finishedRun
}

// finishedRun is a run that has ended.
type finishedRun struct {
	id    int64
	gtids *binlog.GTIDSet // of the server, then
}

// readOwnState reads interlock_replay where it is there; a part of it that is missing was never written.
func readOwnState(ctx context.Context, c *Conn, flavor binlog.Flavor) (ownState, error) {
	state := ownState{ours: map[string]string{}}
	rows, err := c.Query(ctx, "SELECT name, ours FROM "+stateSchema+".setting")
	if errorCode(err) == erTableDenied {
		return state, nil // the account lacks SELECT, which privileges will say
	}
	if err = absent(err); err != nil {
		return state, wrapState("read settings", err)
	}
	for _, row := range rows {
		state.ours[row[0].Text] = row[1].Text
	}
	all, err := records(ctx, c)
	if err != nil {
		return state, err
	}
	for _, one := range all {
		if !one.done {
			state.started = true
			state.unfinished = state.unfinished || one.begun
			continue
		}
		gtids, err := binlog.ParseGTIDSet(flavor, one.gtids)
		if err != nil {
			return state, wrapState("read GTIDs", err)
		}
		state.finished = append(state.finished, finishedRun{one.id, gtids})
	}
	return state, nil
}

// absent drops the errors of a schema or a table that is not there.
func absent(err error) error {
	const noDatabase, noTable = 1049, 1146
	if code := errorCode(err); code == noDatabase || code == noTable {
		return nil
	}
	return err
}

// rule is what a variable must be.
type rule struct {
	name, want string
	remedy     string
}

// rules are the variables on which rows depend. A variable that the server does not have is no fault.
func rules() []rule {
	return []rule{
		{"read_only", "OFF", "SET GLOBAL read_only=OFF"},
		{"super_read_only", "OFF", "SET GLOBAL super_read_only=OFF"},
		{"innodb_read_only", "OFF", "start it without innodb_read_only"},
		{"innodb_force_recovery", "0", "start it without innodb_force_recovery; a server that needs it is no backup to build on"},
		// What reaches into BINLOG: rows that are not there would be passed over, types be converted, triggers run.
		{"rbr_exec_mode", "STRICT", "unset rbr_exec_mode in its configuration"},
		{"slave_exec_mode", "STRICT", "SET GLOBAL slave_exec_mode=STRICT"},
		{"replica_exec_mode", "STRICT", "SET GLOBAL replica_exec_mode=STRICT"},
		{"slave_type_conversions", "", "SET GLOBAL slave_type_conversions=''"},
		{"replica_type_conversions", "", "SET GLOBAL replica_type_conversions=''"},
		{"slave_run_triggers_for_rbr", "NO", "SET GLOBAL slave_run_triggers_for_rbr=NO"},
		// Meant for replication, and BINLOG heeds them: an event ends, without an error, at the first row that is not there,
		// and rows go into another schema. (MariaDB shows replicate_rewrite_db from 10.11 on.)
		{"slave_skip_errors", "OFF", "start it without slave_skip_errors"},
		{"replica_skip_errors", "OFF", "start it without replica_skip_errors"},
		{"replicate_rewrite_db", "", "SET GLOBAL replicate_rewrite_db='', or start it without"},
		// A table made without a primary key would get a column that the log's rows do not have.
		{"sql_generate_invisible_primary_key", "OFF", "SET GLOBAL sql_generate_invisible_primary_key=OFF"},
		// The state would be kept in tables of that engine: without transactions a mark stands for rows that a crash took back.
		{"enforce_storage_engine", "", "SET GLOBAL enforce_storage_engine=NULL"},
		// Its replicas are not there, and what waits for them is every statement with a GTID of its own, which MySQL 9.7 enters
		// into its binary log in spite of sql_log_bin=0.
		{"rpl_semi_sync_source_enabled", "OFF", "SET GLOBAL rpl_semi_sync_source_enabled=OFF"},
		{"rpl_semi_sync_master_enabled", "OFF", "SET GLOBAL rpl_semi_sync_master_enabled=OFF"},
		{"wsrep_on", "OFF", "replay onto a server outside of the cluster"},
	}
}

func (p *preflight) variables(ctx context.Context) ([]error, error) {
	var faults []error
	all := rules()
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = quoteText(r.name)
	}
	rows, err := p.conn.Query(ctx, "SHOW VARIABLES WHERE Variable_name IN ("+strings.Join(names, ",")+")")
	if err != nil {
		return nil, fmt.Errorf("read variables: %w", err)
	}
	for _, row := range rows {
		name, value := row[0].Text, row[1].Text
		for _, r := range all {
			if r.name != name || same(value, r.want) {
				continue
			}
			if ours, known := p.state.ours[name]; known && same(value, ours) {
				continue
			}
			faults = append(faults, fmt.Errorf("%s is %q (%s)", name, value, r.remedy))
		}
	}
	redo, err := p.conn.Query(ctx, "SHOW GLOBAL STATUS LIKE 'Innodb_redo_log_enabled'")
	if err != nil {
		return faults, fmt.Errorf("read status: %w", err)
	}
	if len(redo) == 1 && redo[0][1].Text == "OFF" {
		faults = append(faults, errors.New("its redo log is off, so that no crash could be resumed from (ALTER INSTANCE ENABLE INNODB REDO_LOG)"))
	}
	if !p.server.GTIDs && p.server.Flavor == binlog.MySQL && p.log != nil && p.log.GTIDs != nil && !p.log.GTIDs.Empty() {
		faults = append(faults, errors.New("the log has GTIDs and gtid_mode is OFF (set enforce_gtid_consistency=ON and gtid_mode=ON, as on the source)"))
	}
	return faults, nil
}

// events refuses a server on which events of the backup have run since it was started: the log does not know what they have
// written. One that is dropped when it is over leaves no trace, nor is one seen without the privilege EVENT.
func (p *preflight) events(ctx context.Context) ([]error, error) {
	status, err := p.conn.Query(ctx, "SHOW GLOBAL STATUS LIKE 'Uptime'")
	if err != nil || len(status) != 1 {
		return nil, fmt.Errorf("read how long it has run: %w", errors.Join(err, ctx.Err()))
	}
	rows, err := p.conn.Query(ctx, "SELECT EVENT_SCHEMA, EVENT_NAME, LAST_EXECUTED FROM information_schema.EVENTS"+
		" WHERE COALESCE(CONVERT_TZ(LAST_EXECUTED, TIME_ZONE, '+00:00'), LAST_EXECUTED) >= UTC_TIMESTAMP() - INTERVAL "+status[0][1].Text+" SECOND ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	var faults []error
	for _, row := range rows {
		faults = append(faults, fmt.Errorf("its event %s.%s has run at %s, since it was started, and may have changed rows that the log will change "+
			"(restore the backup again and start it with event_scheduler=OFF; where nothing that it writes counts, start it anew with that)", row[0].Text, row[1].Text, row[2].Text))
	}
	return faults, nil
}

// probe is a statement that changes nothing and needs a privilege. Source of the numbers: mysqld_error.h.
type probe struct {
	sql       string
	privilege string
	// accept is the error that the statement ends with when the privilege is there; 0: none.
	accept uint16
}

const (
	erAccessDenied1227 = 1227
	erDBAccessDenied   = 1044
	erTableDenied      = 1142
	erSyntax1149       = 1149
)

// denied tells whether the account lacks a privilege.
func denied(err error) bool {
	switch errorCode(err) {
	case erAccessDenied1227, erDBAccessDenied, erTableDenied:
		return true
	}
	return false
}

func (p *preflight) probes() []probe {
	keep := func(name string) string { return "SET GLOBAL " + name + "=@@GLOBAL." + name }
	if p.server.Flavor == binlog.MySQL {
		return []probe{
			{"BINLOG ''", "REPLICATION_APPLIER", erSyntax1149},
			{"SET SESSION sql_log_bin=0", "SYSTEM_VARIABLES_ADMIN or SESSION_VARIABLES_ADMIN", 0},
			{keep("max_allowed_packet"), "SYSTEM_VARIABLES_ADMIN", 0},
			{keep("offline_mode"), "SYSTEM_VARIABLES_ADMIN and CONNECTION_ADMIN", 0},
			{"SELECT COUNT(*) FROM information_schema.INNODB_TRX", "PROCESS", 0},
		}
	}
	return []probe{
		{"BINLOG ''", "BINLOG REPLAY", erSyntax1149},
		{"SET SESSION sql_log_bin=0", "BINLOG ADMIN", 0},
		{keep("max_allowed_packet"), "SUPER", 0},
		{keep("init_connect"), "CONNECTION ADMIN", 0},
		{"SELECT COUNT(*) FROM information_schema.INNODB_TRX", "PROCESS", 0},
	}
}

// privileges tries what a run needs beside the privileges on tables, by statements that change nothing.
func (p *preflight) privileges(ctx context.Context) ([]error, error) {
	var faults []error
	for _, probe := range p.probes() {
		err := p.conn.Exec(ctx, probe.sql)
		switch code := errorCode(err); {
		case err == nil || code == probe.accept && code != 0:
		case denied(err):
			faults = append(faults, fmt.Errorf("the account lacks %s: %w (GRANT %[1]s ON *.* to it, or use root over the socket)", probe.privilege, err))
		default:
			return faults, fmt.Errorf("try privilege %s: %w", probe.privilege, err)
		}
	}
	missing, err := p.tablePrivileges(ctx)
	if err != nil {
		return faults, err
	}
	if len(missing) > 0 {
		faults = append(faults, fmt.Errorf("the account lacks %s (GRANT %[1]s ON *.* to it, or use root over the socket)", strings.Join(missing, ", ")))
	}
	return faults, nil
}

// tablePrivileges are what the account lacks of the privileges on tables. Those of roles are not looked into: the
// server's own refusals must do there.
func (p *preflight) tablePrivileges(ctx context.Context) ([]string, error) {
	role, err := p.conn.text(ctx, "SELECT CURRENT_ROLE()")
	const noFunction = 1305 // MySQL 5.7
	if err != nil && errorCode(err) != noFunction {
		return nil, fmt.Errorf("read role: %w", err)
	}
	if role != "" && role != "NONE" {
		return nil, nil
	}
	rows, err := p.conn.Query(ctx, "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"+
		" WHERE GRANTEE = CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', CHAR_LENGTH(CURRENT_USER()) - CHAR_LENGTH(REPLACE(CURRENT_USER(), '@', ''))),"+
		" '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')")
	if err != nil {
		return nil, fmt.Errorf("read privileges: %w", err)
	}
	have := map[string]bool{}
	for _, row := range rows {
		have[row[0].Text] = true
	}
	var missing []string
	needs := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX"}
	if p.server.Flavor == binlog.MySQL {
		needs = append(needs, "RELOAD") // FLUSH ENGINE LOGS
	}
	for _, need := range needs {
		if !have[need] {
			missing = append(missing, need)
		}
	}
	return missing, nil
}
