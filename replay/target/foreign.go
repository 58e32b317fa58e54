package target

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// foreignGroup is a set of tables that foreign keys tie together, over any number of steps.
type foreignGroup struct {
	name    string // of its first table
	actions bool   // a key among them changes rows by itself
}

// foreignKey is one key: child refers to parent.
type foreignKey struct {
	child, parent tableName
	action        bool // ON DELETE or ON UPDATE does more than refuse
}

// foreignGroups reads all foreign keys of the server, once until Forget.
func (c *Schema) foreignGroups(ctx context.Context) (map[tableName]foreignGroup, error) {
	if c.foreign != nil {
		return c.foreign, nil
	}
	read := c.mysqlForeignKeys
	if c.server.Flavor == binlog.MariaDB {
		read = c.mariadbForeignKeys
	}
	keys, err := read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read foreign keys: %w", err)
	}
	c.foreign = groupByKeys(keys)
	return c.foreign, nil
}

func (c *Schema) mysqlForeignKeys(ctx context.Context) ([]foreignKey, error) {
	rows, err := c.query(ctx, "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME,"+
		" UPDATE_RULE, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS")
	if err != nil {
		return nil, err
	}
	keys := make([]foreignKey, len(rows))
	for i, row := range rows {
		keys[i] = foreignKey{
			child: tableName{row[0].Text, row[1].Text}, parent: tableName{row[2].Text, row[3].Text},
			action: !refuses(row[4].Text) || !refuses(row[5].Text),
		}
	}
	return keys, nil
}

// refuses tells whether a rule does nothing but refuse.
func refuses(rule string) bool { return rule == "NO ACTION" || rule == "RESTRICT" }

// mariadbForeignKeys asks InnoDB's dictionary: MariaDB's information_schema would open every table of the server.
// Names there are file names, schema/table, and are decoded by the server itself.
func (c *Schema) mariadbForeignKeys(ctx context.Context) ([]foreignKey, error) {
	var fields []string
	for _, column := range []string{"FOR_NAME", "REF_NAME"} {
		for _, part := range []int{1, -1} {
			fields = append(fields, fmt.Sprintf("CONVERT(CONVERT(CAST(SUBSTRING_INDEX(%s, '/', %d) AS BINARY) USING filename) USING utf8mb4)", column, part))
		}
	}
	rows, err := c.query(ctx, "SELECT "+strings.Join(fields, ", ")+", TYPE FROM information_schema.INNODB_SYS_FOREIGN")
	if err != nil {
		return nil, err
	}
	keys := make([]foreignKey, len(rows))
	for i, row := range rows {
		flags, err := strconv.ParseUint(row[4].Text, 10, 32)
		if err != nil {
			return nil, err
		}
		// DICT_FOREIGN_ON_{DELETE,UPDATE}_{CASCADE,SET_NULL}, storage/innobase/include/dict0mem.h.
		const actions = 1 | 2 | 4 | 8
		keys[i] = foreignKey{
			child: tableName{row[0].Text, row[1].Text}, parent: tableName{row[2].Text, row[3].Text}, action: flags&actions != 0,
		}
	}
	return keys, nil
}

// groupByKeys makes a group of all tables that keys connect, in either direction.
func groupByKeys(keys []foreignKey) map[tableName]foreignGroup {
	leader := map[tableName]tableName{}
	var find func(n tableName) tableName
	find = func(n tableName) tableName {
		up, known := leader[n]
		if !known || up == n {
			leader[n] = n
			return n
		}
		top := find(up)
		leader[n] = top
		return top
	}
	for _, key := range keys {
		a, b := find(key.child), find(key.parent)
		if b.String() < a.String() {
			a, b = b, a
		}
		leader[b] = a // the first name leads, so that a group has the same name in every run
	}
	actions := map[tableName]bool{}
	for _, key := range keys {
		if key.action {
			actions[find(key.child)] = true
		}
	}
	groups := make(map[tableName]foreignGroup, len(leader))
	for n := range leader {
		top := find(n)
		groups[n] = foreignGroup{name: top.String(), actions: actions[top]}
	}
	return groups
}
