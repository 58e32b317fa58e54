package replay

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"interlock/replay/binlog"
	"interlock/replay/session"
	"interlock/replay/target"
)

// corpus are the recorded logs of a server, in a folder of their own.
func corpus(t *testing.T, flavor string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("binlog", "testdata", flavor))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openLog(t *testing.T, dir string) *binlog.Log {
	t.Helper()
	log, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// A position that the log does not have is an error, and so is a range without anything in it.
func TestPositions(t *testing.T) {
	log := openLog(t, corpus(t, "mysql")) // 13,220, 621, 334 and 577 bytes
	for _, test := range []struct{ start, stop, want string }{
		{"", "", ""},
		{"binlog.000001:4", "binlog.000001:13220", ""},
		{"binlog.000002:4", "binlog.000002:4", ""}, // as a run up to damage at its very start
		{"binlog.000001:13220", "binlog.000002:4", ""},
		{"", "binlog.000001:13221", "--stop-position binlog.000001:13221: the file ends at 13220; give a position in it, or that of a later file"},
		{"", "binlog.000002:6210", "--stop-position binlog.000002:6210: the file ends at 621; give a position in it, or that of a later file"},
		{"binlog.000002:18446744073709551615", "", "--start-position binlog.000002:18446744073709551615: the file ends at 621; give a position in it, or that of a later file"},
		{"", "binlog.000005:4", "--stop-position binlog.000005:4: there is no file binlog.000005 among the logs (binlog.000001 … binlog.000004)"},
		{"binlog.000000:4", "", "--start-position binlog.000000:4: there is no file binlog.000000 among the logs (binlog.000001 … binlog.000004)"},
		{"binlog.000001:236", "binlog.000001:157", "--stop-position binlog.000001:157 lies before --start-position binlog.000001:236: nothing lies between them; exchange them, or leave one out"},
		{"binlog.000003:4", "binlog.000002:600", "--stop-position binlog.000002:600 lies before --start-position binlog.000003:4: nothing lies between them; exchange them, or leave one out"},
		{"157", "", `--start-position: position "157": want FILE:OFFSET, like binlog.000042:157`},
	} {
		_, _, err := Range{StartPosition: test.start, StopPosition: test.stop}.positions(log)
		if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want || !errors.Is(err, ErrUsage)) {
			t.Errorf("from %q to %q: %v, want %s", test.start, test.stop, err, test.want)
		}
	}
}

// The planner reads nothing at the stop position and behind, be it the start of a file whose first transaction is damaged.
func TestPlannerStops(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			dir := corpus(t, name)
			whole, err := openLog(t, dir).Survey(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "binlog.000004")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)-100] ^= 1 // in the only transaction
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			log := openLog(t, dir)
			for _, stop := range []string{"binlog.000004:4", "binlog.000002:4"} {
				r := Range{StopPosition: stop}
				_, to, err := r.positions(log)
				if err != nil {
					t.Fatal(err)
				}
				survey, err := log.SurveyRange(t.Context(), binlog.Position{}, to, nil)
				if err != nil {
					t.Fatal(err)
				}
				sel, err := newSelection(t.Context(), log, r, nil)
				if err != nil {
					t.Fatal(err)
				}
				sel.have = whole.GTIDs // what the target has already is read, and needs no target
				tally, err := planOnly(t, log, sel)
				if err != nil {
					t.Errorf("stop at %s: %v", stop, err)
				}
				if n := tally.skipped["on the target already"].Transactions; n != survey.Transactions || n == 0 {
					t.Errorf("stop at %s: %d transactions are read, the survey found %d", stop, n, survey.Transactions)
				}
				if tally.stopAt != to || tally.stopWhy != "--stop-position" {
					t.Errorf("stop at %s: stopped at %s by %q", stop, tally.stopAt, tally.stopWhy)
				}
			}
			sel, err := newSelection(t.Context(), log, Range{}, whole.GTIDs)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := planOnly(t, log, sel); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("without a stop: %v", err)
			}
		})
	}
}

// planOnly runs a planner of which nothing comes.
func planOnly(t *testing.T, log *binlog.Log, sel *selection) (*tally, error) {
	t.Helper()
	reader, err := log.Read(sel.start)
	if err != nil {
		t.Fatal(err)
	}
	flavor := log.Files[0].Format.Flavor
	p := &planner{
		sel: sel, reader: reader, schema: &target.Schema{}, flavor: flavor, state: session.New(flavor, "10.11.6"),
		maps: &binlog.TableCache{}, units: make(chan *unit), tally: newTally(nil),
	}
	err = p.run(t.Context())
	return p.tally, err
}

// A GTID behind the stop position is not in the range, and is not looked for there.
func TestGTIDBehindStop(t *testing.T) {
	log := openLog(t, corpus(t, "mariadb"))
	r, err := log.Read(binlog.Position{File: "binlog.000003", Offset: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	txn, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gtid := txn.GTID.String()
	if _, err := newSelection(t.Context(), log, Range{SkipGTIDs: []string{gtid}, StopPosition: txn.End.String()}, nil); err != nil {
		t.Errorf("in the range: %v", err)
	}
	want := "GTID " + gtid + " is not in the logs before --stop-position binlog.000003:4: nothing was applied"
	if _, err := newSelection(t.Context(), log, Range{SkipGTIDs: []string{gtid}, StopPosition: "binlog.000003:4"}, nil); err == nil || err.Error() != want || !errors.Is(err, ErrUsage) {
		t.Errorf("behind it: %v, want %s", err, want)
	}
}
