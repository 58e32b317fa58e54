-- Every kind of statement event, under changing sessions. "connection N" at the start of a line goes on in that
-- connection; every statement is a line.
connection 1
SET NAMES utf8mb4
CREATE DATABASE d1 CHARACTER SET utf8mb4
CREATE DATABASE `we``ird é ☃` CHARACTER SET latin1
USE d1
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a TEXT, n NUMERIC(50,20), d DOUBLE, ts TIMESTAMP(6) NULL, dt DATETIME(6), b BLOB)
INSERT INTO t (a) VALUES ('one'), ('two'), ('three')
INSERT INTO t (a) VALUES (NULL)
SET sql_mode = ''
INSERT INTO t (a) VALUES ("double quoted"), ('back\\slash'), ('quote''s')
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'
INSERT INTO t ("a") VALUES ('back\slash' || '\n')
BEGIN
INSERT INTO t ("a") VALUES ('back\slash')
SAVEPOINT plain
INSERT INTO t ("a") VALUES ('back\slash')
SAVEPOINT `back\slash`
INSERT INTO t ("a") VALUES ('back\slash')
ROLLBACK TO plain
COMMIT
SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,IGNORE_SPACE,HIGH_NOT_PRECEDENCE'
INSERT INTO t (a) VALUES (NOT 1 BETWEEN -5 AND 5)
SET sql_mode = DEFAULT
-- time
SET timestamp = 1700000000.000005
INSERT INTO t (a, ts, dt) VALUES ('micro', NOW(6), NOW(6))
SET timestamp = 1700000000.9
SET time_zone = '+09:30'
INSERT INTO t (a, ts, dt) VALUES ('offset', NOW(6), NOW(6))
SET time_zone = 'Test/Zone'
INSERT INTO t (a, ts, dt) VALUES ('named', NOW(6), NOW(6))
INSERT INTO t (a, ts) VALUES ('gap', '2023-11-14 23:00:00')
SET time_zone = DEFAULT
SET timestamp = DEFAULT
SET lc_time_names = 'de_DE'
INSERT INTO t (a) VALUES (DATE_FORMAT('2023-03-01', '%M %W'))
SET lc_time_names = DEFAULT
-- auto_increment, LAST_INSERT_ID
SET auto_increment_increment = 10, auto_increment_offset = 3
INSERT INTO t (a) VALUES ('x'), ('y'), ('z')
SET auto_increment_increment = 1, auto_increment_offset = 1
INSERT INTO t (a) VALUES (LAST_INSERT_ID())
INSERT INTO t (a, d) SELECT 'rand', RAND() FROM t LIMIT 1
UPDATE t SET d = RAND() * id ORDER BY id
-- character sets
SET NAMES latin1
INSERT INTO t (a) VALUES ('latin éü'), (_utf8mb4 X'E29883')
SET NAMES gbk
INSERT INTO t (a, b) VALUES ('multi', X'D6D05C')
SET NAMES sjis
INSERT INTO t (a) VALUES ('sjis')
SET NAMES swe7
INSERT INTO t (a) VALUES ('swe')
SET NAMES utf8mb4
SET collation_server = ucs2_general_ci
CREATE DATABASE d2
SET collation_server = DEFAULT
SET collation_connection = utf8mb4_bin
INSERT INTO t (a) SELECT 'a' = 'A'
SET NAMES utf8mb4
USE d2
CREATE TABLE c (a VARCHAR(20))
INSERT INTO c VALUES ('other')
USE `we``ird é ☃`
CREATE TABLE `tä``b` (`cö l` VARCHAR(20))
INSERT INTO `tä``b` VALUES ('é')
SET NAMES utf8mb4
USE d1
INSERT INTO t (a) VALUES ('before')
connection 2
USE d2
INSERT INTO c VALUES ('two')
connection 1
SET NAMES utf8mb4
-- user variables
SET @s = 'it''s', @n = NULL, @i = -9223372036854775808, @u = 18446744073709551615, @dec = -12345678901234567890.0123456789
SET @small = -0.000001, @z = 0.0, @l = _latin1 X'E9' COLLATE latin1_german1_ci, @b = X'00ff27', @e = '', @g = _gbk X'D6D0'
INSERT INTO t (a) VALUES (@s), (@n), (@i), (@u), (@l), (@e), (@g)
INSERT INTO t (n, b) VALUES (@dec, @b), (@small, @b), (@z, @b)
SET @`na``me` = 'name'
INSERT INTO t (a) VALUES (@`na``me`)
INSERT INTO t (a) VALUES (COLLATION(@l)), (COLLATION(@s))
-- checks
CREATE TABLE p (id INT PRIMARY KEY)
CREATE TABLE f (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES p (id))
SET foreign_key_checks = 0
INSERT INTO f VALUES (5)
SET foreign_key_checks = 1, unique_checks = 0
INSERT INTO p VALUES (5)
SET unique_checks = 1, sql_auto_is_null = 1
INSERT INTO p VALUES (6)
SET sql_auto_is_null = 0
-- transactions
BEGIN
INSERT INTO t (a) VALUES ('in a transaction')
SET time_zone = '-03:00', timestamp = 1700000001.25
INSERT INTO t (a, ts, dt) VALUES ('later', NOW(6), NOW(6))
SAVEPOINT sp
UPDATE t SET a = CONCAT(a, '!') WHERE a = 'later'
COMMIT
SET time_zone = DEFAULT, timestamp = DEFAULT, autocommit = 0
INSERT INTO t (a) VALUES ('without autocommit')
COMMIT
CREATE TABLE made (a INT)
SET autocommit = 1
-- temporary tables of the same name in two connections
CREATE TEMPORARY TABLE tmp (a INT)
INSERT INTO tmp VALUES (1), (2)
connection 2
USE d1
CREATE TEMPORARY TABLE tmp (a INT)
INSERT INTO tmp VALUES (10), (20)
connection 1
INSERT INTO t (a) SELECT CONCAT('tmp', a) FROM tmp
connection 2
INSERT INTO t (a) SELECT CONCAT('tmp', a) FROM tmp
connection 1
DROP TEMPORARY TABLE tmp
connection 2
DROP TEMPORARY TABLE tmp
connection 1
-- routines, triggers, views, accounts, DDL
CREATE PROCEDURE pr (IN x INT) BEGIN DECLARE v VARCHAR(20) DEFAULT 'local'; INSERT INTO t (a) VALUES (CONCAT(v, x)); INSERT INTO made VALUES (x); END
CALL pr(7)
CREATE FUNCTION fn (x INT) RETURNS INT DETERMINISTIC RETURN x + 1
INSERT INTO made VALUES (fn(8))
CREATE TRIGGER tr BEFORE INSERT ON made FOR EACH ROW SET NEW.a = NEW.a * 2
INSERT INTO made VALUES (21)
CREATE VIEW vw AS SELECT a, DATE_FORMAT(ts, '%M') AS m FROM t
CREATE USER someone@localhost
GRANT SELECT ON d1.* TO someone@localhost
ALTER TABLE made ADD COLUMN b VARCHAR(10) DEFAULT 'é', ADD KEY (a)
CREATE TABLE explicit (a TIMESTAMP, b TIMESTAMP NULL)
RENAME TABLE made TO renamed
TRUNCATE TABLE f
DROP DATABASE d2
INSERT INTO t (a) VALUES ('after a drop')
