package proof

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// epochSizes are how many changes an epoch has: a few, some dozens, as many as there are.
var epochSizes = []int64{3, 60, 0}

// Invariants: what interlock leaves behind is what the pipe leaves behind, whatever the size of epochs, and the
// server's settings are as they were. Where the pipe fails, it is what the source has, or interlock refuses by name.
func TestDifferential(t *testing.T) {
	eachSetup(t, func(t *testing.T, tr *trio) {
		all, ends := seeds(tr.setup.name), ends{}
		for _, seed := range all {
			begun := time.Now()
			o := tr.differential(t, seed)
			ends.add(o)
			t.Logf("seed %d: %s, %.1f s", seed, o, time.Since(begun).Seconds())
		}
		t.Logf("%d workloads on %s: %s", len(all), tr.setup.name, ends)
		for _, excess := range ends.excess(tr.setup.name, len(all)) {
			t.Error(excess)
		}
	})
}

// differential compares one seed.
func (t *trio) differential(tb *testing.T, seed uint64) outcome {
	tb.Helper()
	ctx := tb.Context()
	g, files, err := t.prepare(ctx, seed)
	if err != nil {
		tb.Fatalf("seed %d on %s: %v", seed, t.setup.name, err)
	}
	if len(g.mix.specials) > 0 {
		tb.Logf("seed %d has %s", seed, strings.Join(g.mix.specials, ", "))
	}
	ref := t.reference(tb, g, files)
	sizes := epochSizes
	if *flagSeeds == 0 && *flagSeed == 0 { // a normal test: one size for each workload
		sizes = sizes[seed%uint64(len(sizes)):][:1]
	}
	worst := outcome{end: equal}
	for i, size := range sizes {
		if i > 0 {
			if err := restore(ctx, t.ours, g); err != nil {
				tb.Fatal(err)
			}
		}
		o, diff := t.replayOurs(tb, size, files, ref)
		if o.end == differed {
			diff = append([]string{"epochs of " + sizeName(size)}, diff...)
			t.report(tb, seed, g, diff)
			return o
		}
		if o.end == unsettled {
			return t.settle(tb, seed, func(*mix) {}, o)
		}
		if o.end != equal {
			worst = o
		}
	}
	return worst
}

// reference is what a replay is held against.
type reference struct {
	state   *state // the pipe's; the source's, where the pipe failed
	pipe    error  // why it failed
	history []string
}

// reference pipes the log and reads what that leaves behind.
func (t *trio) reference(tb *testing.T, g *gen, files []string) *reference {
	tb.Helper()
	ctx := tb.Context()
	ref := &reference{history: g.history, pipe: t.pipe.Pipe(ctx, nil, files...)}
	from := t.pipe
	if ref.pipe != nil {
		tb.Logf("the pipe cannot: %s", lastOf(ref.pipe))
		from = t.source
	}
	var err error
	if ref.state, err = readState(ctx, from, false); err != nil {
		tb.Fatal(err)
	}
	if ref.pipe != nil {
		if ref.state.xa, err = t.logged(ctx, files, ref.state.xa); err != nil {
			tb.Fatal(err)
		}
	}
	if t.setup.product == testrig.MariaDB {
		// The pipe logs again what it does, and a statement that changes nothing is not logged: the log's own end is
		// where replication goes on.
		rows, err := t.source.Query(ctx, "SELECT @@GLOBAL.gtid_binlog_pos AS pos")
		if err != nil {
			tb.Fatal(err)
		}
		ref.state.gtids = sortedList(rows[0]["pos"])
	}
	return ref
}

// logged are those of the source's prepared XA transactions that its log holds: MariaDB logs none that has changed nothing.
func (t *trio) logged(ctx context.Context, files, ids []string) ([]string, error) {
	var held []string
	for _, file := range files {
		events, err := t.source.Query(ctx, "SHOW BINLOG EVENTS IN '"+filepath.Base(file)+"'")
		if err != nil {
			return nil, err
		}
		for _, event := range events {
			if id, ok := strings.CutPrefix(event["Info"], "XA PREPARE "); ok {
				held = append(held, strings.ToUpper(id))
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		if name, quoted := strings.CutPrefix(id, "'"); quoted { // MariaDB's way, for a name alone
			id = fmt.Sprintf("X'%x',X'',1", strings.TrimSuffix(name, "'"))
		}
		return !slices.Contains(held, strings.ToUpper(id))
	}), nil
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

// replayOurs replays and says how that ended, and what is not as it should be.
func (t *trio) replayOurs(tb *testing.T, epochChanges int64, files []string, ref *reference) (outcome, []string) {
	tb.Helper()
	ctx := tb.Context()
	before, err := globals(ctx, t.ours)
	if err != nil {
		tb.Fatal(err)
	}
	cmd, output := command(ctx, tb, t.ours, epochChanges, files)
	if err := cmd.Run(); err != nil {
		o := outcome{end: differed}
		if ref.pipe != nil {
			o = refusal(output.String(), ref)
		}
		if o.end == differed {
			return o, []string{fmt.Sprintf("interlock: %v: %s", err, output)}
		}
		tb.Logf("interlock refuses: %s", output)
		if err := restart(ctx, t.ours); err != nil { // it may be closed to others, by right
			tb.Fatal(err)
		}
		return o, nil
	}
	o, diff := t.judge(ctx, tb, t.ours, ref)
	if diff = append(diff, changedGlobals(ctx, tb, t.ours, before)...); len(diff) > 0 {
		o = outcome{end: differed}
	}
	return o, diff
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
