package replay_test

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"

	"github.com/google/go-cmp/cmp"
)

// pair is a server whose log is replayed, and the two that it is replayed onto: through interlock and, where it is
// compared, through mysqlbinlog | mysql. The three stay in step from one history to the next.
type pair struct {
	source, ours, pipe *testrig.Local
	seen               int // log files of the source that have been replayed
}

func newPair(t *testing.T, p testrig.Product) *pair {
	t.Helper()
	spec := testrig.LocalSpec{Product: p}
	return &pair{source: testrig.LocalFor(t, spec), ours: testrig.LocalFor(t, spec)}
}

// alone replays a script's log through interlock and compares nothing.
func (p *pair) alone(t *testing.T, script string) {
	t.Helper()
	if _, err := run(t, p.ours, replay.Config{Paths: p.logOf(t, script)}); err != nil {
		t.Fatal(err)
	}
}

// logOf runs a script on the source and returns the files of its log.
func (p *pair) logOf(t *testing.T, script string) []string {
	t.Helper()
	if _, err := p.source.Exec(t.Context(), "SET NAMES utf8mb4;\n"+script+"\n;FLUSH BINARY LOGS;"); err != nil {
		t.Fatal(err)
	}
	files, err := p.source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	fresh := files[p.seen : len(files)-1]
	p.seen = len(files) - 1
	return fresh
}

// same replays a script's log both ways and compares everything.
func (p *pair) same(t *testing.T, script string, cfg replay.Config) *replay.Summary {
	t.Helper()
	cfg.Paths = p.logOf(t, script)
	if err := p.pipe.Pipe(t.Context(), nil, cfg.Paths...); err != nil {
		t.Fatal(err)
	}
	s, err := run(t, p.ours, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everything(t, p.pipe), everything(t, p.ours)); diff != "" {
		t.Errorf("the pipe's server and ours differ (-pipe +ours):\n%s", diff)
	}
	return s
}

// everything is all that a server holds, by name: definitions and rows.
func everything(t *testing.T, l *testrig.Local) map[string]string {
	t.Helper()
	// One call of the client for all: a section begins with its name.
	const mark = "--- "
	var script strings.Builder
	script.WriteString("SET NAMES utf8mb4;\n")
	look := func(name, sql string) {
		fmt.Fprintf(&script, "SELECT '%s%s';\n%s;\n", mark, strings.ReplaceAll(name, "'", "''"), sql)
	}
	mine := " NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'interlock_replay')"
	tables, err := l.Exec(t.Context(), "SET NAMES utf8mb4; SELECT CONCAT('`', REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`') FROM information_schema.tables WHERE table_schema"+mine)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(tables) {
		name = strings.TrimSuffix(name, "\n")
		look("create "+name, "SHOW CREATE TABLE "+name)
		look("rows "+name, "SELECT * FROM "+name)
		look("check "+name, "CHECK TABLE "+name)
	}
	// Versioned tables have these two columns. When they were is the log's; by which transactions, each server's own.
	histories, err := l.Exec(t.Context(), "SELECT CONCAT('`', table_schema, '`.`', table_name, '`') FROM information_schema.tables WHERE table_type = 'SYSTEM VERSIONED' AND table_schema"+mine)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(histories) {
		name = strings.TrimSuffix(name, "\n")
		look("history "+name, "SELECT id, a FROM "+name+" FOR SYSTEM_TIME ALL")
	}
	look("schemas", "SELECT * FROM information_schema.schemata WHERE schema_name"+mine)
	look("triggers", "SELECT trigger_schema, trigger_name, event_object_table, action_statement, definer, sql_mode FROM information_schema.triggers WHERE trigger_schema"+mine)
	look("routines", "SELECT routine_schema, routine_name, routine_definition, definer, sql_mode, security_type FROM information_schema.routines WHERE routine_schema"+mine)
	look("events", "SELECT event_schema, event_name, event_definition, definer, status, interval_value FROM information_schema.events WHERE event_schema"+mine)
	look("users", "SELECT user, host, plugin, authentication_string FROM mysql.user")
	look("grants", "SELECT grantee, privilege_type FROM information_schema.user_privileges UNION ALL SELECT grantee, CONCAT(table_schema, privilege_type) FROM information_schema.schema_privileges")
	look("zones", "SELECT * FROM mysql.time_zone_name")
	if l.Product == testrig.MySQL {
		look("gtids", "SELECT @@GLOBAL.gtid_executed")
	}
	out, err := l.Exec(t.Context(), script.String())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for section := range strings.SplitSeq("\n"+out, "\n"+mark) {
		name, rows, _ := strings.Cut(section, "\n")
		lines := strings.Split(rows, "\n")
		sort.Strings(lines)
		all[name] = strings.Join(lines, "\n")
	}
	return all
}

// histories are what is easily replayed wrongly. Each begins where the one before it has ended.
func histories(p testrig.Product) map[string]string {
	numbers := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i+1, n-i, (i*7919)%n)
		}
		return b.String()
	}
	all := map[string]string{
		"made anew under other columns": `CREATE DATABASE a1; USE a1; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 2);
			DROP TABLE t; CREATE TABLE t (s VARCHAR(10) PRIMARY KEY, id INT AUTO_INCREMENT UNIQUE); INSERT INTO t (s) VALUES ('x'), ('y'); DELETE FROM t WHERE s = 'x';
			ALTER TABLE t ADD COLUMN z INT NOT NULL DEFAULT 5 FIRST; UPDATE t SET z = id; ALTER TABLE t DROP COLUMN id; INSERT INTO t VALUES (9, 'z');`,
		"renames that swap": `CREATE DATABASE a2; USE a2; CREATE TABLE t1 (id INT PRIMARY KEY, a INT); CREATE TABLE t2 (id INT PRIMARY KEY, a INT); INSERT INTO t1 VALUES (1, 1); INSERT INTO t2 VALUES (1, 2);
			RENAME TABLE t1 TO t3, t2 TO t1, t3 TO t2; UPDATE t1 SET a = a + 10; INSERT INTO t2 VALUES (5, 5); RENAME TABLE t1 TO t3, t2 TO t1, t3 TO t2; UPDATE t1 SET a = a + 100;
			CREATE DATABASE a22; RENAME TABLE t2 TO a22.t2; INSERT INTO a22.t2 VALUES (7, 7);`,
		"names": "CREATE DATABASE `a.3`; USE `a.3`; CREATE TABLE `t.1` (id INT PRIMARY KEY, `c``d` INT); INSERT INTO `t.1` VALUES (1, 1); CREATE TABLE `x``y` (`ı` INT PRIMARY KEY); INSERT INTO `x``y` VALUES (1), (2); DELETE FROM `x``y` WHERE `ı` = 1;" +
			"CREATE DATABASE `Öl ß`; USE `Öl ß`; CREATE TABLE `ıİIi` (id INT AUTO_INCREMENT PRIMARY KEY, a INT); INSERT INTO `ıİIi` (a) VALUES (1), (2); CREATE TABLE Up (id INT PRIMARY KEY, a INT); CREATE TABLE up (id INT PRIMARY KEY, a INT, b INT, UNIQUE (b)); INSERT INTO Up VALUES (1, 1); INSERT INTO up VALUES (1, 2, 3); UPDATE up SET b = 4; UPDATE Up SET a = 9;" +
			"CREATE TABLE `a.b` (id INT PRIMARY KEY); CREATE DATABASE `Öl ß.a`; CREATE TABLE `Öl ß.a`.b (id INT PRIMARY KEY); INSERT INTO `a.b` VALUES (1); INSERT INTO `Öl ß.a`.b VALUES (2);",
		"schema made again":      `CREATE DATABASE a4 CHARACTER SET latin1 COLLATE latin1_german2_ci; USE a4; CREATE TABLE t (s VARCHAR(9) PRIMARY KEY); INSERT INTO t VALUES ('a'); DROP DATABASE a4; CREATE DATABASE a4; USE a4; CREATE TABLE t (s VARCHAR(9) PRIMARY KEY); INSERT INTO t VALUES ('b'); ALTER DATABASE a4 CHARACTER SET utf8mb4; CREATE TABLE u (s VARCHAR(9) PRIMARY KEY); INSERT INTO u VALUES ('b');`,
		"tables out of a select": `CREATE DATABASE a5; USE a5; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 2); CREATE TABLE u AS SELECT * FROM t; CREATE TABLE v LIKE t; INSERT INTO v SELECT * FROM t; CREATE TABLE w (id INT AUTO_INCREMENT PRIMARY KEY) SELECT a FROM t; DELETE FROM u; INSERT INTO w (a) VALUES (4);`,
		"programs": `CREATE DATABASE a6; USE a6; CREATE TABLE t (id INT PRIMARY KEY, a INT); CREATE TABLE audit (what VARCHAR(20), n INT);
			CREATE USER bob@localhost IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, TRIGGER ON a6.* TO bob@localhost;
			DELIMITER //
CREATE DEFINER=bob@localhost TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO audit VALUES ('insert', NEW.id)//
CREATE PROCEDURE p(n INT) BEGIN INSERT INTO t VALUES (n, n); END//
CREATE FUNCTION f(n INT) RETURNS INT DETERMINISTIC RETURN n + 1//
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO INSERT INTO audit VALUES ('event', 0)//
DELIMITER ;
			CREATE VIEW v AS SELECT id FROM t; CALL p(1); INSERT INTO t VALUES (2, f(2)); DROP EVENT e; CREATE OR REPLACE VIEW v AS SELECT a FROM t; ALTER USER bob@localhost IDENTIFIED BY 'other'; RENAME USER bob@localhost TO eve@localhost; FLUSH PRIVILEGES; DROP TRIGGER tr; INSERT INTO t VALUES (3, 3);`,
		"maintenance": `CREATE DATABASE a7; USE a7; CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY (a)); INSERT INTO t VALUES (1, 1); ANALYZE TABLE t; OPTIMIZE TABLE t; REPAIR TABLE t; FLUSH TABLES; CHECK TABLE t; INSERT INTO t VALUES (2, 2); TRUNCATE t; INSERT INTO t VALUES (3, 3); FLUSH STATUS; CREATE INDEX i ON t (a, id); DROP INDEX i ON t;`,
		"odd keys": `CREATE DATABASE a8; USE a8; CREATE TABLE b (k BIT(9) NOT NULL, e ENUM('x','y') NOT NULL, s SET('p','q') NOT NULL, d DECIMAL(20,5) NOT NULL, a INT, PRIMARY KEY (k, e, s, d));
			INSERT INTO b VALUES (b'1', 'x', 'p', 1.5, 1), (b'111111111', 'y', 'p,q', -1.5, 2), (b'0', 'x', '', 0, 3); UPDATE b SET a = a + 1; UPDATE b SET d = -d; DELETE FROM b WHERE e = 'y'; INSERT INTO b VALUES (b'111111111', 'y', 'p,q', -1.5, 9);
			CREATE TABLE g (a INT NOT NULL, v INT AS (a * 2) STORED, x INT, UNIQUE (v)); INSERT INTO g (a, x) VALUES (1, 1), (2, 2), (3, 3); UPDATE g SET a = a + 10; UPDATE g SET x = 5 WHERE a = 12; DELETE FROM g WHERE a = 11;
			CREATE TABLE n (a INT, b INT, UNIQUE (a, b)); INSERT INTO n VALUES (NULL, NULL), (NULL, NULL), (1, NULL), (1, 2); UPDATE n SET a = NULL WHERE b = 2; DELETE FROM n WHERE b IS NULL LIMIT 1; INSERT INTO n VALUES (NULL, NULL);
			CREATE TABLE none (a INT, b VARCHAR(10), c DATETIME); INSERT INTO none VALUES (NULL, NULL, NULL), (NULL, NULL, NULL), (NULL, NULL, NULL); DELETE FROM none LIMIT 1; INSERT INTO none VALUES (1, 'a', NULL); UPDATE none SET b = 'B' WHERE a = 1;
			CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, a INT); INSERT INTO big VALUES (18446744073709551610, 1); INSERT INTO big (a) VALUES (2), (3); DELETE FROM big WHERE a = 3;
			CREATE TABLE tiny (id TINYINT AUTO_INCREMENT PRIMARY KEY, a INT); INSERT INTO tiny VALUES (127, 1); DELETE FROM tiny; INSERT INTO tiny VALUES (-5, 1);
			CREATE TABLE f (k FLOAT PRIMARY KEY, d DOUBLE, UNIQUE (d)); INSERT INTO f VALUES (0, -0e0), (-1.5, 1), (1e30, 2); UPDATE f SET k = -k, d = d + 10 WHERE k <> 0; DELETE FROM f WHERE k < -1e29;
			CREATE TABLE col (s VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_general_ci, UNIQUE (u), UNIQUE (s(2), u(2))); INSERT INTO col VALUES ('abc', 'x'), ('def', 'y'); UPDATE col SET s = 'ABC' WHERE s = 'abc'; DELETE FROM col WHERE s = 'def'; INSERT INTO col VALUES ('DEF', 'Y'); UPDATE col SET u = 'tmp' WHERE s = 'ABC'; UPDATE col SET u = 'X' WHERE s = 'def'; UPDATE col SET u = 'Y' WHERE s = 'abc';`,
		"a chain of keys": `CREATE DATABASE a9; USE a9; CREATE TABLE t (id INT PRIMARY KEY, u INT NOT NULL, UNIQUE (u)); BEGIN; ` + numbers(1000, "INSERT INTO t VALUES (%d, %d);-- %d\n") +
			`COMMIT; UPDATE t SET id = id + 1 ORDER BY id DESC; UPDATE t SET u = u - 1 ORDER BY u; UPDATE t SET id = -id; UPDATE t SET id = 1001 + id, u = -u; UPDATE t SET u = 10000 + (id * 7919) % 1009;`,
		"foreign keys": `CREATE DATABASE a10; USE a10; CREATE TABLE p (id INT PRIMARY KEY, a INT); CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE); CREATE TABLE s (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES s (id) ON DELETE SET NULL); CREATE TABLE r (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES c (id));
			INSERT INTO p VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1), (2, 1), (3, 2), (4, 3); UPDATE p SET id = 10 WHERE id = 1; DELETE FROM p WHERE id = 2; INSERT INTO s VALUES (1, NULL), (2, 1), (3, 2); DELETE FROM s WHERE id = 1; INSERT INTO r VALUES (1, 4), (2, 1); UPDATE c SET p = 10 WHERE id = 4; DELETE FROM r; DELETE FROM p; INSERT INTO p VALUES (2, 9);`,
		"statements": `CREATE DATABASE a11; USE a11; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, ts TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), r DOUBLE); SET SESSION binlog_format = STATEMENT;
			SET TIMESTAMP = 1700000000.123456; INSERT INTO t (a, r) VALUES (1, RAND()); SET @x := 5, @y := 'it''s', @z := NULL; INSERT INTO t (a) VALUES (@x); INSERT INTO t (a) SELECT LENGTH(@y); INSERT INTO t (a) VALUES (LAST_INSERT_ID());
			BEGIN; UPDATE t SET a = a + 1; SAVEPOINT s; UPDATE t SET a = a * 100; ROLLBACK TO s; INSERT INTO t (a) VALUES (77); COMMIT; SET time_zone = '+05:00'; INSERT INTO t (a, ts) VALUES (1, '2020-01-01 00:00:00'); SET SESSION binlog_format = ROW; INSERT INTO t (a) VALUES (78); SET SESSION binlog_format = STATEMENT; UPDATE t SET a = a + 1 WHERE a > 70 ORDER BY id LIMIT 1;
			CREATE TEMPORARY TABLE tmp (a INT); INSERT INTO tmp VALUES (500), (600); INSERT INTO t (a) SELECT a FROM tmp; DROP TEMPORARY TABLE tmp; SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'; INSERT INTO "t" (a) VALUES (LENGTH('a\b'));`,
		"engines": `CREATE DATABASE a12; USE a12; CREATE TABLE m (id INT PRIMARY KEY, a INT) ENGINE=MyISAM; CREATE TABLE i (id INT PRIMARY KEY, a INT); INSERT INTO m VALUES (1, 1), (2, 2); INSERT INTO i VALUES (1, 1); BEGIN; INSERT INTO i VALUES (2, 2); INSERT INTO m VALUES (3, 3); ROLLBACK; BEGIN; UPDATE m SET a = 9; UPDATE i SET a = 9; COMMIT; DELETE FROM m WHERE id = 1; ALTER TABLE m ENGINE=InnoDB; UPDATE m SET a = 10; DROP DATABASE a12;`,
		"xa": `CREATE DATABASE a13; USE a13; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1); XA START 'x1'; UPDATE t SET a = 2; INSERT INTO t VALUES (2, 2); XA END 'x1'; XA PREPARE 'x1'; XA COMMIT 'x1'; XA START 'x2', 'b', 7; INSERT INTO t VALUES (3, 3); XA END 'x2', 'b', 7; XA PREPARE 'x2', 'b', 7; XA ROLLBACK 'x2', 'b', 7; XA START 'x3'; INSERT INTO t VALUES (4, 4); XA END 'x3'; XA COMMIT 'x3' ONE PHASE; INSERT INTO t VALUES (5, 5);
			CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, a INT); CREATE TABLE k (a INT, id SMALLINT UNSIGNED AUTO_INCREMENT, KEY (id)); INSERT INTO c (a) VALUES (1);
			XA START 'x4'; INSERT INTO c (a) VALUES (2), (3); INSERT INTO k VALUES (1, 700); UPDATE c SET id = 900 WHERE a = 3; DELETE FROM c; XA END 'x4'; XA PREPARE 'x4'; XA ROLLBACK 'x4'; INSERT INTO k (a) VALUES (2);`,
		"partitions": `CREATE DATABASE a14; USE a14; CREATE TABLE t (id INT, d INT, a INT, PRIMARY KEY (id, d)) PARTITION BY RANGE (d) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20)); INSERT INTO t VALUES (1, 5, 1), (2, 15, 2); UPDATE t SET d = 16 WHERE id = 1; ALTER TABLE t DROP PARTITION p0; ALTER TABLE t ADD PARTITION (PARTITION p2 VALUES LESS THAN (30)); INSERT INTO t VALUES (3, 25, 3); ALTER TABLE t TRUNCATE PARTITION p1; INSERT INTO t VALUES (9, 12, 1);
			CREATE TABLE e (id INT, d INT, a INT, PRIMARY KEY (id, d)); INSERT INTO e VALUES (5, 15, 5); ALTER TABLE t EXCHANGE PARTITION p1 WITH TABLE e; UPDATE t SET a = 50; UPDATE e SET a = 60;`,
		// No primary key, and names that sort otherwise than the server numbers its keys.
		"two keys": `CREATE DATABASE a15; USE a15; CREATE TABLE t (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE z (a), UNIQUE y (b)); INSERT INTO t VALUES (0, 5, 5), (1, 10, 1), (2, 20, 2), (3, 30, 3); CREATE TABLE e1 (a INT); UPDATE t SET c = 9 WHERE a = 2; DELETE FROM t WHERE a = 1; CREATE TABLE e2 (a INT); UPDATE t SET b = 7 WHERE a = 3;
			ALTER TABLE t ADD UNIQUE x (c, a), RENAME KEY y TO k; UPDATE t SET c = 1 WHERE a = 2; ALTER TABLE t MODIFY c INT NOT NULL, DROP KEY z, ADD UNIQUE j (a); UPDATE t SET b = 70 WHERE a = 3; CREATE TABLE e3 (a INT); UPDATE t SET c = 8; DELETE FROM t WHERE a = 2;
			CREATE TABLE n (a INT NULL, b INT NOT NULL, c INT, UNIQUE a (a), UNIQUE z (b)); INSERT INTO n VALUES (0, 0, 0), (NULL, 1, 1), (2, 2, 2); CREATE TABLE e4 (a INT); UPDATE n SET c = 9 WHERE b = 1; DELETE FROM n WHERE b = 2; ALTER TABLE n DROP KEY a; UPDATE n SET c = 10; UPDATE n SET a = 5 WHERE b = 1; ALTER TABLE n MODIFY a INT NOT NULL, ADD UNIQUE a (a); UPDATE n SET c = 11 WHERE a = 5;`,
		// MariaDB looks for rows by the first of them, for all that it covers a prefix.
		"a prefix comes first": `CREATE DATABASE a16; USE a16; CREATE TABLE t (d VARCHAR(20) NOT NULL, b INT NULL, c INT, UNIQUE q (d(3)), UNIQUE a (b)); INSERT INTO t VALUES ('', 1, 1), ('abc', 2, 2), ('def', 3, 3); ALTER TABLE t MODIFY b INT NOT NULL; CREATE TABLE e1 (a INT); UPDATE t SET c = 9 WHERE b = 2; CREATE TABLE e2 (a INT); DELETE FROM t WHERE b = 3; INSERT INTO t VALUES ('ghi', 4, 4), ('jkl', 5, 5); UPDATE t SET d = 'xyz' WHERE b = 5;
			CREATE TABLE v (a INT NOT NULL, w INT AS (a * 2) VIRTUAL, s INT AS (a + 1) STORED, b INT NOT NULL, c INT, UNIQUE z (w), UNIQUE y (s), UNIQUE x (b)); INSERT INTO v (a, b, c) VALUES (0, 0, 0), (1, 1, 1), (2, 2, 2); CREATE TABLE e3 (a INT); UPDATE v SET c = 9 WHERE b = 1; DELETE FROM v WHERE b = 2; UPDATE v SET a = 5 WHERE b = 1;`,
	}
	// Rows without a key lie in the order of their coming, and statements find them there.
	all["rows by their place"] = `CREATE DATABASE a19; USE a19; CREATE TABLE t (a INT, b VARCHAR(20)); INSERT INTO t VALUES (5, 'x'), (3, 'y'), (9, 'z'); INSERT INTO t VALUES (1, 'q'); INSERT INTO t VALUES (7, 'w'), (2, 'r'); UPDATE t SET a = 6 WHERE a = 3; DELETE FROM t WHERE a = 9; ALTER TABLE t ADD id INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST; UPDATE t SET b = CONCAT(b, id) WHERE a > 4; DELETE FROM t WHERE id = 2;
		CREATE TABLE u (a INT UNIQUE, b VARCHAR(20)); INSERT INTO u VALUES (5, 'x'), (3, 'y'), (9, 'z'), (NULL, 'n'), (1, 'q'); ALTER TABLE u ADD id INT NOT NULL AUTO_INCREMENT, ADD KEY (id), AUTO_INCREMENT = 100;
		CREATE TABLE p (s VARCHAR(20) NOT NULL, b INT, UNIQUE (s(2))); INSERT INTO p VALUES ('zz', 1); INSERT INTO p VALUES ('bb', 2), ('aa', 3); ALTER TABLE p ADD id SERIAL; UPDATE p SET b = b * 10 WHERE s = 'zz';
		CREATE TABLE n (a INT, b INT); INSERT INTO n VALUES (9, 1), (3, 2), (7, 3), (1, 4); CREATE TABLE s (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b INT); SET SESSION binlog_format = STATEMENT; INSERT INTO s (a, b) SELECT a, b FROM n; SET SESSION binlog_format = ROW; UPDATE s SET b = b * 10 WHERE a = 9; DELETE FROM s WHERE id = 1;
		CREATE TABLE d (a INT, b INT); INSERT INTO d VALUES (1, 9); INSERT INTO d VALUES (1, 3), (2, 8), (2, 1); SET SESSION sql_mode = '', binlog_format = STATEMENT; CREATE TABLE q (a INT PRIMARY KEY, b INT); INSERT IGNORE INTO q SELECT * FROM d; DELETE FROM d ORDER BY a LIMIT 1;`
	// A key that has become one in place is none that InnoDB lays rows in (MariaDB).
	all["rows by their place, and not by their key"] = `CREATE DATABASE a20; USE a20; CREATE TABLE t (a INT, b INT, UNIQUE (a), UNIQUE (b)); INSERT INTO t VALUES (5, 1), (3, 2), (9, 0); ALTER TABLE t MODIFY b INT NOT NULL, ALGORITHM = INPLACE; INSERT INTO t VALUES (37, 38), (31, 30), (32, 34); ALTER TABLE t ADD id INT AUTO_INCREMENT UNIQUE;
		CREATE TABLE u (a INT, b INT, UNIQUE (a), UNIQUE (b)); INSERT INTO u VALUES (5, 1), (3, 2), (9, 0); ALTER TABLE u MODIFY b INT NOT NULL, ALGORITHM = INPLACE; ALTER TABLE u DROP KEY a; INSERT INTO u VALUES (37, 38), (31, 30), (32, 34); ALTER TABLE u ADD id INT AUTO_INCREMENT UNIQUE;`
	// InnoDB's full-text index does not show a transaction what it has written itself.
	all["full text"] = `CREATE DATABASE a17; USE a17; CREATE TABLE t (id INT PRIMARY KEY, txt TEXT, n INT, FULLTEXT (txt)); CREATE TABLE r (id INT PRIMARY KEY, n INT); SET SESSION binlog_format = MIXED; INSERT INTO t VALUES (1, 'apple', 0), (2, 'banana', 0); UPDATE t SET n = 1 WHERE MATCH (txt) AGAINST ('apple'); UPDATE t SET txt = 'cherry' WHERE id = 2; DELETE FROM t WHERE MATCH (txt) AGAINST ('cherry'); INSERT INTO r SELECT id, n FROM t WHERE MATCH (txt) AGAINST ('apple');
		CREATE TABLE l LIKE t; SET SESSION binlog_format = ROW; INSERT INTO l VALUES (1, 'apple', 0), (2, 'banana', 0); SET SESSION binlog_format = STATEMENT; UPDATE l SET n = 1 WHERE MATCH (txt) AGAINST ('banana'); DROP TABLE t, l; CREATE TABLE m (id INT PRIMARY KEY, txt TEXT, n INT, FULLTEXT (txt)) ENGINE=MyISAM; ALTER TABLE m ENGINE=InnoDB; INSERT INTO m VALUES (1, 'apple', 0); UPDATE m SET n = 1 WHERE MATCH (txt) AGAINST ('apple');`
	// And refuses a document's number that is 65,535 above the last.
	all["documents numbered by the table"] = `CREATE DATABASE a18; USE a18; CREATE TABLE t (id INT PRIMARY KEY, FTS_DOC_ID BIGINT UNSIGNED NOT NULL, txt TEXT, UNIQUE FTS_DOC_ID_INDEX (FTS_DOC_ID), FULLTEXT (txt)); INSERT INTO t VALUES (1, 60000, 'a'); CREATE TABLE e (a INT); INSERT INTO t VALUES (2, 120000, 'b'); INSERT INTO t VALUES (3, 180000, 'c'); DELETE FROM t WHERE id IN (1, 2);`
	// A session that applies rows has their time, to the second.
	all["the time behind rows"] = `CREATE DATABASE a21; USE a21; CREATE TABLE t (id INT PRIMARY KEY, d DATETIME(6)); CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, d DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)); SET timestamp = 1700000000.123456;
		SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (1, NOW(6)); SET SESSION binlog_format = ROW; INSERT INTO t VALUES (2, NOW(6)); SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (3, NOW(6));
		SET SESSION binlog_format = MIXED; BEGIN; INSERT INTO t VALUES (4, NOW(6)); INSERT INTO u (d) SELECT d FROM t WHERE UUID() IS NOT NULL; INSERT INTO t VALUES (5, NOW(6)); COMMIT; BEGIN; SAVEPOINT s; INSERT INTO u (d) SELECT d FROM t WHERE UUID() IS NOT NULL; ROLLBACK TO s; INSERT INTO u (d) SELECT d FROM t WHERE UUID() IS NOT NULL; COMMIT; INSERT INTO t VALUES (6, NOW(6)); SET timestamp = DEFAULT;`
	// Keys that hand a change on over three levels, with an index over what is computed of one.
	all["foreign keys, three levels"] = `CREATE DATABASE a24; USE a24; CREATE TABLE a (id INT PRIMARY KEY, n INT); CREATE TABLE b (id INT PRIMARY KEY, n INT, FOREIGN KEY (id) REFERENCES a (id) ON UPDATE CASCADE ON DELETE CASCADE); CREATE TABLE c (id INT PRIMARY KEY, g INT AS (id + 1) VIRTUAL, KEY (g), FOREIGN KEY (id) REFERENCES b (id) ON UPDATE CASCADE ON DELETE CASCADE); CREATE TABLE d (x INT, n INT, FOREIGN KEY (x) REFERENCES c (id) ON UPDATE CASCADE ON DELETE SET NULL); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3); INSERT INTO b SELECT * FROM a; INSERT INTO c (id) SELECT id FROM a; INSERT INTO d VALUES (1, 1), (1, 1), (2, 2), (3, 3); UPDATE a SET id = 100 WHERE id = 1; UPDATE a SET id = 1 WHERE id = 3; UPDATE a SET id = 3 WHERE id = 100; DELETE FROM a WHERE id = 2; INSERT INTO a VALUES (2, 22); INSERT INTO b VALUES (2, 2); BEGIN; DELETE FROM a WHERE id = 3; INSERT INTO a VALUES (3, 33); INSERT INTO b VALUES (3, 3); COMMIT; UPDATE d SET n = n + 1; INSERT INTO c (id) VALUES (2); INSERT INTO d VALUES (2, 9); UPDATE a SET id = id + 10 ORDER BY id DESC;`
	if p == testrig.MySQL {
		// Its GTIDs forbid transactions over both engines.
		all["engines"] = `CREATE DATABASE a12; USE a12; CREATE TABLE m (id INT PRIMARY KEY, a INT) ENGINE=MyISAM; CREATE TABLE i (id INT PRIMARY KEY, a INT); INSERT INTO m VALUES (1, 1), (2, 2); INSERT INTO i VALUES (1, 1); UPDATE i SET a = 9; DELETE FROM m WHERE id = 1; UPDATE m SET a = 9; ALTER TABLE m ENGINE=InnoDB; UPDATE m SET a = 10; DROP DATABASE a12;`
		all["mysql's own"] = `CREATE DATABASE b1; USE b1; CREATE TABLE j (id INT PRIMARY KEY, d JSON, UNIQUE ((CAST(d->>'$.k' AS UNSIGNED)))); INSERT INTO j VALUES (1, '{"k": 1}'), (2, '{"k": 2}'); UPDATE j SET d = '{"k": 3}' WHERE id = 1; UPDATE j SET d = '{"k": 1}' WHERE id = 2; SET SESSION binlog_row_value_options = PARTIAL_JSON; UPDATE j SET d = JSON_SET(d, '$.x', 'y'); SET SESSION binlog_row_value_options = '';
			SET SESSION binlog_row_image = MINIMAL; CREATE TABLE m (id INT PRIMARY KEY, a INT DEFAULT 7, b VARCHAR(10), c INT AS (a + 1) STORED, UNIQUE (b)); INSERT INTO m (id, b) VALUES (1, 'x'), (2, 'y'); UPDATE m SET a = 3 WHERE id = 1; UPDATE m SET b = 'z' WHERE id = 2; DELETE FROM m WHERE id = 1; INSERT INTO m (id) VALUES (1); UPDATE m SET id = 9 WHERE id = 2; SET SESSION binlog_row_image = FULL;
			CREATE TABLE inv (id INT PRIMARY KEY, h INT INVISIBLE DEFAULT 3, g POINT NOT NULL SRID 0, SPATIAL KEY (g)); INSERT INTO inv (id, g) VALUES (1, POINT(1, 2)); UPDATE inv SET h = 4, g = POINT(3, 4); SET SESSION sql_generate_invisible_primary_key = ON; CREATE TABLE gipk (a INT); INSERT INTO gipk VALUES (1), (2); DELETE FROM gipk WHERE a = 1; SET SESSION sql_generate_invisible_primary_key = OFF; SET SESSION binlog_transaction_compression = ON; INSERT INTO gipk VALUES (4), (5); UPDATE gipk SET a = a + 1;
			CREATE ROLE r1; GRANT SELECT ON b1.* TO r1; CREATE USER amy@localhost; GRANT r1 TO amy@localhost; SET DEFAULT ROLE r1 TO amy@localhost; SET PASSWORD FOR amy@localhost = 'p2'; GRANT SELECT ON b1.* TO amy@localhost; REVOKE SELECT ON b1.* FROM amy@localhost;`
		all["a table out of a table"] = `CREATE DATABASE b7; USE b7; CREATE TABLE t (a INT); INSERT INTO t VALUES (5), (3); INSERT INTO t VALUES (9), (1); SET SESSION binlog_format = STATEMENT; CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY) TABLE t;`
		// ALTER TABLE spells its character set otherwise.
		all["a check of another character set"] = `CREATE DATABASE b8; USE b8; SET NAMES latin1; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20), CHECK (a <> 'x')); SET NAMES utf8mb4; CREATE TABLE u (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) NOT NULL, CHECK (a <> '')); INSERT INTO t VALUES (50, 'a'); INSERT INTO u VALUES (50, 'a'); DELETE FROM t; DELETE FROM u;`
		all["tables out of a select, in partitions"] = `CREATE DATABASE b4; USE b4; CREATE TABLE s (id INT PRIMARY KEY, a INT); INSERT INTO s VALUES (1, 1), (2, 2), (3, 3); CREATE TABLE p (PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 3 SELECT * FROM s; INSERT INTO p VALUES (9, 9); UPDATE p SET a = a + 1;`
		all["an invisible key is added"] = `CREATE DATABASE b6; USE b6; CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (3, 3), (2, 2), (1, 1); ALTER TABLE t ADD my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY FIRST; DELETE FROM t WHERE a = 3;`
		all["a large format id"] = `CREATE DATABASE b3; USE b3; CREATE TABLE t (id INT PRIMARY KEY); XA START 'f', 'b', 4294967295; INSERT INTO t VALUES (1); XA END 'f', 'b', 4294967295; XA PREPARE 'f', 'b', 4294967295; XA COMMIT 'f', 'b', 4294967295; XA START 'f', '', 2147483648; INSERT INTO t VALUES (2); XA END 'f', '', 2147483648; XA PREPARE 'f', '', 2147483648; XA ROLLBACK 'f', '', 2147483648; INSERT INTO t VALUES (3);`
		// Both tables have an index whose entries the server computes, in the session's time zone.
		zoned := `SET time_zone = '+00:00'; CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP NULL, n VARCHAR(40) AS (CAST(ts AS CHAR(30))) VIRTUAL, KEY (n)); CREATE TABLE f (id INT PRIMARY KEY, ts TIMESTAMP NULL, KEY ((CAST(ts AS CHAR(30)))));
			INSERT INTO t (id, ts) VALUES (1, '2020-01-01 00:00:00'), (3, '2020-01-03 00:00:00'), (4, '2020-01-04 00:00:00'); INSERT INTO f SELECT id, ts FROM t; CREATE TABLE e1 (a INT);`
		all["a delete beside another time zone"] = `CREATE DATABASE y1; USE y1; ` + zoned + `SET time_zone = '+09:00'; INSERT INTO t (id, ts) VALUES (2, '2020-01-01 00:00:00'); INSERT INTO f VALUES (2, '2020-01-01 00:00:00'); SET time_zone = '+00:00'; DELETE FROM t WHERE id = 1; DELETE FROM f WHERE id = 1;`
		all["gone in one time zone, come in another"] = `CREATE DATABASE y2; USE y2; ` + zoned + `DELETE FROM t WHERE id = 3; DELETE FROM f WHERE id = 3; SET time_zone = '+09:00'; INSERT INTO t (id, ts) VALUES (3, '2021-01-03 00:00:00'); INSERT INTO f VALUES (3, '2021-01-03 00:00:00');
			CREATE TABLE e2 (a INT); SET time_zone = '+00:00'; BEGIN; DELETE FROM t WHERE id = 4; DELETE FROM f WHERE id = 4; COMMIT; SET time_zone = '+09:00'; INSERT INTO t (id, ts) VALUES (4, '2020-01-04 09:00:00'); INSERT INTO f VALUES (4, '2020-01-04 09:00:00');`
		// Entries are left behind in these on the source, as by the pipe.
		all["changed in one time zone, gone in another"] = `CREATE DATABASE y3; USE y3; ` + zoned + `UPDATE t SET ts = '2022-01-01 00:00:00' WHERE id = 1; INSERT INTO f VALUES (9, '2022-01-01 00:00:00'); SET time_zone = '+09:00'; UPDATE e1 SET a = 1; DELETE FROM t WHERE id = 1 AND ts > '2000-01-01 00:00:00'; DELETE FROM f WHERE id = 9 AND ts > '2000-01-01 00:00:00';`
		all["checks in the time zone of their rows"] = `CREATE DATABASE y4; USE y4; SET time_zone = '+00:00'; CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, a INT, u INT UNIQUE, CHECK (ts >= '2020-01-01 00:00:00')); CREATE TABLE k (ts TIMESTAMP NOT NULL, CHECK (ts >= '2020-01-01 00:00:00')); CREATE TABLE o (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, CHECK (ts >= '2020-01-01 00:00:00') NOT ENFORCED);
			INSERT INTO t VALUES (7, '2020-01-01 08:00:00', 1, 1), (8, '2020-01-01 08:00:00', 1, 2); INSERT INTO k VALUES ('2020-01-01 08:00:00'); SET time_zone = '+09:00'; INSERT INTO t VALUES (1, '2020-01-01 00:00:00', 1, 3); INSERT INTO k VALUES ('2020-01-01 00:00:00'), ('2020-01-01 00:00:00'), ('2020-01-01 01:00:00'); INSERT INTO o VALUES (1, '2019-01-01 00:00:00');
			CREATE TABLE e (a INT); SET time_zone = '+00:00'; UPDATE t SET a = 2 WHERE id = 7; DELETE FROM k LIMIT 1; SET time_zone = '+09:00'; UPDATE t SET ts = '2020-01-01 00:00:00' WHERE id = 7; UPDATE t SET u = 9 WHERE id = 8; DELETE FROM t WHERE id = 8; INSERT INTO t VALUES (8, '2020-01-01 02:00:00', 5, 2); DELETE FROM k LIMIT 1;`
	} else {
		all["mariadb's own"] = `CREATE DATABASE b1; USE b1; CREATE SEQUENCE s; SELECT NEXTVAL(s); CREATE TABLE t (id INT PRIMARY KEY DEFAULT NEXTVAL(s), a TEXT, UNIQUE (a)) ; INSERT INTO t (a) VALUES ('x'), ('y'); UPDATE t SET a = 'tmp' WHERE a = 'x'; UPDATE t SET a = 'x' WHERE a = 'y'; UPDATE t SET a = 'y' WHERE a = 'tmp';
			CREATE TABLE v (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING; INSERT INTO v VALUES (1, 1); UPDATE v SET a = 2; DELETE FROM v; CREATE TABLE c (id INT PRIMARY KEY, z TEXT COMPRESSED); INSERT INTO c VALUES (1, REPEAT('a', 1000)); UPDATE c SET z = REPEAT('b', 2000); INSERT INTO v VALUES (5, 5);
			CREATE TABLE g (id INT PRIMARY KEY, l LINESTRING NOT NULL, a INT); INSERT INTO g VALUES (1, LINESTRING(POINT(0, 0), POINT(1, 1)), 1); CREATE TABLE x (a INT); UPDATE g SET id = 2; INSERT IGNORE INTO g (id, a) VALUES (1, 5);
			SET SESSION binlog_row_image = MINIMAL; CREATE TABLE m (id INT PRIMARY KEY, a INT DEFAULT 7, b VARCHAR(10), c INT AS (a + 1) STORED, UNIQUE (b)); INSERT INTO m (id, b) VALUES (1, 'x'), (2, 'y'); UPDATE m SET a = 3 WHERE id = 1; UPDATE m SET b = 'z' WHERE id = 2; DELETE FROM m WHERE id = 1; INSERT INTO m (id) VALUES (1); UPDATE m SET id = 9 WHERE id = 2; SET SESSION binlog_row_image = FULL; SET SESSION binlog_alter_two_phase = ON; ALTER TABLE m ADD COLUMN n INT; INSERT INTO m (id, n) VALUES (50, 1);
			CREATE ROLE r1; GRANT SELECT ON b1.* TO r1; CREATE USER amy@localhost; GRANT r1 TO amy@localhost; CREATE TABLE u (id UUID PRIMARY KEY, i INET6); INSERT INTO u VALUES ('123e4567-e89b-12d3-a456-426655440000', '::1'), ('00000000-e89b-12d3-a456-426655440000', '::2'); UPDATE u SET i = '::3'; DELETE FROM u WHERE i = '::3' LIMIT 1;
			CREATE OR REPLACE TABLE u AS SELECT * FROM m; UPDATE u SET a = 8; SELECT SETVAL(s, 100);`
		all["an ALTER that failed"] = `CREATE DATABASE z8; USE z8; SET SESSION binlog_alter_two_phase = ON; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1), (2, 1);
			DELIMITER //
CREATE PROCEDURE p() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION DO 0; ALTER TABLE t ADD UNIQUE (a); END//
DELIMITER ;
			CALL p(); ALTER TABLE t ADD b INT; INSERT INTO t VALUES (3, 3, 3);`
		// REPLACE sets columns to their defaults, and the log does not say so.
		all["what REPLACE does not log"] = `CREATE DATABASE z12; USE z12; CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c TEXT); INSERT INTO t VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z'), (4, 4, 4, 'v'), (5, 5, 5, 'w'); CREATE TABLE e (a INT);
			SET SESSION binlog_row_image = MINIMAL; UPDATE t SET a = 5 WHERE id < 4; REPLACE INTO t (id, b) VALUES (1, 9), (3, 9); SET SESSION binlog_row_image = NOBLOB; UPDATE t SET c = 'z' WHERE id IN (2, 4); REPLACE INTO t (id, a) VALUES (2, 7), (4, 7);
			SET SESSION binlog_row_image = FULL; UPDATE t SET b = 10 WHERE id < 3; DELETE FROM t WHERE id > 3; INSERT INTO t VALUES (4, 4, 4, 'q'); UPDATE t SET a = 8 WHERE id = 4; UPDATE t SET id = 6 WHERE id = 3;`
		all["the first of several"] = `CREATE DATABASE z7; USE z7; CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 9); INSERT INTO t VALUES (1, 3), (2, 8), (2, 1); ALTER IGNORE TABLE t ADD UNIQUE (a); CREATE SEQUENCE s; CREATE TABLE n (a INT); INSERT INTO n VALUES (9), (3), (7); ALTER TABLE n ADD id INT DEFAULT NEXT VALUE FOR s;`
		// Workload 3205 of the differential test: an isolation level in which the server does not see that they are alike.
		all["the first of several in a long key"] = `CREATE DATABASE z9; USE z9; CREATE TABLE t (id INT PRIMARY KEY, c MEDIUMBLOB); INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'y'), (4, 'y'); ALTER IGNORE TABLE t ADD UNIQUE u (c); INSERT INTO t VALUES (2, 'z');`
		all["numbered behind other words"] = "CREATE DATABASE z11; USE z11; CREATE TABLE t (a INT); INSERT INTO t VALUES (5), (3); INSERT INTO t VALUES (9), (1); SET STATEMENT lock_wait_timeout = 7 FOR\nALTER TABLE t ADD id INT AUTO_INCREMENT PRIMARY KEY;"
		all["inserted by ANALYZE"] = `CREATE DATABASE z10; USE z10; CREATE TABLE t (a INT); INSERT INTO t VALUES (5), (3); INSERT INTO t VALUES (9), (1); CREATE TABLE k (id INT AUTO_INCREMENT PRIMARY KEY, a INT); SET SESSION binlog_format = STATEMENT; ANALYZE INSERT INTO k (a) SELECT a FROM t;`
		// A row that comes and goes in one transaction leaves no history.
		versions := `CREATE TABLE x (id INT, a INT, rs BIGINT UNSIGNED AS ROW START INVISIBLE, re BIGINT UNSIGNED AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING; INSERT INTO x VALUES (1, 1); UPDATE x SET a = 2; UPDATE x SET a = 3; DELETE FROM x; INSERT INTO x VALUES (2, 5); CREATE TABLE t (id INT, a INT) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 1); UPDATE t SET a = 2; DELETE FROM t; XA START 'v'; INSERT INTO x VALUES (3, 3); XA END 'v'; XA PREPARE 'v'; XA COMMIT 'v'; UPDATE x SET a = 7;`
		all["versions"] = "CREATE DATABASE z5; USE z5; " + versions
		all["versions, by statements"] = "CREATE DATABASE z6; USE z6; SET SESSION binlog_format = STATEMENT; " + versions
		all["a definer who is nobody"] = `CREATE DATABASE z4; USE z4; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a BIGINT, b BIGINT); CREATE TABLE audit (k INT, n INT); CREATE USER carl@localhost; GRANT ALL ON z4.* TO carl@localhost; INSERT INTO audit VALUES (1, 0);
			CREATE DEFINER=carl@localhost TRIGGER tr AFTER INSERT ON t FOR EACH ROW UPDATE audit SET n = n + 1; INSERT INTO t (a) VALUES (1); SET SESSION binlog_format = STATEMENT; INSERT INTO t (a) VALUES (2);
			INSERT INTO t (a, b) VALUES (@@server_id, @@gtid_domain_id); SET SESSION gtid_domain_id = 3; INSERT INTO t (a, b) VALUES (@@server_id, @@gtid_domain_id); SET SESSION gtid_domain_id = 0; INSERT INTO t (a, b) VALUES (@@server_id, @@gtid_domain_id);`
		// Workloads 1039 and 1222 of the differential test.
		all["computed under another time zone"] = `CREATE DATABASE z1; USE z1; SET time_zone = '+00:00'; CREATE TABLE t (k INT, ts TIMESTAMP(3) NOT NULL, a INT, g VARCHAR(60) AS (CAST(ts AS CHAR)) STORED); CREATE TABLE p LIKE t; ALTER TABLE p ADD PRIMARY KEY (k);
			INSERT INTO t (k, ts, a) VALUES (1, '2025-07-01 12:00:00.123', 1), (5, '2025-07-01 12:00:00.123', 1); INSERT INTO p (k, ts, a) SELECT k, ts, a FROM t; CREATE TABLE e (a INT); SET time_zone = '+09:00'; INSERT INTO e VALUES (1); UPDATE t SET a = 2 WHERE k = 1; UPDATE p SET a = 2 WHERE k = 1; UPDATE p SET k = 9 WHERE k = 5; CREATE TABLE f (a INT); DELETE FROM t WHERE k = 1;`
		all["a key by default"] = `CREATE DATABASE z2; USE z2; SET SESSION sql_mode = '', binlog_row_image = MINIMAL; CREATE TABLE t (k VARCHAR(10) NOT NULL PRIMARY KEY, a INT, b TEXT) CHARACTER SET latin1; CREATE TABLE n (k VARCHAR(10) COLLATE utf8mb4_nopad_bin NOT NULL PRIMARY KEY, a INT); CREATE TABLE p (k VARBINARY(10) NOT NULL DEFAULT 'abce', a INT, PRIMARY KEY (k(3))); CREATE TABLE f (k DOUBLE NOT NULL DEFAULT 0 PRIMARY KEY, a INT);
			INSERT INTO t VALUES (' ', 1, 'x'); INSERT INTO n VALUES (' ', 1); INSERT INTO p VALUES ('abcd', 1); INSERT INTO f VALUES (-0e0, 1); CREATE TABLE e (a INT);
			REPLACE INTO t (a, b) VALUES (2, 'k24'), (3, 'e'); REPLACE INTO n (a) VALUES (2), (3); REPLACE INTO p (a) VALUES (2), (3); REPLACE INTO f (a) VALUES (2), (3); UPDATE t SET a = a + 1; UPDATE p SET a = a + 1; UPDATE f SET a = a + 1; DELETE FROM p; INSERT INTO p (a) VALUES (7);`
		all["two long keys"] = `CREATE DATABASE z3; USE z3; SET GLOBAL binlog_row_metadata = FULL; CREATE TABLE t (id INT PRIMARY KEY, a TEXT NOT NULL, b TEXT, UNIQUE z (a), UNIQUE y (b)); INSERT INTO t VALUES (1, 'a', 'b'), (3, 'c', 'd'); CREATE TABLE e1 (a INT); UPDATE t SET b = NULL; INSERT INTO t VALUES (2, 'b', NULL); ALTER TABLE t ADD d TEXT NOT NULL DEFAULT 'x', DROP KEY z, ADD UNIQUE c (d, b), ADD UNIQUE b (a); UPDATE t SET a = 'z' WHERE id = 2; INSERT INTO t VALUES (5, 'p', 'q', 'r'); DELETE FROM t WHERE id = 1;
			UPDATE t SET b = id WHERE b IS NULL; ALTER TABLE t MODIFY b VARCHAR(4000) NOT NULL DEFAULT ''; CREATE TABLE e2 (a INT); INSERT INTO t (id, a, b, d) VALUES (6, 'u', 'v', 'w'); UPDATE t SET d = 'y' WHERE id = 6;
			CREATE TABLE h (a TEXT NOT NULL, b INT NOT NULL, c INT, UNIQUE z (a), UNIQUE y (b)); INSERT INTO h VALUES ('', 1, 1), ('a', 2, 2), ('b', 3, 3); CREATE TABLE e3 (a INT); UPDATE h SET c = 9 WHERE b = 2; DELETE FROM h WHERE b = 3;
			CREATE TABLE i (a TEXT NOT NULL, b INT NULL, c INT, UNIQUE z (a), UNIQUE y (b)); INSERT INTO i VALUES ('', 1, 1), ('a', 2, 2), ('b', 3, 3); ALTER TABLE i MODIFY b INT NOT NULL; CREATE TABLE e4 (a INT); UPDATE i SET c = 9 WHERE b = 2; CREATE TABLE e5 (a INT); DELETE FROM i WHERE b = 3; SET GLOBAL binlog_row_metadata = DEFAULT;`
		all["the server's own tables"] = "INSERT INTO mysql.time_zone_name VALUES ('Nowhere/City', 9); UPDATE mysql.time_zone_name SET Time_zone_id = 8 WHERE Name = 'Nowhere/City';"
	}
	return all
}

func TestReviewHistories(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		all := histories(p)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			t.Run(name, func(t *testing.T) { both.same(t, all[name], replay.Config{EpochChanges: 20}) })
		}
	})
}

// Both servers decide when they open a table whether a partition's a - 10 may be negative, by the session's
// NO_UNSIGNED_SUBTRACTION: the connection that describes tables opens them as the server's own default has it.
func TestReviewPartitionsByADifference(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		for _, l := range []*testrig.Local{both.source, both.ours, both.pipe} {
			mustExec(t, l, "SET GLOBAL sql_mode = 'NO_UNSIGNED_SUBTRACTION'")
		}
		both.same(t, `CREATE DATABASE d; USE d; CREATE TABLE u (a INT UNSIGNED PRIMARY KEY, b INT) PARTITION BY RANGE (a - 10) (PARTITION p1 VALUES LESS THAN (5), PARTITION p2 VALUES LESS THAN (10));
			INSERT INTO u VALUES (1, 1), (7, 2), (12, 3), (17, 1); CREATE TABLE e (a INT); UPDATE u SET b = 5; DELETE FROM u WHERE a = 7; INSERT INTO u VALUES (2, 9);`, replay.Config{})
	})
}

// A log of minimal images names rows by the key that the server takes for a primary one: they are folded by it.
func TestReviewMinimalImagesOfTwoKeys(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		s := both.same(t, `CREATE DATABASE d; USE d; SET SESSION binlog_row_image = MINIMAL; CREATE TABLE t (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE z (a), UNIQUE y (b)); CREATE TABLE u (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE y (a), UNIQUE z (b));
			INSERT INTO t VALUES (1, 10, 1), (2, 20, 2), (3, 30, 3); INSERT INTO u SELECT * FROM t; CREATE TABLE e (a INT); UPDATE t SET c = 9 WHERE b = 20; DELETE FROM t WHERE b = 30; UPDATE u SET c = 9 WHERE b = 20; DELETE FROM u WHERE b = 30;`, replay.Config{})
		for _, table := range s.Tables {
			if table.Strategy != "fold" {
				t.Errorf("%s: %s (%s)", table.Table, table.Strategy, table.Why)
			}
		}
		if len(s.Tables) != 2 {
			t.Errorf("tables %+v", s.Tables)
		}
	})
}

// A row that one event changes several times: MySQL's applier, and so the pipe, leaves a BLOB of a table without a primary
// key as an earlier change of the event made it. The log and the source say otherwise.
func TestReviewRowChangedTwiceByOneEvent(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		script := "CREATE DATABASE d; USE d; CREATE TABLE c (a INT PRIMARY KEY);"
		add := func(table, replace string) {
			script += "CREATE TABLE " + table + " (k INT, c MEDIUMBLOB NOT NULL, s VARCHAR(30), v INT AS (k + 1) STORED, j JSON, UNIQUE (s));" +
				"INSERT INTO " + table + " (k, c, s) VALUES (7, 'first', 'abc'), (8, 'other', 'x'), (9, 'third', 'y');" + replace + "; "
		}
		for _, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
			script += "SET SESSION binlog_row_image = " + image + ";"
			replace := func(table string) string {
				return "REPLACE INTO " + table + " (k, c, s) VALUES (127, x'000e20', 'abc'), (35, x'000e20', 'abc'), (5, 'x', 'x'), (2, x'000300', 'abc'), (2, x'000400', 'abc')"
			}
			add("kept_"+image, replace("kept_"+image)) // its order, for the stored column
			add("raw_"+image, "BEGIN; INSERT INTO c VALUES ("+strconv.Itoa(len(script))+"); SAVEPOINT a; "+replace("raw_"+image)+"; ROLLBACK TO a; "+replace("raw_"+image)+"; COMMIT")
			add("odku_"+image, "INSERT INTO odku_"+image+" (k, c, s) VALUES (1, 'a', 'abc'), (2, 'b', 'abc'), (3, 'c', 'abc') ON DUPLICATE KEY UPDATE c = CONCAT(c, VALUES(c)), j = JSON_ARRAY(k)")
		}
		both.alone(t, script)
		if diff := cmp.Diff(everything(t, both.source), everything(t, both.ours)); diff != "" {
			t.Errorf("the source and ours differ (-source +ours):\n%s", diff)
		}
	})
}

// Literals of a session that has utf16 are utf16: a GTID is no such text, and the pipe fails at it.
func TestReviewUTF16(t *testing.T) {
	both := newPair(t, testrig.MySQL)
	both.alone(t, "CREATE DATABASE d; USE d; SET collation_connection = utf16_general_ci; CREATE TABLE a (a INT); CREATE TABLE b (a INT); INSERT INTO b VALUES (1);")
	if diff := cmp.Diff(everything(t, both.source), everything(t, both.ours)); diff != "" {
		t.Errorf("the source and ours differ (-source +ours):\n%s", diff)
	}
}

// MySQL 9.7 logs the delete of a row twice that refers to itself by others: by the statement, and by its own cascade. The pipe
// stops there (1032).
func TestReviewCircleOfRows(t *testing.T) {
	both := newPair(t, testrig.MySQL)
	both.alone(t, `CREATE DATABASE d; USE d; CREATE TABLE f (id INT PRIMARY KEY, boss INT, FOREIGN KEY (boss) REFERENCES f (id) ON DELETE CASCADE); SET foreign_key_checks = 0; INSERT INTO f VALUES (1, 1), (2, 1), (3, 6), (4, 3), (6, 4), (7, 6); SET foreign_key_checks = 1;
		DELETE FROM f WHERE id = 6; SET binlog_row_image = MINIMAL, foreign_key_checks = 0; INSERT INTO f VALUES (3, 6), (4, 3), (6, 3); SET foreign_key_checks = 1; DELETE FROM f WHERE boss = 3; INSERT INTO f VALUES (3, 2);`)
	if diff := cmp.Diff(everything(t, both.source), everything(t, both.ours)); diff != "" {
		t.Errorf("the source and ours differ (-source +ours):\n%s", diff)
	}
	rows(t, both.ours, "SELECT id FROM d.f", "1 2 3")
}

// MariaDB has nothing to keep of an XA transaction that changed no row, and says at its end that it was rolled back (error
// 1402): the pipe stops there.
func TestReviewXAThatChangesNothing(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.alone(t, `CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1); SET SESSION binlog_format = STATEMENT;
			XA START 'a'; UPDATE t SET a = 2 WHERE id = 7; XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a'; XA START 'b'; UPDATE t SET a = 2 WHERE id = 7; XA END 'b'; XA PREPARE 'b'; XA ROLLBACK 'b';
			XA START 'c'; UPDATE t SET a = 3 WHERE id = 1; XA END 'c'; XA PREPARE 'c'; XA COMMIT 'c'; INSERT INTO t VALUES (2, 2);`)
		if diff := cmp.Diff(everything(t, both.source), everything(t, both.ours)); diff != "" {
			t.Errorf("the source and ours differ (-source +ours):\n%s", diff)
		}
		if left, err := both.ours.Exec(t.Context(), "XA RECOVER"); err != nil || left != "" {
			t.Errorf("prepared at the end: %q, %v", left, err)
		}
	})
}

// A function that only a server with log_bin_trust_function_creators takes (error 1418) is made on a target without it.
func TestReviewTrustedFunctions(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		for _, l := range []*testrig.Local{both.source, both.pipe} {
			mustExec(t, l, "SET GLOBAL log_bin_trust_function_creators = ON")
		}
		both.same(t, `CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY); CREATE FUNCTION f(n INT) RETURNS INT RETURN (SELECT COUNT(*) FROM t) + n; INSERT INTO t VALUES (f(1)); ALTER FUNCTION f COMMENT 'counts';`, replay.Config{})
		if now := global(t, both.ours, "log_bin_trust_function_creators"); now != "0" {
			t.Errorf("log_bin_trust_function_creators is %s at the end", now)
		}
	})
}

// The counter of a table whose definition the server would not take any more is raised all the same.
func TestReviewCounterOfAnOldDefinition(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		backup := "SET sql_log_bin=0; SET SESSION innodb_strict_mode=OFF, sql_mode=''; CREATE DATABASE d; USE d; CREATE TABLE fixed (id INT AUTO_INCREMENT PRIMARY KEY, a INT) ROW_FORMAT=FIXED; " +
			"CREATE TABLE blocks (id INT AUTO_INCREMENT PRIMARY KEY, a INT) KEY_BLOCK_SIZE=3; CREATE TABLE zero (id INT AUTO_INCREMENT PRIMARY KEY, a DATE NOT NULL DEFAULT '0000-00-00');"
		names := []string{"fixed", "blocks", "zero"}
		if p == testrig.MySQL {
			backup += "SET SESSION restrict_fk_on_non_standard_key=OFF; CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, a INT, KEY (a)); CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES parent (a));"
			names = append(names, "parent", "child")
		}
		for _, l := range []*testrig.Local{both.source, both.pipe, both.ours} {
			mustExec(t, l, backup)
		}
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				both.same(t, fmt.Sprintf("USE d; INSERT INTO %s (id) VALUES (100); DELETE FROM %s;", name, name), replay.Config{})
			})
		}
	})
}

// A prepared XA transaction that ran as it stands holds the table, and the counter can be raised without its leave.
func TestReviewCounterBesideXA(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		// The source is what is compared with: the pipe's only session would be the transaction's (MariaDB).
		mustExec(t, both.source, `CREATE DATABASE d; USE d; CREATE TABLE t (a VARCHAR(9) NOT NULL, id SMALLINT UNSIGNED AUTO_INCREMENT, b INT NOT NULL, g INT AS (b + 1) STORED, e ENUM('x', 'y') NOT NULL, PRIMARY KEY (a), KEY (id), UNIQUE (b));
			CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, n INT); CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO audit (n) VALUES (NEW.id); INSERT INTO t (a, b) VALUES ('one', 1);
			SET SESSION binlog_format = STATEMENT; XA START 'held'; UPDATE t SET e = 'y' WHERE a = 'one'; XA END 'held'; XA PREPARE 'held';`)
		files := both.logOf(t, `USE d; SET SESSION binlog_format = ROW; INSERT INTO t (a, id, b) VALUES ('two', 700, 2); DELETE FROM t WHERE a = 'two'; CREATE TABLE u (a INT); INSERT INTO t (a, id, b) VALUES ('three', 65000, 3); DELETE FROM t WHERE a = 'three';`)
		end := both.logOf(t, `XA COMMIT 'held'; USE d; INSERT INTO t (a, b) VALUES ('four', 4);`)
		start := time.Now()
		if _, err := run(t, both.ours, replay.Config{Paths: append(files, end...)}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("it took %s", took)
		}
		if diff := cmp.Diff(everything(t, both.source), everything(t, both.ours)); diff != "" {
			t.Errorf("the source and ours differ (-source +ours):\n%s", diff)
		}
	})
}

// global is a variable of a server.
func global(t *testing.T, l *testrig.Local, name string) string {
	t.Helper()
	out, err := l.Exec(t.Context(), "SELECT @@GLOBAL."+name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// closing tells, of a server's variables, whether it is closed to others.
func closing(p testrig.Product) string {
	if p == testrig.MySQL {
		return "offline_mode"
	}
	return "init_connect <> ''"
}

// mustExec runs scripts, each in a session of its own.
func mustExec(t *testing.T, l *testrig.Local, scripts ...string) {
	t.Helper()
	for _, script := range scripts {
		if _, err := l.Exec(t.Context(), script); err != nil {
			t.Fatal(err)
		}
	}
}

// A run that was killed after its end and before it had put the settings back does so at the next start.
func TestReviewSettingsOfAFinishedRun(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.alone(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)")
		files, err := both.source.BinlogFiles()
		if err != nil {
			t.Fatal(err)
		}
		closed := "'offline_mode', '0', '1'); SET GLOBAL offline_mode=1"
		if p == testrig.MariaDB {
			closed = "'init_connect', '', 'DO 1'); SET GLOBAL init_connect='DO 1'"
		}
		mustExec(t, both.ours, "SET sql_log_bin=0; REPLACE INTO interlock_replay.setting VALUES ("+closed)
		if _, err := run(t, both.ours, replay.Config{Paths: files[:both.seen]}); err != nil {
			t.Fatal(err)
		}
		if now := global(t, both.ours, closing(p)); now != "0" {
			t.Errorf("%s is %s after the same command", closing(p), now)
		}
	})
}

// Invariant 10: a resumed run that fails before it has gone on leaves an inconsistent target closed, and says so.
func TestReviewInconsistentStaysClosed(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		tables := "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, u INT, UNIQUE (u)); CREATE TABLE d.other (id INT PRIMARY KEY);"
		both.alone(t, tables+"INSERT INTO d.t VALUES (1, 1), (2, 2), (3, 3);")
		files := both.logOf(t, "BEGIN; DELETE FROM d.t WHERE id = 1; INSERT INTO d.t VALUES (5, 5); INSERT INTO d.other VALUES (1); COMMIT;")
		mustExec(t, both.ours, "SET sql_log_bin=0; INSERT INTO d.t VALUES (9, 5)") // not what the log was logged on
		s, err := run(t, both.ours, replay.Config{Paths: files})
		if s.State != replay.StateInconsistent || s.AppliedTo != "" || s.To != "" {
			t.Errorf("the summary says %s, applied to %q, to %q", s.State, s.AppliedTo, s.To)
		}
		if err == nil || !strings.Contains(err.Error(), "INCONSISTENT") || !strings.Contains(err.Error(), "d.t") || !strings.Contains(err.Error(), "'5'") {
			t.Fatalf("a row that collides: %v", err)
		}
		mustExec(t, both.ours, "SET sql_log_bin=0; DROP TABLE d.other")
		_, err = run(t, both.ours, replay.Config{Paths: files})
		if err == nil || !strings.Contains(err.Error(), "INCONSISTENT") || !strings.Contains(err.Error(), "`other`") {
			t.Errorf("a table that is missing: %v", err)
		}
		if now := global(t, both.ours, closing(p)); now != "1" {
			t.Errorf("the target has been opened: %s is %s", closing(p), now)
		}
		mustExec(t, both.ours, "SET sql_log_bin=0; CREATE TABLE d.other (id INT PRIMARY KEY); DELETE FROM d.t WHERE id = 9; "+
			"UPDATE interlock_replay.epoch SET at = NULL, newest_table = NULL") // it is not a backup that was restored
		if _, err = run(t, both.ours, replay.Config{Paths: files}); err != nil {
			t.Fatal(err)
		}
		if now := global(t, both.ours, closing(p)); now != "0" {
			t.Errorf("%s is %s at the end", closing(p), now)
		}
	})
}

// Invariant 10: where the log cannot be read on, what lies before it is brought to its end.
func TestReviewWholeBeforeAnError(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		both := newPair(t, p)
		both.alone(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)")
		mustExec(t, both.source, "SET sql_log_bin=0; CREATE TABLE d.gone (id INT PRIMARY KEY)")
		var rows strings.Builder
		for i := range 60_000 {
			fmt.Fprintf(&rows, ", (%d)", i)
		}
		files := both.logOf(t, "INSERT INTO d.t VALUES "+rows.String()[2:]+"; INSERT INTO d.gone VALUES (1);")
		s, err := run(t, both.ours, replay.Config{Paths: files, EpochChanges: 60_000})
		if err == nil || s.State != replay.StateWhole || s.To != s.AppliedTo || !strings.Contains(err.Error(), "whole up to "+s.AppliedTo) {
			t.Errorf("the summary says %s, applied to %s, to %s, and the error %v", s.State, s.AppliedTo, s.To, err)
		}
		if err == nil || !strings.Contains(err.Error(), "`gone`") || strings.Contains(err.Error(), "INCONSISTENT") {
			t.Errorf("a table that is missing: %v", err)
		}
		if now := global(t, both.ours, closing(p)); now != "0" {
			t.Errorf("%s is %s", closing(p), now)
		}
		if out, err := both.ours.Exec(t.Context(), "SELECT COUNT(*) FROM d.t"); err != nil || strings.TrimSpace(out) != "60000" {
			t.Errorf("the table has %q rows, %v", out, err)
		}
	})
}

// Rows of a table whose engine has no transactions cannot share one with their mark: they run behind an intent.
func TestReviewServersOwnTables(t *testing.T) {
	both := newPair(t, testrig.MariaDB)
	both.pipe = testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	s := both.same(t, "INSERT INTO mysql.time_zone_name VALUES ('Nowhere/City', 9)", replay.Config{})
	if s.Epochs != 0 || s.Barriers != 1 {
		t.Errorf("%d epochs, %d barriers", s.Epochs, s.Barriers)
	}
}
