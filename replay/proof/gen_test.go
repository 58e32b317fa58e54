package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"interlock/internal/testrig"
)

// mix says what a workload is made of; percentages where it is a number.
type mix struct {
	images       []string
	formats      []string
	partialJSON  int
	compression  int
	ddl          int
	otherEngines int
	families     int
	xa           int
	temporary    int
	savepoints   int
	contexts     int // of a change of time zone, sql_mode and the like before a transaction
	unlogged     int
	contextual   int // of generated columns that depend on the session
	transactions int
	specials     []string
	uncompressed bool // MariaDB: log_bin_compress is OFF whatever is drawn
}

// randomMix leaves most special things out of most workloads, so that each meets the common path too.
func randomMix(r *rand.Rand, p testrig.Product) mix {
	m := mix{images: []string{"FULL"}, formats: []string{"ROW"}, savepoints: 3, contexts: 5, transactions: 50 + r.IntN(250)}
	if chance(r, 35) {
		m.images = append(m.images, "MINIMAL", "NOBLOB")
	}
	if chance(r, 30) {
		m.formats = append(m.formats, "MIXED", "STATEMENT")
	}
	if p == testrig.MySQL && chance(r, 25) {
		m.partialJSON = 50
	}
	if chance(r, 25) {
		m.compression = 50
	}
	for _, part := range []struct {
		weight *int
		often  int
		value  int
	}{{&m.ddl, 60, 3}, {&m.otherEngines, 12, 25}, {&m.families, 30, 100}, {&m.xa, 15, 4}, {&m.temporary, 12, 5}, {&m.unlogged, 20, 30}, {&m.contextual, 25, 100}, {&m.contexts, 25, 40}} {
		if chance(r, part.often) {
			*part.weight = part.value
		}
	}
	return m
}

// gen runs a random workload on a source server and remembers what it did.
type gen struct {
	r        *rand.Rand
	more     *rand.Rand // of what specials do
	begun    map[string]bool
	product  testrig.Product
	gtids    bool // MySQL: gtid_mode is ON
	mix      mix
	sessions []*session
	schemas  []string
	tables   []*table
	extra    []string // statements that the targets alone run before the log
	initial  []string // statements that made the state before the log, refused ones included
	history  []string // what ran on the source, for a report
	number   int      // of the last object that was named
	failed   int      // statements that the source refused
	ran      int
}

// session is a connection to the source with the state that statements depend on.
type session struct {
	number int
	conn   *client.Conn
	format string
	temp   []*table
}

// name returns a new name of an object.
func (g *gen) name(prefix string) string {
	g.number++
	return prefix + strconv.Itoa(g.number)
}

// run runs a statement in a session. That the source refuses it is no failure; that it is lost is one.
func (g *gen) run(s *session, statement string) (bool, error) {
	_, err := s.conn.Execute(statement)
	g.ran++
	note := ""
	var refused *mysql.MyError
	if errors.As(err, &refused) {
		g.failed++
		note = fmt.Sprintf(" -- %d %s", refused.Code, refused.Message)
	} else if err != nil {
		return false, fmt.Errorf("run %q on the source: %w", statement, err)
	}
	if len(statement) > 2000 {
		statement = statement[:2000] + "…"
	}
	g.history = append(g.history, fmt.Sprintf("/* %d */ %s;%s", s.number, statement, note))
	return err == nil, nil
}

// set runs a statement that must work.
func (g *gen) set(s *session, statement string) error {
	done, err := g.run(s, statement)
	if err == nil && !done {
		return fmt.Errorf("run %q on the source: %s", statement, g.history[len(g.history)-1])
	}
	return err
}

// connect opens the sessions.
func (g *gen) connect(ctx context.Context, source *testrig.Local, count int) error {
	for i := range count {
		conn, err := source.Connect(ctx)
		if err != nil {
			return err
		}
		s := &session{number: i, conn: conn, format: "ROW"}
		g.sessions = append(g.sessions, s)
		for _, statement := range sessionStart(g.product) {
			if err := g.set(s, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// sessionStart are settings of every session of the tests: no statement waits long.
func sessionStart(p testrig.Product) []string {
	statements := []string{"SET NAMES utf8mb4", "SET SESSION innodb_lock_wait_timeout=1", "SET SESSION lock_wait_timeout=2"}
	if p == testrig.MySQL {
		return append(statements, "SET SESSION show_gipk_in_create_table_and_information_schema=ON", "SET SESSION information_schema_stats_expiry=0")
	}
	return statements
}

func (g *gen) close() {
	for _, s := range g.sessions {
		s.conn.Close()
	}
	g.sessions = nil
}

// begin makes the state before the log: schemas, tables, rows; not in the log.
func (g *gen) begin() error {
	s := g.sessions[0]
	for _, statement := range unlogged {
		if err := g.set(s, statement); err != nil {
			return err
		}
	}
	try := func(statement string) (bool, error) {
		// What is refused is refused by the targets too, and moves their counters as it does the source's.
		g.initial = append(g.initial, statement)
		return g.run(s, statement)
	}
	g.schemas = []string{"d1", "`d 2`"}[:1+g.r.IntN(2)]
	for _, schema := range g.schemas {
		if _, err := try("CREATE DATABASE " + schema); err != nil {
			return err
		}
		for range 1 + g.r.IntN(4) {
			if err := g.newTable(schema, try); err != nil {
				return err
			}
		}
	}
	if chance(g.r, g.mix.families) {
		for _, statement := range g.family(g.schemas[0]) {
			if _, err := try(statement); err != nil {
				return err
			}
		}
	}
	if err := g.look(); err != nil {
		return err
	}
	for _, t := range g.tables {
		for range g.r.IntN(12) {
			if _, err := try(g.insert(t, true)); err != nil {
				return err
			}
		}
	}
	for _, statement := range []string{"SET timestamp=DEFAULT", "SET sql_log_bin=1"} {
		if err := g.set(s, statement); err != nil {
			return err
		}
	}
	for _, s := range g.sessions {
		if err := g.set(s, "USE d1"); err != nil {
			return err
		}
	}
	return nil
}

// unlogged is how a session makes the same state on every server.
var unlogged = []string{"SET sql_log_bin=0", "SET timestamp=1700000000"}

// newTable makes a random table, after as many tries as the source's refusals need.
func (g *gen) newTable(schema string, try func(string) (bool, error)) error {
	for range 12 {
		name := schema + "." + g.name("t")
		if done, err := try(g.createTable(name)); done || err != nil {
			return err
		}
	}
	return nil
}

// look reads from the source what tables there are now.
func (g *gen) look() error {
	conn := g.sessions[0].conn
	result, err := conn.Execute(`SELECT c.table_schema, c.table_name, t.engine, c.column_name, c.data_type, c.column_type, c.extra,
 COALESCE(c.character_maximum_length, 0), c.is_nullable FROM information_schema.columns c JOIN information_schema.tables t
 USING (table_schema, table_name) WHERE t.table_type = 'BASE TABLE' AND ` + userSchemas("c.") + ` ORDER BY c.table_schema, c.table_name, c.ordinal_position`)
	if err != nil {
		return fmt.Errorf("look at the source's tables: %w", err)
	}
	g.tables = nil
	byName := map[string]*table{}
	for _, row := range texts(result) {
		key := row[0] + "." + row[1]
		t := byName[key]
		if t == nil {
			t = &table{schema: row[0], name: row[1], engine: row[2]}
			byName[key] = t
			g.tables = append(g.tables, t)
		}
		length, err := strconv.Atoi(row[7])
		if err != nil {
			length = 1 << 30 // LONGTEXT
		}
		extra := strings.ToUpper(row[6])
		// MariaDB's JSON is a LONGTEXT with a check.
		t.columns = append(t.columns, &column{name: row[3], dataType: strings.ToLower(row[4]), columnType: row[5], extra: extra, length: length,
			nullable: row[8] == "YES", auto: strings.Contains(extra, "AUTO_INCREMENT"),
			generated: strings.Contains(extra, "GENERATED") && !strings.Contains(extra, "DEFAULT_GENERATED")})
	}
	result, err = conn.Execute(`SELECT table_schema, table_name, index_name, GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR '/')
 FROM information_schema.statistics WHERE non_unique = 0 AND ` + userSchemas("") + ` GROUP BY 1, 2, 3 ORDER BY 1, 2, index_name = 'PRIMARY' DESC, 3`)
	if err != nil {
		return fmt.Errorf("look at the source's indexes: %w", err)
	}
	for _, row := range texts(result) {
		if t := byName[row[0]+"."+row[1]]; t != nil && row[3] != "" {
			t.unique = append(t.unique, strings.Split(row[3], "/"))
		}
	}
	return nil
}

// userSchemas is the condition on information_schema that leaves the server's own schemas out, and ours.
func userSchemas(alias string) string {
	return alias + "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'interlock_replay')"
}

// texts are the values of a result as text; a NULL is empty.
func texts(result *mysql.Result) [][]string {
	var rows [][]string
	for i := range result.Values {
		row := make([]string, len(result.Values[i]))
		for j := range row {
			text, _ := result.GetString(i, j) // the types that it does not know do not occur here
			row[j] = strings.Clone(text)      // it points into the result, whose memory is used again
		}
		rows = append(rows, row)
	}
	return rows
}

// workload runs the transactions of a seed on the source.
func (g *gen) workload(ctx context.Context) error {
	for range g.mix.transactions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s := pick(g.r, g.sessions...)
		if err := g.step(s); err != nil {
			return err
		}
	}
	return g.end()
}

// step runs one transaction, one DDL statement or one thing between.
func (g *gen) step(s *session) error {
	r := g.r
	if chance(r, g.mix.contexts) {
		if err := g.context(s); err != nil {
			return err
		}
	}
	switch {
	case len(g.mix.specials) > 0 && chance(g.more, specialSteps):
		return g.special(s)
	case chance(r, g.mix.ddl):
		return g.ddl(s)
	case chance(r, g.mix.temporary):
		return g.temporaryTable(s)
	case chance(r, g.mix.xa):
		return g.xa(s)
	case chance(r, 1):
		return g.set(s, "FLUSH BINARY LOGS")
	case chance(r, 30):
		_, err := g.run(s, g.change(s))
		return err
	default:
		return g.transaction(s)
	}
}

// end ends what is open; a temporary table and an XA transaction may stay.
func (g *gen) end() error {
	for _, s := range g.sessions {
		if err := g.set(s, "COMMIT"); err != nil {
			return err
		}
	}
	if g.mix.xa == 0 || chance(g.r, 50) {
		return nil
	}
	s := g.sessions[0]
	for _, statement := range []string{"XA START 'left'", g.change(s), g.change(s), "XA END 'left'", "XA PREPARE 'left'"} {
		if _, err := g.run(s, statement); err != nil {
			return err
		}
	}
	return nil
}

// unloggedIndexes are indexes that the targets alone have: what a table is like is the target's word, not the log's.
func (g *gen) unloggedIndexes() []string {
	var statements []string
	for _, t := range g.tables {
		if chance(g.r, g.mix.unlogged) {
			statements = append(statements, fmt.Sprintf("ALTER TABLE %s ADD KEY unlogged (`%s`)", t, pick(g.r, t.columns...).name))
		}
	}
	return statements
}
