package fold

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

// Values as they lie in images.
func integers(width int, values ...int) []string {
	var all []string
	for _, v := range values {
		b := make([]byte, width)
		for i := range b {
			b[i] = byte(v >> (8 * i))
		}
		all = append(all, string(b))
	}
	return all
}

func texts(values ...string) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(byte(len(v)))+v)
	}
	return all
}

// schemas are the tables that random histories run on: every strategy, key and place of columns.
func schemas(t testing.TB) []*schema {
	long := "a key that is longer than what an entry holds "
	id := column{typ: binlog.ColLong, domain: integers(4, -2, -1, 0, 1, 2, 3, 40)}
	name := column{typ: binlog.ColVarchar, meta: []byte{100, 0}, nullable: true, fallback: null,
		domain: append(texts("abc", "ABC", "b", "", "x"), null)}
	number := column{typ: binlog.ColLongLong, fallback: integers(8, 7)[0], domain: integers(8, 7, 8, 9)}
	payload := column{typ: binlog.ColBlob, meta: []byte{2}, nullable: true, fallback: null,
		domain: []string{null, "\x00\x00", "\x03\x00one", "\x28\x00" + strings.Repeat("long", 10)}}
	flag := column{typ: binlog.ColTiny, nullable: true, fallback: "\x00", domain: []string{null, "\x00", "\x01", "\x02"}}
	text := column{typ: binlog.ColVarchar, meta: []byte{100, 0}, domain: texts("k", "K", "l", "")}
	longText := column{typ: binlog.ColVarchar, meta: []byte{100, 0}, domain: texts(long+"1", long+"2", long+"3", "a")}
	small := column{typ: binlog.ColShort, domain: integers(2, 1, 2, 3)}
	double := column{typ: binlog.ColDouble, meta: []byte{8}, domain: []string{
		"\x00\x00\x00\x00\x00\x00\xf0\x3f", "\x00\x00\x00\x00\x00\x00\xf0\xbf", "\x00\x00\x00\x00\x00\x00\x04\x40"}}
	all := []*schema{
		{name: "int key", columns: []column{id, name, number, payload}, uniques: [][]int{{0}, {1}}, blob: 3,
			table: &Table{Key: []int{0}, Orders: []Order{OrderSigned}, AutoIncrement: 0, AutoOrder: OrderSigned}},
		{name: "two columns, out of order", columns: []column{small, payload, text, name, flag}, uniques: [][]int{{2, 0}, {3, 4}}, blob: 1,
			table: &Table{Key: []int{2, 0}, Orders: []Order{OrderBytes, OrderUnsigned}, AutoIncrement: -1}},
		{name: "long key", columns: []column{longText, number, flag}, uniques: [][]int{{0}}, blob: 2,
			table: &Table{Key: []int{0}, Orders: []Order{OrderBytes}, AutoIncrement: -1}},
		{name: "many columns", columns: []column{flag, flag, flag, flag, id, flag, flag, flag, flag, name, number}, uniques: [][]int{{4}, {9}}, blob: 0,
			table: &Table{Key: []int{4}, Orders: []Order{OrderSigned}, AutoIncrement: 10, AutoOrder: OrderUnsigned}},
		{name: "double key, computed columns", columns: []column{double, name, number, payload}, uniques: [][]int{{0}, {1}}, blob: 3,
			table: &Table{Key: []int{0}, Orders: []Order{OrderDouble}, AutoIncrement: 0, AutoOrder: OrderDouble, Recomputed: true}},
		{name: "unique expression", columns: []column{id, name, number, payload}, uniques: [][]int{{0}, {1}}, blob: 3,
			table: &Table{Key: []int{0}, Orders: []Order{OrderSigned}, AutoIncrement: -1, PartialUnsafe: true}},
		{name: "no key", columns: []column{small, name, flag}, blob: 2, table: &Table{AutoIncrement: -1}},
	}
	for _, s := range all {
		for c := range s.columns {
			s.columns[c].fallback = cmp.Or(s.columns[c].fallback, s.columns[c].domain[0])
		}
		s.table.Name, s.table.Layout = s.name, layout(t, s.columns)
		s.table.Unique = binlog.NewBitmap(len(s.columns))
		for _, index := range s.uniques {
			for _, c := range index {
				s.table.Unique.Set(c)
			}
		}
	}
	return all
}

// replayer folds a history into epochs and applies them to a target.
type replayer struct {
	h       *history
	e       *Epoch
	again   *Epoch
	target  *rowsOf
	added   []event
	ordered int
}

func (r *replayer) replay() error {
	from := r.target.clone()
	for i, ev := range r.h.events {
		if r.h.IntN(8) == 0 && len(ev.rows.Data) > 0 {
			if err := r.refuse(ev); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
		need := new(NeedsOrder)
		switch err := r.e.Add(r.h.s.table, &ev.rows, ev.ctx); {
		case errors.As(err, &need):
			if !ev.partial && !r.h.s.table.Recomputed {
				return fmt.Errorf("event %d of whole images: %w", i, err)
			}
			r.ordered++
			if err := r.end(from); err != nil {
				return fmt.Errorf("before event %d, which needs order (%s): %w", i, need.Why, err)
			}
			r.target, from = ev.after.clone(), ev.after
			continue
		case err != nil:
			return fmt.Errorf("event %d: %w", i, err)
		}
		r.added = append(r.added, ev)
		from = ev.after
		if r.h.IntN(10) == 0 {
			if err := r.end(from); err != nil {
				return fmt.Errorf("after event %d: %w", i, err)
			}
		}
	}
	return r.end(from)
}

// refuse adds an event whose last row is not whole, or whose rows come twice, and expects an error and no
// effect (invariants 2 and 6).
func (r *replayer) refuse(ev event) error {
	bad := ev.rows
	chain := len(r.h.s.table.Key) > 0 && r.h.IntN(2) == 0 && ev.rows.Kind != binlog.UpdateRows
	if chain {
		bad.Data = slices.Concat(ev.rows.Data, ev.rows.Data)
	} else {
		bad.Data = slices.Clone(ev.rows.Data[:len(ev.rows.Data)-1])
		if len(bad.Data) == 0 {
			return nil
		}
	}
	err := r.e.Add(r.h.s.table, &bad, ev.ctx)
	broken, need := new(ChainError), new(NeedsOrder)
	switch {
	case err == nil:
		return fmt.Errorf("a damaged event was added")
	case chain && !errors.As(err, &broken) && !errors.As(err, &need):
		return fmt.Errorf("rows that come twice: %w", err)
	}
	return nil
}

// end ends the epoch, applies it and holds the target against the source.
func (r *replayer) end(want *rowsOf) error {
	outcomes, err := r.e.Outcomes()
	if err != nil {
		return err
	}
	if len(outcomes) > 1 {
		return fmt.Errorf("%d outcomes", len(outcomes))
	}
	for i := range outcomes {
		if err := r.check(&outcomes[i]); err != nil {
			return err
		}
		if err := r.target.apply(&outcomes[i], r.h.Rand); err != nil {
			return err
		}
	}
	if !r.target.same(want) {
		return fmt.Errorf("the target has %q %#v, the source %q %#v", r.target.rows, r.target.bag, want.rows, want.bag)
	}
	if r.h.s.table.Recomputed {
		if err := r.target.sameEntries(want); err != nil {
			return err
		}
	}
	r.e.Release()
	r.added = r.added[:0]
	return nil
}

// check holds an outcome against the events it came from: counter, contexts, counts, and that folding them
// again gives the same (invariants 7, 9, 11).
func (r *replayer) check(o *Outcome) error {
	maxima, contexts := uint64(0), map[string]Context{}
	again := r.again
	defer again.Release()
	again.WholeImages = r.e.WholeImages
	for _, ev := range r.added {
		maxima = max(maxima, ev.maxima)
		for key, c := range ev.contexts {
			contexts[key] = c
		}
		if err := again.Add(r.h.s.table, &ev.rows, ev.ctx); err != nil {
			return fmt.Errorf("fold again: %w", err)
		}
	}
	if o.AutoIncrement != maxima {
		return fmt.Errorf("counter is %d, want %d", o.AutoIncrement, maxima)
	}
	if o.Folded < 0 || o.Folded > o.Changes {
		return fmt.Errorf("%d of %d changes folded away", o.Folded, o.Changes)
	}
	if o.Changes > o.Folded && len(o.Goes)+len(o.Comes) == 0 {
		return fmt.Errorf("%d of %d changes folded away and no net change", o.Folded, o.Changes)
	}
	if len(r.added) == 0 {
		return nil // what was added was refused
	}
	if r.h.s.table.Recomputed && len(r.h.s.table.Key) > 0 {
		for _, c := range o.Comes {
			values, err := decode(r.h.s.table.Layout, c.After, c.AfterCols)
			if err != nil {
				return err
			}
			if c.Kind == Update {
				if values, err = decode(r.h.s.table.Layout, c.Before, c.BeforeCols); err != nil {
					return err
				}
			}
			if want := contexts[r.h.s.key(values)]; c.Context != want {
				return fmt.Errorf("row %q has context %d, want %d", values, c.Context, want)
			}
		}
	}
	same, err := again.Outcomes()
	if err != nil {
		return err
	}
	h1, h2 := fnv.New64a(), fnv.New64a()
	o.Digest(h1)
	same[0].Digest(h2)
	if h1.Sum64() != h2.Sum64() {
		return fmt.Errorf("folding again gives another outcome")
	}
	return nil
}

// TestHistories holds invariants 1 to 11 on random histories, many (a tenth with -short) for each kind of table.
func TestHistories(t *testing.T) {
	for i, s := range schemas(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			n, ordered, e, again := histories, 0, New(), New()
			if testing.Short() {
				n /= 10
			}
			for k := range uint64(n) {
				seed := k<<8 | uint64(i)
				o, err := runHistory(s, e, again, seed)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				ordered += o
			}
			t.Logf("%d events needed order", ordered)
		})
	}
}

// runHistory runs the history of a seed.
func runHistory(s *schema, e, again *Epoch, seed uint64) (ordered int, err error) {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 1)), s: s, source: s.server()}
	h.whole = h.IntN(3) == 0
	for range h.IntN(6) { // rows from before the log
		_ = h.source.insert(h.random()) // a row that collides is none
	}
	start := h.source.clone()
	for range 1 + h.IntN(20) {
		h.step()
	}
	e.WholeImages = h.IntN(3) == 0
	r := &replayer{h: h, e: e, again: again, target: start}
	if err := r.replay(); err != nil {
		e.Release()
		return 0, err
	}
	return r.ordered, nil
}
