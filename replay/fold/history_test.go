package fold

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"interlock/replay/binlog"
)

// event is one rows event and the source after it.
type event struct {
	rows     binlog.Rows
	ctx      Context
	maxima   uint64 // of AUTO_INCREMENT over the after-images
	partial  bool   // some image is not whole
	after    *rowsOf
	contexts map[string]Context // by key, of the rows that it left
}

// history makes events out of what a random client does to a source.
type history struct {
	*rand.Rand
	s      *schema
	source *rowsOf
	whole  bool // images of all columns alone
	events []event
}

func (h *history) set(has func(c int) bool) binlog.Bitmap {
	set := binlog.NewBitmap(len(h.s.columns))
	for c := range h.s.columns {
		if has(c) {
			set.Set(c)
		}
	}
	if rest := len(h.s.columns) & 7; rest != 0 && h.IntN(2) == 0 {
		set[len(set)-1] |= 0xff << rest // what is beyond the last column may be anything
	}
	return set
}

func (h *history) value(c int) string {
	d := h.s.columns[c].domain
	return d[h.IntN(len(d))]
}

func (h *history) isKey(c int) bool { return slices.Contains(h.s.table.Key, c) }

// stored returns the rows of the source in an order that does not depend on the map.
func (h *history) stored() []row {
	var all []row
	for _, r := range h.source.rows {
		all = append(all, r)
	}
	for id, n := range h.source.bag {
		for range n {
			all = append(all, h.split(id))
		}
	}
	slices.SortFunc(all, func(a, b row) int { return slices.Compare(a, b) })
	return all
}

func (h *history) split(id string) row {
	r := make(row, 0, len(h.s.columns))
	for _, part := range bytes.SplitN([]byte(id), []byte("|"), len(h.s.columns)) {
		r = append(r, string(part))
	}
	return r
}

// columnsOf picks how an event logs its rows: FULL, MINIMAL, NOBLOB, FULL_NODUP. written says which columns
// the statement sets.
func (h *history) columnsOf(kind binlog.RowsKind, written func(c int) bool) (before, after binlog.Bitmap, partial bool) {
	everything := func(int) bool { return true }
	notBlob := func(c int) bool { return c != h.s.blob || h.isKey(c) }
	keyed := len(h.s.table.Key) > 0
	mode := 0
	if !h.whole {
		mode = h.IntN(4)
	}
	b, a := everything, everything
	switch mode {
	case 1:
		if keyed {
			b = h.isKey
		}
		a = written
	case 2:
		if keyed {
			b = notBlob
		}
		a = func(c int) bool { return notBlob(c) || written(c) }
	case 3:
		a = written
		if kind == binlog.WriteRows {
			a = everything
		}
	}
	for c := range h.s.columns {
		partial = partial || kind != binlog.WriteRows && !b(c) || kind != binlog.DeleteRows && !a(c)
	}
	if kind != binlog.WriteRows {
		before = h.set(b)
	}
	if kind != binlog.DeleteRows {
		after = h.set(a)
	}
	return before, after, partial
}

// emit runs changes on the source, those that it takes, and logs them as one event.
func (h *history) emit(kind binlog.RowsKind, ctx Context, written func(c int) bool, changes ...[2]row) {
	before, after, partial := h.columnsOf(kind, written)
	ev := event{ctx: ctx, partial: partial, contexts: map[string]Context{}}
	ev.rows = binlog.Rows{Table: h.s.table.Layout, Kind: kind, Before: before, After: after}
	taken := false
	h.source.ctx = ctx
	for _, c := range changes {
		b, a := c[0], slices.Clone(c[1])
		var err error
		switch kind {
		case binlog.WriteRows:
			for column := range a {
				if !after.Has(column) {
					a[column] = h.s.columns[column].fallback
				}
			}
			err = h.source.insert(a)
		case binlog.DeleteRows:
			err = h.source.remove(b)
		default:
			if len(h.s.table.Key) > 0 {
				err = h.source.update(b, a)
			} else if err = h.source.remove(b); err == nil {
				err = h.source.insert(a)
			}
		}
		if err != nil {
			continue // as a client is told
		}
		taken = true
		if before != nil {
			ev.rows.Data = encode(ev.rows.Data, b, before)
			delete(ev.contexts, h.s.key(b))
		}
		if after != nil {
			ev.rows.Data = encode(ev.rows.Data, a, after)
			ev.contexts[h.s.key(a)] = ctx
			if n := h.s.table.AutoIncrement; n >= 0 && after.Has(n) {
				ev.maxima = max(ev.maxima, counter([]byte(a[n]), h.s.table.AutoOrder))
			}
		}
	}
	if taken {
		ev.after = h.source.clone()
		h.events = append(h.events, ev)
	}
}

func (h *history) random() row {
	r := make(row, len(h.s.columns))
	for c := range r {
		r[c] = h.value(c)
	}
	return r
}

// step does something to the source.
func (h *history) step() {
	ctx := Context(1)
	if h.IntN(30) == 0 {
		ctx = 2
	}
	rows := h.stored()
	everything := func(int) bool { return true }
	many := 1
	if h.IntN(4) == 0 {
		many += h.IntN(4)
	}
	var changes [][2]row
	switch what := h.IntN(10); {
	case what < 3 || len(rows) == 0:
		named := h.Uint64() // columns that the statement names
		for range many {
			changes = append(changes, [2]row{nil, h.random()})
		}
		h.emit(binlog.WriteRows, ctx, func(c int) bool { return h.isKey(c) || named>>c&1 == 1 }, changes...)
	case what < 5:
		for range many {
			changes = append(changes, [2]row{rows[h.IntN(len(rows))]})
		}
		h.emit(binlog.DeleteRows, ctx, everything, changes...)
	case what == 5: // delete, and insert another row of the same key
		r := rows[h.IntN(len(rows))]
		next := h.random()
		for c := range next {
			if h.isKey(c) || h.IntN(2) == 0 {
				next[c] = r[c]
			}
		}
		h.emit(binlog.DeleteRows, ctx, everything, [2]row{r})
		named := h.Uint64()
		h.emit(binlog.WriteRows, ctx, func(c int) bool { return h.isKey(c) || named>>c&1 == 1 }, [2]row{nil, next})
	case what == 6 && len(rows) > 1 && len(h.s.uniques) > 0: // two rows swap what is unique, through a third value
		h.swap(rows, ctx)
	default:
		set := h.Uint64() & h.Uint64()
		written := func(c int) bool { return set>>c&1 == 1 }
		for range many {
			r := rows[h.IntN(len(rows))]
			next := slices.Clone(r)
			for c := range next {
				if written(c) {
					next[c] = h.value(c)
				}
			}
			if !slices.Equal(r, next) {
				changes = append(changes, [2]row{r, next})
			}
		}
		h.emit(binlog.UpdateRows, ctx, written, changes...)
	}
}

func (h *history) swap(rows []row, ctx Context) {
	index := h.s.uniques[h.IntN(len(h.s.uniques))]
	i := h.IntN(len(rows))
	j := (i + 1 + h.IntN(len(rows)-1)) % len(rows)
	a, b := rows[i], rows[j]
	with := func(r row, from row) row {
		r = slices.Clone(r)
		for _, c := range index {
			r[c] = from[c]
		}
		return r
	}
	third := with(a, h.random())
	written := func(c int) bool { return slices.Contains(index, c) }
	one := [][2]row{{a, third}, {b, with(b, a)}, {third, with(a, b)}}
	if h.IntN(2) == 0 {
		h.emit(binlog.UpdateRows, ctx, written, one...)
		return
	}
	for _, change := range one {
		h.emit(binlog.UpdateRows, ctx, written, change)
	}
}
