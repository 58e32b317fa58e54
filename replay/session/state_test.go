package session

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/replay/binlog"
)

// query makes a statement event.
type query struct {
	sql, schema, vars string
	flags             uint16
	thread            uint32
	seconds           uint32
	failed            uint16
}

func (q query) event() *binlog.Event {
	body := binary.LittleEndian.AppendUint32(nil, q.thread)
	body = append(body, 0, 0, 0, 0, byte(len(q.schema)))
	body = binary.LittleEndian.AppendUint16(body, q.failed)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(q.vars)))
	body = append(body, q.vars+q.schema+"\x00"+q.sql...)
	return &binlog.Event{
		Header: binlog.Header{Type: binlog.TypeQuery, Timestamp: q.seconds, Flags: q.flags},
		Body:   body, At: binlog.Position{File: "binlog.000007", Offset: 4711},
	}
}

// formatOf is a format in which a statement's fixed part has its usual 13 bytes.
func formatOf(flavor binlog.Flavor, version string) *binlog.Format {
	return &binlog.Format{Flavor: flavor, ServerVersion: version, PostHeaderLen: []byte{56, 13}}
}

const (
	plainFlags = "\x00\x00\x00\x00\x00"
	escapes    = "\x01\x04\x00\x10\x00\x00\x00\x00\x00" // ANSI_QUOTES, NO_BACKSLASH_ESCAPES
	utf8       = "\x04\xff\x00\xff\x00\xff\x00"
	latin1     = "\x04\x08\x00\x08\x00\xff\x00"
)

func TestStatements(t *testing.T) {
	mysql := formatOf(binlog.MySQL, "9.7.4")
	insertID := &binlog.Event{Header: binlog.Header{Type: binlog.TypeIntvar}, Body: []byte("\x02\x05\x00\x00\x00\x00\x00\x00\x00")}
	named := &binlog.Event{Header: binlog.Header{Type: binlog.TypeUserVar}, Body: []byte("\x02\x00\x00\x00\xc3\xa4\x01")}
	start := query{sql: "first", schema: "d", seconds: 10, thread: 7, vars: plainFlags + utf8}.event()
	type flavored struct {
		format  *binlog.Format
		version string
	}
	for _, test := range []struct {
		title  string
		on     flavored
		before []*binlog.Event // what since has seen; nil: there is no since
		events []*binlog.Event
		want   []string
	}{
		{"a fresh session", flavored{mysql, "9.7.4"}, nil, []*binlog.Event{start}, []string{
			"USE `d`",
			"SET TIMESTAMP=10, @@session.pseudo_thread_id=7, @@session.foreign_key_checks=1, @@session.sql_auto_is_null=0, @@session.unique_checks=1, " +
				"@@session.autocommit=1, @@session.auto_increment_increment=1, @@session.auto_increment_offset=1, " +
				"@@session.character_set_client=255, @@session.collation_connection=255, @@session.collation_server=255, " +
				"@@session.lc_time_names=0, @@session.collation_database=DEFAULT, @@session.enable_cascade_triggers=0",
			"first"}},
		{"nothing changes", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, thread: 8, vars: plainFlags + utf8}.event()},
			[]string{"second"}},
		{"an id and a time", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{insertID, query{sql: "second", schema: "d", seconds: 11, vars: plainFlags + utf8 + "\x0d\x05\x00\x00"}.event()},
			[]string{"SET INSERT_ID=5, TIMESTAMP=11.000005", "second"}},
		{"what held for one statement", flavored{mysql, "9.7.4"}, []*binlog.Event{start, insertID, start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + utf8}.event()},
			[]string{"second"}},
		{"a thread with temporary tables", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, thread: 8, flags: flagThreadSpecific, vars: plainFlags}.event()},
			[]string{"SET @@session.pseudo_thread_id=8", "second"}},
		{"another database", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "e`f", seconds: 10, vars: plainFlags}.event()},
			[]string{"USE `e``f`", "SET @@session.collation_database=DEFAULT", "second"}},
		{"a database after one was dropped", flavored{mysql, "9.7.4"},
			[]*binlog.Event{start, query{sql: "DROP DATABASE x", schema: "d", seconds: 10, flags: flagSuppressUse, vars: plainFlags}.event()},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags}.event()},
			[]string{"USE `d`", "SET @@session.collation_database=DEFAULT", "second"}},
		{"no database for a COMMIT", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "COMMIT", schema: "e", seconds: 10, flags: flagSuppressUse, vars: plainFlags}.event(),
				query{sql: "second", schema: "d", seconds: 10, vars: plainFlags}.event()},
			[]string{"second"}},
		{"a name in a session of latin1", flavored{mysql, "9.7.4"},
			[]*binlog.Event{query{sql: "first", schema: "d", seconds: 10, vars: plainFlags + latin1}.event()},
			[]*binlog.Event{named, query{sql: "second", schema: "é", seconds: 10, vars: plainFlags + latin1}.event()},
			[]string{"SET @@session.character_set_client=utf8mb4", "USE `é`",
				"SET @`ä`:=NULL, @@session.character_set_client=8, @@session.collation_database=DEFAULT", "second"}},
		{"a name in a session of utf8mb4", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{named, query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + latin1}.event()},
			[]string{"SET @`ä`:=NULL, @@session.character_set_client=8, @@session.collation_connection=8", "second"}},
		{"sql_mode of 5.7 on a server that removed half of it", flavored{formatOf(binlog.MySQL, "5.7.44"), "8.0.36"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + "\x01\x00\x02\x00\x50\x00\x00\x00\x00"}.event()},
			[]string{"SET @@session.sql_mode=1073741824", "second"}},
		{"sql_mode of 5.7 on 5.7", flavored{formatOf(binlog.MySQL, "5.7.44"), "5.7.44"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + "\x01\x00\x02\x00\x50\x00\x00\x00\x00"}.event()},
			[]string{"SET @@session.sql_mode=1342177792", "second"}},
		{"a savepoint and a statement with NO_BACKSLASH_ESCAPES", flavored{mysql, "9.7.4"}, []*binlog.Event{start,
			query{sql: "SAVEPOINT a", schema: "d", seconds: 10, vars: plainFlags + escapes}.event()},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + escapes}.event()},
			[]string{"SET @@session.sql_mode=1048580", "second"}},
		{"a savepoint behind a statement with NO_BACKSLASH_ESCAPES", flavored{mysql, "9.7.4"}, []*binlog.Event{start,
			query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + escapes}.event()},
			[]*binlog.Event{query{sql: "SAVEPOINT a", schema: "d", seconds: 10, vars: plainFlags + escapes}.event()},
			[]string{"SET @@session.sql_mode=4", "SAVEPOINT a"}},
		{"a name with a backslash", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "SAVEPOINT `a\\`", schema: "d", seconds: 10, vars: plainFlags + escapes}.event()},
			[]string{"SET @@session.sql_mode=1048580", "SAVEPOINT `a\\`"}},
		{"MariaDB has no such trouble", flavored{formatOf(binlog.MariaDB, "10.11.6-MariaDB"), "10.11.6-MariaDB"},
			[]*binlog.Event{query{sql: "first", seconds: 10, vars: plainFlags}.event()},
			[]*binlog.Event{query{sql: "SAVEPOINT a", seconds: 10, vars: plainFlags + escapes}.event()},
			[]string{"SET TIMESTAMP=10, @@session.sql_mode=1048580", "SAVEPOINT a"}},
		{"variables that an old target does not know", flavored{mysql, "8.0.12"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "second", schema: "d", seconds: 10, vars: plainFlags + "\x12\x2d\x00\x13\x01\x14\x01\x15\x01"}.event()},
			[]string{"SET @@session.default_collation_for_utf8mb4=45", "second"}},
		{"what only DDL says, each time", flavored{mysql, "9.7.4"},
			[]*binlog.Event{start, query{sql: "ddl", schema: "d", seconds: 10, vars: plainFlags + "\x10\x01\x13\x00"}.event()},
			[]*binlog.Event{query{sql: "ddl", schema: "d", seconds: 10, vars: plainFlags + "\x10\x01\x13\x00"}.event()},
			[]string{"SET @@session.explicit_defaults_for_timestamp=1, @@session.sql_require_primary_key=0", "ddl"}},
		{"what DDL has said is not said to others", flavored{mysql, "9.7.4"}, []*binlog.Event{start},
			[]*binlog.Event{query{sql: "ddl", schema: "d", seconds: 10, vars: plainFlags + "\x10\x01\x13\x00"}.event(),
				query{sql: "second", schema: "d", seconds: 10, vars: plainFlags}.event()},
			[]string{"second"}},
		{"MariaDB's own flags", flavored{formatOf(binlog.MariaDB, "10.11.6-MariaDB"), "10.11.6-MariaDB"}, nil,
			[]*binlog.Event{query{sql: "first", seconds: 10, vars: "\x00\x00\x80\x00\x51\x04\x21\x00\x00\x09\x08\x00"}.event()},
			[]string{"SET TIMESTAMP=10, @@session.pseudo_thread_id=0, @@session.foreign_key_checks=1, @@session.sql_auto_is_null=0, @@session.unique_checks=1, " +
				"@@session.autocommit=1, @@session.check_constraint_checks=0, @@session.sql_if_exists=1, @@session.explicit_defaults_for_timestamp=1, " +
				"@@session.system_versioning_insert_history=1, @@session.auto_increment_increment=1, @@session.auto_increment_offset=1, " +
				"@@session.character_set_client=utf8mb3, @@session.collation_connection=2304, @@session.collation_server=8, " +
				"@@session.lc_time_names=0, @@session.collation_database=DEFAULT", "first"}},
		{"flags that MariaDB 10.6.8 did not write", flavored{formatOf(binlog.MariaDB, "10.6.8-MariaDB"), "10.11.6-MariaDB"},
			[]*binlog.Event{query{sql: "first", seconds: 10, vars: plainFlags}.event()},
			[]*binlog.Event{query{sql: "second", seconds: 10, vars: "\x00\x00\x00\x00\x51"}.event()},
			[]string{"SET TIMESTAMP=10, @@session.sql_if_exists=1", "second"}},
		{"MariaDB's default collations", flavored{formatOf(binlog.MariaDB, "11.8.2-MariaDB"), "11.8.2-MariaDB"},
			[]*binlog.Event{query{sql: "first", seconds: 10, vars: plainFlags}.event()},
			[]*binlog.Event{query{sql: "second", seconds: 10, vars: "\x83\x02\x21\x00\x00\x08\x2d\x00\x00\x09"}.event()},
			[]string{"SET TIMESTAMP=10, @@session.character_set_collations=_latin1'utf8mb3=utf8mb3_uca1400_ai_ci,utf8mb4=utf8mb4_uca1400_ai_ci'", "second"}},
	} {
		t.Run(test.title, func(t *testing.T) {
			s := New(test.on.format.Flavor, test.on.version)
			see := func(events []*binlog.Event) {
				t.Helper()
				for _, ev := range events {
					if err := s.See(test.on.format, ev); err != nil {
						t.Fatal(err)
					}
				}
			}
			var since *State
			if test.before != nil {
				see(test.before)
				since = s.Clone()
			}
			see(test.events)
			got, err := s.Statements(since)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The bytes of a statement go out as they are.
func TestStatementBytes(t *testing.T) {
	sql := "INSERT INTO t VALUES ('\x00\xff\x80\\'\"`\n')"
	s := New(binlog.MySQL, "9.7.4")
	if err := s.See(formatOf(binlog.MySQL, "9.7.4"), query{sql: sql}.event()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Statements(nil)
	if err != nil {
		t.Fatal(err)
	}
	if last := got[len(got)-1]; last != sql {
		t.Errorf("got %q", last)
	}
}

func TestFailedStatement(t *testing.T) {
	s := New(binlog.MySQL, "9.7.4")
	if _, err := s.Statements(nil); err == nil || !strings.Contains(err.Error(), "none was seen") {
		t.Errorf("without a statement: %v", err)
	}
	ev := query{sql: "UPDATE t SET a = 1", failed: 1317}.event()
	if err := s.See(formatOf(binlog.MySQL, "9.7.4"), ev); err != nil {
		t.Fatal(err)
	}
	_, err := s.Statements(nil)
	var failed *FailedStatementError
	if !errors.As(err, &failed) || failed.Code != 1317 || failed.At != ev.At {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"binlog.000007:4711", "error 1317", "UPDATE t SET a = 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// A clone does not change with what it was made of.
func TestClone(t *testing.T) {
	format := formatOf(binlog.MySQL, "9.7.4")
	rand := &binlog.Event{Header: binlog.Header{Type: binlog.TypeRand}, Body: make([]byte, 16)}
	statement := query{sql: "first", vars: "\x05\x06+09:00"}.event()
	s := New(binlog.MySQL, "9.7.4")
	for _, ev := range []*binlog.Event{rand, statement} {
		if err := s.See(format, ev); err != nil {
			t.Fatal(err)
		}
	}
	clone := s.Clone()
	before, err := clone.Statements(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range []*binlog.Event{rand, rand, query{sql: "second", vars: "\x05\x06-03:00"}.event()} {
		if err := s.See(format, ev); err != nil {
			t.Fatal(err)
		}
	}
	after, err := clone.Statements(nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestComputing(t *testing.T) {
	format := formatOf(binlog.MySQL, "5.7.44")
	s := New(binlog.MySQL, "9.7.4")
	wants := func(want string) {
		t.Helper()
		if got := s.Computing().Statements(); len(got) != 1 || got[0] != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	wants("SET @@session.time_zone=DEFAULT, @@session.sql_mode=DEFAULT, @@session.lc_time_names=DEFAULT, @@session.collation_connection=DEFAULT")
	begin := query{sql: "BEGIN", seconds: 5, vars: plainFlags + "\x01\x00\x02\x00\x50\x00\x00\x00\x00" + utf8 + "\x05\x06+09:00\x07\x05\x00"}
	if err := s.See(format, begin.event()); err != nil {
		t.Fatal(err)
	}
	wants("SET @@session.time_zone=_latin1'+09:00', @@session.sql_mode=1073741824, @@session.lc_time_names=5, @@session.collation_connection=255")
	first := s.Computing()
	begin.seconds, begin.thread, begin.schema = 6, 9, "other"
	if err := s.See(format, begin.event()); err != nil {
		t.Fatal(err)
	}
	if s.Computing() != first {
		t.Error("time, thread and database make another context")
	}
	begin.vars = plainFlags + "\x05\x06-03:00"
	if err := s.See(format, begin.event()); err != nil {
		t.Fatal(err)
	}
	if s.Computing() == first {
		t.Error("another time zone makes no other context")
	}
}
