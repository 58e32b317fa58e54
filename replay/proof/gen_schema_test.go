package proof

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"interlock/internal/testrig"
)

// column is a column as the source describes it.
type column struct {
	name, dataType, columnType, extra string
	length                            int // characters; 0 where it has none
	nullable, generated, auto         bool
}

// table is a table as the source describes it: the generator looks again after every DDL, so that it needs no
// model of what DDL does.
type table struct {
	schema, name string
	engine       string
	columns      []*column
	unique       [][]string // columns of its unique indexes, the primary key first
}

func (t *table) String() string { return "`" + t.schema + "`.`" + t.name + "`" }

// plain are the columns that a statement may write.
func (t *table) plain() []*column {
	var plain []*column
	for _, c := range t.columns {
		if !c.generated {
			plain = append(plain, c)
		}
	}
	return plain
}

// createTable is the text of a random table. Some are refused by the server: the caller tries again.
func (g *gen) createTable(name string) string {
	r := g.r
	var lines, plain []string
	add := func(column, declaration string) {
		lines = append(lines, column+" "+declaration)
		plain = append(plain, column)
	}
	tail := g.keyColumns(add)
	for i := range 1 + r.IntN(6) {
		declaration := anyType(r, g.product)
		if !strings.Contains(declaration, "NOT NULL") && chance(r, 30) {
			declaration += " NOT NULL"
		}
		if chance(r, 5) && i > 0 {
			declaration += " INVISIBLE"
		}
		add(fmt.Sprintf("c%d", i), declaration)
	}
	tail = anotherKey(lines, tail)
	if chance(r, 40) {
		add("n", "INT DEFAULT 3")
		add("s", "VARCHAR(30)"+collate(r, g.product)+" DEFAULT 'abc'")
		tail = append(tail, g.secondaryKeys()...)
	}
	if chance(r, 10) {
		add("d", g.expressionDefault())
	}
	if chance(r, 25) {
		lines = append(lines, g.generatedColumn("g1", plain))
		if chance(r, 50) {
			tail = append(tail, pick(r, "KEY kg (g1)", "UNIQUE KEY ug (g1)"))
		}
	}
	if chance(r, 5) {
		lines = append(lines, "j JSON")
		if g.product == testrig.MySQL {
			tail = append(tail, pick(r, "KEY kmv ((CAST(j->'$' AS UNSIGNED ARRAY)))", "UNIQUE KEY umv ((CAST(j->'$' AS UNSIGNED ARRAY)))"))
		}
	}
	engine := "InnoDB"
	if chance(r, g.mix.otherEngines) {
		engine = "MyISAM"
	}
	options := " ENGINE=" + engine
	if chance(r, 10) {
		options += pick(r, " ROW_FORMAT=COMPACT", " ROW_FORMAT=COMPRESSED", " AUTO_INCREMENT=50")
	}
	return fmt.Sprintf("CREATE TABLE %s (%s)%s", name, strings.Join(append(lines, tail...), ", "), options)
}

// keyColumns adds the columns of the table's first key and returns the key.
func (g *gen) keyColumns(add func(column, declaration string)) (keys []string) {
	r := g.r
	switch r.IntN(12) {
	case 0, 1, 2:
		add("id", pick(r, "INT", "BIGINT", "BIGINT UNSIGNED", "SMALLINT UNSIGNED")+" NOT NULL AUTO_INCREMENT PRIMARY KEY")
	case 3, 4, 5:
		add("k1", keyType(r, g.product))
		return []string{"PRIMARY KEY (k1)"}
	case 6, 7:
		add("k1", keyType(r, g.product))
		add("k2", keyType(r, g.product))
		return []string{"PRIMARY KEY (k2, k1)"}
	case 8:
		add("k1", strings.Split(keyType(r, g.product), " NOT NULL")[0]+" NOT NULL")
		return []string{"UNIQUE KEY (k1)"}
	case 9:
		add("k1", keyType(r, g.product)+" NULL")
		return []string{"UNIQUE KEY (k1)"}
	case 10:
		add("id", "INT NOT NULL AUTO_INCREMENT")
		add("k1", keyType(r, g.product))
		return []string{"PRIMARY KEY (k1, id)", "KEY (id)"}
	}
	return nil // no key at all
}

// anotherKey gives a table whose key is a unique one a second one over NOT NULL columns, before or behind it and by a
// name that sorts before or behind its: servers take the first by their order. The table itself decides, so that what a seed
// makes is the same but for that key, which no row can violate.
func anotherKey(lines, keys []string) []string {
	if len(keys) != 1 || keys[0] != "UNIQUE KEY (k1)" || !strings.HasSuffix(lines[0], " NOT NULL") {
		return keys
	}
	h := fnv.New32a()
	h.Write([]byte(strings.Join(lines, ",")))
	chosen := h.Sum32() >> 8
	long := regexp.MustCompile("TEXT|BLOB|JSON|GEOMETRY|POINT|LINESTRING|POLYGON|VECTOR|COMPRESSED")
	for _, line := range lines[1:] {
		if !strings.HasSuffix(line, " NOT NULL") || long.MatchString(line) {
			continue
		}
		column, _, _ := strings.Cut(line, " ")
		other := fmt.Sprintf("UNIQUE KEY %s (%s, k1)", []string{"a", "z"}[chosen&1], column)
		if chosen&2 == 0 {
			return []string{other, keys[0]}
		}
		return []string{keys[0], other}
	}
	return keys
}

// secondaryKeys are indexes over n and s: plain, unique, prefix, functional.
func (g *gen) secondaryKeys() []string {
	r := g.r
	keys := []string{"KEY kn (n)", "UNIQUE KEY un (n)", "UNIQUE KEY us (s)", "UNIQUE KEY uns (n, s)", "KEY ks (s(3))", "UNIQUE KEY up (s(3))"}
	if g.product == testrig.MySQL {
		keys = append(keys, "UNIQUE KEY uf ((LOWER(s)))", "KEY kf ((n * 2))", "UNIQUE KEY uf2 ((n + 1))")
	}
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:1+r.IntN(2)]
}

func (g *gen) expressionDefault() string {
	if g.product == testrig.MySQL {
		return pick(g.r, "VARCHAR(40) DEFAULT (CONCAT('x', 1 + 1))", "DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", "JSON DEFAULT (JSON_ARRAY(1))")
	}
	return pick(g.r, "VARCHAR(40) DEFAULT (CONCAT('x', 1 + 1))", "DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", "TEXT DEFAULT 'abc'")
}

// generatedColumn depends on another column, and now and then on the session's context too.
func (g *gen) generatedColumn(name string, from []string) string {
	r := g.r
	of := pick(r, from...)
	kind := pick(r, "VIRTUAL", "STORED")
	// What depends on the session is stored: an index over it as a virtual column is corrupt on the source itself
	// once two sessions with other settings have touched it.
	pickKind := r.IntN(6)
	if pickKind < 2 && !chance(r, g.mix.contextual) {
		pickKind = 5
	}
	switch pickKind {
	case 0:
		return fmt.Sprintf("ts TIMESTAMP(3) NOT NULL DEFAULT '2020-01-01 00:00:00', %s VARCHAR(60) AS (CAST(ts AS CHAR)) STORED", name)
	case 1:
		return fmt.Sprintf("gd DATETIME, %s VARCHAR(60) AS (DATE_FORMAT(gd, '%%W %%M')) STORED", name)
	case 2:
		return fmt.Sprintf("%s BIGINT AS (LENGTH(%s) + 1) %s", name, of, kind)
	case 3:
		return fmt.Sprintf("gx INT DEFAULT 4, gy INT, %s INT AS (gx * 2 + gy) %s", name, kind)
	case 4:
		return fmt.Sprintf("%s VARCHAR(100) AS (CONCAT('p', LEFT(%s, 20))) %s", name, of, kind)
	default:
		return fmt.Sprintf("gs VARCHAR(20), %s VARCHAR(60) AS (UPPER(gs)) %s", name, kind)
	}
}

// family is parents and children tied by foreign keys, with every action, one of them to itself.
func (g *gen) family(schema string) []string {
	r := g.r
	actions := []string{"CASCADE", "SET NULL", "RESTRICT", "NO ACTION", "CASCADE", "CASCADE"}
	// The types of keys that a parent and its child share; equal under the collation is enough to belong together.
	kind := pick(r, "INT", "BIGINT UNSIGNED", "VARCHAR(20)"+collate(r, g.product), "VARBINARY(8)", "DATETIME(3)")
	on := func() string { return " ON DELETE " + pick(r, actions...) + " ON UPDATE " + pick(r, actions...) }
	out := []string{
		fmt.Sprintf("CREATE TABLE %s.fp (id %s NOT NULL PRIMARY KEY, u INT UNIQUE, v VARCHAR(20))", schema, kind),
		fmt.Sprintf("CREATE TABLE %s.fc (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, p %s, q INT, FOREIGN KEY (p) REFERENCES %s.fp (id)%s, FOREIGN KEY (q) REFERENCES %s.fp (u)%s)",
			schema, kind, schema, on(), schema, on()),
	}
	if chance(r, 60) {
		out = append(out, fmt.Sprintf("CREATE TABLE %s.fg (p INT NOT NULL, x INT, UNIQUE KEY (x), KEY (p), FOREIGN KEY (p) REFERENCES %s.fc (id)%s)",
			schema, schema, " ON DELETE CASCADE ON UPDATE "+pick(r, "CASCADE", "RESTRICT")))
	}
	if chance(r, 50) {
		out = append(out, fmt.Sprintf("CREATE TABLE %s.fself (id INT NOT NULL PRIMARY KEY, boss INT, KEY (boss), FOREIGN KEY (boss) REFERENCES %s.fself (id) ON DELETE %s)",
			schema, schema, pick(r, "CASCADE", "SET NULL", "RESTRICT")))
	}
	return out
}
