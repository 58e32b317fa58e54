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

// What SHOW INDEX tells of a part of an index. The order is that of both servers since MySQL 5.0.
const (
	showNonUnique = 1
	showName      = 2
	showColumn    = 4
	showSubPart   = 7
	showType      = 10
)

// readIndexes finds keys, unique columns and MariaDB's hidden hash columns.
//
// SHOW INDEX has the indexes as the server has numbered them, which matters where there is no primary key: the first
// unique one over NOT NULL columns takes its place. That is not the order of their names, nor that of their making
// (sort_keys, sql/sql_table.cc: primary, unique over NOT NULL, unique over whole columns, unique, others; but MariaDB's
// ALTER TABLE … MODIFY … NOT NULL leaves them where they are). MariaDB's information_schema has them in the same order, MySQL's has not.
func (c *Schema) readIndexes(ctx context.Context, t *Table) error {
	rows, err := c.query(ctx, "SHOW INDEX FROM "+t.String())
	if err != nil {
		return err
	}
	var indexes []index
	for _, row := range rows {
		if len(row) <= showType {
			return fmt.Errorf("SHOW INDEX has an answer that is not understood")
		}
		// MySQL refuses a document's number that is 65,535 above the last committed one, to which those in between have to
		// lead up (FTS_DOC_ID_MAX_STEP, fts0fts.h; error 182). MariaDB 10.11 does not.
		if c.server.Flavor == binlog.MySQL && row[showType].Text == "FULLTEXT" &&
			slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == documentColumn }) {
			t.Ordered, t.ByTransaction = "numbers its documents itself", true
		}
		part := -1
		if column := row[showColumn]; !column.Null {
			if part = slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column.Text }); part < 0 {
				return fmt.Errorf("index %s has a column %s that the table does not have", quoteName(row[showName].Text), quoteName(column.Text))
			}
		} else {
			t.Computed = true
		}
		if row[showNonUnique].Text != "0" {
			continue
		}
		if len(indexes) == 0 || indexes[len(indexes)-1].name != row[showName].Text {
			indexes = append(indexes, index{name: row[showName].Text})
		}
		last := &indexes[len(indexes)-1]
		last.parts = append(last.parts, part)
		last.prefix = last.prefix || !row[showSubPart].Null
		// A HASH index of an engine without hash indexes (all but MEMORY) is one of a hidden column.
		last.hash = last.hash || c.server.Flavor == binlog.MariaDB && row[showType].Text == "HASH" && !strings.EqualFold(t.Engine, "MEMORY")
	}
	for _, index := range indexes {
		t.addUnique(index)
	}
	if c.server.Flavor == binlog.MariaDB {
		t.keyOfMariaDB(indexes)
	}
	t.LooseKey = t.LooseKey && c.server.Flavor == binlog.MariaDB
	return nil
}

// keyOfMariaDB gives up a key by which MariaDB does not look for a row. It takes the first unique index over NOT NULL
// columns, one over a prefix too, without asking whether the image has its columns, and finds a row by their defaults
// where it has not; and whether it goes on to compare the whole row depends on its very first index (find_key and
// find_row, sql/log_event_server.cc; the rows of a wrong one were changed in 10.11). So the key must be that one, or images must be whole.
// MySQL looks for an index of which the image has every column (search_key_in_table, sql/log_event.cc).
//
// Nor do its rows lie in the order of a key that is not a primary one: InnoDB goes on without where ALTER TABLE … MODIFY … NOT
// NULL makes it a key in place (10.11), and nothing but InnoDB's own tables of indexes tells.
func (t *Table) keyOfMariaDB(indexes []index) {
	t.Clustered = t.Clustered && indexes[0].name == "PRIMARY"
	if t.Key != nil && (indexes[0].hash || !slices.Equal(indexes[0].parts, t.Key)) {
		t.Key, t.LooseKey = nil, false
	}
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
	t.Clustered = t.Clustered || plain || i.name == "PRIMARY"
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
