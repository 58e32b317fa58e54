package fold

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

// A script is a line for each rows event, of one table: an INT, a VARCHAR under a unique index, a BIGINT and
// a VARCHAR. Rows of an event are set apart by semicolons, columns by commas; _ is a column that the log does
// not have, NULL is NULL, @2 at the end of a line a session context.
//
//	insert 1,a,7,x
//	update 1,a,7,x > 1,b,7,x
//	delete 1,_,_,_
//
// What comes of it is written the same way: - goes, + is inserted, ~ updated in place, × counts rows of a
// multiset. An event that is refused is a line with the error.
var scriptColumns = []column{
	{typ: binlog.ColLong},
	{typ: binlog.ColVarchar, meta: []byte{100, 0}, nullable: true},
	{typ: binlog.ColLongLong},
	{typ: binlog.ColVarchar, meta: []byte{100, 0}, nullable: true},
}

func scriptRow(t *testing.T, text string) (row, binlog.Bitmap) {
	t.Helper()
	r, set := make(row, 4), binlog.NewBitmap(4)
	fields := strings.Split(text, ",")
	if len(fields) != len(r) {
		t.Fatalf("row %q", text)
	}
	for c, f := range fields {
		if f == "_" {
			r[c] = absent
			continue
		}
		set.Set(c)
		n, err := strconv.ParseInt(f, 10, 64)
		switch {
		case f == "NULL":
			r[c] = null
		case c == 1 || c == 3:
			r[c] = string(byte(len(f))) + f
		case err != nil:
			t.Fatal(err)
		case c == 0:
			r[c] = string(binary.LittleEndian.AppendUint32(nil, uint32(n)))
		default:
			r[c] = string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
		}
	}
	return r, set
}

func scriptEvent(t *testing.T, l *binlog.Table, line string) (binlog.Rows, Context) {
	t.Helper()
	ctx := Context(1)
	if rest, number, ok := strings.Cut(line, "@"); ok {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		line, ctx = strings.TrimSpace(rest), Context(n)
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rows := binlog.Rows{Table: l, Kind: map[string]binlog.RowsKind{
		"insert": binlog.WriteRows, "update": binlog.UpdateRows, "delete": binlog.DeleteRows, "patch": binlog.PartialUpdateRows}[verb]}
	for text := range strings.SplitSeq(rest, ";") {
		for i, side := range strings.Split(text, ">") {
			r, set := scriptRow(t, strings.TrimSpace(side))
			rows.Data = encode(rows.Data, r, set)
			if rows.Kind == binlog.DeleteRows || i == 0 && rows.Kind != binlog.WriteRows {
				rows.Before = set
			} else {
				rows.After = set
			}
		}
	}
	return rows, ctx
}

func showRow(t *testing.T, l *binlog.Table, image []byte, set binlog.Bitmap) string {
	t.Helper()
	r, err := decode(l, image, set)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for c, v := range r {
		switch {
		case v == absent:
			fields = append(fields, "_")
		case v == null:
			fields = append(fields, "NULL")
		case c == 1 || c == 3:
			fields = append(fields, v[1:])
		default:
			fields = append(fields, fmt.Sprint(signed([]byte(v))))
		}
	}
	return strings.Join(fields, ",")
}

func showChange(t *testing.T, l *binlog.Table, c Change) string {
	t.Helper()
	line := ""
	switch c.Kind {
	case Insert:
		line = "+ " + showRow(t, l, c.After, c.AfterCols)
	case Delete:
		line = "- " + showRow(t, l, c.Before, c.BeforeCols)
	case Update:
		line = "~ " + showRow(t, l, c.Before, c.BeforeCols) + " > " + showRow(t, l, c.After, c.AfterCols)
	}
	if c.Count != 1 {
		line += fmt.Sprintf(" ×%d", c.Count)
	}
	if c.Context != 0 {
		line += fmt.Sprintf(" @%d", c.Context)
	}
	return line
}

// runScript folds a script and returns what came of it, and the outcome.
func runScript(t *testing.T, e *Epoch, table *Table, script string) (string, Outcome) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rows, ctx := scriptEvent(t, table.Layout, line)
		if err := e.Add(table, &rows, ctx); err != nil {
			lines = append(lines, strings.TrimPrefix(err.Error(), "fold db.t: "))
		}
	}
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(outcomes[0].Goes, outcomes[0].Comes) {
		lines = append(lines, showChange(t, table.Layout, c))
	}
	return strings.Join(lines, "\n"), outcomes[0]
}

func scriptTable(t *testing.T) *Table {
	return &Table{Name: "db.t", Layout: layout(t, scriptColumns), Key: []int{0}, Orders: []Order{OrderSigned},
		Unique: binlog.Bitmap{0b0011}, AutoIncrement: 0, AutoOrder: OrderSigned}
}

func TestScripts(t *testing.T) {
	keyed := func(*Table) {}
	bag := func(t *Table) { t.Key, t.Orders = nil, nil }
	computed := func(t *Table) { t.Recomputed = true }
	checked := func(t *Table) { t.Checked = true }
	loose := func(t *Table) { t.Key, t.Orders, t.LooseKey = []int{1}, []Order{OrderBytes}, true }
	circle := func(t *Table) { t.Cascades = true }
	unnamed := func(t *Table) { t.Unnamed = true }
	unsafe := func(t *Table) { t.PartialUnsafe = true }
	text := func(t *Table) { t.Key, t.Orders = []int{1, 0}, []Order{OrderBytes, OrderSigned} }
	geometry := func(table *Table) {
		columns := slices.Clone(scriptColumns)
		columns[3] = column{typ: binlog.ColGeometry, meta: []byte{1}} // its bytes are a VARCHAR's
		table.Layout = layout(t, columns)
	}
	const again = ": the log lacks a change to that row or holds one twice"
	for _, c := range []struct {
		name         string // the invariant by number, and the case
		table        func(*Table)
		script, want string
		folded       int64
	}{
		{"1 an update of the key goes and comes", keyed, "update 1,a,7,x > 2,a,7,x", "- 1,_,_,_\n+ 2,a,7,x", 0},
		{"1 bytes tell keys apart", text, "update 1,abc,7,x > 1,ABC,7,x", "- 1,abc,_,_\n+ 1,ABC,7,x", 0},
		{"1 swap through a third key", keyed, "update 1,a,7,x > 3,a,7,x\nupdate 2,b,8,y > 1,b,8,y\nupdate 3,a,7,x > 2,a,7,x",
			"- 1,_,_,_\n- 2,_,_,_\n+ 1,b,8,y\n+ 2,a,7,x", 1},
		{"1 an update that does not log a loose key", loose, "update _,a,_,_ > 1,_,_,_", "an update that does not log the key, which the server may know by other bytes", 0},
		{"1 one that logs it", loose, "update 1,a,7,x > 1,a,8,x\nupdate 2,b,7,x > 2,b,8,_\ndelete _,c,_,_", "- _,c,_,_\n~ _,a,_,_ > _,_,8,_\n~ _,b,_,_ > _,_,8,_", 0},
		{"2 insert of what is there", keyed, "insert 1,a,7,x\ninsert 1,b,8,y", "insert: the row is there already: key 1 (0x01000000)" + again + "\n+ 1,a,7,x", 0},
		{"2 delete of what is gone", keyed, "delete 1,a,7,x\ndelete 1,a,7,x", "delete: the row is gone: key 1 (0x01000000)" + again + "\n- 1,_,_,_", 0},
		{"2 update of what is gone", keyed, "delete -1,a,7,x\nupdate -1,a,7,x > -1,a,8,x", "update: the row is gone: key -1 (0xffffffff)" + again + "\n- -1,_,_,_", 0},
		{"2 before-image that was never there", keyed, "insert 1,a,7,x\nupdate 1,a,8,x > 1,a,9,x",
			"update: column 3 is not what the last change to the row made it: key 1 (0x01000000)" + again + "\n+ 1,a,7,x", 0},
		{"2 NULL is not a value", keyed, "insert 1,a,7,NULL\ndelete 1,a,7,x",
			"delete: column 4 is not what the last change to the row made it: key 1 (0x01000000)" + again + "\n+ 1,a,7,NULL", 0},
		{"2 partial before-image", keyed, "insert 1,a,7,x\nupdate 1,_,8,_ > _,_,9,_",
			"update: column 3 is not what the last change to the row made it: key 1 (0x01000000)" + again + "\n+ 1,a,7,x", 0},
		{"2 partial after-image, and defaults that it does not name", unnamed, "insert 1,a,7,x\nupdate 1,_,_,_ > 1,_,8,_\nupdate 1,a,8,NULL > 1,a,9,NULL\nupdate 1,a,7,x > 1,a,7,x",
			"update: column 3 is not what the last change to the row made it: key 1 (0x01000000)" + again + "\n+ 1,a,9,NULL", 2},
		{"5 what a partial after-image does not name is written once it is known", unnamed, "update 1,_,_,_ > 1,_,8,_\nupdate 1,a,8,NULL > 1,a,9,NULL", "- 1,_,_,_\n+ 1,a,9,NULL", 1},
		{"2 a circle of rows, of which one event takes the first twice", circle, "delete 3,_,_,_; 4,_,_,_; 6,_,_,_; 3,_,_,_", "- 3,_,_,_\n- 4,_,_,_\n- 6,_,_,_", 1},
		{"2 as above, but by two events", circle, "delete 3,_,_,_; 4,_,_,_\ndelete 6,_,_,_; 3,_,_,_", "delete: the row is gone: key 3 (0x03000000)" + again + "\n- 3,_,_,_\n- 4,_,_,_", 0},
		{"2 as above, in a table that has no such key", keyed, "delete 3,_,_,_; 4,_,_,_; 3,_,_,_", "delete: the row is gone: key 3 (0x03000000)" + again, 0},
		{"2 another key that is taken", text, "insert 1,b,7,x\nupdate 1,a,7,x > 1,b,7,x",
			"update to another key: a row with that key is there already: key \"b\", 1 (0x010000000162)" + again + "\n+ 1,b,7,x", 0},
		{"3 last after-image wins", keyed, "update 1,a,7,x > 1,a,8,x\nupdate 1,a,8,x > 1,a,9,x", "~ 1,_,_,_ > _,_,9,_", 1},
		{"3 back to what it was", keyed, "update 1,a,7,x > 1,a,8,x\nupdate 1,a,8,x > 1,a,7,x", "", 2},
		{"3 insert and delete", keyed, "insert 1,a,7,x\ndelete 1,a,7,x", "", 2},
		{"3 delete and insert of the same row", keyed, "delete 1,a,7,x\ninsert 1,a,7,x", "", 2},
		{"3 delete and insert of another row", keyed, "delete 1,a,7,x\ninsert 1,a,8,x", "~ 1,_,_,_ > _,_,8,_", 1},
		{"3 insert, then updates", keyed, "insert 1,a,7,x\nupdate 1,a,7,x > 1,b,7,x", "+ 1,b,7,x", 1},
		{"3 updates, then delete", keyed, "update 1,a,7,x > 1,b,7,y\ndelete 1,b,7,y", "- 1,_,_,_", 1},
		{"4 a unique column goes and comes", keyed, "update 1,a,7,x > 1,b,7,x", "- 1,_,_,_\n+ 1,b,7,x", 0},
		{"4 swapped unique columns", keyed, "update 1,a,7,x > 1,c,7,x\nupdate 2,b,7,x > 2,a,7,x\nupdate 1,c,7,x > 1,b,7,x",
			"- 1,_,_,_\n- 2,_,_,_\n+ 1,b,7,x\n+ 2,a,7,x", 1},
		{"4 a geometry becomes empty by a new row alone", geometry, "delete 1,a,7,x\ninsert 1,a,7,", "- 1,_,_,_\n+ 1,a,7,", 1},
		{"4 another geometry, or none before", geometry, "delete 1,a,7,x\ninsert 1,a,7,y\ndelete 2,b,7,\ninsert 2,b,7,x", "~ 1,_,_,_ > _,_,_,y\n~ 2,_,_,_ > _,_,_,x", 2},
		{"5 minimal updates are merged", keyed, "update 1,_,_,_ > _,_,8,_\nupdate 1,_,_,_ > _,_,_,y\nupdate 1,_,_,_ > _,_,9,_", "~ 1,_,_,_ > _,_,9,y", 2},
		{"5 minimal update of an inserted row", keyed, "insert 1,a,_,_\nupdate 1,_,_,_ > _,b,_,_", "+ 1,b,_,_", 1},
		{"5 minimal delete and partial insert", keyed, "delete 1,_,_,_\ninsert 1,a,_,_", "- 1,_,_,_\n+ 1,a,_,_", 1},
		{"5 whole delete and partial insert", keyed, "delete 1,a,7,x\ninsert 1,a,7,_", "- 1,_,_,_\n+ 1,a,7,_", 1},
		{"5 columns shown later", keyed, "update 1,_,_,_ > _,_,8,_\nupdate 1,a,8,x > 1,a,8,y", "~ 1,_,_,_ > _,_,8,y", 1},
		{"5 shown later, and back", keyed, "update 1,_,7,_ > _,_,8,_\nupdate 1,a,8,x > 1,a,7,y\nupdate 1,a,7,y > 1,a,7,x", "", 3},
		{"5 full before, changed after", keyed, "update 1,a,7,x > _,_,8,_\nupdate 1,a,8,x > _,b,_,_", "- 1,_,_,_\n+ 1,b,8,x", 1},
		{"5 full before, another key after", keyed, "update 1,a,7,x > 2,_,_,_", "- 1,_,_,_\n+ 2,a,7,x", 0},
		{"5 a partial insert gets another key", keyed, "insert 1,a,_,_\nupdate 1,_,_,_ > 2,_,_,_", "+ 2,a,_,_", 1},
		{"6 partial image of a unique column", keyed, "update 1,_,_,_ > _,_,8,_\nupdate 1,_,_,_ > _,b,_,_",
			"a partial row image that alters a column of a unique index\n~ 1,_,_,_ > _,_,8,_", 0},
		{"6 the same when a later row of the event does it", keyed, "insert 9,q,1,q\nupdate 9,q,1,q > 9,q,2,q; 1,a,7,x > 1,a,8,x\nupdate 9,_,_,_ > _,r,_,_; 3,_,_,_ > _,b,_,_",
			"a partial row image that alters a column of a unique index\n~ 1,_,_,_ > _,_,8,_\n+ 9,q,2,q", 1},
		{"6 partial image of another key", keyed, "update 1,_,_,_ > 2,_,_,_", "a partial row image that alters the key", 0},
		{"6 without key columns", text, "delete 1,_,7,x", "row images without key column 2", 0},
		{"6 partial JSON", keyed, "patch 1,a,7,x > 1,a,8,x", "rows with partial JSON values", 0},
		{"6 partial, unique expression", unsafe, "update 1,_,_,_ > _,_,8,_", "partial row images, and a unique index over an expression", 0},
		{"6 whole by its before-image, unique expression", unsafe, "update 1,a,7,x > _,_,8,_", "~ 1,_,_,_ > _,_,8,_", 0},
		{"6 NULL in the key", text, "insert 1,NULL,7,x", "key column 2 is NULL in a row image: the target's key is not the source's", 0},
		{"7 contexts do not count without computed columns", keyed, "insert 1,a,7,x @1\nupdate 1,a,7,x > 1,a,8,x @2", "+ 1,a,8,x", 1},
		{"7 two contexts", computed, "insert 1,a,7,x @1\nupdate 1,a,7,x > 1,a,8,x @2",
			"a row with computed columns was changed under two session contexts\n+ 1,a,7,x @1", 0},
		{"7 two contexts and another key", computed, "insert 1,a,7,x @1\nupdate 1,a,7,x > 2,a,8,x @2",
			"a row with computed columns was changed under two session contexts\n+ 1,a,7,x @1", 0},
		{"7 a delete has one", computed, "delete 1,a,7,x @1\ndelete 2,b,7,x @2", "- 1,a,7,x @1\n- 2,b,7,x @2", 0},
		{"7 that of the update before it", computed, "update 1,a,7,x > 1,a,8,x @2\ndelete 1,a,8,x @2", "- 1,a,7,x @2", 1},
		{"7 a delete under another than an update", computed, "update 1,a,7,x > 1,a,8,x @1\ndelete 1,a,8,x @2",
			"a row with computed columns was changed under two session contexts\n~ 1,a,7,x > 1,a,8,x @1", 0},
		{"7 a delete under another than an insert", computed, "insert 1,a,7,x @1\ndelete 1,a,7,x @2",
			"a row with computed columns was changed under two session contexts\n+ 1,a,7,x @1", 0},
		{"7 goes under one and comes under another", computed, "delete 1,a,7,x @1\ninsert 1,a,8,x @2\nupdate 1,a,8,x > 1,a,9,x @2", "- 1,a,7,x @1\n+ 1,a,9,x @2", 2},
		{"7 and comes as it was", computed, "delete 1,a,7,x @1\ninsert 1,a,7,x @2", "- 1,a,7,x @1\n+ 1,a,7,x @2", 1},
		{"7 in place under one", computed, "delete 1,a,7,x @2\ninsert 1,a,8,x @2", "~ 1,a,7,x > 1,a,8,x @2", 1},
		{"7 what came and went between", computed, "delete 1,a,7,x @1\ninsert 1,a,8,x @2\ndelete 1,a,8,x @2\ninsert 1,a,9,x @3", "- 1,a,7,x @1\n+ 1,a,9,x @3", 3},
		{"7 and went for good", computed, "delete 1,a,7,x @1\ninsert 1,a,8,x @2\ndelete 1,a,8,x @2", "- 1,a,7,x @1", 2},
		{"7 another key under one, back under another", computed, "update 1,a,7,x > 2,a,7,x @1\nupdate 2,a,7,x > 1,a,7,x @2",
			"a row with computed columns was changed under two session contexts\n- 1,a,7,x @1\n+ 2,a,7,x @1", 0},
		{"7 partial images", computed, "update 1,_,_,_ > _,_,8,_ @1\nupdate 1,_,_,_ > _,_,_,y @2\ndelete 2,_,_,_ @1\ninsert 2,a,_,_ @2",
			"a row with computed columns was changed under two session contexts\n- 2,_,_,_ @1\n~ 1,_,_,_ > 1,_,8,_ @1\n+ 2,a,_,_ @2", 1},
		{"7 images are whole", computed, "update 1,a,7,x > 1,b,8,x @2\ndelete 2,c,7,x @1", "- 1,a,7,x @2\n- 2,c,7,x @1\n+ 1,b,8,x @2", 0},
		{"7 checks see the last context", checked, "insert 1,a,7,x @1\nupdate 1,a,7,x > 1,a,8,x @2\nupdate 2,b,7,x > 2,b,8,x @1\nupdate 2,b,8,x > 2,b,8,y @3", "+ 1,a,8,x @2\n~ 2,_,_,_ > _,_,8,y @3", 2},
		{"7 and nothing that goes", checked, "delete 1,a,7,x @2\nupdate 2,b,7,x > 3,b,7,x @2\ndelete 4,d,7,x @1\ninsert 4,d,8,x @2\ninsert 5,e,7,x @1\ndelete 5,e,7,x @2",
			"- 1,_,_,_\n- 2,_,_,_\n+ 3,b,7,x @2\n~ 4,_,_,_ > _,_,8,_ @2", 3},
		{"7 checks without a key", func(t *Table) { bag(t); checked(t) }, "insert 1,a,7,x @1\ninsert 1,a,7,x; 2,b,7,x @2\ndelete 1,a,7,x @3\nupdate 3,c,7,x > 4,c,7,x @3", "- 3,c,7,x\n+ 1,a,7,x @2\n+ 2,b,7,x @2\n+ 4,c,7,x @3", 2},
		{"7 no checks and no key", bag, "insert 1,a,7,x @2", "+ 1,a,7,x", 0},
		{"8 what comes minus what goes", bag, "insert 1,a,7,x; 1,a,7,x; 2,b,7,x\nupdate 3,c,7,x > 2,b,7,x; 2,b,7,x > 1,a,7,x\ndelete 4,d,7,x; 4,d,7,x",
			"- 3,c,7,x\n- 4,d,7,x ×2\n+ 1,a,7,x ×3\n+ 2,b,7,x", 2},
		{"8 no trace", bag, "insert 1,a,7,x\ndelete 1,a,7,x", "", 2},
		{"8 full before, changed after", bag, "update 1,a,7,x > _,_,8,NULL", "- 1,a,7,x\n+ 1,a,8,NULL", 0},
		{"8 partial before-image", bag, "delete 1,_,_,_", "partial row images, and no key", 0},
		{"8 partial insert", bag, "insert 1,_,_,_", "an insert that leaves out columns, and no key", 0},
		{"8 computed columns", func(t *Table) { bag(t); computed(t) }, "insert 1,a,7,x @1", "computed columns, and no key", 0},
		{"9 sorted by key", keyed, "insert 300,a,7,x\ninsert -2,b,7,x\ninsert 5,c,7,x", "+ -2,b,7,x\n+ 5,c,7,x\n+ 300,a,7,x", 0},
		{"9 in index order", text, "insert 9,b,7,x; 10,b,7,x; 10,a,7,x; 8,bb,7,x; -3,b,7,x", "+ 10,a,7,x\n+ -3,b,7,x\n+ 9,b,7,x\n+ 10,b,7,x\n+ 8,bb,7,x", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := scriptTable(t)
			c.table(table)
			got, o := runScript(t, New(), table, c.script)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if o.Folded != c.folded {
				t.Errorf("%d changes left no trace, want %d", o.Folded, c.folded)
			}
		})
	}
}

// TestWholeImages: invariant 10 can be switched off.
func TestWholeImages(t *testing.T) {
	e := New()
	e.WholeImages = true
	got, _ := runScript(t, e, scriptTable(t), "update 1,a,7,x > 1,a,8,x\nupdate 2,b,7,x > 2,c,7,x\ndelete 3,d,7,x\nupdate 4,_,_,_ > _,_,9,_")
	want := "- 2,b,7,x\n- 3,d,7,x\n~ 1,a,7,x > 1,a,8,x\n+ 2,c,7,x\n~ 4,_,_,_ > 4,_,9,_"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestUnusedNullBits: the bits of a null bitmap that stand for no column may be anything, as writers of logs
// differ in them (invariants 2 and 8).
func TestUnusedNullBits(t *testing.T) {
	for _, key := range [][]int{{0}, nil} {
		table, e := scriptTable(t), New()
		table.Key, table.Orders = key, table.Orders[:len(key)]
		for i, line := range []string{"insert 1,a,7,x", "delete 1,a,7,x"} {
			rows, ctx := scriptEvent(t, table.Layout, line)
			rows.Data[0] = map[int]byte{0: 0xf0, 1: 0x50}[i]
			if err := e.Add(table, &rows, ctx); err != nil {
				t.Fatal(err)
			}
		}
		outcomes, err := e.Outcomes()
		if err != nil {
			t.Fatal(err)
		}
		if o := outcomes[0]; len(o.Goes)+len(o.Comes) != 0 {
			t.Errorf("key %v: %d rows go, %d come", key, len(o.Goes), len(o.Comes))
		}
	}
}

// TestDigest: whatever a net change says is in the digest.
func TestDigest(t *testing.T) {
	base := func() Outcome {
		c := Change{Kind: Update, Context: 1, Before: []byte("b"), After: []byte("a"), BeforeCols: binlog.Bitmap{1}, AfterCols: binlog.Bitmap{2}, Count: 1}
		return Outcome{Table: &Table{Name: "db.t"}, Goes: []Change{c}, Comes: []Change{c, c}, AutoIncrement: 5}
	}
	sum := func(o Outcome) uint64 {
		h := fnv.New64a()
		o.Digest(h)
		return h.Sum64()
	}
	same := sum(base())
	if sum(base()) != same {
		t.Error("the same outcome has two digests")
	}
	for name, alter := range map[string]func(*Outcome){
		"table":   func(o *Outcome) { o.Table = &Table{Name: "db.u"} },
		"counter": func(o *Outcome) { o.AutoIncrement++ },
		"goes":    func(o *Outcome) { o.Goes, o.Comes = append(o.Goes, o.Comes[0]), o.Comes[1:] },
		"kind":    func(o *Outcome) { o.Comes[1].Kind = Insert },
		"context": func(o *Outcome) { o.Comes[1].Context++ },
		"count":   func(o *Outcome) { o.Comes[1].Count++ },
		"before":  func(o *Outcome) { o.Comes[1].Before = []byte("x") },
		"after":   func(o *Outcome) { o.Comes[1].After = bytes.Repeat([]byte("x"), 5000) },
		"columns": func(o *Outcome) {
			o.Comes[1].BeforeCols, o.Comes[1].AfterCols = o.Comes[1].AfterCols, o.Comes[1].BeforeCols
		},
		"bounds": func(o *Outcome) { o.Comes[1].Before, o.Comes[1].After = []byte("ba"), nil },
	} {
		o := base()
		alter(&o)
		if sum(o) == same {
			t.Errorf("%s is not in the digest", name)
		}
	}
}
