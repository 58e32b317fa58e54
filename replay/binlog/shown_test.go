package binlog

import (
	"strings"
	"testing"
)

func TestShown(t *testing.T) {
	for sql, want := range map[string]string{
		"UPDATE t\n\tSET a = 1":                              "UPDATE t SET a = 1",
		"create user a identified by 'x'":                    "create user a identified…",
		"SET PASSWORD FOR a@b = PASSWORD('x')":               "SET PASSWORD…",
		"CREATE SERVER s OPTIONS (HOST 'h', PASSWORD 'x')":   "CREATE SERVER s OPTIONS (HOST 'h', PASSWORD…",
		"CHANGE MASTER TO MASTER_PASSWORD='x'":               "CHANGE MASTER TO MASTER_PASSWORD…",
		"ALTER TABLE t ADD password":                         "ALTER TABLE t ADD password",
		"INSERT INTO t VALUES ('\xff')":                      "INSERT INTO t VALUES ('?')",
		"SELECT '" + strings.Repeat("é", 200) + "'":          "SELECT '" + strings.Repeat("é", 96) + "…",
		strings.Repeat("x", 190) + " IDENTIFIED BY 'secret'": strings.Repeat("x", 190) + " IDENTIFIE…",
	} {
		if got := Shown(sql); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
