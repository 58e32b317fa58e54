package replay

import (
	"strings"
	"testing"

	"interlock/replay/target"
)

// Workers are at different tables where the pool holds these, and else at one after the other; nothing is left out.
func TestTurns(t *testing.T) {
	a := &table{name: "a", info: &target.Table{Bytes: 60}}
	b := &table{name: "b", info: &target.Table{Bytes: 40}}
	var all []*job
	for _, j := range []struct {
		phase phase
		table *table
		jobs  int
	}{{goes, a, 1}, {goes, b, 1}, {inOrder, nil, 2}, {comes, a, 4}, {comes, b, 2}} {
		for range j.jobs {
			all = append(all, &job{phase: j.phase, table: j.table})
		}
	}
	names := func(jobs []*job) string {
		var s []string
		for _, j := range jobs {
			if j.table == nil {
				s = append(s, "-")
				continue
			}
			s = append(s, j.table.name)
		}
		return strings.Join(s, "")
	}
	for _, c := range []struct {
		pool   uint64
		phases [2]phase
		want   string
	}{
		{100, [2]phase{comes, comes}, "ababaa"},
		{99, [2]phase{comes, comes}, "aaaabb"},
		{100, [2]phase{goes, inOrder}, "ab--"},
		{0, [2]phase{goes, inOrder}, "ab--"},
	} {
		x := &executor{server: &target.Server{BufferPool: c.pool}}
		if got := names(x.turns(all, c.phases)); got != c.want {
			t.Errorf("pool %d, phases %v: %s, want %s", c.pool, c.phases, got, c.want)
		}
	}
}
