package proof

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// setup is a kind of servers that workloads run on: what can only be set when a server starts.
type setup struct {
	name    string
	product testrig.Product
	source  []string // settings of the source alone
	all     []string
	variant bool // another one is the same product under common settings
}

// Small events on the source, so that statements are several events long.
var setups = []setup{
	{name: "mysql", product: testrig.MySQL, source: []string{"binlog-row-event-max-size=512"}},
	{name: "mysql-native-fk", product: testrig.MySQL, all: []string{"innodb-native-foreign-keys=ON"}, variant: true},
	{name: "mariadb", product: testrig.MariaDB, source: []string{"binlog-row-event-max-size=512", "log-bin-compress-min-len=10"}},
}

// trio is a source and two targets, one for the pipe and one for interlock; they live as long as a test and
// are emptied before each seed.
type trio struct {
	setup              setup
	source, pipe, ours *testrig.Local
}

func newTrio(tb testing.TB, s setup) *trio {
	tb.Helper()
	start := func(settings ...string) *testrig.Local {
		return testrig.LocalFor(tb, testrig.LocalSpec{Product: s.product, Settings: append(slices.Clone(s.all), settings...)})
	}
	return &trio{setup: s, source: start(s.source...), pipe: start(), ours: start()}
}

func (t *trio) each(do func(l *testrig.Local) error) error {
	for _, l := range []*testrig.Local{t.source, t.pipe, t.ours} {
		if err := do(l); err != nil {
			return err
		}
	}
	return nil
}

// empty takes a server back to how it started: no schemas, accounts, prepared transactions, logs, GTIDs.
func empty(ctx context.Context, l *testrig.Local, gtids bool) error {
	conn, err := l.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	q := querier{conn}
	ids, err := prepared(q, l.Product)
	if err != nil {
		return err
	}
	statements := []string{"SET SESSION lock_wait_timeout=20", "SET foreign_key_checks=0", "SET sql_log_bin=0"}
	for _, id := range ids {
		statements = append(statements, "XA ROLLBACK "+id)
	}
	schemas, err := q.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')")
	if err != nil {
		return err
	}
	for _, row := range schemas {
		statements = append(statements, "DROP DATABASE `"+row[0]+"`")
	}
	users, err := q.rows("SELECT user, host FROM mysql.user WHERE user LIKE 'proof%'")
	if err != nil {
		return err
	}
	for _, row := range users {
		statements = append(statements, fmt.Sprintf("DROP USER '%s'@'%s'", row[0], row[1]))
	}
	if l.Product == testrig.MariaDB {
		statements = append(statements, "RESET MASTER", "SET GLOBAL gtid_slave_pos=''")
	} else {
		if l.Configure(); !gtids { // for a start after a crash
			l.Configure("gtid-mode=OFF", "enforce-gtid-consistency=OFF")
		}
		statements = append(statements, gtidMode(q, gtids)...)
		statements = append(statements, "RESET BINARY LOGS AND GTIDS")
	}
	for _, statement := range statements {
		// A prepared transaction that the server rolled back for a deadlock says so when it is let go.
		if _, err := q.rows(statement); err != nil && !strings.HasPrefix(statement, "XA ROLLBACK") {
			return fmt.Errorf("empty %s: %w", l, err)
		}
	}
	return nil
}

// gtidMode are the statements that turn GTIDs on or off, one step at a time as MySQL wants it.
func gtidMode(q querier, on bool) []string {
	rows, err := q.rows("SELECT @@GLOBAL.gtid_mode")
	if err != nil || (rows[0][0] == "ON") == on {
		return nil // an error comes up again with the next statement
	}
	if on {
		return []string{"SET GLOBAL enforce_gtid_consistency=ON", "SET GLOBAL gtid_mode=OFF_PERMISSIVE", "SET GLOBAL gtid_mode=ON_PERMISSIVE", "SET GLOBAL gtid_mode=ON"}
	}
	return []string{"SET GLOBAL gtid_mode=ON_PERMISSIVE", "SET GLOBAL gtid_mode=OFF_PERMISSIVE", "SET GLOBAL gtid_mode=OFF", "SET GLOBAL enforce_gtid_consistency=OFF"}
}

// load makes on a target the state that the source had before its log.
func load(ctx context.Context, l *testrig.Local, statements []string) error {
	conn, err := l.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range append(sessionStart(l.Product), unlogged...) {
		if _, err := conn.Execute(statement); err != nil {
			return fmt.Errorf("load %s: %q: %w", l, statement, err)
		}
	}
	for _, statement := range statements {
		if _, err := conn.Execute(statement); err != nil && !isRefusal(err) {
			return fmt.Errorf("load %s: %q: %w", l, statement, err)
		}
	}
	return nil
}

// alone waits until the server has no clients: what an ended session leaves (DROP TEMPORARY TABLE) is logged then.
func alone(ctx context.Context, l *testrig.Local) error {
	for range 500 {
		rows, err := l.Query(ctx, "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID()")
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("wait for %s: clients do not go away", l)
}

// globals are the variables that a run may change and must put back.
func globals(ctx context.Context, l *testrig.Local) (map[string]string, error) {
	rows, err := l.Query(ctx, "SHOW GLOBAL VARIABLES")
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, row := range rows {
		name := row["Variable_name"]
		if strings.HasPrefix(name, "gtid_") || name == "timestamp" || name == "last_gtid" {
			continue
		}
		values[name] = row["Value"]
	}
	return values, nil
}

// restart takes a server's settings back to those that it starts with.
func restart(ctx context.Context, l *testrig.Local) error {
	if err := l.Stop(); err != nil {
		return err
	}
	return l.Start(ctx)
}
