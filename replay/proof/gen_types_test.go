package proof

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"interlock/internal/testrig"
)

// pick returns one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// chance is true in percent of all cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// Collations: case and accent sensitive and not, PAD SPACE and NO PAD, one and several bytes a character.
var collations = map[testrig.Product][]string{
	testrig.MySQL: {"utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_0900_bin",
		"latin1_swedish_ci", "latin1_bin", "utf8mb3_unicode_ci", "ucs2_general_ci", "utf16_unicode_ci", "utf8mb4_de_pb_0900_ai_ci", "cp932_japanese_ci"},
	testrig.MariaDB: {"utf8mb4_general_ci", "utf8mb4_nopad_bin", "utf8mb4_unicode_nopad_ci", "latin1_swedish_ci", "latin1_nopad_bin",
		"utf8mb4_uca1400_ai_ci", "utf8mb4_bin", "ucs2_general_ci", "utf16_unicode_ci", "cp932_japanese_ci"},
}

func collate(r *rand.Rand, p testrig.Product) string {
	c := pick(r, collations[p]...)
	set, _, _ := strings.Cut(c, "_")
	return " CHARACTER SET " + set + " COLLATE " + c
}

// keyType is a column type that can be a whole key column everywhere.
func keyType(r *rand.Rand, p testrig.Product) string {
	switch r.IntN(14) {
	case 0, 1:
		return "INT"
	case 2:
		return "BIGINT UNSIGNED"
	case 3:
		return pick(r, "TINYINT", "SMALLINT", "MEDIUMINT", "MEDIUMINT UNSIGNED")
	case 4, 5:
		return fmt.Sprintf("VARCHAR(%d)", pick(r, 10, 60)) + collate(r, p)
	case 6:
		return "CHAR(12)" + collate(r, p)
	case 7:
		return pick(r, "VARBINARY(20)", "BINARY(6)")
	case 8:
		return pick(r, "DECIMAL(10,2)", "DECIMAL(30,10)", "DECIMAL(5)")
	case 9:
		return pick(r, "DATETIME(6)", "DATETIME", "DATE", "TIME(3)", "TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)")
	case 10:
		return pick(r, "ENUM('a','b','c','d','e','f','g')", "SET('x','y','z')", "YEAR")
	case 11:
		return pick(r, "DOUBLE", "FLOAT")
	case 12:
		return pick(r, "BIT(10)", "BIT(64)")
	default:
		if p == testrig.MariaDB {
			return pick(r, "UUID", "INET6", "INET4")
		}
		return "INT UNSIGNED"
	}
}

// anyType is any column type; compressed and the like included.
func anyType(r *rand.Rand, p testrig.Product) string {
	switch r.IntN(10) {
	case 0, 1, 2, 3, 4:
		return keyType(r, p)
	case 5:
		return pick(r, "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "VARCHAR(400)") + collate(r, p)
	case 6:
		return pick(r, "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "VARBINARY(300)")
	case 7:
		return "JSON"
	case 8:
		return pick(r, "GEOMETRY", "POINT", "LINESTRING", "POLYGON")
	default:
		if p == testrig.MariaDB {
			return pick(r, "VARCHAR(200) COMPRESSED", "BLOB COMPRESSED", "TEXT COMPRESSED", "UUID", "INET6")
		}
		return pick(r, "VECTOR(3)", "VECTOR(16)", "JSON")
	}
}

// words are what a collation may take for equal, and what padding hides.
var words = []string{"abc", "ABC", "Abc", "àbc", "abc ", "abc  ", "ß", "ss", "SS", "", " ", "x", "é", "e", "E", "E ", "ñ", "n",
	"Ä", "AE", "ä", "日本", "😀", "a\\'b", "1", "01", "zzz", "tab\t", "ab\u0301c"}

var documents = []string{`{}`, `[]`, `null`, `{"a": 1, "b": [1, 2, 3], "c": "text"}`, `{"a": 2, "c": "a longer text that can be cut in place"}`,
	`[1, 1, 2]`, `[3, 4]`, `{"tags": [5, 6], "n": 1.5}`, `"s"`, `17`, `{"d": {"e": {"f": [true, false, null]}}}`}

// value is a literal for a column, out of a domain small enough that rows meet.
func value(r *rand.Rand, p testrig.Product, c *column) string {
	if c.nullable && chance(r, 15) {
		return "NULL"
	}
	if text, done := numberValue(r, c); done {
		return text
	}
	switch c.dataType {
	case "year":
		return pick(r, "1999", "2026", "0", "2155")
	case "date":
		return pick(r, "'2026-01-01'", "'1999-12-31'", "'0000-00-00'", "'2024-02-29'", "'9999-12-31'", fmt.Sprintf("'2026-03-%02d'", 1+r.IntN(9)))
	case "time":
		return pick(r, "'10:11:12.123456'", "'-838:59:59'", "'00:00:00'", "'-00:00:00.5'", fmt.Sprintf("'01:02:%02d.%d'", r.IntN(5), r.IntN(5)))
	case "datetime", "timestamp":
		return pick(r, "'2026-01-01 00:00:00'", "NOW(6)", "'2001-09-09 01:46:40.999999'", "'2038-01-19 03:14:07'",
			fmt.Sprintf("'2026-05-06 07:08:%02d.%d'", r.IntN(6), r.IntN(4)), fmt.Sprintf("'2025-07-%02d 12:00:00.123'", 1+r.IntN(9)))
	case "json":
		return quote(pick(r, documents...))
	case "geometry", "point":
		return fmt.Sprintf("ST_GeomFromText('POINT(%d %d)')", r.IntN(5), r.IntN(5))
	case "linestring":
		return fmt.Sprintf("ST_GeomFromText('LINESTRING(0 0,%d %d)')", 1+r.IntN(5), r.IntN(5))
	case "polygon":
		return fmt.Sprintf("ST_GeomFromText('POLYGON((0 0,0 %d,%d 5,0 0))')", 1+r.IntN(5), 1+r.IntN(5))
	case "vector":
		n, _ := strconv.Atoi(strings.Trim(strings.TrimPrefix(c.columnType, "vector"), "()")) // 0 makes a refused value: no harm
		return "STRING_TO_VECTOR('[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d.5,", r.IntN(9)), n), ",") + "]')"
	case "uuid":
		return fmt.Sprintf("'123e4567-e89b-12d3-a456-4266554400%02x'", r.IntN(12))
	case "inet6":
		return fmt.Sprintf("'2001:db8::%x'", r.IntN(12))
	case "inet4":
		return fmt.Sprintf("'10.0.0.%d'", r.IntN(12))
	case "enum", "set":
		return memberValue(r, c)
	default:
		return stringValue(r, c)
	}
}

func numberValue(r *rand.Rand, c *column) (string, bool) {
	switch c.dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		if chance(r, 8) {
			return pick(r, "127", "-128", "255", "0", "32767", "-1"), true
		}
		return strconv.Itoa(r.IntN(40)), true
	case "decimal":
		return pick(r, "1.50", "-0.01", "999.99", "0", "-12345", "7", "8.5", fmt.Sprint(r.IntN(30))), true
	case "float", "double":
		return pick(r, "0.1", "1e10", "-2.5", "0", "-0e0", "3.14159265358979", fmt.Sprint(r.IntN(30))), true
	case "bit":
		return fmt.Sprintf("b'%b'", r.IntN(64)), true
	}
	return "", false
}

// memberValue is a member, a number, or (without strict mode) something that becomes ”.
func memberValue(r *rand.Rand, c *column) string {
	if chance(r, 10) {
		return strconv.Itoa(r.IntN(4))
	}
	list := strings.TrimSuffix(c.columnType[strings.IndexByte(c.columnType, '(')+1:], ")")
	return pick(r, strings.Split(list, ",")...)
}

func stringValue(r *rand.Rand, c *column) string {
	long := c.length > 250 || c.length == 0
	binary := strings.HasSuffix(c.dataType, "blob") || strings.HasSuffix(c.dataType, "binary")
	switch {
	case long && chance(r, 10):
		return fmt.Sprintf("REPEAT('%c', %d)", 'a'+r.IntN(3), pick(r, 255, 256, 300, 1000, 20000))
	case binary && chance(r, 60):
		return fmt.Sprintf("x'%04x%s'", r.IntN(20), pick(r, "", "00", "20", "ff00"))
	case chance(r, 30):
		return fmt.Sprintf("'k%d'", r.IntN(25))
	default:
		return quote(pick(r, words...))
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
