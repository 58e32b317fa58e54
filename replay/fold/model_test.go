package fold

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

// column describes a column of a test table.
type column struct {
	typ      binlog.ColumnType
	meta     []byte
	nullable bool
	fallback string   // the default, as an element of domain
	domain   []string // values as they lie in an image; null is NULL
}

// null stands for NULL among values, which never are this string.
const null = "\xffNULL"

// layout makes the table of a table map event, as a log has it.
func layout(t testing.TB, columns []column) *binlog.Table {
	t.Helper()
	body := append([]byte{7, 0, 0, 0, 0, 0, 1, 0}, "\x02db\x00\x01t\x00"...)
	body = append(body, byte(len(columns)))
	var meta []byte
	nulls := binlog.NewBitmap(len(columns))
	for i, c := range columns {
		body = append(body, byte(c.typ))
		meta = append(meta, c.meta...)
		if c.nullable {
			nulls.Set(i)
		}
	}
	body = append(append(append(body, byte(len(meta))), meta...), nulls...)
	format := &binlog.Format{Flavor: binlog.MySQL, PostHeaderLen: slices.Repeat([]byte{8}, 42)}
	ev := &binlog.Event{Header: binlog.Header{Type: binlog.TypeTableMap}, Body: body}
	var cache binlog.TableCache
	table, err := cache.Parse(format, ev)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// row is a row's values by column, as they lie in an image.
type row []string

// encode writes the columns of set as an image.
func encode(dst []byte, r row, set binlog.Bitmap) []byte {
	at, bit := len(dst), 0
	for c := range r {
		if set.Has(c) {
			bit++
		}
	}
	dst = append(dst, make([]byte, (bit+7)/8)...)
	if bit&7 != 0 {
		dst[len(dst)-1] = 0xff << (bit & 7)
	}
	bit = 0
	for c, v := range r {
		if !set.Has(c) {
			continue
		}
		if v == null {
			dst[at+bit>>3] |= 1 << (bit & 7)
		} else {
			dst = append(dst, v...)
		}
		bit++
	}
	return dst
}

// absent marks a column that an image does not have.
const absent = "\xffABSENT"

// decode reads a whole image.
func decode(l *binlog.Table, image []byte, set binlog.Bitmap) (row, error) {
	spans := make([]binlog.Span, len(l.Columns))
	n, err := l.Image(image, set, spans)
	if err != nil {
		return nil, err
	}
	if n != len(image) {
		return nil, fmt.Errorf("image of %d bytes has %d more", n, len(image)-n)
	}
	r := make(row, len(spans))
	for c, sp := range spans {
		switch sp.State {
		case binlog.Absent:
			r[c] = absent
		case binlog.IsNull:
			r[c] = null
		default:
			r[c] = string(image[sp.Start:sp.End])
		}
	}
	return r, nil
}

// schema is a test table and how a server treats it.
type schema struct {
	name    string
	columns []column
	table   *Table
	uniques [][]int // of every unique index, the key's first
	blob    int     // the column that NOBLOB leaves out where it can
}

// rowsOf is a server with one table: it refuses what a server refuses.
type rowsOf struct {
	s    *schema
	rows map[string]row // by key bytes; of a multiset by all bytes
	bag  map[string]int
	// An index over what is computed from the row and the session: under which context a row's entry was made, and whose
	// entries were left behind since they were looked for under another.
	ctx     Context
	entries map[string]Context
	orphans map[string]bool
}

func (s *schema) server() *rowsOf {
	return &rowsOf{s: s, rows: map[string]row{}, bag: map[string]int{}, ctx: 1, entries: map[string]Context{}, orphans: map[string]bool{}}
}

func (d *rowsOf) clone() *rowsOf {
	return &rowsOf{d.s, maps.Clone(d.rows), maps.Clone(d.bag), d.ctx, maps.Clone(d.entries), maps.Clone(d.orphans)}
}

// in makes a row be there, with its entry.
func (d *rowsOf) in(key string, r row) { d.rows[key], d.entries[key] = r, d.ctx }

// out makes a row be gone, with the entry that would be made now.
func (d *rowsOf) out(key string) {
	if d.entries[key] != d.ctx {
		d.orphans[key] = true
	}
	delete(d.rows, key)
	delete(d.entries, key)
}

// sameEntries tells whether the index is that of the source, but for rows of which the source has left entries behind
// itself: from there on both are wrong, and need not be so in the same way.
func (d *rowsOf) sameEntries(source *rowsOf) error {
	for key := range d.orphans {
		if !source.orphans[key] {
			return fmt.Errorf("the target left an entry of %q behind", key)
		}
	}
	for key, ctx := range source.entries {
		if d.entries[key] != ctx && !source.orphans[key] {
			return fmt.Errorf("the target's entry of %q is of context %d, the source's of %d", key, d.entries[key], ctx)
		}
	}
	return nil
}

func (d *rowsOf) same(o *rowsOf) bool {
	return maps.EqualFunc(d.rows, o.rows, func(a, b row) bool { return slices.Equal(a, b) }) && maps.Equal(d.bag, o.bag)
}

func (s *schema) key(r row) string {
	parts := make([]string, len(s.table.Key))
	for i, c := range s.table.Key {
		parts[i] = r[c]
	}
	return strings.Join(parts, "|")
}

// collides names a row that a unique index takes for equal to r, whose case it does not tell apart, other than
// the row under key.
func (d *rowsOf) collides(r row, key string) string {
	for other, o := range d.rows {
		if other == key {
			continue
		}
		for _, index := range d.s.uniques {
			equal := true
			for _, c := range index {
				equal = equal && r[c] != null && strings.EqualFold(r[c], o[c])
			}
			if equal {
				return fmt.Sprintf("%q collides with %q in %v", r, o, index)
			}
		}
	}
	return ""
}

func (d *rowsOf) insert(r row) error {
	if len(d.s.table.Key) == 0 {
		d.bag[strings.Join(r, "|")]++
		return nil
	}
	key := d.s.key(r)
	if _, ok := d.rows[key]; ok {
		return fmt.Errorf("insert %q: there already", r)
	}
	if why := d.collides(r, ""); why != "" {
		return fmt.Errorf("insert: %s", why)
	}
	d.in(key, r)
	return nil
}

func (d *rowsOf) remove(r row) error {
	if len(d.s.table.Key) == 0 {
		id := strings.Join(r, "|")
		if d.bag[id] == 0 {
			return fmt.Errorf("delete %q: no such row", r)
		}
		if d.bag[id]--; d.bag[id] == 0 {
			delete(d.bag, id)
		}
		return nil
	}
	key := d.s.key(r)
	if err := d.find(key, r); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	d.out(key)
	return nil
}

func (d *rowsOf) find(key string, r row) error {
	have, ok := d.rows[key]
	if !ok {
		return fmt.Errorf("%q: no such row", r)
	}
	for c, v := range r {
		if v != absent && v != have[c] {
			return fmt.Errorf("%q: the row is %q", r, have)
		}
	}
	return nil
}

func (d *rowsOf) update(before, after row) error {
	key := d.s.key(before)
	if err := d.find(key, before); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	r := slices.Clone(d.rows[key])
	for c, v := range after {
		if v != absent {
			r[c] = v
		}
	}
	to := d.s.key(r)
	if _, ok := d.rows[to]; ok && to != key {
		return fmt.Errorf("update %q to %q: there already", before, after)
	}
	if why := d.collides(r, key); why != "" {
		return fmt.Errorf("update: %s", why)
	}
	d.out(key)
	d.in(to, r)
	return nil
}

// apply applies an outcome as a server would: all of Goes, then Comes in the order that pick gives.
func (d *rowsOf) apply(o *Outcome, pick *rand.Rand) error {
	l := d.s.table.Layout
	for _, c := range o.Goes {
		d.ctx = c.Context
		before, err := decode(l, c.Before, c.BeforeCols)
		if err != nil || c.Kind != Delete || c.After != nil {
			return fmt.Errorf("goes: kind %d: %w", c.Kind, err)
		}
		for range c.Count {
			if err := d.remove(before); err != nil {
				return fmt.Errorf("goes: %w", err)
			}
		}
	}
	order := pick.Perm(len(o.Comes))
	for _, i := range order {
		c := o.Comes[i]
		d.ctx = c.Context
		after, err := decode(l, c.After, c.AfterCols)
		if err != nil {
			return fmt.Errorf("comes: %w", err)
		}
		switch c.Kind {
		case Insert:
			for column, v := range after {
				if v == absent {
					after[column] = d.s.columns[column].fallback
				}
			}
			for range c.Count {
				if err := d.insert(after); err != nil {
					return fmt.Errorf("comes: %w", err)
				}
			}
		case Update:
			before, err := decode(l, c.Before, c.BeforeCols)
			if err != nil {
				return fmt.Errorf("comes: %w", err)
			}
			if err := d.update(before, after); err != nil {
				return fmt.Errorf("comes: %w", err)
			}
		default:
			return fmt.Errorf("comes: kind %d", c.Kind)
		}
	}
	return nil
}
