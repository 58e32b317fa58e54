package proof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"interlock/internal/testrig"
)

// special is material that a few workloads have. Which ones, and when, a stream of random numbers of its own decides, so
// that a workload with none of it is what it was before there was any.
type special struct {
	name  string
	only  testrig.Product // empty: both
	begin func(g *gen) []string
	step  func(g *gen) []string
}

// specials are all of them, in the order in which they are drawn.
var specials = []special{
	{name: "partitions", begin: (*gen).beginPartitions, step: (*gen).partitions},
	{name: "checks", begin: (*gen).beginChecks, step: (*gen).checks},
	{name: "keys between schemas", begin: (*gen).beginKeysBetween, step: (*gen).keysBetween},
	{name: "triggers", begin: (*gen).beginTriggers, step: (*gen).triggers},
	{name: "routines", begin: (*gen).beginRoutines, step: (*gen).routines},
	{name: "events", begin: (*gen).beginEvents, step: (*gen).events},
	{name: "full-text", begin: (*gen).beginFullText, step: (*gen).fullText},
	{name: "views", begin: (*gen).beginViews, step: (*gen).views},
	{name: "sequences", only: testrig.MariaDB, begin: (*gen).beginSequences, step: (*gen).sequences},
	{name: "random defaults", begin: (*gen).beginDefaults, step: (*gen).defaults},
	{name: "members", begin: (*gen).beginMembers, step: (*gen).members},
	{name: "instant", begin: (*gen).beginInstant, step: (*gen).instant},
	{name: "renames", begin: (*gen).beginRenames, step: (*gen).renames},
	{name: "charsets", begin: (*gen).beginCharsets, step: (*gen).charsets},
	{name: "nodup", only: testrig.MariaDB}, // an image: see chooseSpecials
}

const (
	specialOften = 9  // percent of workloads that have a special: a third has none
	specialSteps = 20 // percent of the steps of such a workload
)

// chooseSpecials draws what a workload has, and the row images and formats that go with it.
func (m *mix) chooseSpecials(r *rand.Rand, p testrig.Product) {
	for _, sp := range specials {
		if !chance(r, specialOften) || sp.only != "" && sp.only != p {
			continue
		}
		m.specials = append(m.specials, sp.name)
	}
	has := func(name string) bool { return slices.Contains(m.specials, name) }
	if has("nodup") { // MariaDB 11.4 and later; an older one refuses it and goes on with what it had
		m.images = append(m.images, "FULL_NODUP", "FULL_NODUP")
		m.contexts = max(m.contexts, 20)
	}
	if (has("triggers") || has("routines") || has("full-text")) && chance(r, 60) {
		m.formats = append(m.formats, "MIXED", "STATEMENT")
		m.contexts = max(m.contexts, 20)
	}
	if has("random defaults") { // logged as a statement such a default is another one everywhere
		m.formats = slices.DeleteFunc(slices.Clone(m.formats), func(f string) bool { return f == "STATEMENT" })
	}
}

// special runs a step of one of the workload's specials, the first time what makes its tables.
func (g *gen) special(s *session) error {
	name := pick(g.more, g.mix.specials...)
	sp := specials[slices.IndexFunc(specials, func(sp special) bool { return sp.name == name })]
	if sp.begin == nil {
		return nil
	}
	statements := sp.step
	if !g.begun[name] {
		g.begun[name], statements = true, sp.begin
	}
	for _, statement := range statements(g) {
		if _, err := g.run(s, statement); err != nil {
			return err
		}
	}
	return g.look()
}

// of is some of several statements, in random order and perhaps twice.
func (g *gen) of(most int, statements ...string) []string {
	var out []string
	for range 1 + g.more.IntN(most) {
		out = append(out, pick(g.more, statements...))
	}
	return out
}

// n is a number below a bound.
func (g *gen) n(below int) int { return g.more.IntN(below) }

func (g *gen) beginPartitions() []string {
	ranges := " PARTITION BY RANGE (d) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN (1000))"
	return []string{
		"CREATE TABLE d1.pr (id INT NOT NULL, d INT NOT NULL, a VARCHAR(20), PRIMARY KEY (id, d))" + ranges,
		"CREATE TABLE d1.pe (id INT NOT NULL, d INT NOT NULL, a VARCHAR(20), PRIMARY KEY (id, d))",
		"CREATE TABLE d1.pn (d INT, a INT)" + ranges,
		"CREATE TABLE d1.ph (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT) PARTITION BY HASH (id) PARTITIONS 3",
		"CREATE TABLE d1.pk (k VARCHAR(20) NOT NULL, a INT, UNIQUE KEY (k)) PARTITION BY " + pick(g.more, "", "LINEAR ") + "KEY (k) PARTITIONS 2",
		"INSERT INTO d1.pr VALUES (1, 5, 'a'), (2, 15, 'b'), (3, 25, 'c'), (4, 7, 'd')",
		"INSERT INTO d1.pn VALUES (1, 1), (1, 1), (11, 2), (30, 3)",
		"INSERT INTO d1.ph (a) VALUES (1), (2), (3), (4), (5)",
		"INSERT INTO d1.pk VALUES ('a', 1), ('b', 2), ('c', 3)",
	}
}

func (g *gen) partitions() []string {
	ranged, counted := pick(g.more, "d1.pr", "d1.pr", "d1.pn"), pick(g.more, "d1.ph", "d1.pk")
	statements := g.of(4,
		fmt.Sprintf("REPLACE INTO d1.pr VALUES (%d, %d, 'r'), (%d, 15, 's')", g.n(12), g.n(40), g.n(12)),
		fmt.Sprintf("UPDATE d1.pr SET d = d + 10, a = 'moved' WHERE id = %d ORDER BY d DESC", g.n(12)),
		fmt.Sprintf("DELETE FROM d1.pr WHERE d < %d", g.n(20)),
		fmt.Sprintf("INSERT INTO d1.pn VALUES (%d, %d), (%d, 1)", g.n(40), g.n(3), g.n(40)),
		fmt.Sprintf("UPDATE d1.pn SET d = d + 7 WHERE a = %d", g.n(4)),
		fmt.Sprintf("INSERT IGNORE INTO d1.pe VALUES (%d, %d, 'e')", g.n(12), 10+g.n(10)),
		fmt.Sprintf("INSERT INTO d1.ph (a) VALUES (%d), (%d)", g.n(9), g.n(9)),
		fmt.Sprintf("UPDATE d1.ph SET id = id + 50 WHERE a = %d ORDER BY id DESC", g.n(9)),
		fmt.Sprintf("REPLACE INTO d1.pk VALUES ('%c', %d)", 'a'+rune(g.n(6)), g.n(9)))
	name := g.name("p")
	return append(statements, pick(g.more,
		fmt.Sprintf("ALTER TABLE %s ADD PARTITION (PARTITION %s VALUES LESS THAN (%d))", ranged, name, 1000+g.number),
		fmt.Sprintf("ALTER TABLE %s DROP PARTITION %s", ranged, pick(g.more, "p0", "p1")),
		fmt.Sprintf("ALTER TABLE %s TRUNCATE PARTITION %s", ranged, pick(g.more, "p0", "p1", "p2")),
		"ALTER TABLE d1.pr EXCHANGE PARTITION p1 WITH TABLE d1.pe",
		fmt.Sprintf("ALTER TABLE %s REORGANIZE PARTITION p2 INTO (PARTITION %s VALUES LESS THAN (%d), PARTITION p2 VALUES LESS THAN (1000))", ranged, name, 20+g.number),
		fmt.Sprintf("ALTER TABLE %s REORGANIZE PARTITION p0, p1 INTO (PARTITION p1 VALUES LESS THAN (20))", ranged),
		fmt.Sprintf("ALTER TABLE %s ADD PARTITION PARTITIONS %d", counted, 1+g.n(2)),
		fmt.Sprintf("ALTER TABLE %s COALESCE PARTITION 1", counted),
		fmt.Sprintf("ALTER TABLE %s REMOVE PARTITIONING", counted),
		"ALTER TABLE d1.ph PARTITION BY HASH (id) PARTITIONS 4",
		"ALTER TABLE d1.pr REBUILD PARTITION ALL"))
}

func (g *gen) beginChecks() []string {
	return []string{"CREATE TABLE d1.ck (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT CHECK (a < 30), b INT, c VARCHAR(20), CONSTRAINT ck1 CHECK (b <> a), CONSTRAINT ck2 CHECK (CHAR_LENGTH(c) < 15))",
		"CREATE TABLE d1.cn (a INT, c VARCHAR(20), CHECK (a <> 7 OR c = 'seven'))",
		"INSERT INTO d1.ck (a, b, c) VALUES (1, 2, 'x'), (3, 4, 'y'), (5, 6, NULL)"}
}

func (g *gen) checks() []string {
	statements := g.of(5,
		fmt.Sprintf("INSERT INTO d1.ck (a, b, c) VALUES (%d, %d, 'c')", g.n(40), g.n(40)),
		fmt.Sprintf("INSERT IGNORE INTO d1.ck (a, b, c) VALUES (%d, %d, REPEAT('c', %d)), (1, 1, 'both'), (%d, 50, 'one')", g.n(40), g.n(40), g.n(20), g.n(40)),
		fmt.Sprintf("UPDATE d1.ck SET a = a + 9 WHERE id < %d", g.n(20)),
		fmt.Sprintf("UPDATE d1.ck SET b = %d, c = CONCAT(c, 'z') WHERE id = %d", g.n(40), g.n(20)),
		fmt.Sprintf("DELETE FROM d1.ck WHERE b = %d", g.n(40)),
		fmt.Sprintf("INSERT INTO d1.cn VALUES (%d, 'seven'), (%d, 'other')", g.n(9), g.n(7)),
		"UPDATE d1.cn SET a = a + 1")
	alter := []string{"ALTER TABLE d1.ck ADD CONSTRAINT ck3 CHECK (a + b < 60)", "ALTER TABLE d1.ck DROP CONSTRAINT ck3", "ALTER TABLE d1.ck DROP CONSTRAINT ck1",
		"ALTER TABLE d1.ck ADD CONSTRAINT ck1 CHECK (b <> a)"}
	if g.product == testrig.MySQL {
		alter = append(alter, "ALTER TABLE d1.ck ALTER CHECK ck1 NOT ENFORCED", "ALTER TABLE d1.ck ALTER CHECK ck1 ENFORCED")
	}
	if chance(g.more, 40) {
		statements = append(statements, pick(g.more, alter...))
	}
	return statements
}

func (g *gen) beginKeysBetween() []string {
	actions := []string{"CASCADE", "SET NULL", "CASCADE", "RESTRICT"}
	on := " ON DELETE " + pick(g.more, actions...) + " ON UPDATE " + pick(g.more, actions...)
	if !slices.Contains(g.schemas, "d3") {
		g.schemas = append(slices.Clone(g.schemas), "d3")
	}
	return []string{"CREATE DATABASE IF NOT EXISTS d3",
		"CREATE TABLE d1.fx (id INT NOT NULL PRIMARY KEY, v VARCHAR(20))",
		"CREATE TABLE d3.fy (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, p INT, w INT, KEY (p), CONSTRAINT fyx FOREIGN KEY (p) REFERENCES d1.fx (id)" + on + ")",
		"CREATE TABLE d1.fz (y INT, x INT, CONSTRAINT fzy FOREIGN KEY (y) REFERENCES d3.fy (id) ON DELETE CASCADE ON UPDATE CASCADE)",
		"INSERT INTO d1.fx VALUES (0, 'a'), (1, 'b'), (2, 'c'), (3, 'd'), (4, 'e')",
		"INSERT INTO d3.fy (p, w) VALUES (0, 1), (1, 1), (1, 2), (2, 3), (NULL, 4)",
		"INSERT INTO d1.fz VALUES (1, 1), (2, 2), (2, 3)"}
}

func (g *gen) keysBetween() []string {
	statements := g.of(5,
		fmt.Sprintf("INSERT IGNORE INTO d1.fx VALUES (%d, 'n'), (%d, 'm')", g.n(9), g.n(9)),
		fmt.Sprintf("INSERT IGNORE INTO d3.fy (p, w) VALUES (%d, %d), (%d, %d)", g.n(9), g.n(9), g.n(9), g.n(9)),
		fmt.Sprintf("INSERT IGNORE INTO d1.fz VALUES (%d, %d)", 1+g.n(9), g.n(9)),
		fmt.Sprintf("UPDATE d1.fx SET id = %d WHERE id = %d", 9+g.n(9), g.n(9)),
		fmt.Sprintf("UPDATE d3.fy SET id = id + 100, p = %d WHERE w = %d ORDER BY id DESC", g.n(9), g.n(9)),
		fmt.Sprintf("DELETE FROM d1.fx WHERE id = %d", g.n(18)),
		fmt.Sprintf("DELETE FROM d3.fy WHERE w = %d", g.n(9)))
	if chance(g.more, 15) {
		statements = append(statements, pick(g.more, "ALTER TABLE d3.fy DROP FOREIGN KEY fyx",
			"ALTER TABLE d3.fy ADD CONSTRAINT fyx FOREIGN KEY (p) REFERENCES d1.fx (id) ON DELETE CASCADE ON UPDATE CASCADE", "ALTER TABLE d1.fz DROP FOREIGN KEY fzy"))
	}
	return statements
}

// Rows that one statement numbers in several tables are not the same again where it is logged: what triggers write has no
// counter unless rows are logged.
func (g *gen) beginTriggers() []string {
	audit := "CREATE TABLE d1.au (what VARCHAR(20), k INT, v VARCHAR(20))"
	if len(g.mix.formats) == 1 {
		audit = "CREATE TABLE d1.au (what VARCHAR(20), k INT, v VARCHAR(20), id INT AUTO_INCREMENT PRIMARY KEY)"
	}
	return []string{"CREATE DATABASE IF NOT EXISTS d3", "CREATE TABLE d1.tg (id INT NOT NULL PRIMARY KEY, v VARCHAR(20))", audit,
		"CREATE TABLE d3.total (what VARCHAR(20) PRIMARY KEY, n INT)",
		"CREATE TRIGGER d1.ti AFTER INSERT ON d1.tg FOR EACH ROW BEGIN INSERT INTO d1.au (what, k, v) VALUES ('insert', NEW.id, NEW.v); INSERT INTO d3.total VALUES ('insert', 1) ON DUPLICATE KEY UPDATE n = n + 1; END",
		"CREATE TRIGGER d1.tu BEFORE UPDATE ON d1.tg FOR EACH ROW BEGIN SET NEW.v = CONCAT(LEFT(NEW.v, 10), '!'); UPDATE d3.total SET n = n + NEW.id WHERE what = 'insert'; INSERT INTO d1.au (what, k, v) VALUES ('update', OLD.id, OLD.v); END",
		"CREATE TRIGGER d1.td AFTER DELETE ON d1.tg FOR EACH ROW BEGIN DELETE FROM d1.au WHERE k = OLD.id AND what = 'insert'; REPLACE INTO d3.total VALUES ('delete', OLD.id); END",
		"INSERT INTO d1.tg VALUES (1, 'a'), (2, 'b'), (3, 'c')"}
}

func (g *gen) triggers() []string {
	statements := g.of(5,
		fmt.Sprintf("INSERT INTO d1.tg VALUES (%d, 'n'), (%d, 'm')", g.n(15), 15+g.n(15)),
		fmt.Sprintf("INSERT INTO d1.tg VALUES (%d, 'n') ON DUPLICATE KEY UPDATE v = 'dup'", g.n(15)),
		fmt.Sprintf("REPLACE INTO d1.tg VALUES (%d, 'r')", g.n(15)),
		fmt.Sprintf("UPDATE d1.tg SET v = 'u' WHERE id = %d", g.n(15)),
		fmt.Sprintf("UPDATE d1.tg SET id = %d WHERE id = %d", 30+g.n(15), g.n(15)),
		fmt.Sprintf("DELETE FROM d1.tg WHERE id = %d", g.n(15)))
	if chance(g.more, 15) {
		statements = append(statements, pick(g.more, "DROP TRIGGER d1.tu", "DROP TRIGGER d1.td",
			"CREATE TRIGGER d1.td BEFORE DELETE ON d1.tg FOR EACH ROW INSERT INTO d1.au (what, k) VALUES ('gone', OLD.id)",
			"CREATE TRIGGER d1.ti2 AFTER INSERT ON d1.tg FOR EACH ROW FOLLOWS ti UPDATE d1.au SET v = 'second' WHERE k = NEW.id"))
	}
	return statements
}

func (g *gen) beginRoutines() []string {
	return []string{"CREATE TABLE d1.rt (id INT NOT NULL PRIMARY KEY, a INT, s VARCHAR(40))", "CREATE TABLE d1.rl (n INT, s VARCHAR(40))",
		"CREATE PROCEDURE d1.rp(IN n INT, IN t VARCHAR(40) CHARACTER SET utf8mb4, OUT o INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < 3 DO REPLACE INTO d1.rt VALUES (n + i, i, t); SET i = i + 1; END WHILE; IF n > 10 THEN DELETE FROM d1.rt WHERE id = n - 10; END IF; SELECT COUNT(*) INTO o FROM d1.rt; INSERT INTO d1.rl VALUES (o, t); END",
		"CREATE PROCEDURE d1.rq(IN n INT) BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION INSERT INTO d1.rl VALUES (n, 'caught'); INSERT INTO d1.rt VALUES (n, n, 'new'); UPDATE d1.rt SET a = a + n WHERE id < n; END",
		"CREATE PROCEDURE d1.rx(IN n INT) BEGIN START TRANSACTION; INSERT INTO d1.rl VALUES (n, 'tx'); SAVEPOINT a; UPDATE d1.rl SET n = n + 1; IF n > 20 THEN ROLLBACK TO a; END IF; COMMIT; END",
		"CREATE FUNCTION d1.rf(n INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO d1.rl VALUES (n, 'function'); RETURN n + 1; END"}
}

func (g *gen) routines() []string {
	return g.of(4,
		fmt.Sprintf("CALL d1.rp(%d, 'it''s', @o)", g.n(30)), fmt.Sprintf("CALL d1.rq(%d)", g.n(30)), fmt.Sprintf("CALL d1.rx(%d)", g.n(30)),
		fmt.Sprintf("SELECT d1.rf(%d)", g.n(30)), fmt.Sprintf("DO d1.rf(%d) + d1.rf(1)", g.n(30)),
		fmt.Sprintf("INSERT IGNORE INTO d1.rt VALUES (d1.rf(%d), 1, 'f')", g.n(30)),
		fmt.Sprintf("UPDATE d1.rt SET a = d1.rf(id) WHERE id = %d", g.n(30)),
		fmt.Sprintf("SET @v = %d", g.n(30)), "CALL d1.rp(@v, CONCAT('v', @v), @o)", "INSERT INTO d1.rl VALUES (@o, @v)")
}

// Events never begin: what they would do is the source's to log.
func (g *gen) beginEvents() []string {
	return []string{"CREATE TABLE d1.ev (a INT)", "CREATE EVENT d1.e1 ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO INSERT INTO d1.ev VALUES (1)"}
}

func (g *gen) events() []string {
	name := g.name("e")
	return g.of(3,
		"CREATE EVENT d1."+name+" ON SCHEDULE AT '2037-05-05 05:05:05' ON COMPLETION PRESERVE COMMENT 'it''s' DO BEGIN DELETE FROM d1.ev; INSERT INTO d1.ev VALUES (2); END",
		"ALTER EVENT d1.e1 DISABLE", "ALTER EVENT d1.e1 ENABLE", "ALTER EVENT d1.e1 ON SCHEDULE EVERY 3 HOUR STARTS '2037-02-01 00:00:00'",
		"ALTER EVENT d1.e1 DO UPDATE d1.ev SET a = a + 1", "ALTER EVENT d1.e1 RENAME TO d1.e2", "ALTER EVENT d1.e2 RENAME TO d1.e1", "DROP EVENT IF EXISTS d1.e2",
		"CREATE EVENT IF NOT EXISTS d1.e1 ON SCHEDULE EVERY 1 WEEK STARTS '2037-01-01 00:00:00' DO DO 0", "INSERT INTO d1.ev VALUES (3)")
}

func (g *gen) beginFullText() []string {
	return []string{"CREATE TABLE d1.tx (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, t TEXT, v VARCHAR(200), n INT, FULLTEXT KEY ft1 (t), FULLTEXT KEY ft2 (t, v))",
		"INSERT INTO d1.tx (t, v) VALUES ('alpha beta gamma', 'one two'), ('beta delta', 'three'), ('epsilon', 'four alpha')"}
}

func (g *gen) fullText() []string {
	word := pick(g.more, "alpha", "beta", "gamma", "delta", "epsilon")
	statements := g.of(4,
		fmt.Sprintf("INSERT INTO d1.tx (t, v) VALUES ('%s zeta', 'word%d'), ('omega %s', NULL)", word, g.n(9), word),
		fmt.Sprintf("UPDATE d1.tx SET n = %d WHERE MATCH (t) AGAINST ('%s' IN BOOLEAN MODE)", g.n(9), word),
		fmt.Sprintf("UPDATE d1.tx SET t = CONCAT(t, ' %s') WHERE id = %d", word, g.n(12)),
		fmt.Sprintf("DELETE FROM d1.tx WHERE MATCH (t, v) AGAINST ('+%s -zeta' IN BOOLEAN MODE)", word),
		fmt.Sprintf("UPDATE d1.tx SET id = id + 100 WHERE id = %d", g.n(12)))
	if chance(g.more, 20) {
		statements = append(statements, pick(g.more, "OPTIMIZE TABLE d1.tx", "ALTER TABLE d1.tx DROP KEY ft1", "ALTER TABLE d1.tx ADD FULLTEXT KEY ft1 (t)", "ALTER TABLE d1.tx ADD COLUMN "+g.name("x")+" INT"))
	}
	return statements
}

func (g *gen) beginViews() []string {
	return []string{"CREATE TABLE d1.vb (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(20))", "CREATE TABLE d1.vc (id INT NOT NULL PRIMARY KEY, c INT)",
		"CREATE VIEW d1.vw AS SELECT id, a, b FROM d1.vb WHERE a < 20 WITH CHECK OPTION",
		"CREATE ALGORITHM=MERGE VIEW d1.vj AS SELECT x.id AS i, x.a AS a, y.c AS c FROM d1.vb x JOIN d1.vc y ON y.id = x.id",
		"INSERT INTO d1.vb (a, b) VALUES (1, 'a'), (5, 'b'), (30, 'c')", "INSERT INTO d1.vc VALUES (1, 1), (2, 2), (3, 3)"}
}

func (g *gen) views() []string {
	return g.of(5,
		fmt.Sprintf("INSERT INTO d1.vw (a, b) VALUES (%d, 'v'), (%d, 'w')", g.n(25), g.n(20)),
		fmt.Sprintf("UPDATE d1.vw SET a = %d, b = CONCAT(b, 'u') WHERE id = %d", g.n(25), g.n(12)),
		fmt.Sprintf("DELETE FROM d1.vw WHERE a = %d", g.n(20)),
		fmt.Sprintf("UPDATE d1.vj SET c = c + 1 WHERE i = %d", g.n(12)), fmt.Sprintf("UPDATE d1.vj SET a = %d WHERE i = %d", g.n(25), g.n(4)),
		fmt.Sprintf("REPLACE INTO d1.vw VALUES (%d, %d, 'r')", 1+g.n(12), g.n(20)), fmt.Sprintf("INSERT INTO d1.vj (i, a) VALUES (%d, 3)", 1+g.n(12)),
		fmt.Sprintf("INSERT IGNORE INTO d1.vc VALUES (%d, %d)", 1+g.n(12), g.n(9)),
		"CREATE OR REPLACE VIEW d1.vw AS SELECT id, a, b FROM d1.vb WHERE a < "+pick(g.more, "15", "25")+" WITH CHECK OPTION")
}

func (g *gen) beginSequences() []string {
	return []string{"CREATE SEQUENCE d1.sq START WITH 5 INCREMENT BY 2 " + pick(g.more, "CACHE 5", "NOCACHE", "CACHE 1000"), "CREATE SEQUENCE d1.sc MINVALUE 1 MAXVALUE 9 CYCLE CACHE 3",
		"CREATE TABLE d1.st (id INT NOT NULL DEFAULT NEXTVAL(d1.sq) PRIMARY KEY, a INT, c INT DEFAULT NEXTVAL(d1.sc))"}
}

func (g *gen) sequences() []string {
	return g.of(5, "DO NEXTVAL(d1.sq)", "SELECT NEXTVAL(d1.sq), NEXTVAL(d1.sc)", fmt.Sprintf("SELECT SETVAL(d1.sq, %d)", g.n(300)), fmt.Sprintf("INSERT INTO d1.st (a) VALUES (%d), (2)", g.n(9)),
		fmt.Sprintf("UPDATE d1.st SET id = NEXTVAL(d1.sq) WHERE a = %d", g.n(9)), fmt.Sprintf("DELETE FROM d1.st WHERE a = %d", g.n(9)), "UPDATE d1.st SET c = NEXTVAL(d1.sc)",
		fmt.Sprintf("ALTER SEQUENCE d1.sq RESTART %d", 1+2*g.n(300)), "ALTER SEQUENCE d1.sq INCREMENT BY 3", "ALTER SEQUENCE d1.sq CACHE 7",
		"RENAME TABLE d1.sc TO d1.sd, d1.sd TO d1.sc", "CREATE OR REPLACE SEQUENCE d1.sc MINVALUE 1 MAXVALUE 20 CYCLE CACHE 2")
}

func (g *gen) beginDefaults() []string {
	columns := "u VARCHAR(40) NOT NULL DEFAULT (UUID()), r DOUBLE DEFAULT (RAND()), d DATETIME DEFAULT (NOW() + INTERVAL 1 DAY)"
	if g.product == testrig.MySQL {
		columns += ", b BINARY(16) DEFAULT (UUID_TO_BIN(UUID())), j JSON DEFAULT (JSON_OBJECT('u', UUID()))"
	} else {
		columns += ", b UUID DEFAULT UUID()"
	}
	return []string{"CREATE TABLE d1.du (" + columns + ", a INT, PRIMARY KEY (u))", "CREATE TABLE d1.dn (a INT, " + columns + ")", "CREATE TABLE d1.di (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT, " + columns + ", UNIQUE KEY (u))",
		"INSERT INTO d1.du (a) VALUES (1), (2), (3)", "INSERT INTO d1.di (a) VALUES (1), (2), (3)"}
}

func (g *gen) defaults() []string {
	t := pick(g.more, "d1.du", "d1.dn", "d1.di")
	return g.of(4, fmt.Sprintf("INSERT INTO %s (a) VALUES (%d), (%d)", t, g.n(9), g.n(9)), fmt.Sprintf("UPDATE %s SET u = DEFAULT WHERE a = %d", t, g.n(9)), fmt.Sprintf("UPDATE %s SET a = a + 1", t),
		fmt.Sprintf("DELETE FROM %s WHERE a = %d", t, g.n(9)), fmt.Sprintf("REPLACE INTO d1.di (id, a) VALUES (%d, %d)", 1+g.n(9), g.n(9)), fmt.Sprintf("UPDATE %s SET r = DEFAULT, b = DEFAULT WHERE a < 5", t))
}

func (g *gen) beginMembers() []string {
	return []string{"CREATE TABLE d1.en (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, e ENUM('a','b','c'), s SET('x','y','z'), a INT)", "CREATE TABLE d1.ek (e ENUM('a','b','c') NOT NULL, s SET('x','y') NOT NULL, a INT, PRIMARY KEY (e, s))",
		"INSERT INTO d1.en (e, s, a) VALUES ('a', 'x', 1), ('b', 'x,y', 2), ('c', '', 3), (NULL, 'z', 4)", "INSERT INTO d1.ek VALUES ('a', 'x', 1), ('b', 'x,y', 2)"}
}

func (g *gen) members() []string {
	change := func() []string {
		return g.of(3, fmt.Sprintf("INSERT IGNORE INTO d1.en (e, s, a) VALUES ('%c', 'x', %d), ('d', 'w', 1), ('a', 'x,z', 2)", 'a'+rune(g.n(4)), g.n(9)), fmt.Sprintf("UPDATE d1.en SET e = 'b', s = 'y' WHERE a = %d", g.n(9)),
			fmt.Sprintf("DELETE FROM d1.en WHERE a = %d", g.n(9)), fmt.Sprintf("REPLACE INTO d1.ek VALUES ('%c', 'y', %d)", 'a'+rune(g.n(3)), g.n(9)), "UPDATE d1.ek SET a = a + 1", fmt.Sprintf("UPDATE IGNORE d1.ek SET e = 'c' WHERE a = %d", g.n(9)))
	}
	t := pick(g.more, "d1.en", "d1.ek")
	null := map[string]string{"d1.ek": " NOT NULL"}[t]
	alter := pick(g.more, "MODIFY e ENUM('a','b','c','d')"+null, "MODIFY e ENUM('c','b','a')"+null, "MODIFY e ENUM('a','b','c')"+null, "MODIFY s SET('x','y','z','w')"+null, "MODIFY s SET('w','z','y','x')"+null,
		"MODIFY e VARCHAR(10)"+null, "MODIFY s BIGINT"+null, "MODIFY s SET('a1','a2','a3','a4','a5','a6','a7','x','y','z')"+null)
	return slices.Concat(change(), []string{"ALTER TABLE " + t + " " + alter}, change())
}

func (g *gen) beginInstant() []string {
	return []string{"CREATE TABLE d1.ia (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(10) DEFAULT 'b')", "CREATE TABLE d1.ib (a INT, b VARCHAR(10))",
		"INSERT INTO d1.ia (a) VALUES (1), (2), (3), (4)", "INSERT INTO d1.ib VALUES (1, 'x'), (1, 'x'), (2, 'y')"}
}

// instant adds or drops a column without a rebuild, between changes of rows from before and after it.
func (g *gen) instant() []string {
	name := g.name("x")
	t := pick(g.more, "d1.ia", "d1.ib")
	for _, known := range g.tables {
		if known.schema+"."+known.name != t {
			continue
		}
		change := func() []string {
			return append(g.of(3, fmt.Sprintf("INSERT INTO %s (a) VALUES (%d)", t, g.n(9)), fmt.Sprintf("UPDATE %s SET a = %d WHERE a = %d", t, g.n(9), g.n(9)), fmt.Sprintf("DELETE FROM %s WHERE a = %d", t, g.n(9)), "UPDATE "+t+" SET b = 'now'"), g.insert(known, true))
		}
		c := pick(g.more, known.columns...).name
		alter := pick(g.more, "ADD COLUMN "+name+" INT NOT NULL DEFAULT 5", "ADD COLUMN "+name+" VARCHAR(10) DEFAULT 'new' FIRST", fmt.Sprintf("ADD COLUMN %s DATETIME DEFAULT '2020-01-01 00:00:00' AFTER `%s`", name, c), "DROP COLUMN `"+c+"`",
			fmt.Sprintf("ADD COLUMN %s INT, DROP COLUMN `%s`", name, c), "ALTER COLUMN a SET DEFAULT 8", "ADD COLUMN "+name+" INT AS (a + 1) VIRTUAL")
		return slices.Concat(change(), []string{"ALTER TABLE " + t + " " + alter + ", ALGORITHM=INSTANT"}, change())
	}
	return nil
}

func (g *gen) beginRenames() []string {
	return []string{"CREATE TABLE d1.na (id INT NOT NULL PRIMARY KEY, a INT, b INT, v VARCHAR(20), UNIQUE KEY (a))", "INSERT INTO d1.na VALUES (1, 1, 10, 'x'), (2, 2, 20, 'y'), (3, 3, 30, 'z')"}
}

func (g *gen) renames() []string {
	change := func() []string {
		return g.of(4, fmt.Sprintf("INSERT IGNORE INTO d1.na (id, a, b) VALUES (%d, %d, %d)", g.n(15), g.n(15), g.n(15)), fmt.Sprintf("UPDATE IGNORE d1.na SET a = %d, b = b + 1 WHERE id = %d", g.n(15), g.n(15)), fmt.Sprintf("DELETE FROM d1.na WHERE a = %d", g.n(15)))
	}
	return slices.Concat(change(), []string{"ALTER TABLE d1.na " + pick(g.more, "RENAME COLUMN a TO b, RENAME COLUMN b TO a", "RENAME COLUMN a TO b, RENAME COLUMN b TO a", "CHANGE COLUMN v w VARCHAR(30)", "CHANGE COLUMN w v VARCHAR(40) FIRST",
		"RENAME COLUMN v TO w", "RENAME COLUMN w TO v", "RENAME COLUMN id TO a, RENAME COLUMN a TO id", "RENAME KEY a TO a2")}, change())
}

func (g *gen) beginCharsets() []string {
	return []string{"CREATE TABLE d1.cs (k VARCHAR(20) NOT NULL PRIMARY KEY, t TEXT, a INT) CHARACTER SET latin1", "INSERT INTO d1.cs VALUES ('abc', 'x', 1), ('def', 'é', 2), ('ß', 'ä', 3)"}
}

func (g *gen) charsets() []string {
	change := func() []string {
		return g.of(4, fmt.Sprintf("INSERT IGNORE INTO d1.cs VALUES (%s, %s, %d)", quote(pick(g.more, words...)), quote(pick(g.more, words...)), g.n(9)), fmt.Sprintf("UPDATE d1.cs SET a = a + 1, t = CONCAT(t, 'é') WHERE k = %s", quote(pick(g.more, words...))),
			fmt.Sprintf("UPDATE IGNORE d1.cs SET k = %s WHERE a = %d", quote(pick(g.more, words...)), g.n(9)), fmt.Sprintf("DELETE FROM d1.cs WHERE a = %d", g.n(9)))
	}
	to := strings.TrimSpace(collate(g.more, g.product))
	return slices.Concat(change(), []string{"ALTER TABLE d1.cs " + pick(g.more, "CONVERT TO "+to, "CONVERT TO "+to, "DEFAULT "+to, "MODIFY t TEXT "+to, "MODIFY k VARCHAR(30) "+to+" NOT NULL")}, change())
}
