package target

import (
	"context"
	"errors"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

func oneByOne(sql ...string) (steps []Step) {
	for _, one := range sql {
		steps = append(steps, statements(one)...)
	}
	return steps
}

// A barrier that the server refuses is run again by the next start where nothing of it stays; where something may,
// the next start asks.
func TestBarrierUndone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (7)")
		refuse := func(want bool, sql ...string) {
			t.Helper()
			r := s.open("run")
			defer r.Close()
			b := s.session(r)
			err := b.Run(ctx, Barrier{Number: 1, What: sql[len(sql)-1], To: "there", Steps: oneByOne(sql...)})
			if err == nil || errors.Is(err, ErrUndone) != want {
				t.Errorf("%q: %v, undone: want %t", sql, err, want)
			}
			left := "1"
			if want {
				left = "0"
			}
			s.expect("SELECT COUNT(*) FROM interlock_replay.intent", left)
			s.expect("SELECT COUNT(*) FROM d.t", "1")
			s.run("DELETE FROM interlock_replay.intent")
			s.ok(b.Close())
		}
		refuse(true, "INSERT INTO d.t VALUES (8), (7)")
		refuse(true, "BEGIN", "INSERT INTO d.t VALUES (8)", "SAVEPOINT a", "INSERT INTO d.t VALUES (7)", "COMMIT")
		refuse(true, "SET sql_mode=''", "CREATE TABLE d.t (id INT)")
		refuse(true, "ALTER TABLE d.t ADD COLUMN id INT")
		refuse(s.Product == testrig.MySQL, "DROP TABLE d.none, d.gone")
		refuse(s.Product == testrig.MySQL, "CREATE USER root@localhost")
		refuse(false, "BEGIN", "CREATE TABLE d.x (id INT)", "INSERT INTO d.t VALUES (7)", "COMMIT")
		refuse(false, "CREATE TABLE d.y (id INT)", "INSERT INTO d.t VALUES (7)")
		s.run("CREATE TABLE d.m (id INT PRIMARY KEY) ENGINE=MyISAM")
		refuse(false, "INSERT INTO d.m VALUES (1), (1)")
		refuse(false, "BEGIN", "INSERT INTO d.m VALUES (2)", "INSERT INTO d.t VALUES (7)", "COMMIT")
		refuse(true, "BEGIN", "INSERT INTO d.t VALUES (8)", "INSERT INTO d.t VALUES (7)", "COMMIT")
	})
}

// When the context ends in the middle of a barrier its statement is ended at the server and leaves no lock behind.
func TestBarrierCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		for _, transactional := range []bool{true, false} {
			r := s.open("run")
			b := s.session(r)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(500*time.Millisecond, cancel)
			start := time.Now()
			err := b.Run(ctx, Barrier{Number: 1, What: "sleep", To: "there", Transactional: transactional,
				Steps: oneByOne("BEGIN", "INSERT INTO d.t VALUES (1)", "UPDATE d.t SET id = id + SLEEP(100)", "COMMIT")})
			if err == nil || time.Since(start) > 10*time.Second || !transactional && !errors.Is(err, ErrUndone) {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
			s.expect("SELECT COUNT(*) FROM interlock_replay.intent", "0")
			s.run("SET innodb_lock_wait_timeout=1", "INSERT INTO d.t VALUES (1)", "DELETE FROM d.t")
			s.ok(b.Close())
			s.ok(r.Close())
		}
	})
}

// MySQL commits EXCHANGE PARTITION without its GTID, which could therefore not tell that it has run.
func TestExchangeAsksAfterACrash(t *testing.T) {
	s := newSite(t, testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL}))
	ctx := t.Context()
	s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (10))",
		"CREATE TABLE d.e (id INT PRIMARY KEY)", "INSERT INTO d.e VALUES (1)")
	swap := Barrier{Number: 1, GTID: s.next(1), What: "swap", To: "there", Steps: statements("ALTER TABLE d.t EXCHANGE PARTITION p WITH TABLE d.e")}
	r := s.open("run")
	b := s.session(r)
	s.ok(r.intend(ctx, swap, b.ownGTID(swap), r.gtidsWith(swap, b.ownGTID(swap) != "")))
	s.ok(b.own(ctx, swap))
	s.ok(b.steps(ctx, swap.Steps))
	s.ok(b.Close())
	s.ok(r.Close())
	r, err := s.server.Open(ctx, spec("run"))
	s.refused(err, "swap")
	s.ok(r.ResolveIntent(ctx, true))
	s.ok(r.Finish(ctx))
	s.ok(r.Close())
	s.expect("SELECT COUNT(*) FROM d.t", "1")
	if got := s.position(); got != foreign+":1" {
		t.Errorf("position %q", got)
	}
}

// Dropping the state of an unfinished run puts back what the run has set.
func TestDropStateRestores(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		before := values(t, dial(t, s.server), s.server)
		r := s.open("run")
		s.ok(r.Settings(ctx))
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 2})
		s.ok(err)
		s.ok(r.Close())
		s.refused(s.server.DropState(ctx, false), "unfinished")
		s.ok(s.server.DropState(ctx, true))
		for name, now := range values(t, dial(t, s.server), s.server) {
			if !same(now, before[name]) {
				t.Errorf("%s is %q, was %q", name, now, before[name])
			}
		}
	})
}

// A configuration for applications does not reach our connections.
func TestHostileConfiguration(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE `dü`", "CREATE TABLE `dü`.t (id INT PRIMARY KEY)")
		hostile := []string{"sql_select_limit=1", "sql_safe_updates=1", "completion_type=2", "sql_big_selects=0", "autocommit=0"}
		if s.server.Flavor == binlog.MySQL {
			hostile = append(hostile, "max_execution_time=1", "transaction_read_only=1", "default_table_encryption=0")
		} else {
			hostile = append(hostile, "max_statement_time=0.05", "tx_read_only=1", "idle_transaction_timeout=1", "idle_readonly_transaction_timeout=1", "idle_write_transaction_timeout=1")
		}
		for _, set := range hostile {
			s.run("SET GLOBAL " + set)
		}
		r := s.open("run")
		defer r.Close()
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 0})
		s.ok(err)
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))
		b := s.session(r)
		s.ok(b.Run(ctx, Barrier{Number: 2, What: "insert", To: "x", Transactional: true, Steps: statements("BEGIN", "INSERT INTO `dü`.t SELECT SLEEP(1.2)", "COMMIT")}))
		c := dial(t, s.server)
		rows, err := c.Query(ctx, "SELECT 1 UNION SELECT 2")
		s.ok(err)
		if len(rows) != 2 {
			t.Errorf("%d rows of 2", len(rows))
		}
		mustExec(t, c, "BEGIN", "INSERT INTO `dü`.t VALUES (2)")
		time.Sleep(1500 * time.Millisecond) // the next batch of a transaction is not ready
		mustExec(t, c, "COMMIT")
	})
}
