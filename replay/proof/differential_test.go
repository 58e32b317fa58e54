package proof

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

var (
	flagSeeds   = flag.Int("proof.seeds", 0, "how many workloads for each kind of server; 0: as many as fit a normal test")
	flagSeed    = flag.Uint64("proof.seed", 0, "run this workload alone")
	flagFirst   = flag.Uint64("proof.first", 1, "the first workload")
	flagProduct = flag.String("proof.product", "", "run on this kind of server alone: mysql, mysql-native-fk, mariadb")
)

// normalSeeds fit into a normal test, shortSeeds into a short one: about a second each.
const (
	normalSeeds = 4
	shortSeeds  = 1
)

// differedOnce are workloads of a kind of server that interlock once got wrong, for a reason that no smaller history shows:
// MySQL 1275 takes rows out of a table with an index over a computed column in a session with NO_BACKSLASH_ESCAPES.
var differedOnce = map[string][]uint64{"mysql": {1275}}

// seeds are the workloads to run on a kind of server.
func seeds(kind string) []uint64 {
	if *flagSeed != 0 {
		return []uint64{*flagSeed}
	}
	count := *flagSeeds
	switch {
	case count != 0:
	case testing.Short():
		count = shortSeeds
	default:
		count = normalSeeds
	}
	var all []uint64
	for i := range count {
		all = append(all, *flagFirst+uint64(i))
	}
	if *flagSeeds == 0 && !testing.Short() {
		all = append(all, differedOnce[kind]...)
	}
	return all
}

// eachSetup runs a test on every kind of server that the flags leave, side by side.
func eachSetup(t *testing.T, run func(t *testing.T, tr *trio)) { each(t, testing.Short(), run) }

// eachProduct runs a test that does not look at what one kind of server differs from another of its product in.
func eachProduct(t *testing.T, run func(t *testing.T, tr *trio)) { each(t, true, run) }

func each(t *testing.T, withoutVariants bool, run func(t *testing.T, tr *trio)) {
	t.Helper()
	for _, s := range setups {
		if *flagProduct != "" && *flagProduct != s.name || *flagProduct == "" && s.variant && withoutVariants {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			run(t, newTrio(t, s))
		})
	}
}

// prepare runs the workload of a seed on the source and brings both targets to where its log begins.
func (t *trio) prepare(ctx context.Context, seed uint64) (*gen, []string, error) {
	return t.prepareMix(ctx, seed, func(*mix) {})
}

// prepareMix lets the caller say what the workload is made of.
func (t *trio) prepareMix(ctx context.Context, seed uint64, change func(*mix)) (*gen, []string, error) {
	r := rand.New(rand.NewPCG(seed, uint64(len(t.setup.name))))
	gtids := chance(r, 70)
	if err := t.each(func(l *testrig.Local) error { return empty(ctx, l, gtids) }); err != nil {
		return nil, nil, err
	}
	more := rand.New(rand.NewPCG(seed, 1<<32+uint64(len(t.setup.name))))
	g := &gen{r: r, more: more, begun: map[string]bool{}, product: t.setup.product, gtids: gtids, mix: randomMix(r, t.setup.product)}
	if !slices.Contains(differedOnce[t.setup.name], seed) {
		g.mix.chooseSpecials(more, g.product)
	}
	if g.product == testrig.MySQL && gtids {
		g.mix.otherEngines = 0 // a transaction of two engines is refused there
	}
	change(&g.mix)
	defer g.close()
	for _, statement := range sourceGlobals(g) {
		if _, err := t.source.Query(ctx, statement); err != nil {
			return g, nil, err
		}
	}
	if err := g.connect(ctx, t.source, 3); err != nil {
		return g, nil, err
	}
	if err := g.begin(); err != nil {
		return g, nil, err
	}
	for _, l := range []*testrig.Local{t.pipe, t.ours} {
		if err := load(ctx, l, g.initial); err != nil {
			return g, nil, err
		}
	}
	if err := t.sameStart(ctx); err != nil {
		return g, nil, err
	}
	g.extra = g.unloggedIndexes()
	for _, l := range []*testrig.Local{t.pipe, t.ours} {
		if err := load(ctx, l, g.extra); err != nil {
			return g, nil, err
		}
	}
	if err := g.workload(ctx); err != nil {
		return g, nil, err
	}
	g.close()
	files, err := closedLog(ctx, t.source)
	return g, files, err
}

// closedLog ends the file that a server writes to, once its clients are gone, and returns those that do not grow
// any more.
func closedLog(ctx context.Context, l *testrig.Local) ([]string, error) {
	if err := alone(ctx, l); err != nil {
		return nil, err
	}
	if _, err := l.Query(ctx, "FLUSH BINARY LOGS"); err != nil {
		return nil, err
	}
	files, err := l.BinlogFiles()
	if err != nil {
		return nil, err
	}
	return files[:len(files)-1], nil
}

// sameStart makes sure that the targets are where the source's log begins, counters included.
func (t *trio) sameStart(ctx context.Context) error {
	want, err := readState(ctx, t.source, false)
	if err != nil {
		return err
	}
	for _, l := range []*testrig.Local{t.pipe, t.ours} {
		got, err := readState(ctx, l, false)
		if err != nil {
			return err
		}
		if diff := compare(want, got, true); len(diff) > 0 {
			return fmt.Errorf("load %s: it does not begin as the source does:\n%s", l, strings.Join(diff, "\n"))
		}
	}
	return nil
}

// sourceGlobals are what a seed sets on the source for all sessions.
func sourceGlobals(g *gen) []string {
	if g.product == testrig.MySQL {
		return []string{"SET GLOBAL binlog_row_metadata = " + pick(g.r, "MINIMAL", "FULL"),
			"SET GLOBAL binlog_checksum = " + pick(g.r, "CRC32", "CRC32", "NONE"),
			"SET GLOBAL binlog_rows_query_log_events = " + pick(g.r, "OFF", "ON")}
	}
	statements := []string{"SET GLOBAL binlog_row_metadata = " + pick(g.r, "NO_LOG", "MINIMAL", "FULL"),
		"SET GLOBAL binlog_checksum = " + pick(g.r, "CRC32", "CRC32", "NONE"),
		"SET GLOBAL log_bin_compress = " + pick(g.r, "OFF", "OFF", "ON"),
		"SET GLOBAL binlog_alter_two_phase = " + pick(g.r, "OFF", "ON")}
	if g.mix.uncompressed {
		statements = append(statements, "SET GLOBAL log_bin_compress = OFF")
	}
	return statements
}

// report says how to run a seed again, and keeps what it ran.
func (t *trio) report(tb testing.TB, seed uint64, g *gen, diff []string) {
	tb.Helper()
	// A run that failed may leave its target closed: the next seed begins with the settings of a start.
	if err := restart(tb.Context(), t.ours); err != nil {
		tb.Fatal(err)
	}
	kept := filepath.Join(os.TempDir(), fmt.Sprintf("interlock-proof-%s-%d", t.setup.name, seed))
	text := strings.Join(g.initial, ";\n") + ";\n-- the log begins\n" + strings.Join(g.history, "\n") + "\n"
	if err := t.keep(kept, text); err != nil {
		tb.Error(err)
	}
	tb.Errorf("seed %d on %s differs:\n%s\nwhat ran and its logs are in %s; again: go test ./replay/proof -run '^%s$' -proof.product %s -proof.seed %d",
		seed, t.setup.name, strings.Join(diff, "\n"), kept, strings.SplitN(tb.Name(), "/", 2)[0], t.setup.name, seed)
}

// keep writes what ran into a directory, beside the source's logs.
func (t *trio) keep(dir, text string) error {
	files, err := t.source.BinlogFiles()
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "history.sql"), []byte(text), 0o600); err != nil {
		return err
	}
	for _, file := range files {
		log, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), log, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// The harness itself. What the pipe makes of a log is what the source had, but for what the log does not hold: see
// docs/proof.md.
func pipeMatchesSource(t *testing.T, tr *trio) {
	compared := 0
	for _, seed := range seeds("") {
		g, files, err := tr.prepareMix(t.Context(), seed, func(m *mix) { m.unlogged, m.contextual, m.ddl, m.xa = 0, 0, 0, 0 })
		if err != nil {
			t.Fatalf("seed %d on %s: %v", seed, tr.setup.name, err)
		}
		t.Logf("seed %d: %d statements, %d refused, %+v", seed, g.ran, g.failed, g.mix)
		if err := tr.pipe.Pipe(t.Context(), nil, files...); err != nil {
			t.Logf("seed %d: the pipe cannot: %s", seed, lastOf(err))
			continue
		}
		want, err := readState(t.Context(), tr.source, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readState(t.Context(), tr.pipe, false)
		if err != nil {
			t.Fatal(err)
		}
		if tr.setup.product == testrig.MariaDB {
			got.gtids = want.gtids // a statement that changes nothing is not logged again
		}
		compared++
		if diff := compare(want, got, false); len(diff) > 0 {
			tr.report(t, seed, g, diff)
		}
	}
	if *flagSeed == 0 && compared == 0 {
		t.Error("the pipe could replay none of the workloads")
	}
}
