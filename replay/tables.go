package replay

import (
	"context"
	"strings"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/target"
)

// newTable decides how a table's rows are applied, as far as the table alone decides it, and whether a statement is to
// come that may find its rows where they lie.
func newTable(flavor binlog.Flavor, info *target.Table, layout *binlog.Table, byPlace bool) *table {
	t := &table{
		name: tableName(info.Schema, info.Name), info: info, layout: layout,
		group: info.Group, ordered: info.Ordered,
	}
	if t.group == "" {
		t.group = t.name
	}
	if t.ordered == "" && info.Key == nil && info.Computed {
		t.ordered = fold.ComputedWithoutKey
	}
	if t.ordered == "" && byPlace && !info.Clustered {
		t.ordered = "no key, and a statement may number or choose its rows"
	}
	t.fold = &fold.Table{
		Name: t.name, Layout: layout, Key: info.Key, Unique: uniqueColumns(info, len(layout.Columns)),
		Recomputed: info.Computed, Checked: info.Checked, LooseKey: info.LooseKey, PartialUnsafe: info.UniqueUnsafe, Cascades: info.Actions, Unnamed: flavor == binlog.MariaDB, AutoIncrement: -1,
	}
	for _, column := range info.Key {
		t.fold.Orders = append(t.fold.Orders, orderOf(layout.Columns[column].Type, info.Columns[column].Unsigned))
	}
	for i, c := range info.Columns {
		if c.Generated && i < len(layout.Columns) {
			if t.fold.Generated == nil {
				t.fold.Generated = binlog.NewBitmap(len(layout.Columns))
			}
			t.fold.Generated.Set(i)
		}
		if c.AutoIncrement {
			t.fold.AutoIncrement, t.fold.AutoOrder = i, orderOf(layout.Columns[i].Type, c.Unsigned)
		}
	}
	return t
}

// uniqueColumns are the columns of which an update makes a row go and come.
func uniqueColumns(info *target.Table, columns int) binlog.Bitmap {
	set := binlog.NewBitmap(columns)
	for _, i := range info.UniqueColumns() {
		if i < columns {
			set.Set(i)
		}
	}
	return set
}

// orderOf is how an index over a column of that type is sorted, as far as bytes alone do not tell.
func orderOf(t binlog.ColumnType, unsigned bool) fold.Order {
	switch t {
	case binlog.ColTiny, binlog.ColShort, binlog.ColInt24, binlog.ColLong, binlog.ColLongLong:
		if unsigned {
			return fold.OrderUnsigned
		}
		return fold.OrderSigned
	case binlog.ColYear:
		return fold.OrderUnsigned
	case binlog.ColFloat:
		return fold.OrderFloat
	case binlog.ColDouble:
		return fold.OrderDouble
	}
	return fold.OrderBytes
}

// standsAlone tells whether a transaction of rows is to run as it stands, behind an intent: it changes a table whose
// engine has no transactions, so that the rows cannot share one with their mark, or one whose transactions are kept apart.
func (p *planner) standsAlone(ctx context.Context, txn *binlog.Txn) (bool, error) {
	ends, err := p.boundaries(ctx)
	if err != nil {
		return false, err
	}
	// MariaDB's log tells of engines, but of those of the source, and its server's own tables are Aria's.
	transactional := p.flavor == binlog.MySQL || txn.Transactional
	if transactional {
		if transactional, err = p.allTransactional(ctx); err != nil {
			return false, err
		}
	}
	if transactional && !ends.Tables {
		return false, nil
	}
	return p.changes(ctx, func(t *target.Table) bool { return t.NotTransactional || t.ByTransaction })
}

// changes tells whether the transaction that the reader is at has rows of a table that is so on the target.
func (p *planner) changes(ctx context.Context, is func(*target.Table) bool) (bool, error) {
	p.beginTxn()
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return false, err
		}
		if ev.Type != binlog.TypeTableMap {
			continue
		}
		layout, err := p.maps.Parse(p.reader.Format(), ev)
		if err != nil {
			return false, err
		}
		var info *target.Table
		if t := p.tables[tableName(layout.Schema, layout.Name)]; t != nil {
			info = t.info
		} else if info, err = p.schema.Table(ctx, layout.Schema, layout.Name); err != nil {
			return false, err
		}
		if is(info) {
			return true, nil
		}
	}
	return false, nil
}

// boundaries asks the target, once until the schema may have changed.
func (p *planner) boundaries(ctx context.Context) (target.Boundaries, error) {
	if p.ends == nil {
		ends, err := p.schema.Boundaries(ctx)
		if err != nil {
			return ends, err
		}
		p.ends = &ends
	}
	return *p.ends, nil
}

// allTransactional asks the target, once until the schema may have changed.
func (p *planner) allTransactional(ctx context.Context) (bool, error) {
	if p.transactional == nil {
		all, err := p.schema.AllTransactional(ctx)
		if err != nil {
			return false, err
		}
		p.transactional = &all
	}
	return *p.transactional, nil
}

// tableName is what a table is called in messages and maps; names with a dot or a backtick in them are quoted,
// so that no two tables share one.
func tableName(schema, name string) string {
	if strings.ContainsAny(schema+name, ".`") {
		return "`" + strings.ReplaceAll(schema, "`", "``") + "`.`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return schema + "." + name
}
