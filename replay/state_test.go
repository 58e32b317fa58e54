package replay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/target"
)

// stateSite is a server with a log, and one that it is replayed onto.
type stateSite struct {
	t          *testing.T
	source, to *testrig.Local
	files      []string
	told       []string
}

func eachStateSite(t *testing.T, script string, f func(s *stateSite)) {
	for _, p := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(p), func(t *testing.T) {
			s := &stateSite{t: t, source: testrig.LocalFor(t, testrig.LocalSpec{Product: p}), to: testrig.LocalFor(t, testrig.LocalSpec{Product: p})}
			s.exec(s.source, script)
			var err error
			if s.files, err = s.source.BinlogFiles(); err != nil {
				t.Fatal(err)
			}
			f(s)
		})
	}
}

func (s *stateSite) exec(l *testrig.Local, script string) string {
	s.t.Helper()
	out, err := l.Exec(s.t.Context(), script)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(strings.Fields(out), " ")
}

func (s *stateSite) config() Config {
	return Config{Target: target.Options{Socket: s.to.Socket, User: "root"}, Paths: s.files, Tell: func(line string) { s.told = append(s.told, line) }}
}

// A backup that is loaded over the server of a finished run leaves that run's state there: the same command replays
// again, and does not say that there is nothing to do.
func TestBackupLoadedOverAFinishedRun(t *testing.T) {
	eachStateSite(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1), (2)", func(s *stateSite) {
		if _, err := Run(s.t.Context(), s.config()); err != nil {
			s.t.Fatal(err)
		}
		again, err := Run(s.t.Context(), s.config())
		if err != nil || !again.Before {
			s.t.Fatalf("a second time: %+v, %v", again, err)
		}
		time.Sleep(1100 * time.Millisecond) // what is made now is younger by whole seconds
		gone := "SET GLOBAL gtid_slave_pos=''"
		if s.to.Product == testrig.MySQL {
			gone = "RESET BINARY LOGS AND GTIDS"
		}
		s.exec(s.to, "SET sql_log_bin=0; DROP DATABASE d; CREATE DATABASE kept; CREATE TABLE kept.t (a INT); "+gone)
		again, err = Run(s.t.Context(), s.config())
		if err != nil || again.Before || again.Resumed || again.Applied.Transactions == 0 {
			s.t.Errorf("after the backup was loaded: %+v, %v", again, err)
		}
		if !strings.Contains(strings.Join(s.told, "\n"), "table kept.t was made since") {
			s.t.Errorf("nothing says why: %q", s.told)
		}
		if got := s.exec(s.to, "SELECT id FROM d.t ORDER BY id"); got != "1 2" {
			s.t.Errorf("rows %q; want 1 2", got)
		}
	})
}

// Invariant 8: a run that cannot account for what it read is not passed over by the next start.
func TestUnaccountedRunIsKept(t *testing.T) {
	eachStateSite(t, "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1), (2)", func(s *stateSite) {
		cfg, err := s.config().withDefaults()
		if err != nil {
			s.t.Fatal(err)
		}
		r := &runner{cfg: cfg, began: time.Now()}
		if err := r.open(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		r.tally.read(counts{Changes: 1}) // and nobody applies it
		if err := r.onto(s.t.Context()); err == nil || !strings.Contains(err.Error(), "3 changes were read, 2 applied or skipped") {
			s.t.Fatalf("a change that nobody applied: %v", err)
		}
		_, err = Run(s.t.Context(), s.config())
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "3 changes were read, 2 applied or skipped") || !strings.Contains(err.Error(), "restore the backup") {
			s.t.Errorf("the next start: %v", err)
		}
		var out strings.Builder
		if err := Status(s.t.Context(), cfg.Target, &out); err != nil || !strings.Contains(out.String(), "FAILED, do not use this server") {
			s.t.Errorf("status %q, %v", &out, err)
		}
	})
}
