package proof

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// epochSizes are how many changes an epoch has: a few, some dozens, as many as there are.
var epochSizes = []int64{3, 60, 0}

// Invariants: what interlock leaves behind is what the pipe leaves behind, whatever the size of epochs, and the
// server's settings are as they were.
func TestDifferential(t *testing.T) {
	eachSetup(t, func(t *testing.T, tr *trio) {
		all, ends := seeds(tr.setup.name), ends{}
		for _, seed := range all {
			begun := time.Now()
			end := tr.differential(t, seed)
			ends[end]++
			t.Logf("seed %d: %s, %.1f s", seed, end, time.Since(begun).Seconds())
		}
		t.Logf("%d workloads on %s: %s", len(all), tr.setup.name, ends)
		// What the pipe cannot replay proves nothing: see docs/proof.md for what that is.
		if len(all) >= 20 && ends[noReference] > len(all)/3 {
			t.Errorf("the pipe could not replay %d of %d workloads: the generator has to change", ends[noReference], len(all))
		}
	})
}

// end is how one workload ended.
type end string

const (
	equal       end = "equal"
	noReference end = "without a reference"
	named       end = "stopped with a name" // kills alone: it cannot be resumed, and says so
	differed    end = "DIFFERED"
)

// ends counts them.
type ends map[end]int

func (e ends) String() string {
	var all []string
	for _, one := range []end{equal, noReference, named, differed} {
		if e[one] > 0 {
			all = append(all, fmt.Sprintf("%d %s", e[one], one))
		}
	}
	return strings.Join(all, ", ")
}

// differential compares one seed.
func (t *trio) differential(tb *testing.T, seed uint64) end {
	tb.Helper()
	ctx := tb.Context()
	g, files, err := t.prepare(ctx, seed)
	if err != nil {
		tb.Fatalf("seed %d on %s: %v", seed, t.setup.name, err)
	}
	want, ok := t.reference(tb, seed, files)
	if !ok {
		return noReference
	}
	sizes := epochSizes
	if *flagSeeds == 0 && *flagSeed == 0 { // a normal test: one size for each workload
		sizes = sizes[seed%uint64(len(sizes)):][:1]
	}
	for i, size := range sizes {
		if i > 0 {
			if err := restore(ctx, t.ours, g); err != nil {
				tb.Fatal(err)
			}
		}
		diff := t.replayOurs(tb, size, files, want)
		if len(diff) > 0 {
			diff = append([]string{"epochs of " + sizeName(size)}, diff...)
			t.report(tb, seed, g, diff)
			return differed
		}
	}
	return equal
}

// reference pipes the log and reads what that leaves behind; false: the pipe cannot.
func (t *trio) reference(tb *testing.T, seed uint64, files []string) (*state, bool) {
	tb.Helper()
	ctx := tb.Context()
	if err := t.pipe.Pipe(ctx, nil, files...); err != nil {
		tb.Logf("seed %d: the pipe cannot: %.600s", seed, err)
		return nil, false
	}
	want, err := readState(ctx, t.pipe, false)
	if err != nil {
		tb.Fatal(err)
	}
	if t.setup.product == testrig.MariaDB {
		// The pipe logs again what it does, and a statement that changes nothing is not logged: the log's own end is
		// where replication goes on.
		rows, err := t.source.Query(ctx, "SELECT @@GLOBAL.gtid_binlog_pos AS pos")
		if err != nil {
			tb.Fatal(err)
		}
		want.gtids = sortedList(rows[0]["pos"])
	}
	return want, true
}

func sizeName(size int64) string {
	switch size {
	case 0:
		return "any size"
	case epochSizes[0]:
		return "a few changes"
	}
	return "some dozen changes"
}

// restore takes a target back to where the log of a workload begins.
func restore(ctx context.Context, l *testrig.Local, g *gen) error {
	if err := empty(ctx, l, g.gtids); err != nil {
		return err
	}
	if err := load(ctx, l, slices.Concat(g.initial, g.extra)); err != nil {
		return err
	}
	// A crash that comes next must not take the backup away, whatever innodb_flush_log_at_trx_commit is.
	_, err := l.Query(ctx, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS")
	return err
}

// replayOurs replays and says what is not as it should be.
func (t *trio) replayOurs(tb *testing.T, epochChanges int64, files []string, want *state) []string {
	tb.Helper()
	ctx := tb.Context()
	before, err := globals(ctx, t.ours)
	if err != nil {
		tb.Fatal(err)
	}
	cmd, output := command(ctx, tb, t.ours, epochChanges, files)
	if err := cmd.Run(); err != nil {
		return []string{fmt.Sprintf("interlock: %v: %s", err, output)}
	}
	return append(t.differs(ctx, tb, t.ours, want), changedGlobals(ctx, tb, t.ours, before)...)
}

// differs says where what interlock left on a server is not what the pipe left. The pipe is the reference for what
// the log does not hold; where it loses what the source has and the log holds, the source is: see docs/proof.md.
func (t *trio) differs(ctx context.Context, tb testing.TB, l *testrig.Local, want *state) []string {
	tb.Helper()
	got, err := readState(ctx, l, true)
	if err != nil {
		return []string{err.Error()}
	}
	if len(compare(want, got, true)) == 0 {
		return nil
	}
	source, err := readState(ctx, t.source, false)
	if err != nil {
		return []string{err.Error()}
	}
	for _, what := range want.correct(source, got) {
		tb.Logf("the pipe left what the source does not have, and interlock what it has: %s", what)
	}
	return compare(want, got, true)
}

// correct takes over from the source the rows and GTIDs in which the pipe fell short of it and interlock did not.
func (s *state) correct(source, got *state) []string {
	var corrected []string
	for name, w := range s.tables {
		g, original := got.tables[name], source.tables[name]
		if g != nil && original != nil && !maps.Equal(w.rows, g.rows) && maps.Equal(original.rows, g.rows) {
			w.rows = original.rows
			corrected = append(corrected, "the rows of "+name)
		}
	}
	if s.gtids != got.gtids && source.gtids == got.gtids {
		corrected = append(corrected, fmt.Sprintf("GTIDs %s, not %s", source.gtids, s.gtids))
		s.gtids = source.gtids
	}
	return corrected
}

// changedGlobals are the settings that a run has not put back.
func changedGlobals(ctx context.Context, tb testing.TB, l *testrig.Local, before map[string]string) []string {
	tb.Helper()
	after, err := globals(ctx, l)
	if err != nil {
		tb.Fatal(err)
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if before[name] != after[name] {
			changed = append(changed, fmt.Sprintf("%s was %q and is left at %q", name, before[name], after[name]))
		}
	}
	return changed
}
