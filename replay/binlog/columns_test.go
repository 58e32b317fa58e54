package binlog_test

import (
	"fmt"
	"strings"

	"interlock/internal/testrig"
)

// sentinel stands behind every typed column, so that a value taken for longer or shorter than it is shows.
const sentinel = 0x11223344

// column is a type and values of it, as SQL. NULL is tried on every one.
type column struct {
	sql    string
	values []string
}

// columns are the types that a product has, at each of their lengths.
func columns(product testrig.Product) []column {
	var out []column
	add := func(sql string, values ...string) { out = append(out, column{sql, values}) }
	for _, t := range []string{"tinyint", "smallint", "mediumint", "int", "bigint"} {
		add(t, "0", "-1", "127", "-128")
		add(t+" unsigned", "0", "1", "255")
	}
	add("int unsigned", "4294967295")
	add("bigint unsigned", "18446744073709551615")
	add("bigint", "-9223372036854775808")
	add("float", "0", "1.5", "-2.25")
	add("double", "0", "1e300", "-1.5")
	for _, d := range []string{"1,0", "9,9", "10,2", "18,9", "19,10", "65,30"} {
		add("decimal("+d+")", "0", "0.1", "-0.9")
	}
	for _, bits := range []int{1, 7, 8, 9, 16, 63, 64} {
		add(fmt.Sprintf("bit(%d)", bits), "0", "1", fmt.Sprint(uint64(1)<<(bits-1)))
	}
	add("date", "'2026-01-02'", "'9999-12-31'")
	add("year", "2026", "0")
	for _, t := range []string{"time", "datetime", "timestamp"} {
		value := map[string]string{"time": "'-123:59:58.987654'", "datetime": "'1999-12-31 23:59:58.123456'", "timestamp": "'2001-02-03 04:05:06.123456'"}[t]
		for digits := range 7 {
			add(fmt.Sprintf("%s(%d) null", t, digits), value)
		}
	}
	for _, n := range []int{0, 1, 30, 255} {
		add(fmt.Sprintf("char(%d) character set latin1", n), "''", quoted("x", n))
		add(fmt.Sprintf("char(%d) character set utf8mb4", n), "''", quoted("€", n))
		add(fmt.Sprintf("binary(%d)", n), "''", quoted("b", n))
		add(fmt.Sprintf("varchar(%d) character set latin1", n), "''", quoted("x", n))
	}
	for _, n := range []int{63, 64, 256, 1000} {
		add(fmt.Sprintf("varchar(%d) character set utf8mb4", n), "''", quoted("y", n))
		add(fmt.Sprintf("varbinary(%d)", n), "''", quoted("z", n))
	}
	for _, size := range []string{"tiny", "", "medium", "long"} {
		add(size+"blob", "''", quoted("b", 200))
		add(size+"text", "''", quoted("t", 255))
	}
	add("blob", quoted("b", 3000))
	add("mediumblob", quoted("m", 70000))
	add("geometry", "point(1,2)", "st_geomfromtext('linestring(0 0,1 1,2 2)')")
	add("enum('a','b','c')", "'a'", "'c'")
	add("enum("+members(300)+")", "'m0'", "'m299'")
	for _, n := range []int{1, 8, 9, 17, 25, 33, 64} {
		add("set("+members(n)+")", "''", fmt.Sprintf("'m0,m%d'", n-1))
	}
	add("json", `'{"a":[1,2,{"b":null}],"c":"d"}'`, "'1'")
	if product == testrig.MySQL {
		add("vector(3)", "to_vector('[1,2,3]')")
	} else {
		add("inet6", "'::1'")
		add("uuid", "'123e4567-e89b-12d3-a456-426655440000'")
		add("varchar(10) compressed", "''", quoted("c", 10))
	}
	return out
}

func quoted(char string, n int) string { return "'" + strings.Repeat(char, n) + "'" }

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",'m%d'", i)
	}
	return b.String()[1:]
}

// columnsSQL makes tables of these columns, eleven a table, and inserts, updates and deletes their values. Row
// i of a table has the i-th value of each column, the last row NULLs.
func columnsSQL(product testrig.Product) string {
	var b strings.Builder
	b.WriteString("use t; set sql_mode='';\n")
	all := columns(product)
	for n := 0; len(all) > 0; n++ {
		some := all[:min(11, len(all))]
		all = all[len(some):]
		fmt.Fprintf(&b, "create table types%d(id int primary key", n)
		most := 0
		for i, c := range some {
			fmt.Fprintf(&b, ", c%d %s, s%d int not null", i, c.sql, i)
			most = max(most, len(c.values))
		}
		b.WriteString(") engine=innodb;\n")
		for row := range most + 1 {
			fmt.Fprintf(&b, "insert into types%d values (%d", n, row)
			for _, c := range some {
				value := "null"
				if row < most {
					value = c.values[row%len(c.values)]
				}
				fmt.Fprintf(&b, ", %s, %d", value, sentinel)
			}
			b.WriteString(");\n")
		}
		fmt.Fprintf(&b, "update types%d set c0=null; delete from types%d where id=1;\n", n, n)
	}
	return b.String()
}
