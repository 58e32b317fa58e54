package binlog

import "testing"

func TestVerbOf(t *testing.T) {
	tests := []struct {
		sql  string
		want Verb
	}{
		{"BEGIN", VerbBegin},
		{"begin work", VerbBegin},
		{"BEGIN NOT ATOMIC SELECT 1; END", VerbOther},
		{"START TRANSACTION READ ONLY", VerbBegin},
		{"START REPLICA", VerbOther},
		{"COMMIT", VerbCommit},
		{"COMMIT /* implicit, from Xid_log_event */", VerbCommit},
		{"COMMIT AND CHAIN", VerbOther},
		{" \n\tROLLBACK;", VerbRollback},
		{"ROLLBACK WORK", VerbRollback},
		{"ROLLBACK TO `s`", VerbRollbackTo},
		{"ROLLBACK WORK TO SAVEPOINT s", VerbRollbackTo},
		{"SAVEPOINT `s`", VerbSavepoint},
		{"RELEASE SAVEPOINT s", VerbSavepoint},
		{"XA START X'67',X'',1", VerbXAStart},
		{"xa begin 'a'", VerbXAStart},
		{"XA END X'67'", VerbXAEnd},
		{"XA PREPARE 'x'", VerbXAPrepare},
		{"XA COMMIT X'67',X'',1 ONE PHASE", VerbXACommit},
		{"XA ROLLBACK X'67',X'',1", VerbXARollback},
		{"insert into t values (1)", VerbDML},
		{"/* ApplicationName=x */ UPDATE t SET a=1", VerbDML},
		{"-- hello\n# there\nDELETE FROM t", VerbDML},
		{"--1", VerbOther},
		{"REPLACE t VALUES (1)", VerbDML},
		{"(SELECT 1)", VerbDML},
		{"WITH x AS (SELECT 1) DELETE FROM t", VerbDML},
		{"LOAD DATA INFILE 'x' INTO TABLE t", VerbDML},
		{"LOAD INDEX INTO CACHE t", VerbOther},
		{"DO f()", VerbDML},
		{"CALL p()", VerbDML},
		{"CREATE TEMPORARY TABLE t (i int)", VerbCreateTemporary},
		{"CREATE OR REPLACE TEMPORARY TABLE t (i int)", VerbCreateTemporary},
		{"CREATE TABLE temporary (i int)", VerbOther},
		{"CREATE /*!50000 TEMPORARY */ TABLE t (i int)", VerbCreateTemporary},
		{"/*M!100100 CREATE TEMPORARY TABLE t (i int) */", VerbCreateTemporary},
		{"DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `tt`", VerbDropTemporary},
		{"DROP TEMPORARY TABLE t", VerbDropTemporary},
		{"DROP TABLE t", VerbOther},
		{"TRUNCATE t", VerbOther},
		{"SET STATEMENT max_statement_time=50 FOR CREATE TEMPORARY TABLE t (i int)", VerbCreateTemporary},
		{"set statement @@sql_mode='FOR it''s', lock_wait_timeout = 1 + (select 2) for insert into t values (1)", VerbDML},
		{"SET STATEMENT a=1 FOR SET STATEMENT b=1 FOR DELETE FROM t", VerbOther},
		{"SET STATEMENT a=1", VerbOther},
		{"SET PASSWORD FOR insert@localhost = 'x'", VerbOther},
		{"inſert into t values (1)", VerbOther}, // ſ is s to those who fold Unicode
		{"INSERTED", VerbOther},
		{"/* open", VerbOther},
		{"/*!", VerbOther},
		{"", VerbOther},
	}
	for _, test := range tests {
		if got := verbOf([]byte(test.sql)); got != test.want {
			t.Errorf("%q is %d, want %d", test.sql, got, test.want)
		}
	}
}

func TestCreatesWithRows(t *testing.T) {
	for sql, want := range map[string]bool{
		"CREATE TABLE `cs` (\n  `id` int\n) START TRANSACTION":                                                            true,
		"create table x (i int) start transaction;":                                                                       true,
		"CREATE TABLE `start` (\n `transaction` int) START TRANSACTION\n/*!50100 PARTITION BY HASH (id)\nPARTITIONS 3 */": true,
		"CREATE TABLE t (c int COMMENT 'it''s \\') (') START TRANSACTION DATA DIRECTORY='/x'":                             true,
		"CREATE TABLE `a``START TRANSACTION` (c int DEFAULT 1 /* START TRANSACTION */)":                                   false,
		"CREATE TABLE x (c int COMMENT 'START TRANSACTION')":                                                              false,
		"CREATE TABLE x (c int)":                                   false,
		"ALTER TABLE x COMMENT 'a', ALGORITHM = START TRANSACTION": false,
	} {
		if got := createsWithRows([]byte(sql)); got != want {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func TestByPlace(t *testing.T) {
	for sql, want := range map[string]bool{
		"ALTER TABLE t ADD id INT NOT NULL AUTO_INCREMENT PRIMARY KEY":                  true,
		"alter online table t add (id serial)":                                          true,
		"ALTER TABLE t MODIFY id INT AUTO_INCREMENT, AUTO_INCREMENT=5":                  true,
		"ALTER TABLE t AUTO_INCREMENT = 5, ADD a INT":                                   false,
		"ALTER TABLE t auto_increment 5":                                                false,
		"ALTER TABLE t ADD KEY (a)":                                                     false,
		"ALTER IGNORE TABLE t ADD UNIQUE (a)":                                           true,
		"ALTER TABLE t ORDER BY b":                                                      true,
		"ALTER TABLE t ADD n INT DEFAULT (NEXT VALUE FOR s)":                            true,
		"ALTER TABLE t ADD n INT DEFAULT NEXTVAL(s)":                                    true,
		"INSERT INTO t VALUES (1)":                                                      true,
		"DELETE FROM t LIMIT 1":                                                         true,
		"SELECT `d`.`f`()":                                                              true,
		"SET STATEMENT sql_mode='' FOR ALTER IGNORE TABLE t ADD UNIQUE (a)":             true,
		"SET STATEMENT sql_mode='' FOR\nALTER TABLE t ADD id SERIAL":                    true,
		"SET PASSWORD FOR a@b = 'x'":                                                    true, // not understood
		"ANALYZE FORMAT=JSON INSERT INTO t (a) SELECT a FROM u":                         true,
		"ANALYZE TABLE t, u":                                                            false,
		"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) TABLE u":                    true,
		"create table t as\ntable u":                                                    true,
		"CREATE TABLE timetable (`tables` INT) TABLESPACE x":                            false,
		"CREATE TABLE t AS SELECT * FROM u":                                             true,
		"CREATE OR REPLACE TEMPORARY TABLE t SELECT 1":                                  true,
		"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)":                            false,
		"CREATE VIEW v AS SELECT 1":                                                     false,
		"CREATE DEFINER=`a`@`b` PROCEDURE p() INSERT INTO t SELECT * FROM u ORDER BY 1": false,
		"BEGIN": false, "COMMIT": false, "SAVEPOINT s": false, "XA START X'67',X'',1": false, "DROP TEMPORARY TABLE t": false,
	} {
		if got := byPlace(verbOf([]byte(sql)), []byte(sql)); got != want {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func TestXIDOf(t *testing.T) {
	for sql, want := range map[string]string{
		"XA COMMIT X'67',X'',1":             "X'67',X'',1",
		"xa rollback x'6A6B',x'FF',-1":      "X'6a6b',X'ff',-1",
		"XA COMMIT X'67',X'62',7 ONE PHASE": "X'67',X'62',7",
	} {
		if got, err := xidOf([]byte(sql)); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", sql, got, err, want)
		}
	}
	for _, sql := range []string{"XA COMMIT 'g'", "XA COMMIT X'67", "XA COMMIT X'6',X'',1", "XA COMMIT X'67',X'',", "XA COMMIT"} {
		if got, err := xidOf([]byte(sql)); err == nil {
			t.Errorf("%q: %q, want an error", sql, got)
		}
	}
}
