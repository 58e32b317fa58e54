package proof

import (
	"fmt"
	"slices"
	"strings"

	"interlock/internal/testrig"
)

// context changes what the log says about a session: formats, time zone, sql_mode, counters.
func (g *gen) context(s *session) error {
	r := g.r
	statements := []string{
		"SET time_zone = " + pick(r, "'+00:00'", "'+09:00'", "'-05:30'", "'SYSTEM'"),
		"SET sql_mode = " + pick(r, "''", "'STRICT_TRANS_TABLES'", "DEFAULT", "'NO_AUTO_VALUE_ON_ZERO'", "'ALLOW_INVALID_DATES,HIGH_NOT_PRECEDENCE'",
			"'STRICT_ALL_TABLES,NO_ZERO_DATE'", "'PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'", "'ANSI'"),
		"SET lc_time_names = " + pick(r, "'en_US'", "'de_DE'", "'ja_JP'"),
		"SET auto_increment_increment = " + pick(r, "1", "1", "3"),
		"SET auto_increment_offset = " + pick(r, "1", "2"),
		"SET foreign_key_checks = " + pick(r, "1", "1", "1", "0"),
		"SET unique_checks = " + pick(r, "1", "1", "0"),
		"SET timestamp = " + pick(r, "DEFAULT", "1700000000.123456", "1700000000"),
		"SET NAMES " + pick(r, "utf8mb4", "utf8mb4", "latin1", "utf8mb4 COLLATE utf8mb4_bin"),
		"SET SESSION binlog_row_image = " + pick(r, g.mix.images...),
	}
	format := pick(r, g.mix.formats...)
	statements = append(statements, "SET SESSION binlog_format = "+format)
	if g.product == testrig.MySQL {
		json, compress := "''", "OFF"
		if chance(r, g.mix.partialJSON) {
			json = "'PARTIAL_JSON'"
		}
		if chance(r, g.mix.compression) {
			compress = "ON"
		}
		statements = append(statements, "SET SESSION binlog_row_value_options = "+json, "SET SESSION binlog_transaction_compression = "+compress,
			"SET SESSION sql_generate_invisible_primary_key = "+pick(r, "OFF", "OFF", "ON"))
	}
	for _, statement := range statements {
		done, err := g.run(s, statement)
		if err != nil {
			return err
		}
		if done && strings.Contains(statement, "binlog_format") {
			s.format = format
		}
	}
	return nil
}

// ddl runs one statement that is no change of rows, and looks at the tables again.
func (g *gen) ddl(s *session) error {
	statements := g.ddlStatements()
	for _, statement := range statements {
		if _, err := g.run(s, statement); err != nil {
			return err
		}
	}
	return g.look()
}

func (g *gen) ddlStatements() []string {
	r := g.r
	schema := pick(r, g.schemas...)
	if len(g.tables) == 0 || chance(r, 15) {
		var made []string
		for range 4 { // one of them is likely to be a table that the source takes
			made = append(made, g.createTable(schema+"."+g.name("t")))
		}
		return made
	}
	t := pick(r, g.tables...)
	switch r.IntN(12) {
	case 0:
		return []string{"TRUNCATE TABLE " + t.String()}
	case 1:
		to := schema + "." + g.name("r")
		return []string{fmt.Sprintf("RENAME TABLE %s TO %s", t, to)}
	case 2:
		return []string{fmt.Sprintf("CREATE TABLE %s.%s %sAS SELECT * FROM %s", schema, g.name("s"), pick(r, "", "(PRIMARY KEY (x)) "), t)}
	case 3:
		return []string{fmt.Sprintf("CREATE TABLE %s.%s LIKE %s", schema, g.name("l"), t)}
	case 4:
		if len(g.tables) < 4 {
			return []string{"ANALYZE TABLE " + t.String()}
		}
		return []string{"DROP TABLE " + t.String()}
	case 5:
		return g.codeObjects(schema, t)
	default:
		what := g.alteration(t)
		alter := "ALTER TABLE "
		if g.product == testrig.MariaDB && strings.HasPrefix(what, "ADD UNIQUE") {
			alter = "ALTER IGNORE TABLE " // of rows that are alike the first one stays
		}
		return []string{alter + t.String() + " " + what}
	}
}

func (g *gen) alteration(t *table) string {
	r := g.r
	c := pick(r, t.columns...)
	switch r.IntN(12) {
	case 0, 1:
		kind := anyType(r, g.product)
		if len(t.unique) == 0 && strings.Contains(c.columnType, "int") { // numbered as its rows lie
			kind = "INT NOT NULL AUTO_INCREMENT PRIMARY KEY"
		}
		return fmt.Sprintf("ADD COLUMN %s %s%s", g.name("x"), kind, pick(r, "", " FIRST", fmt.Sprintf(" AFTER `%s`", c.name)))
	case 2:
		return fmt.Sprintf("DROP COLUMN `%s`", c.name)
	case 3:
		return fmt.Sprintf("MODIFY COLUMN `%s` %s", c.name, anyType(r, g.product))
	case 4:
		return fmt.Sprintf("RENAME COLUMN `%s` TO %s", c.name, g.name("x"))
	case 5:
		return fmt.Sprintf("DROP PRIMARY KEY, ADD PRIMARY KEY (`%s`)", c.name)
	case 6:
		return fmt.Sprintf("ADD UNIQUE KEY %s (`%s`)", g.name("u"), c.name)
	case 7:
		return fmt.Sprintf("ADD KEY %s (`%s`)", g.name("k"), c.name)
	case 8:
		return fmt.Sprintf("AUTO_INCREMENT = %d", 100+r.IntN(900))
	case 9:
		return g.generatedAddition(t)
	case 10:
		return "DROP PRIMARY KEY"
	default:
		return pick(r, "ENGINE=InnoDB", "COMMENT 'x'", "CONVERT TO "+strings.TrimSpace(collate(r, g.product)), "ADD PRIMARY KEY ("+fmt.Sprintf("`%s`", c.name)+")")
	}
}

func (g *gen) generatedAddition(t *table) string {
	var from []string
	for _, c := range t.plain() {
		from = append(from, "`"+c.name+"`")
	}
	if len(from) == 0 {
		return "COMMENT 'none'"
	}
	return fmt.Sprintf("ADD COLUMN %s BIGINT AS (LENGTH(%s)) %s", g.name("g"), pick(g.r, from...), pick(g.r, "VIRTUAL", "STORED"))
}

// codeObjects are views, triggers, procedures, accounts: what the log holds as statements.
func (g *gen) codeObjects(schema string, t *table) []string {
	name := g.name("o")
	switch g.r.IntN(5) {
	case 0:
		return []string{fmt.Sprintf("CREATE VIEW %s.%s AS SELECT * FROM %s", schema, name, t)}
	case 1:
		i := slices.IndexFunc(t.columns, func(c *column) bool { return c.dataType == "int" && !c.generated && !c.auto })
		if i < 0 {
			return []string{"DO 0"}
		}
		return []string{fmt.Sprintf("CREATE TRIGGER `%s`.%s BEFORE INSERT ON %s FOR EACH ROW SET NEW.`%s` = NEW.`%s` + 0", t.schema, name, t, t.columns[i].name, t.columns[i].name)}
	case 2:
		return []string{fmt.Sprintf("CREATE PROCEDURE %s.%s() BEGIN DELETE FROM %s LIMIT 1; %s; END", schema, name, t, g.insert(t, true)),
			fmt.Sprintf("CALL %s.%s()", schema, name)}
	case 3:
		return []string{fmt.Sprintf("CREATE USER proof%s@localhost", name), fmt.Sprintf("GRANT SELECT ON %s TO proof%s@localhost", t, name)}
	default:
		return []string{fmt.Sprintf("CREATE FUNCTION %s.%s() RETURNS INT DETERMINISTIC RETURN 7", schema, name)}
	}
}

// temporaryTable makes a temporary table in a session, or drops one.
func (g *gen) temporaryTable(s *session) error {
	if len(s.temp) > 0 && chance(g.r, 40) {
		t := s.temp[0]
		s.temp = s.temp[1:]
		_, err := g.run(s, "DROP TEMPORARY TABLE "+t.String())
		return err
	}
	schema, name := "d1", g.name("tmp")
	done, err := g.run(s, fmt.Sprintf("CREATE TEMPORARY TABLE %s.%s (a INT NOT NULL PRIMARY KEY, b VARCHAR(30), n INT)", schema, name))
	if err != nil || !done {
		return err
	}
	s.temp = append(s.temp, &table{schema: schema, name: name, unique: [][]string{{"a"}}, columns: []*column{
		{name: "a", dataType: "int"}, {name: "b", dataType: "varchar", length: 30, nullable: true}, {name: "n", dataType: "int", nullable: true}}})
	if len(g.tables) == 0 {
		return nil
	}
	// What it holds goes into a table that stays.
	t := pick(g.r, g.tables...)
	_, err = g.run(s, fmt.Sprintf("INSERT IGNORE INTO %s (%s) SELECT b FROM %s.%s ORDER BY a", t, names(t.plain()[:1]), schema, name))
	return err
}

// xa is an XA transaction, finished at once mostly, or left open.
func (g *gen) xa(s *session) error {
	id := quote(g.name("xa"))
	statements := []string{"XA START " + id}
	for range 1 + g.r.IntN(3) {
		statements = append(statements, g.change(s))
	}
	statements = append(statements, "XA END "+id)
	switch g.r.IntN(5) {
	case 0:
		statements = append(statements, "XA COMMIT "+id+" ONE PHASE")
	case 1:
		statements = append(statements, "XA PREPARE "+id, "XA ROLLBACK "+id)
	default:
		statements = append(statements, "XA PREPARE "+id, "XA COMMIT "+id)
	}
	for _, statement := range statements {
		if _, err := g.run(s, statement); err != nil {
			return err
		}
	}
	return nil
}
