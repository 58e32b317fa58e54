package replay

import (
	"fmt"
	"testing"

	"interlock/replay/binlog"
	"interlock/replay/fold"
)

// A group keeps one stream in an epoch however many there are, in the order in which they came, and is found among those
// that are folded.
func TestEpochGroups(t *testing.T) {
	const groups = 50_000
	e := newEpoch(1, cursor{}, fold.New(), nil)
	raw := make([]byte, binlog.HeaderLen)
	for range 2 {
		for n := range groups {
			tab := &table{name: fmt.Sprint("d.t", n), group: fmt.Sprint("g", n)}
			e.appendOrdered(tab, 0, raw, raw)
		}
	}
	if len(e.streams) != groups {
		t.Fatalf("%d streams of %d groups", len(e.streams), groups)
	}
	for n, s := range e.streams {
		if s.group != fmt.Sprint("g", n) || len(s.pieces) != 1 || len(s.pieces[0].events) != 4*len(raw) {
			t.Fatalf("stream %d is that of %s with %d pieces", n, s.group, len(s.pieces))
		}
	}
	e.folded(&table{name: "d.f", group: "f", fold: &fold.Table{}})
	if !e.folds("f") || e.folds("g1") {
		t.Error("the groups that are folded are others")
	}
}
