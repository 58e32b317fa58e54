package target

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"interlock/replay/binlog"
)

// index is one unique index.
type index struct {
	name   string
	parts  []int // columns; -1 for an expression
	prefix bool  // a part is only the beginning of its column
	hash   bool  // MariaDB: over a hidden column with a hash of the parts
}

// readIndexes finds keys, unique columns and MariaDB's hidden hash columns.
func (c *Schema) readIndexes(ctx context.Context, t *Table, where string) error {
	// Without CARDINALITY among the columns nothing is sampled.
	rows, err := c.query(ctx, "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE"+
		" FROM information_schema.STATISTICS"+where+" ORDER BY INDEX_NAME, SEQ_IN_INDEX")
	if err != nil {
		return err
	}
	var indexes []index
	for _, row := range rows {
		part := -1
		if !row[2].Null {
			name := row[2].Text
			if part = slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name }); part < 0 {
				return fmt.Errorf("index %s has a column %s that the table does not have", quoteName(row[0].Text), quoteName(name))
			}
		} else {
			t.Computed = true
		}
		if row[1].Text != "0" {
			continue
		}
		if len(indexes) == 0 || indexes[len(indexes)-1].name != row[0].Text {
			indexes = append(indexes, index{name: row[0].Text})
		}
		last := &indexes[len(indexes)-1]
		last.parts = append(last.parts, part)
		last.prefix = last.prefix || !row[3].Null
		// A HASH index of an engine without hash indexes (all but MEMORY) is one of a hidden column.
		last.hash = last.hash || c.server.Flavor == binlog.MariaDB && row[4].Text == "HASH" && !strings.EqualFold(t.Engine, "MEMORY")
	}
	// The primary key first; the server's order of the others is that of their names, which is stable.
	slices.SortStableFunc(indexes, func(a, b index) int { return primaryFirst(a) - primaryFirst(b) })
	for _, index := range indexes {
		t.addUnique(index)
	}
	t.LooseKey = t.LooseKey && c.server.Flavor == binlog.MariaDB
	return nil
}

func primaryFirst(i index) int {
	if i.name == "PRIMARY" {
		return 0
	}
	return 1
}

// addUnique takes one unique index into account.
func (t *Table) addUnique(i index) {
	if slices.Contains(i.parts, -1) {
		// What the expression reads is not parsed: any column may move the row to another place of the index.
		t.UniqueUnsafe = true
		t.depends = t.depends[:0]
		for column := range t.Columns {
			t.depends = append(t.depends, column)
		}
		return
	}
	nullable, virtual := false, false
	for _, part := range i.parts {
		nullable = nullable || t.Columns[part].Nullable
		virtual = virtual || t.Columns[part].Virtual
	}
	switch {
	case i.hash:
		t.UniqueUnsafe = true
		t.depends = append(append(t.depends, i.parts...), len(t.Columns))
		// Source: make_unique_indexes_hidden … add_hash_field, sql/sql_table.cc. It is nullable as its parts are.
		t.Columns = append(t.Columns, Column{Name: t.hashName(), DataType: "bigint", definition: "bigint(20) unsigned", precision: 20,
			Unsigned: true, Nullable: nullable, Generated: true, Virtual: true, Hidden: true})
	case i.prefix:
		t.UniqueUnsafe = true
		t.depends = append(t.depends, i.parts...)
	case virtual:
		// A partial image may lack the column, and what it is computed from is not parsed.
		t.UniqueUnsafe = true
		t.Unique = append(t.Unique, i.parts)
	default:
		t.Unique = append(t.Unique, i.parts)
	}
	plain := !i.hash && !i.prefix && !virtual && !nullable
	if t.Key == nil && (plain || i.name == "PRIMARY" && !i.hash) {
		t.Key, t.LooseKey = i.parts, i.prefix
		for _, part := range i.parts {
			t.LooseKey = t.LooseKey || t.Columns[part].loose()
		}
	}
}

// loose tells whether two values of the column may be equal to the server whose bytes are not.
func (c *Column) loose() bool {
	switch c.DataType {
	case "float", "double":
		return true // 0 and -0
	case "enum", "set":
		return false // numbers in a row
	}
	return c.Collation != "" && c.Collation != "binary" && !strings.HasSuffix(c.Collation, "_nopad_bin")
}

// hashName is the name of the next hidden hash column.
func (t *Table) hashName() string {
	n := 1
	for _, column := range t.Columns {
		if column.Hidden && strings.HasPrefix(column.Name, "DB_ROW_HASH_") {
			n++
		}
	}
	return fmt.Sprintf("DB_ROW_HASH_%d", n)
}
