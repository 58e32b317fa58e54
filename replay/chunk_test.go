package replay

import (
	"testing"

	"interlock/replay/fold"
	"interlock/replay/target"
)

// Rows that come into a table with unique secondary indexes, from which others have gone, come one chunk after the other;
// all else side by side.
func TestCrowdedTablesComeInOrder(t *testing.T) {
	for _, one := range []struct {
		name       string
		indexes    int
		unsafe     bool
		goes, come int
		jobs       int // that come
		width      int
	}{
		{"nothing has gone", 2, false, 0, 3 * chunkRows, 3, 3},
		{"few have gone", 2, false, crowdedRows - 1, 3 * chunkRows, 3, 3},
		{"many have gone", 2, false, crowdedRows, 3 * chunkRows, 1, 1},
		{"no unique secondary index", 1, false, crowdedRows, 3 * chunkRows, 3, 3},
		{"one that is not understood", 1, true, crowdedRows, 3 * chunkRows, 1, 1},
		{"what goes does so side by side", 2, false, 2 * chunkRows, 3 * chunkRows, 1, 2},
	} {
		ft := &fold.Table{Name: "d.t", Key: []int{0}}
		t1 := &table{name: "d.t", info: &target.Table{Unique: make([][]int, one.indexes), UniqueUnsafe: one.unsafe}, fold: ft}
		e := newEpoch(1, cursor{}, fold.New(), nil)
		e.byFold[ft] = t1
		p := newPlan(e, []fold.Outcome{{Table: ft, Goes: make([]fold.Change, one.goes), Comes: make([]fold.Change, one.come)}})
		jobs, chunks, rows := 0, 0, 0
		for _, j := range p.jobs {
			if j.phase == comes {
				jobs++
			}
			for _, c := range j.chunks {
				if c.number != chunks {
					t.Errorf("%s: chunk %d is number %d", one.name, chunks, c.number)
				}
				chunks++
				rows += len(c.changes)
			}
		}
		if jobs != one.jobs || p.width() != one.width || rows != one.goes+one.come || chunks != p.chunks {
			t.Errorf("%s: %d jobs that come, want %d; width %d, want %d; %d rows in %d chunks", one.name, jobs, one.jobs, p.width(), one.width, rows, chunks)
		}
	}
}
