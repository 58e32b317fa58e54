-- What mysqlbinlog's output loses on the way, so that the source alone can be compared with. Otherwise as in
-- common.sql.
connection 1
SET NAMES utf8mb4
CREATE DATABASE exact
CREATE DATABASE `exäct`
USE exact
CREATE TABLE e (a TEXT, d DOUBLE)
SET @r = 0.1e0 + 0.2e0, @one = 1.5e0, @five = CAST(5 AS UNSIGNED), @minus = -0.0e0
INSERT INTO e (a, d) VALUES (@r, @r), (@one, @one), (@minus, @minus)
CREATE TABLE types AS SELECT @r AS r, @one AS one, @five AS five, @minus AS minus
SET @`na``me é` = 'name'
INSERT INTO e (a) VALUES (@`na``me é`)
SET collation_connection = ucs2_bin
INSERT INTO e (a) VALUES (CONCAT('ucs', 2))
SET time_zone = _latin1'+05:45'
INSERT INTO e (a) VALUES (NOW())
SET time_zone = _latin1'Test/Zone'
INSERT INTO e (a) VALUES (NOW())
SET NAMES utf8mb4
connection 2
SET NAMES latin1
USE exact
INSERT INTO e (a) VALUES ('latin1')
SET @`ä` = 'named in latin1'
INSERT INTO e (a) VALUES (@`ä`)
connection 1
USE `exäct`
SET character_set_client = latin1
CREATE TABLE in_latin1 (a TEXT)
connection 2
USE exact
INSERT INTO e (a) VALUES ('ä')
