-- What MySQL alone has. As common.sql.
connection 1
SET NAMES utf8mb4
CREATE DATABASE own
USE own
CREATE TABLE m (id INT AUTO_INCREMENT PRIMARY KEY, a TEXT)
SET sql_require_primary_key = 1
CREATE TABLE with_key (id INT PRIMARY KEY)
SET sql_require_primary_key = 0
CREATE TABLE without_key (id INT)
SET explicit_defaults_for_timestamp = 0
CREATE TABLE implicit (a TIMESTAMP)
SET explicit_defaults_for_timestamp = 1
CREATE TABLE explicit (a TIMESTAMP)
SET default_collation_for_utf8mb4 = utf8mb4_general_ci
CREATE TABLE general (a VARCHAR(10) CHARACTER SET utf8mb4)
SET default_collation_for_utf8mb4 = DEFAULT
CREATE TABLE newer (a VARCHAR(10) CHARACTER SET utf8mb4)
CREATE TABLE parent (id INT PRIMARY KEY)
CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES parent (id) ON DELETE CASCADE)
CREATE TRIGGER gone AFTER DELETE ON child FOR EACH ROW INSERT INTO m (a) VALUES (CONCAT('gone ', OLD.id))
INSERT INTO parent VALUES (1), (2)
INSERT INTO child VALUES (1), (2)
SET enable_cascade_triggers = 1
DELETE FROM parent WHERE id = 1
SET enable_cascade_triggers = 0
DELETE FROM parent WHERE id = 2
SET gtid_next = 'AUTOMATIC:tagged'
INSERT INTO m (a) VALUES ('under a tag')
SET gtid_next = 'AUTOMATIC'
