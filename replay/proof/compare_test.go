package proof

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"interlock/internal/testrig"
)

// state is everything on a server that a replay must leave as the pipe does.
type state struct {
	tables  map[string]*tableState
	objects map[string]string // views, triggers, routines, accounts: the statement that makes them
	gtids   string
	xa      []string // prepared transactions
}

type tableState struct {
	create  string // SHOW CREATE TABLE without the counter
	counter string // AUTO_INCREMENT
	check   string // CHECK TABLE
	columns string
	rows    map[string]int // multiset of whole rows, as text that keeps every bit
}

// readState reads it. replayed says that the server's GTIDs are where interlock puts them.
func readState(ctx context.Context, l *testrig.Local, replayed bool) (*state, error) {
	conn, err := l.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	q := querier{conn}
	for _, statement := range append(sessionStart(l.Product), "SET time_zone='+00:00'", "SET sql_mode=''", "SET lc_time_names='en_US'") {
		if _, err := q.rows(statement); err != nil {
			return nil, err
		}
	}
	s := &state{tables: map[string]*tableState{}, objects: map[string]string{}}
	gtid := "SELECT @@GLOBAL.gtid_executed"
	if l.Product == testrig.MariaDB {
		gtid = "SELECT @@GLOBAL.gtid_binlog_pos"
		if replayed {
			gtid = "SELECT @@GLOBAL.gtid_slave_pos"
		}
	}
	rows, err := q.rows(gtid)
	if err != nil {
		return nil, err
	}
	s.gtids = rows[0][0]
	if l.Product == testrig.MariaDB {
		s.gtids = sortedList(s.gtids)
	}
	if s.xa, err = prepared(q, l.Product); err != nil {
		return nil, err
	}
	tables, err := q.rows("SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE " + userSchemas("") + " ORDER BY 1, 2")
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		name := "`" + t[0] + "`.`" + t[1] + "`"
		create, err := q.rows("SHOW CREATE TABLE " + name)
		if err != nil {
			return nil, err
		}
		if t[2] != "BASE TABLE" && t[2] != "SEQUENCE" { // a sequence has a row
			s.objects[name] = threeParts.ReplaceAllString(create[0][1], "$1")
			continue
		}
		if s.tables[name], err = readTable(q, t[0], t[1], withoutCounter(create[0][1])); err != nil {
			return nil, err
		}
	}
	if err := readCounters(q, s); err != nil {
		return nil, err
	}
	return s, readObjects(q, s)
}

// threeParts is a column with its table's schema. Of a view whose tables are gone MySQL shows them with it or without, as
// it comes.
var threeParts = regexp.MustCompile("`[^`]+`\\.(`[^`]+`\\.`[^`]+`)")

// readCounters reads AUTO_INCREMENT, once the tables have been opened: of one that nobody has opened since the server
// started, MySQL says one less.
func readCounters(q querier, s *state) error {
	counters, err := q.rows("SELECT table_schema, table_name, COALESCE(auto_increment, 0) FROM information_schema.tables WHERE " + userSchemas(""))
	if err != nil {
		return err
	}
	for _, c := range counters {
		t := s.tables["`"+c[0]+"`.`"+c[1]+"`"]
		if t != nil && strings.Contains(t.create, "AUTO_INCREMENT") { // a table without such a column may have a number, too
			t.counter = c[2]
		}
	}
	return nil
}

func sortedList(list string) string {
	parts := strings.Split(strings.ReplaceAll(list, "\n", ""), ",")
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// withoutCounter cuts AUTO_INCREMENT=7 out of a statement.
func withoutCounter(create string) string {
	before, after, found := strings.Cut(create, " AUTO_INCREMENT=")
	if !found {
		return create
	}
	_, after, _ = strings.Cut(after, " ")
	return before + " " + after
}

type querier struct{ conn *client.Conn }

// rows returns the values of a statement's rows as text.
func (q querier) rows(statement string) ([][]string, error) {
	result, err := q.conn.Execute(statement)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", statement, err)
	}
	defer result.Close()
	if result.Resultset == nil {
		return nil, nil
	}
	return texts(result), nil
}

// readTable reads a table whole.
func readTable(q querier, schema, name, create string) (*tableState, error) {
	t := &tableState{create: create, rows: map[string]int{}}
	columns, err := q.rows(fmt.Sprintf("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position", quote(schema), quote(name)))
	if err != nil {
		return nil, err
	}
	var exact []string
	for _, c := range columns {
		exact = append(exact, "COALESCE("+exactly("`"+c[0]+"`", strings.ToLower(c[1]))+", 'NULL')")
		t.columns += c[0] + " "
	}
	if len(exact) == 0 {
		return t, nil
	}
	full := "`" + schema + "`.`" + name + "`"
	result, err := q.conn.Execute("SELECT " + strings.Join(exact, ", ") + " FROM " + full)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", full, err)
	}
	defer result.Close()
	for _, row := range texts(result) {
		t.rows[strings.Join(row, "|")]++
	}
	check, err := q.rows("CHECK TABLE " + full)
	if err != nil {
		return nil, err
	}
	for _, row := range check {
		t.check += row[2] + ": " + row[3] + "; "
	}
	return t, nil
}

// exactly is an expression that shows every bit of a column's value as text.
func exactly(column, dataType string) string {
	switch dataType {
	case "float", "double":
		return column + "+0e0"
	case "bit":
		return "HEX(" + column + "+0)"
	case "json":
		return "HEX(CAST(" + column + " AS CHAR))"
	case "enum", "set":
		return "CONCAT(" + column + "+0, ' ', HEX(" + column + "))"
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "date", "time", "datetime", "timestamp", "uuid", "inet4", "inet6":
		return column
	default: // strings, blobs, geometry, vector
		return "HEX(" + column + ")"
	}
}

// readObjects reads what is no table.
func readObjects(q querier, s *state) error {
	for _, kind := range []struct{ name, list, show string }{
		{"trigger", "SELECT trigger_schema, trigger_name FROM information_schema.triggers WHERE trigger_schema NOT IN ('sys', 'mysql')", "SHOW CREATE TRIGGER `%s`.`%s`"},
		{"procedure", "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = 'PROCEDURE' AND routine_schema NOT IN ('sys', 'mysql')", "SHOW CREATE PROCEDURE `%s`.`%s`"},
		{"function", "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_type = 'FUNCTION' AND routine_schema NOT IN ('sys', 'mysql')", "SHOW CREATE FUNCTION `%s`.`%s`"},
		{"event", "SELECT event_schema, event_name FROM information_schema.events WHERE event_schema NOT IN ('sys', 'mysql')", "SHOW CREATE EVENT `%s`.`%s`"},
		{"account", "SELECT user, host FROM mysql.user WHERE user LIKE 'proof%'", "SHOW GRANTS FOR '%s'@'%s'"},
	} {
		rows, err := q.rows(kind.list)
		if err != nil {
			return err
		}
		for _, row := range rows {
			shown, err := q.rows(fmt.Sprintf(kind.show, row[0], row[1]))
			if err != nil {
				return err
			}
			if kind.name == "trigger" {
				shown[0] = shown[0][:6] // the seventh is when it was created
			}
			s.objects[kind.name+" "+row[0]+"."+row[1]] = fmt.Sprintf("%q", shown)
		}
	}
	return nil
}

// prepared are the XA transactions that are prepared, as XA COMMIT takes them.
func prepared(q querier, p testrig.Product) ([]string, error) {
	statement := "XA RECOVER CONVERT XID"
	if p == testrig.MariaDB {
		statement = "XA RECOVER FORMAT='SQL'"
	}
	rows, err := q.rows(statement)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, row := range rows {
		id := row[3]
		if p == testrig.MySQL {
			var global int
			if _, err := fmt.Sscan(row[1], &global); err != nil {
				return nil, fmt.Errorf("read XA RECOVER: %w", err)
			}
			digits := strings.TrimPrefix(id, "0x")
			id = fmt.Sprintf("X'%s',X'%s',%s", digits[:2*global], digits[2*global:], row[0])
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// compare returns what differs between what is wanted and what is there, a line each, at most a few for a table.
// counters says whether AUTO_INCREMENT must be the same: the source's also counts what was refused or rolled back.
func compare(want, got *state, counters bool) []string {
	var diff []string
	say := func(format string, args ...any) { diff = append(diff, fmt.Sprintf(format, args...)) }
	for _, name := range both(want.tables, got.tables) {
		w, g := want.tables[name], got.tables[name]
		switch {
		case g == nil:
			say("%s is missing", name)
		case w == nil:
			say("%s is there, and should not be", name)
		default:
			diff = append(diff, compareTable(name, w, g, counters)...)
		}
	}
	for _, name := range both(want.objects, got.objects) {
		if want.objects[name] != got.objects[name] {
			say("%s: want %q, got %q", name, want.objects[name], got.objects[name])
		}
	}
	if want.gtids != got.gtids {
		say("GTIDs: want %q, got %q", want.gtids, got.gtids)
	}
	if !slices.Equal(want.xa, got.xa) {
		say("prepared XA transactions: want %q, got %q", want.xa, got.xa)
	}
	return diff
}

func compareTable(name string, want, got *tableState, counters bool) []string {
	var diff []string
	say := func(format string, args ...any) { diff = append(diff, fmt.Sprintf(format, args...)) }
	if want.create != got.create {
		say("%s: want %s\ngot %s", name, want.create, got.create)
	}
	if counters && want.counter != got.counter {
		say("%s: AUTO_INCREMENT: want %s, got %s", name, want.counter, got.counter)
	}
	if want.check != got.check {
		say("%s: CHECK TABLE: want %s, got %s", name, want.check, got.check)
	}
	const most = 4
	differing := 0
	for _, row := range both(want.rows, got.rows) {
		if w, g := want.rows[row], got.rows[row]; w != g {
			if differing++; differing <= most {
				say("%s (%s): %d times, want %d: %.300s", name, strings.TrimSpace(got.columns), g, w, row)
			}
		}
	}
	if differing > most {
		say("%s: %d rows differ in all", name, differing)
	}
	return diff
}

// both are the keys of two maps, sorted.
func both[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// isRefusal tells a server's refusal from a lost connection.
func isRefusal(err error) bool {
	var refused *mysql.MyError
	return errors.As(err, &refused)
}
