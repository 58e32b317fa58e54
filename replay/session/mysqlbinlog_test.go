package session

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// ran is a statement and the session that it runs in.
type ran struct {
	SQL  string
	Vars map[string]string
}

// session follows what a list of statements makes of a session.
type session struct {
	vars map[string]string
	ran  []ran
}

// leftToOthers are variables that are the target's to set: GTIDs, and what mysqlbinlog sets at its top.
var leftToOthers = map[string]bool{
	"gtid_next": true, "gtid_seq_no": true, "gtid_domain_id": true, "skip_parallel_replication": true,
	"pseudo_slave_mode": true, "completion_type": true, "@old_completion_type": true, "max_delayed_threads": true,
}

// once are variables that hold for one statement, user variables aside.
var once = []string{"insert_id", "last_insert_id", "rand_seed1", "rand_seed2", "original_commit_timestamp", "original_server_version", "immediate_server_version"}

func (s *session) run(statement string) {
	keyword, rest, _ := strings.Cut(statement, " ")
	switch strings.ToUpper(keyword) {
	case "SET":
		for name, value := range assignments(rest) {
			if !leftToOthers[name] {
				s.vars[name] = value
			}
		}
	case "USE":
		s.vars["database"] = strings.ReplaceAll(strings.Trim(rest, "`"), "``", "`")
	case "BINLOG":
	default:
		if bounds[statement] {
			return
		}
		s.ran = append(s.ran, ran{statement, maps.Clone(s.vars)})
		for _, name := range once {
			delete(s.vars, name)
		}
		maps.DeleteFunc(s.vars, func(name, _ string) bool { return strings.HasPrefix(name, "@") })
	}
}

// bounds are what a transaction begins and ends with; mysqlbinlog prints some of them for events that are no
// statements.
var bounds = map[string]bool{"BEGIN": true, "COMMIT": true, "START TRANSACTION": true, "ROLLBACK": true, "ROLLBACK /* added by mysqlbinlog */": true}

// assignments reads the list of a SET: names in lower case without @@session, values in one notation.
func assignments(list string) map[string]string {
	found := map[string]string{}
	depth, quote, start := 0, byte(0), 0
	list += ","
	for i := range len(list) {
		switch c := list[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '`' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			name, value, _ := strings.Cut(strings.TrimSpace(list[start:i]), "=")
			if !strings.HasPrefix(name, "@`") {
				name = strings.TrimPrefix(strings.ToLower(name), "@@")
				name = strings.TrimPrefix(name, "session.")
			}
			found[strings.TrimSuffix(name, ":")] = plainValue(strings.TrimSpace(value))
			start = i + 1
		}
	}
	return found
}

var (
	unsignedValue = regexp.MustCompile(`^CAST\((\d+) AS UNSIGNED\)$`)
	hexValue      = regexp.MustCompile("^_(\\w+) (?:X'([0-9A-F]*)'|0x([0-9A-F]+)|\"\") COLLATE `(\\w+)`$")
	realValue     = regexp.MustCompile(`^-?[0-9.]+e[+-]\d+$`)
)

// plainValue takes the notation out of a value that we write differently than mysqlbinlog.
func plainValue(value string) string {
	if m := unsignedValue.FindStringSubmatch(value); m != nil {
		return m[1]
	}
	if m := hexValue.FindStringSubmatch(value); m != nil {
		return fmt.Sprintf("%s %s%s %s", m[1], m[2], m[3], m[4])
	}
	if realValue.MatchString(value) {
		float, err := strconv.ParseFloat(value, 64)
		if err != nil {
			panic(err)
		}
		// As %.14g of C does it for values of ordinary size.
		return strconv.FormatFloat(float, 'g', 14, 64)
	}
	return strings.TrimPrefix(value, "_latin1")
}

var (
	comments    = regexp.MustCompile(`^(\s*#[^\n]*\n|\s*DELIMITER [^\n]*\n|\s*\n)+`)
	conditional = regexp.MustCompile(`(?s)^/\*M?!\d+ (.*)\*/$`)
)

// printed is what mysqlbinlog makes of a log.
func printed(t *testing.T, server *testrig.Local, files []string) []ran {
	t.Helper()
	argv := server.Tools().Command("mysqlbinlog", append([]string{"--no-defaults"}, files...)...)
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("mysqlbinlog: %v", err)
	}
	_, text, ok := strings.Cut(string(out), "DELIMITER /*!*/;\n")
	if !ok {
		t.Fatalf("mysqlbinlog printed %q", out)
	}
	text, _, _ = strings.Cut(text, "DELIMITER ;\n")
	s := session{vars: map[string]string{}}
	if server.Product == testrig.MySQL {
		s.vars["enable_cascade_triggers"] = "0" // which it takes for granted
	}
	for statement := range strings.SplitSeq(text, "/*!*/;") {
		// A comment can follow a line that another event's delimiter left open.
		statement = strings.TrimSpace(comments.ReplaceAllString(statement, ""))
		if m := conditional.FindStringSubmatch(statement); m != nil {
			statement = m[1]
		}
		if statement != "" && !strings.HasPrefix(statement, `/*!\C`) {
			s.run(statement)
		}
	}
	return s.ran
}

// The statements of a log, and every variable that they run with, are those of mysqlbinlog's output: when SETs
// go on from the statement before, and when all of them are sent anew.
func TestSameAsMysqlbinlog(t *testing.T) {
	for _, product := range products {
		t.Run(string(product), func(t *testing.T) {
			source := start(t, product)
			workload(t, source, "testdata/common.sql")
			workload(t, source, "testdata/exact.sql")
			workload(t, source, "testdata/"+string(product)+".sql")
			log := readLog(t, source)
			want := printed(t, source, log.files)
			if product == testrig.MySQL {
				withoutMisreading(t, want)
			}
			const fewest = 75
			if len(want) < fewest {
				t.Fatalf("mysqlbinlog printed %d statements", len(want))
			}
			state := New(flavorOf(product), version(t, source))
			sticky := session{vars: map[string]string{}}
			var anew []ran
			var since *State
			log.walk(t, func(f *binlog.Format, txn *binlog.Txn, ev *binlog.Event) {
				if err := state.See(f, ev); err != nil {
					t.Fatal(err)
				}
				if ev.Type != binlog.TypeQuery || txn.StartAlter || txn.CommitAlter {
					return // mysqlbinlog prints both halves of an ALTER as BINLOG
				}
				fresh := session{vars: map[string]string{}}
				for _, run := range []struct {
					session *session
					since   *State
				}{{&sticky, since}, {&fresh, nil}} {
					statements, err := state.Statements(run.since)
					if err != nil {
						t.Fatal(err)
					}
					for _, statement := range statements {
						run.session.run(statement)
					}
				}
				anew = append(anew, fresh.ran...)
				since = state.Clone()
			})
			compare(t, "statements one after the other", want, sticky.ran, nil)
			// What only DDL or a BEGIN says is not said again, and what does not depend on a database names none.
			compare(t, "each statement in a session of its own", want, anew,
				append(once[4:], "database", "explicit_defaults_for_timestamp", "sql_require_primary_key", "default_table_encryption"))
		})
	}
}

// withoutMisreading takes NO_BACKSLASH_ESCAPES from what only bounds a part of a transaction, as MySQL's sessions of
// ours go without it there. A name with a backslash keeps it.
func withoutMisreading(t *testing.T, want []ran) {
	t.Helper()
	taken := 0
	for _, w := range want {
		mode, err := strconv.ParseInt(w.Vars["sql_mode"], 10, 64)
		bound := strings.HasPrefix(w.SQL, "SAVEPOINT") || strings.HasPrefix(w.SQL, "ROLLBACK TO")
		if err == nil && bound && mode&noBackslashEscapes != 0 && !strings.Contains(w.SQL, `\`) {
			w.Vars["sql_mode"] = strconv.FormatInt(mode&^noBackslashEscapes, 10)
			taken++
		}
	}
	if taken == 0 {
		t.Error("no savepoint in a session with NO_BACKSLASH_ESCAPES")
	}
}

// compare compares what ran. Of the variables in optional those that got lacks are left out.
func compare(t *testing.T, what string, want, got []ran, optional []string) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d statements, mysqlbinlog has %d", what, len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		w := ran{want[i].SQL, maps.Clone(want[i].Vars)}
		for _, name := range optional {
			if _, ok := got[i].Vars[name]; !ok {
				delete(w.Vars, name)
			}
		}
		if diff := cmp.Diff(w, got[i]); diff != "" {
			t.Fatalf("%s: statement %d, -mysqlbinlog +ours:\n%s", what, i, diff)
		}
	}
}
