package target

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// Table is a table of the target.
//
// What is in its row images was found out on MySQL 9.7 and MariaDB 10.11: every column in the order of
// ORDINAL_POSITION, invisible and virtual generated ones with their values; MySQL's generated invisible primary
// key; then, in MariaDB, row_start and row_end where the table is versioned without naming them, and one BIGINT
// DB_ROW_HASH_n for each long unique key. MySQL's columns behind functional and multi-valued indexes are not.
type Table struct {
	Schema, Name, Engine string
	Columns              []Column
	// Key are the columns that identify a row, in index order: the primary key, else the first unique index, as the
	// server numbers them, over nothing but whole NOT NULL columns that are not virtual; nil: there is none, or MariaDB
	// would look for rows by another one. Of a primary key over prefixes it has the whole columns, which identify a row as well.
	Key              []int
	Clustered        bool    // its rows surely lie in the order of a key; else maybe in the order of their coming
	Unique           [][]int // columns of every unique index that has only plain whole columns
	UniqueUnsafe     bool    // a unique index over a prefix, an expression, a hash, a virtual column, or multi-valued
	LooseKey         bool    // MariaDB: other bytes may be the same key, see fold.Table
	Computed         bool    // generated columns, functional indexes or partitions by sums: the server computes again
	Checked          bool    // MySQL: an enforced CHECK, which the server evaluates when it applies a row event; MariaDB does not
	Respelled        bool    // MySQL: any ALTER TABLE makes _latin1'x' of a CHECK _utf8mb4'x' (9.7)
	Group            string  // tables that foreign keys tie together share it; empty: no foreign keys
	Actions          bool    // a foreign key of its group has ON DELETE or ON UPDATE CASCADE, SET NULL, SET DEFAULT
	NotTransactional bool    // engine is not InnoDB
	Partitioned      bool
	Bytes            uint64 // of its rows and indexes, as the engine estimates them
	// Ordered says why the table can only be applied in its original order (sequence, system-versioned, period,
	// mysql.*); empty: it can be folded.
	Ordered string
	// ByTransaction: each transaction that changes the table has to be one on the target, too. See Boundaries.
	ByTransaction bool

	depends []int // what unique indexes that are not plain depend on
}

// Column is a column of the target, in the order in which row images have them: hidden ones that the log
// carries included.
//
// Defaults do not matter to rows: an insert logs the values of expression and function defaults even with
// binlog_row_image=MINIMAL (tried with rand(), CURRENT_TIMESTAMP and now(3) on both servers).
type Column struct {
	Name          string
	DataType      string // information_schema's DATA_TYPE
	Unsigned      bool
	Nullable      bool
	Generated     bool // computed by the server, stored or virtual; MariaDB's hash columns too
	Virtual       bool
	Hidden        bool // not in information_schema
	AutoIncrement bool
	Collation     string

	definition string // COLUMN_TYPE
	octets     uint64 // CHARACTER_OCTET_LENGTH
	precision  uint64 // NUMERIC_PRECISION
	scale      uint64 // NUMERIC_SCALE
	fraction   uint64 // DATETIME_PRECISION
}

// UniqueColumns are the columns of every unique index, and of what a unique index over prefixes, expressions or
// hashes may depend on (all columns where that is not known), in ascending order. An update that leaves them all
// alone cannot collide with another row.
func (t *Table) UniqueColumns() []int {
	columns := slices.Clone(t.depends)
	for _, index := range t.Unique {
		columns = append(columns, index...)
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// String is the table's name as one writes it in a statement.
func (t *Table) String() string { return quoteName(t.Schema) + "." + quoteName(t.Name) }

// tableName names a table; schema and name may both have dots in them.
type tableName struct{ schema, name string }

func (n tableName) String() string { return quoteName(n.schema) + "." + quoteName(n.name) }

// Schema reads and keeps what is known of the target's tables. It belongs to one goroutine.
type Schema struct {
	server  *Server
	conn    *Conn
	tables  map[tableName]*Table
	foreign map[tableName]foreignGroup // nil: not read yet
}

// Schema returns an empty cache.
func (s *Server) Schema() *Schema { return &Schema{server: s, tables: map[tableName]*Table{}} }

// Forget drops everything: a statement that may have changed the schema has run.
func (c *Schema) Forget() {
	clear(c.tables)
	c.foreign = nil
}

// Close ends the connection of the cache.
func (c *Schema) Close() error {
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

// Table describes a table; one that is not there is an error that names it.
func (c *Schema) Table(ctx context.Context, schema, name string) (*Table, error) {
	key := tableName{schema, name}
	if t := c.tables[key]; t != nil {
		return t, nil
	}
	t, err := c.read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("describe table %s: %w", key, err)
	}
	c.tables[key] = t
	return t, nil
}

// query runs a query on the cache's own connection, which is opened again when it was lost.
func (c *Schema) query(ctx context.Context, sql string) ([][]Value, error) {
	if c.conn != nil {
		rows, err := c.conn.Query(ctx, sql)
		if !lost(err) {
			return rows, err
		}
		c.conn.Close()
		c.conn = nil
	}
	conn, err := c.server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	// MySQL 8.0.30 and later hide a generated invisible primary key otherwise, and the log has it; 8.0 and later show sizes
	// that are a day old. MariaDB opens a table to describe it, and keeps it open as it would be under this sql_mode.
	for _, name := range []string{"show_gipk_in_create_table_and_information_schema=ON", "information_schema_stats_expiry=0",
		"sql_mode=IF(FIND_IN_SET('NO_UNSIGNED_SUBTRACTION', @@GLOBAL.sql_mode), 'NO_UNSIGNED_SUBTRACTION', '')"} {
		if err := conn.Exec(ctx, "SET SESSION "+name); err != nil && errorCode(err) != erUnknownSystemVariable {
			conn.Close()
			return nil, err
		}
	}
	c.conn = conn
	return conn.Query(ctx, sql)
}

const erUnknownSystemVariable = 1193

func (c *Schema) read(ctx context.Context, key tableName) (*Table, error) {
	where := fmt.Sprintf(" WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s", quoteText(key.schema), quoteText(key.name))
	rows, err := c.query(ctx, "SELECT TABLE_TYPE, ENGINE, CREATE_OPTIONS, TABLE_SCHEMA, TABLE_NAME, COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) FROM information_schema.TABLES"+where)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("it is not on the target, or the account may not see it (is this the backup that the log continues?)")
	}
	t := &Table{Schema: key.schema, Name: key.name, Engine: rows[0][1].Text}
	kind := rows[0][0].Text
	if strings.HasSuffix(kind, "VIEW") {
		return nil, fmt.Errorf("it is a view on the target and a table in the log")
	}
	if t.Bytes, err = strconv.ParseUint(rows[0][5].Text, 10, 64); err != nil {
		return nil, fmt.Errorf("read its size: %w", err)
	}
	t.NotTransactional = !strings.EqualFold(t.Engine, "InnoDB")
	t.Partitioned = strings.Contains(rows[0][2].Text, "partitioned")
	t.Ordered = orderedKind(key.schema, kind)
	if t.Columns, err = c.columns(ctx, where); err != nil {
		return nil, err
	}
	if c.server.Flavor == binlog.MariaDB {
		if err := c.readCreate(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := c.readIndexes(ctx, t); err != nil {
		return nil, err
	}
	for _, column := range t.Columns {
		t.Computed = t.Computed || column.Generated && !column.Hidden
	}
	if t.Partitioned && !t.Computed {
		if t.Computed, err = c.computedPartitions(ctx, where); err != nil {
			return nil, err
		}
	}
	if err := c.readChecks(ctx, t, where); err != nil {
		return nil, err
	}
	groups, err := c.foreignGroups(ctx)
	if err != nil {
		return nil, err
	}
	// By the server's own spelling: with lower_case_table_names=1 the log's may be another one.
	if group, tied := groups[tableName{rows[0][3].Text, rows[0][4].Text}]; tied {
		t.Group, t.Actions = group.name, group.actions
	}
	return t, nil
}

// computedPartitions tells whether it may depend on the session in which partition a row lies. Both servers compute
// that again when they apply it: a - 10 of an unsigned column is an error without NO_UNSIGNED_SUBTRACTION.
func (c *Schema) computedPartitions(ctx context.Context, where string) (bool, error) {
	rows, err := c.query(ctx, "SELECT DISTINCT PARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION FROM information_schema.PARTITIONS"+where)
	if err != nil {
		return false, err
	}
	for _, row := range rows {
		if !plainPartitions(row[0], row[1]) || !row[2].Null && !plainPartitions(row[2], row[3]) {
			return true, nil
		}
	}
	return false, nil
}

// onePart is an expression that is a column, or one function of it; those that depend on the session are not allowed.
var onePart = regexp.MustCompile("^(\\w+\\((\\w+ from )?)?`([^`]|``)+`\\)?$")

func plainPartitions(method, expression Value) bool {
	return strings.HasSuffix(method.Text, " COLUMNS") || strings.HasSuffix(method.Text, "KEY") || onePart.MatchString(expression.Text)
}

// introducer is the character set of a literal in an expression as MySQL keeps it.
var introducer = regexp.MustCompile(`_(\w+)\\?'`)

// readChecks finds out whether the server holds rows that it applies against a CHECK, and whether it would spell one otherwise.
func (c *Schema) readChecks(ctx context.Context, t *Table, where string) error {
	if c.server.Flavor == binlog.MariaDB || binlog.VersionNumber(c.server.Version) < 80016 {
		return nil // there are none before
	}
	rows, err := c.query(ctx, "SELECT ENFORCED, CHECK_CLAUSE FROM information_schema.TABLE_CONSTRAINTS JOIN information_schema.CHECK_CONSTRAINTS USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME)"+
		where+" AND CONSTRAINT_TYPE='CHECK'")
	for _, row := range rows {
		t.Checked = t.Checked || row[0].Text == "YES"
		for _, literal := range introducer.FindAllStringSubmatch(row[1].Text, -1) {
			t.Respelled = t.Respelled || literal[1] != "utf8mb4"
		}
	}
	return err
}

const systemVersioned = "system-versioned"

// orderedKind says why tables of a kind (TABLE_TYPE) keep their order.
func orderedKind(schema, kind string) string {
	switch {
	case strings.EqualFold(schema, "mysql"):
		return "a table of the server's own"
	case kind == "SEQUENCE":
		return "a sequence"
	case kind == "SYSTEM VERSIONED":
		return systemVersioned
	case kind != "BASE TABLE":
		return "of the kind " + kind
	}
	return ""
}

func (c *Schema) columns(ctx context.Context, where string) ([]Column, error) {
	rows, err := c.query(ctx, "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, COLLATION_NAME,"+
		" CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION"+
		" FROM information_schema.COLUMNS"+where+" ORDER BY ORDINAL_POSITION")
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(rows))
	for i, row := range rows {
		extra := strings.ToUpper(row[4].Text)
		virtual := strings.Contains(extra, "VIRTUAL GENERATED")
		columns[i] = Column{
			Name: row[0].Text, DataType: strings.ToLower(row[1].Text), definition: strings.ToLower(row[2].Text),
			Unsigned: hasWord(row[2].Text, "unsigned"), Nullable: row[3].Text == "YES", Collation: row[5].Text,
			Generated: virtual || strings.Contains(extra, "STORED GENERATED"), Virtual: virtual,
			AutoIncrement: strings.Contains(extra, "AUTO_INCREMENT"),
		}
		numbers := []*uint64{&columns[i].octets, &columns[i].precision, &columns[i].scale, &columns[i].fraction}
		for j, to := range numbers {
			if row[6+j].Null {
				continue
			}
			if *to, err = strconv.ParseUint(row[6+j].Text, 10, 64); err != nil {
				return nil, fmt.Errorf("column %s: %w", quoteName(row[0].Text), err)
			}
		}
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("the account sees none of its columns (grant it SELECT)")
	}
	return columns, nil
}

// hasWord tells whether a type has a word after its name: bigint(20) unsigned zerofill.
func hasWord(definition, word string) bool {
	return slices.Contains(strings.Fields(strings.ToLower(definition))[1:], word)
}

// versionedByTransaction is the column of a table that has the numbers of transactions instead of times.
var versionedByTransaction = regexp.MustCompile("^`([^`]|``)+` BIGINT\\(20\\) UNSIGNED GENERATED ALWAYS AS ROW START")

// readCreate adds what MariaDB tells in SHOW CREATE TABLE alone: periods, and whether the columns of versions
// are hidden.
func (c *Schema) readCreate(ctx context.Context, t *Table) error {
	rows, err := c.query(ctx, "SHOW CREATE TABLE "+t.String())
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return fmt.Errorf("SHOW CREATE TABLE has an answer that is not understood")
	}
	named := false // PERIOD FOR SYSTEM_TIME: the columns of versions are visible, or at least listed
	for line := range strings.SplitSeq(rows[0][1].Text, "\n") {
		line = strings.ToUpper(strings.TrimSpace(line))
		switch {
		case strings.HasPrefix(line, "PERIOD FOR SYSTEM_TIME"):
			named = true
		case versionedByTransaction.MatchString(line):
			t.Ordered, t.ByTransaction = "versioned by transaction", true
		case strings.HasPrefix(line, "PERIOD FOR ") && t.Ordered == "":
			// DELETE … FOR PORTION OF splits rows, and WITHOUT OVERLAPS is more than equal bytes: not proven.
			t.Ordered = "a period of application time"
		}
	}
	if t.Ordered == systemVersioned && !named {
		for _, name := range []string{"row_start", "row_end"} {
			t.Columns = append(t.Columns, Column{Name: name, DataType: "timestamp", definition: "timestamp(6)",
				Generated: true, Hidden: true, fraction: 6})
		}
	}
	return nil
}
