package proof

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"interlock/internal/testrig"
)

// Each of these leaves the servers to the next one.
func TestRefused(t *testing.T) {
	eachProduct(t, func(t *testing.T, tr *trio) {
		t.Run("damaged byte", func(t *testing.T) { damagedByteIsRefused(t, tr) })
		t.Run("cut log", func(t *testing.T) { cutLog(t, tr) })
		t.Run("unfit target", func(t *testing.T) { unfitTargetIsRefused(t, tr) })
		t.Run("second replay", func(t *testing.T) { secondReplayIsRefused(t, tr) })
	})
}

// Invariant: what would not end as the pipe does is refused with its name, and a target that is refused before
// the first epoch is not changed.
func unfitTargetIsRefused(t *testing.T, tr *trio) {
	small := tr.smallLog(t, 3)
	for _, c := range []struct {
		name    string
		product testrig.Product // empty: both
		prepare []string
		undo    string // beside what restore does
		user    string
		want    string
		applied bool // what lies before the refusal is applied
	}{
		{name: "read-only", prepare: []string{"SET GLOBAL read_only=ON"}, undo: "SET GLOBAL read_only=OFF", want: "read_only"},
		{name: "privileges", prepare: []string{"CREATE USER proof7@localhost", "GRANT SELECT, INSERT ON *.* TO proof7@localhost"}, user: "proof7", want: "rivilege"},
		{name: "unknown account", user: "proofnobody", want: "denied"},
		{name: "row triggers", product: testrig.MariaDB, prepare: []string{"SET GLOBAL slave_run_triggers_for_rbr=YES"}, undo: "SET GLOBAL slave_run_triggers_for_rbr=NO", want: "slave_run_triggers_for_rbr"},
		{name: "missing schema", prepare: []string{"SET foreign_key_checks=0", "DROP DATABASE d1"}, want: "d1", applied: true},
	} {
		if c.product != "" && c.product != tr.setup.product {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			tr.refused(t, small, c.prepare, c.user, c.want, c.applied)
			if c.undo == "" {
				return
			}
			if _, err := tr.ours.Query(t.Context(), c.undo); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func (t *trio) refused(tb *testing.T, small smallLog, prepare []string, user, want string, applied bool) {
	tb.Helper()
	ctx := tb.Context()
	if err := restore(ctx, t.ours, small.g); err != nil {
		tb.Fatal(err)
	}
	conn, err := t.ours.Connect(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	for _, statement := range prepare {
		if strings.HasPrefix(statement, "CREATE USER") || strings.HasPrefix(statement, "DROP") {
			if _, err := conn.Execute("SET sql_log_bin=0"); err != nil {
				tb.Fatal(err)
			}
		}
		if _, err := conn.Execute(statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
	conn.Close()
	if err := alone(ctx, t.ours); err != nil {
		tb.Fatal(err)
	}
	start, err := readState(ctx, t.ours, true)
	if err != nil {
		tb.Fatal(err)
	}
	cmd, output := run(ctx, tb, request{Socket: t.ours.Socket, User: user, Paths: small.files})
	err = cmd.Run()
	if err == nil || !strings.Contains(output.String(), want) || strings.Contains(output.String(), "goroutine") {
		tb.Errorf("want an error that names %q, got %v: %s", want, err, output)
	}
	if applied {
		if err := restart(ctx, t.ours); err != nil { // it may be closed to others
			tb.Fatal(err)
		}
	} else if err := unchanged(ctx, t.ours, start); err != nil {
		tb.Error(err)
	}
}

// Two replays at once onto one server: the second is refused, the first ends as if nothing had been.
func secondReplayIsRefused(t *testing.T, tr *trio) {
	g, files, err := tr.prepareMix(t.Context(), 2, func(m *mix) {
		*m = mix{images: []string{"FULL"}, formats: []string{"ROW"}, transactions: 300}
	})
	if err != nil {
		t.Fatal(err)
	}
	ref := tr.reference(t, g, files)
	if ref.pipe != nil {
		t.Fatal(ref.pipe)
	}
	first, said := command(t.Context(), t, tr.ours, 5, files)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, tr.ours, "SELECT 1 AS x FROM information_schema.tables WHERE table_schema = 'interlock_replay' LIMIT 1")
	if err := first.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second, refusal := command(t.Context(), t, tr.ours, 5, files)
	if err := second.Run(); err == nil {
		t.Errorf("a second replay was not refused: %s", refusal)
	}
	if err := first.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("the first replay: %v: %s", err, said)
	}
	got, err := readState(t.Context(), tr.ours, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := compare(ref.state, got, true); len(diff) > 0 {
		tr.report(t, 2, g, diff)
	}
}

// waitFor asks until there is a row.
func waitFor(tb testing.TB, l *testrig.Local, statement string) {
	tb.Helper()
	for range 2000 {
		rows, err := l.Query(tb.Context(), statement)
		if err == nil && len(rows) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatalf("wait for %q: nothing in two seconds", statement)
}
