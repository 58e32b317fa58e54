package proof

import (
	"fmt"
	"slices"
	"strings"

	"interlock/internal/testrig"
)

// transaction is BEGIN, changes with savepoints between, COMMIT or ROLLBACK.
func (g *gen) transaction(s *session) error {
	r := g.r
	statements := []string{"BEGIN"}
	savepoints := 0
	for range 1 + r.IntN(5) {
		if chance(r, g.mix.savepoints) {
			savepoints++
			statements = append(statements, fmt.Sprintf("SAVEPOINT s%d", savepoints))
		}
		statements = append(statements, g.changes(s)...)
		if savepoints > 0 && chance(r, 40) {
			statements = append(statements, fmt.Sprintf("ROLLBACK TO s%d", 1+r.IntN(savepoints)))
		}
	}
	end := "COMMIT"
	if chance(r, 6) {
		end = "ROLLBACK"
	}
	for _, statement := range append(statements, end) {
		if _, err := g.run(s, statement); err != nil {
			return err
		}
	}
	return nil
}

// changes are one statement, or a few that only make sense together.
func (g *gen) changes(s *session) []string {
	t := g.table(s)
	if t == nil {
		return []string{"DO 0"}
	}
	switch g.r.IntN(14) {
	case 0:
		return g.swap(t)
	case 1:
		return g.chain(t)
	case 2:
		return g.topRow(t)
	default:
		return []string{g.change(s)}
	}
}

// table picks a table, a temporary one of the session now and then.
func (g *gen) table(s *session) *table {
	if len(s.temp) > 0 && chance(g.r, 30) {
		return pick(g.r, s.temp...)
	}
	if len(g.tables) == 0 {
		return nil
	}
	return pick(g.r, g.tables...)
}

// change is one statement that changes rows.
func (g *gen) change(s *session) string {
	t := g.table(s)
	if t == nil || len(t.plain()) == 0 {
		return "DO 0"
	}
	// What a statement does again must not depend on the order in which rows are found.
	again := s.format != "ROW"
	switch g.r.IntN(20) {
	case 0, 1, 2, 3, 4, 5:
		return g.insert(t, again)
	case 6:
		return strings.Replace(g.insert(t, again), "INSERT", "REPLACE", 1)
	case 7:
		return g.insert(t, again) + " ON DUPLICATE KEY UPDATE " + g.assignments(t, false)
	case 8:
		return strings.Replace(g.insert(t, again), "INSERT", "INSERT IGNORE", 1)
	case 9:
		return g.insertSelect(t, again)
	case 10, 11, 12, 13, 14, 15:
		ignore := pick(g.r, "", "", "IGNORE ")
		if again { // which of two rows collides with the other depends on the order, as it does for c = c + 1
			ignore = ""
		}
		return "UPDATE " + ignore + t.String() + " SET " + g.assignments(t, !again) + g.where(t, again)
	case 16, 17:
		return "DELETE FROM " + t.String() + g.where(t, again)
	case 18:
		return g.twoTables(t, s)
	default:
		return g.partialJSON(t, again)
	}
}

func names(columns []*column) string {
	var out []string
	for _, c := range columns {
		out = append(out, "`"+c.name+"`")
	}
	return strings.Join(out, ", ")
}

// some are a random subset of the table's columns, in random order, but mostly all of them.
func (g *gen) some(t *table) []*column {
	columns := slices.Clone(t.plain())
	columns = slices.DeleteFunc(columns, func(c *column) bool { return c.auto && chance(g.r, 60) || c.name == "my_row_id" && chance(g.r, 90) })
	if chance(g.r, 30) {
		columns = slices.DeleteFunc(columns, func(*column) bool { return chance(g.r, 30) })
	}
	return columns
}

func (g *gen) insert(t *table, again bool) string {
	columns := g.some(t)
	var rows []string
	for range 1 + g.r.IntN(4) {
		var values []string
		for _, c := range columns {
			values = append(values, g.value(t, c))
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", t, names(columns), strings.Join(rows, ", "))
}

func (g *gen) value(t *table, c *column) string {
	if strings.HasPrefix(t.name, "f") && (c.dataType == "int" || c.dataType == "bigint") {
		return fmt.Sprint(g.r.IntN(8)) // families: children find their parents
	}
	return value(g.r, g.product, c)
}

// insertSelect takes its rows from another table, or many of them from nowhere.
func (g *gen) insertSelect(t *table, again bool) string {
	columns := g.some(t)
	if len(columns) == 0 {
		return "DO 0"
	}
	var values []string
	for _, c := range columns {
		v := g.value(t, c)
		switch c.dataType {
		case "int", "bigint", "decimal", "double":
			v = "x.i * 7 + " + fmt.Sprint(g.r.IntN(300))
		case "varchar", "text", "varbinary":
			v = "CONCAT('m', x.i)"
		}
		values = append(values, v)
	}
	count := pick(g.r, 3, 10, 10, 10, 10, 200, 200, 900)
	from := fmt.Sprintf("seq_1_to_%d", count)
	with := fmt.Sprintf("(SELECT seq AS i FROM %s) x", from)
	if g.product == testrig.MySQL {
		with = fmt.Sprintf("(WITH RECURSIVE q (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM q WHERE i < %d) SELECT i FROM q) x", count)
	}
	order := ""
	if again {
		order = " ORDER BY x.i"
	}
	return fmt.Sprintf("INSERT IGNORE INTO %s (%s) SELECT %s FROM %s%s", t, names(columns), strings.Join(values, ", "), with, order)
}

// assignments set one to three columns; keys too.
func (g *gen) assignments(t *table, expressions bool) string {
	columns := slices.Clone(t.plain())
	g.r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	var out []string
	for _, c := range columns[:min(len(columns), 1+g.r.IntN(3))] {
		v := g.value(t, c)
		if expressions && chance(g.r, 25) {
			switch c.dataType {
			case "tinyint", "smallint", "int", "bigint", "decimal", "double", "float":
				v = fmt.Sprintf("`%s` + %s", c.name, pick(g.r, "1", "1", "100", "-1"))
			case "varchar", "text", "char", "varbinary", "blob":
				v = fmt.Sprintf(pick(g.r, "UPPER(`%s`)", "LOWER(`%s`)", "CONCAT(`%s`, ' ')", "CONCAT(`%s`, 'x')"), c.name)
			}
		}
		out = append(out, "`"+c.name+"` = "+v)
	}
	return strings.Join(out, ", ")
}

// where finds a few rows, by key mostly.
func (g *gen) where(t *table, again bool) string {
	columns := t.columns
	c := pick(g.r, columns...)
	if len(t.unique) > 0 && chance(g.r, 60) {
		name := t.unique[0][0]
		if i := slices.IndexFunc(columns, func(c *column) bool { return c.name == name }); i >= 0 {
			c = columns[i]
		}
	}
	condition := fmt.Sprintf(" WHERE `%s` %s %s", c.name, pick(g.r, "=", "=", "=", "<", ">="), g.value(t, c))
	switch {
	case chance(g.r, 8):
		condition = fmt.Sprintf(" WHERE `%s` IS NULL", c.name)
	case chance(g.r, 3):
		condition = ""
	}
	if !again && chance(g.r, 70) {
		condition += fmt.Sprintf(" LIMIT %d", 1+g.r.IntN(8))
	}
	return condition
}

// swap exchanges two values of a unique column through a third, as an application must.
func (g *gen) swap(t *table) []string {
	if len(t.unique) == 0 {
		return []string{g.insert(t, true)}
	}
	name := pick(g.r, pick(g.r, t.unique...)...)
	i := slices.IndexFunc(t.columns, func(c *column) bool { return c.name == name && !c.generated })
	if i < 0 {
		return []string{g.insert(t, true)}
	}
	c := t.columns[i]
	a, b, away := g.value(t, c), g.value(t, c), g.value(t, c)
	set := func(to, from string) string {
		return fmt.Sprintf("UPDATE %s SET `%s` = %s WHERE `%s` = %s", t, name, to, name, from)
	}
	return []string{set(away, a), set(a, b), set(b, away)}
}

// chain deletes rows and brings some of them back, changed.
func (g *gen) chain(t *table) []string {
	var out []string
	for range 2 + g.r.IntN(3) {
		out = append(out, "DELETE FROM "+t.String()+g.where(t, true), g.insert(t, true),
			"UPDATE "+t.String()+" SET "+g.assignments(t, false)+g.where(t, true))
	}
	return out
}

// topRow inserts a row with the largest number and deletes it, which moves the counter alone.
func (g *gen) topRow(t *table) []string {
	i := slices.IndexFunc(t.columns, func(c *column) bool { return c.auto })
	if i < 0 {
		return []string{g.insert(t, true)}
	}
	name := t.columns[i].name
	top := fmt.Sprint(300 + g.r.IntN(3000))
	statements := []string{fmt.Sprintf("INSERT INTO %s (`%s`) VALUES (%s)", t, name, top)}
	if chance(g.r, 30) {
		statements = []string{g.insert(t, true), fmt.Sprintf("UPDATE %s SET `%s` = %s ORDER BY `%s` DESC LIMIT 1", t, name, top, name)}
	}
	if chance(g.r, 70) {
		statements = append(statements, fmt.Sprintf("DELETE FROM %s WHERE `%s` = %s", t, name, top))
	}
	return statements
}

// twoTables changes or deletes in two tables at once.
func (g *gen) twoTables(t *table, s *session) string {
	o := g.table(s)
	if o == nil || o == t || len(o.plain()) == 0 {
		return g.insert(t, true)
	}
	a, b := pick(g.r, t.plain()...), pick(g.r, o.plain()...)
	on := fmt.Sprintf("a.`%s` = %s AND b.`%s` = %s", a.name, g.value(t, a), b.name, g.value(o, b))
	if chance(g.r, 40) {
		return fmt.Sprintf("DELETE a, b FROM %s a JOIN %s b WHERE %s", t, o, on)
	}
	return fmt.Sprintf("UPDATE %s a JOIN %s b SET a.`%s` = %s, b.`%s` = %s WHERE %s", t, o, a.name, g.value(t, a), b.name, g.value(o, b), on)
}

// partialJSON changes a document in a way that can be logged as a difference.
func (g *gen) partialJSON(t *table, again bool) string {
	i := slices.IndexFunc(t.columns, func(c *column) bool { return c.dataType == "json" && !c.generated })
	if i < 0 {
		return "UPDATE " + t.String() + " SET " + g.assignments(t, !again) + g.where(t, again)
	}
	change := pick(g.r, "JSON_SET(`%s`, '$.c', 'short')", "JSON_REPLACE(`%s`, '$.a', 'xy')", "JSON_REMOVE(`%s`, '$.b')", "JSON_SET(`%s`, '$.b[1]', 7)")
	name := t.columns[i].name
	return "UPDATE " + t.String() + " SET `" + name + "` = " + fmt.Sprintf(change, name) + g.where(t, again)
}
