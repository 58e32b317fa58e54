package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

var flagKills = flag.Int("proof.kills", 0, "rounds of the kill test for each kind of server; 0: as many as fit a normal test")

// normalKills is a round for each kind of server, with innodb_flush_log_at_trx_commit=0, under which a crash takes most
// back. The other settings, and the many rounds that chance needs, are for torture.
const normalKills = 1

// command is interlock replay as a process of its own: this test's binary, which TestMain makes one.
func command(ctx context.Context, tb testing.TB, l *testrig.Local, epochChanges int64, files []string) (*exec.Cmd, *bytes.Buffer) {
	tb.Helper()
	return run(ctx, tb, request{Socket: l.Socket, Paths: files, EpochChanges: epochChanges})
}

func run(ctx context.Context, tb testing.TB, r request) (*exec.Cmd, *bytes.Buffer) {
	tb.Helper()
	cfg, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), asReplay+"="+string(cfg))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	return cmd, &output
}

// Invariant: after any number of crashes of replay, of the server, or of both, the same command ends where an
// undisturbed one does, whatever innodb_flush_log_at_trx_commit is; what cannot be resumed stops with the
// statement named.
func TestKilled(t *testing.T) {
	eachSetup(t, func(t *testing.T, tr *trio) {
		rounds, first := *flagKills, *flagFirst
		switch {
		case *flagSeed != 0:
			rounds, first = 1, *flagSeed
		case rounds != 0:
		case testing.Short():
			rounds = 1
		default:
			rounds = normalKills
		}
		ends := ends{}
		for flush := range min(rounds, 3) {
			l := testrig.LocalFor(t, testrig.LocalSpec{Product: tr.setup.product,
				Settings: append([]string{fmt.Sprintf("innodb-flush-log-at-trx-commit=%d", flush)}, tr.setup.all...)})
			for round := range (rounds + 2) / 3 {
				seed := first + uint64(3*round+flush)
				end := tr.killed(t, l, seed)
				ends.add(end)
				t.Logf("seed %d, innodb_flush_log_at_trx_commit=%d: %s", seed, flush, end)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		t.Logf("kills on %s: %s", tr.setup.name, ends)
	})
}

// killed is one round: a workload, its log replayed with crashes at random moments, and compared.
func (t *trio) killed(tb *testing.T, l *testrig.Local, seed uint64) outcome {
	tb.Helper()
	ctx := tb.Context()
	// Twice the usual length, and none of what cannot be resumed by design: see docs/proof.md.
	change := func(m *mix) {
		m.transactions *= 2
		m.temporary, m.otherEngines = 0, 0
	}
	g, files, err := t.prepareMix(ctx, seed, change)
	if err != nil {
		tb.Fatalf("seed %d: %v", seed, err)
	}
	// A server that was restored was started after that: its counters are what is in its files, which on MariaDB is also
	// the number of a row that was written and then refused. Whoever is compared begins with the same ones.
	for _, s := range []*testrig.Local{t.pipe, t.ours} {
		if err := restart(ctx, s); err != nil {
			tb.Fatal(err)
		}
	}
	ref := t.reference(tb, g, files)
	r := rand.New(rand.NewPCG(seed, 4711))
	size := pick(r, int64(5), 40, 400, 0)
	begun := time.Now()
	undisturbed, diff := t.replayOurs(tb, size, files, ref)
	length := time.Since(begun)
	switch undisturbed.end {
	case differed:
		t.report(tb, seed, g, append([]string{"undisturbed"}, diff...))
		return undisturbed
	case bothRefuse, unsettled:
		return t.settle(tb, seed, change, undisturbed)
	}
	want, err := readState(ctx, t.ours, true)
	if err != nil {
		tb.Fatal(err)
	}
	if err := restore(ctx, l, g); err != nil {
		tb.Fatal(err)
	}
	if err := restart(ctx, l); err != nil {
		tb.Fatal(err)
	}
	before, err := globals(ctx, l)
	if err != nil {
		tb.Fatal(err)
	}
	story, err := crashes(ctx, tb, l, r, size, length, files)
	if err != nil {
		tb.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(story, "\n"))
	}
	cmd, output := command(ctx, tb, l, size, files)
	if err := cmd.Run(); err != nil {
		story = append(story, output.String())
		if strings.Contains(output.String(), "resolve-intent") || strings.Contains(output.String(), "temporary table") {
			tb.Logf("seed %d: stopped with a name: %s", seed, output)
			// It is closed to others now, by right; the next round begins as a server does.
			if err := restart(ctx, l); err != nil {
				tb.Fatal(err)
			}
			return outcome{end: named}
		}
		t.report(tb, seed, g, append(story, "the run after the crashes: "+err.Error()))
		if err := restart(ctx, l); err != nil {
			tb.Fatal(err)
		}
		return outcome{end: differed}
	}
	got, err := readState(ctx, l, true)
	if err != nil {
		tb.Fatal(err)
	}
	diff = append(compare(want, got, true), changedGlobals(ctx, tb, l, before)...)
	if serverKilled(story) {
		diff = slices.DeleteFunc(diff, func(line string) bool { return counterSurvives(ctx, tb, l, line) })
		diff = t.notAfterStart(ctx, tb, want, diff)
	}
	if len(diff) > 0 {
		t.report(tb, seed, g, append(story, diff...))
		if err := restart(ctx, l); err != nil {
			tb.Fatal(err)
		}
		return outcome{end: differed}
	}
	tb.Logf("seed %d, epochs of %d: %s", seed, size, strings.Join(story, "; "))
	return undisturbed
}

// crashes starts the replay again and again and kills it, its server or both, at moments that spread over a
// run, which takes length undisturbed. It returns what happened.
func crashes(ctx context.Context, tb testing.TB, l *testrig.Local, r *rand.Rand, size int64, length time.Duration, files []string) ([]string, error) {
	tb.Helper()
	var story []string
	for range 1 + r.IntN(6) {
		cmd, output := command(ctx, tb, l, size, files)
		if err := cmd.Start(); err != nil {
			return story, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		// A part of an undisturbed run, so that several crashes fit into one.
		wait := time.Duration(r.Int64N(int64(length)))
		if chance(r, 60) {
			wait /= 3
		}
		select {
		case err := <-ended:
			story = append(story, fmt.Sprintf("ended by itself: %v: %s", err, lastLine(output.String())))
			return story, nil
		case <-time.After(wait):
		}
		what := pick(r, "replay", "replay", "server", "both")
		if what != "server" {
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return story, err
			}
			if err := <-ended; err == nil {
				story = append(story, "it had come to its end")
			}
		}
		if what != "replay" {
			if err := l.Kill(); err != nil {
				return story, err
			}
			if err := l.Start(ctx); err != nil {
				return story, err
			}
		}
		said := ""
		if what == "server" {
			select {
			case err := <-ended:
				said = fmt.Sprintf(" (it said: %v: %s)", err, lastLine(output.String()))
			case <-time.After(time.Minute):
				story = append(story, "still running a minute after its server came back")
				if err := cmd.Process.Kill(); err != nil {
					return story, err
				}
				if err := <-ended; err == nil {
					story = append(story, "it had come to its end")
				}
				return story, fmt.Errorf("replay hangs: %s", output)
			}
		}
		story = append(story, fmt.Sprintf("killed %s after %s%s", what, wait.Round(time.Millisecond), said))
	}
	return story, nil
}

func serverKilled(story []string) bool {
	return slices.ContainsFunc(story, func(s string) bool {
		return strings.HasPrefix(s, "killed server") || strings.HasPrefix(s, "killed both")
	})
}

// counterLine is what compare says of a counter.
var counterLine = regexp.MustCompile("^(`(?:[^`]|``)+`)\\.(`(?:[^`]|``)+`): AUTO_INCREMENT: want (\\d+), got (\\d+)$")

// counterSurvives tells whether a difference is that of a counter which a killed server may well have lost: a number
// that no row ever had (of an insert that was refused, or rolled back) is in its memory alone. It is lower than the
// undisturbed one, and still above every row; anything else is a difference.
func counterSurvives(ctx context.Context, tb testing.TB, l *testrig.Local, line string) bool {
	tb.Helper()
	m := counterLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	want, _ := strconv.ParseUint(m[3], 10, 64)
	got, _ := strconv.ParseUint(m[4], 10, 64)
	if got > max(want, 1) { // an empty table's is 1, or not shown
		return false
	}
	text := func(name string) string {
		return "'" + strings.ReplaceAll(strings.ReplaceAll(strings.Trim(name, "`"), "``", "`"), "'", "''") + "'"
	}
	columns, err := l.Query(ctx, "SELECT column_name AS c FROM information_schema.columns WHERE extra LIKE '%auto_increment%' AND table_schema = "+text(m[1])+" AND table_name = "+text(m[2]))
	if err != nil || len(columns) != 1 {
		tb.Logf("%s: no counter found: %v", line, err)
		return false
	}
	rows, err := l.Query(ctx, "SELECT COALESCE(MAX(`"+columns[0]["c"]+"`), 0) < "+strconv.FormatUint(max(got, 1), 10)+" AS above FROM "+m[1]+"."+m[2])
	if err != nil || len(rows) != 1 {
		tb.Logf("%s: %v", line, err)
		return false
	}
	tb.Logf("%s: lost with the server's memory, above every row: %v", line, rows[0]["above"] == "1")
	return rows[0]["above"] == "1"
}

// notAfterStart takes out the counters that the undisturbed server has, too, once it was stopped and started: MariaDB
// finds the number of a row that was written and then refused in its files, and did not count it before.
func (t *trio) notAfterStart(ctx context.Context, tb testing.TB, want *state, diff []string) []string {
	tb.Helper()
	if !slices.ContainsFunc(diff, counterLine.MatchString) {
		return diff
	}
	if err := restart(ctx, t.ours); err != nil {
		tb.Fatal(err)
	}
	undisturbed, err := readState(ctx, t.ours, true)
	if err != nil {
		tb.Fatal(err)
	}
	after := compare(want, undisturbed, true)
	return slices.DeleteFunc(diff, func(line string) bool {
		same := counterLine.MatchString(line) && slices.Contains(after, line)
		if same {
			tb.Logf("%s: as in the undisturbed server once it was stopped and started", line)
		}
		return same
	})
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
