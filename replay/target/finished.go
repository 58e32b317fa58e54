package target

import (
	"context"
	"fmt"
	"strings"

	"interlock/replay/binlog"
)

// superseded decides what a finished run of the same command means. Its state can be older or younger than the data: it
// comes along in a logical dump, and stays when one is loaded over the server. So it means "nothing to do" where the
// server has the GTIDs that it had then, or has none and every table is one of then. Where the GTIDs are not there and
// tables were made since, the state is an old one: it is forgotten, and the run begins anew; what the target has is
// skipped by its GTIDs. All else is for a person to say.
func (r *Run) superseded(ctx context.Context, found *record) (bool, error) {
	had, err := binlog.ParseGTIDSet(r.server.Flavor, found.gtids)
	if err != nil {
		return false, wrapState("read GTIDs", err)
	}
	executed, err := r.server.gtidSet(ctx, r.conn)
	if err != nil {
		return false, err
	}
	if !had.Empty() && executed.ContainsSet(had) {
		return false, nil
	}
	made, err := madeSince(ctx, r.conn, finishedAt(found.id))
	if err != nil {
		return false, err
	}
	switch {
	case had.Empty() && len(made) == 0:
		return false, nil
	case had.Empty():
		return false, fmt.Errorf("open run: it has been finished on this server, or on the one whose dump is loaded here, but %s made since: "+
			"if the backup has been restored since, remove the state of the run by --drop-state and give the same command again; if not, there is nothing to do", tables(made))
	case len(made) == 0:
		return false, fmt.Errorf("open run: it has been finished on this server, which has no longer the GTIDs that it had then (now %q, then %q): "+
			"if the backup has been restored since, remove the state of the run by --drop-state and give the same command again; if they were reset, there is nothing to do",
			shorten(executed.String()), shorten(had.String()))
	}
	if err := r.forget(ctx, found.id); err != nil {
		return false, err
	}
	r.Forgot = fmt.Sprintf("the server has the state of a finished run of this command, and neither its GTIDs nor its tables (%s made since): it is an old one, and forgotten", tables(made))
	return true, nil
}

// reloaded refuses to go on with an interrupted run where tables were made since it wrote down how far it is: then a
// backup was loaded over what it had done, and it would pass over all of that. It does not look where the run itself may
// have made a table: behind an open intent, where AUTO_INCREMENT is being set, and, on MySQL, behind a barrier that wrote
// its mark under the log's clock.
func (r *Run) reloaded(ctx context.Context) error {
	if r.last == nil || !r.last.Finished && len(r.marks) == r.last.Chunks {
		return nil
	}
	if open, err := readIntent(ctx, r.conn, r.id); err != nil || open != nil {
		return err
	}
	column, look := "at", madeSince
	if r.server.Flavor == binlog.MariaDB {
		column, look = "newest_table", madeAfter
	}
	made, err := look(ctx, r.conn, fmt.Sprintf("SELECT %s FROM %s.epoch WHERE run = %d AND number = %d", column, stateSchema, r.id, r.last.Number))
	if err != nil || len(made) == 0 {
		return err
	}
	position := ""
	if r.server.Flavor == binlog.MariaDB { // no dump takes it back
		position = fmt.Sprintf(", SET GLOBAL gtid_slave_pos='%s' if the backup does not know better", r.Spec.Skip)
	}
	return fmt.Errorf("resume run: it was interrupted on this server, and %s made since: if the backup has been restored since, "+
		"remove the state of the run by --drop-state --force%s, and give the same command again; if not, UPDATE %s.epoch SET %s = NULL, and do so, too",
		tables(made), position, stateSchema, column)
}

// finishedAt asks when a run ended.
func finishedAt(run int64) string {
	return fmt.Sprintf("SELECT finished FROM %s.run WHERE id = %d", stateSchema, run)
}

// madeSince are tables that were made after a time in UTC that a query gives, by name, some of them; the state's own if it
// was loaded from a dump. Times are whole seconds, so that one of the same second is not seen.
func madeSince(ctx context.Context, c *Conn, when string) ([]string, error) {
	return made(ctx, c, fmt.Sprintf("SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND "+
		"TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') AND NOT (TABLE_SCHEMA = '%s' AND TABLE_NAME = 'canary') AND "+
		"UNIX_TIMESTAMP(CREATE_TIME) > TIMESTAMPDIFF(SECOND, '1970-01-01', (%s)) LIMIT 4", stateSchema, when))
}

// madeAfter are InnoDB's tables with a higher number than a query gives, by the names of their files, some of them. MariaDB's
// CREATE_TIME is a file's, which a copy changes; a table's number is not, and each new one's is higher. A full-text index
// keeps tables of its own, and makes them when it likes.
func madeAfter(ctx context.Context, c *Conn, newest string) ([]string, error) {
	return made(ctx, c, fmt.Sprintf("SELECT REPLACE(NAME, '/', '.') FROM information_schema.INNODB_SYS_TABLES WHERE TABLE_ID > (%s) AND "+
		"NAME NOT LIKE 'mysql/%%' AND NAME <> '%s/canary' AND NAME NOT REGEXP '/FTS_[0-9a-f]{16}' LIMIT 4", newest, stateSchema))
}

func made(ctx context.Context, c *Conn, query string) ([]string, error) {
	rows, err := c.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("look for tables made since the run was here last: %w", err)
	}
	var names []string
	for _, row := range rows {
		names = append(names, row[0].Text)
	}
	return names, nil
}

// lookForTables notes up to which number there are tables now: see reloaded.
func (r *Run) lookForTables(ctx context.Context, c *Conn) (err error) {
	if r.server.Flavor == binlog.MariaDB {
		r.newestTable, err = c.text(ctx, "SELECT COALESCE(MAX(TABLE_ID), 0) FROM information_schema.INNODB_SYS_TABLES")
	}
	return wrapState("look for the newest table", err)
}

// tables names them: "table a.t was", "tables a.t, a.u were".
func tables(names []string) string {
	switch {
	case len(names) == 1:
		return "table " + names[0] + " was"
	case len(names) > 3:
		return "tables " + strings.Join(names[:3], ", ") + " and others were"
	}
	return "tables " + strings.Join(names, ", ") + " were"
}
