-- What MariaDB alone has. As common.sql.
connection 1
SET NAMES utf8mb4
CREATE DATABASE own
USE own
CREATE TABLE m (id INT AUTO_INCREMENT PRIMARY KEY, a TEXT, CHECK (a <> 'bad'))
SET check_constraint_checks = 0
INSERT INTO m (a) VALUES ('bad')
SET check_constraint_checks = 1
SET sql_if_exists = 1
DROP TABLE missing
SET sql_if_exists = 0
SET explicit_defaults_for_timestamp = 0
CREATE TABLE implicit (a TIMESTAMP)
SET explicit_defaults_for_timestamp = 1
CREATE TABLE explicit (a TIMESTAMP)
SET sql_mode = 'ORACLE'
CREATE PROCEDURE oracle (x INT) AS BEGIN INSERT INTO m (a) VALUES (x || ' in oracle'); END
CALL oracle(5)
SET sql_mode = DEFAULT
SET @g = ST_GeomFromText('POINT(1 2)')
CREATE TABLE geo (g GEOMETRY)
INSERT INTO geo VALUES (@g)
CREATE TABLE versioned (a INT) WITH SYSTEM VERSIONING
SET timestamp = 1700000000.000001
INSERT INTO versioned VALUES (1)
SET timestamp = 1700000001.1
UPDATE versioned SET a = 2
SET timestamp = DEFAULT
SET binlog_alter_two_phase = 1
ALTER TABLE implicit ADD COLUMN b INT, ALGORITHM = COPY
SET binlog_alter_two_phase = 0
SET NAMES utf8mb4 COLLATE utf8mb4_uca1400_as_cs
INSERT INTO m (a) SELECT 'a' = 'A'
