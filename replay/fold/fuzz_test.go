package fold

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"interlock/replay/binlog"
)

// packEvents writes events as FuzzAdd reads them: kind, context, column sets, length of the data, data.
func packEvents(events []event, columns int) []byte {
	var out []byte
	set := func(b binlog.Bitmap) {
		full := binlog.NewBitmap(columns)
		copy(full, b)
		out = append(out, full...)
	}
	for _, ev := range events {
		out = append(out, byte(ev.rows.Kind), byte(ev.ctx))
		set(ev.rows.Before)
		set(ev.rows.After)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(ev.rows.Data)))
		out = append(out, ev.rows.Data...)
	}
	return out
}

// unpackEvent reads the next event; ok is false at the end.
func unpackEvent(in []byte, l *binlog.Table) (rows binlog.Rows, ctx Context, rest []byte, ok bool) {
	set := len(binlog.NewBitmap(len(l.Columns)))
	if len(in) < 4+2*set {
		return rows, 0, nil, false
	}
	rows = binlog.Rows{Table: l, Kind: binlog.RowsKind(in[0] % 6), Before: in[2 : 2+set], After: in[2+set : 2+2*set]}
	ctx = Context(in[1] % 4)
	n := int(binary.LittleEndian.Uint16(in[2+2*set:]))
	rest = in[4+2*set:]
	n = min(n, len(rest))
	rows.Data = rest[:n]
	return rows, ctx, rest[n:], true
}

// FuzzAdd feeds events of any bytes. Nothing panics; and what was refused has left nothing behind: folding
// what was accepted alone gives the same outcome (invariants 6 and 9).
func FuzzAdd(f *testing.F) {
	all := schemas(f)
	for i, s := range all {
		h := &history{Rand: rand.New(rand.NewPCG(uint64(i), 9)), s: s, source: s.server()}
		for range 12 {
			h.step()
		}
		f.Add(byte(i), packEvents(h.events, len(s.columns)))
	}
	f.Fuzz(func(t *testing.T, which byte, in []byte) {
		table := all[int(which)%len(all)].table
		e, accepted := New(), New()
		taken := 0
		for {
			rows, ctx, rest, ok := unpackEvent(in, table.Layout)
			if !ok {
				break
			}
			in = rest
			if err := e.Add(table, &rows, ctx); err != nil {
				continue
			}
			taken++
			if err := accepted.Add(table, &rows, ctx); err != nil {
				t.Fatalf("taken only after an event that was refused: %v", err)
			}
		}
		if taken == 0 {
			return
		}
		a, b := digest(t, e), digest(t, accepted)
		if a != b {
			t.Fatal("events that were refused changed the outcome")
		}
	})
}

func digest(t *testing.T, e *Epoch) uint64 {
	t.Helper()
	outcomes, err := e.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	for i := range outcomes {
		outcomes[i].Digest(h)
	}
	return h.Sum64()
}
