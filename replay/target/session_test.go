package target

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

const foreign = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"

// next is the GTID of the nth transaction of a log.
func (s *site) next(n int) binlog.GTID {
	s.t.Helper()
	if s.Product == testrig.MySQL {
		return s.gtid(fmt.Sprintf("%s:%d", foreign, n))
	}
	return s.gtid(fmt.Sprintf("3-9-%d", n))
}

// position is where next(n) shows.
func (s *site) position() string {
	s.t.Helper()
	if s.Product == testrig.MySQL {
		for part := range strings.FieldsFuncSeq(s.read("SELECT @@GLOBAL.gtid_executed"), func(r rune) bool { return r == ',' || r == '\n' }) {
			if strings.HasPrefix(part, foreign) {
				return part
			}
		}
		return ""
	}
	return s.read("SELECT @@GLOBAL.gtid_slave_pos")
}

func statements(sql ...string) []Step { return []Step{{Statements: sql}} }

func TestBarriers(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.seen (id INT PRIMARY KEY)")
		rows := s.events("INSERT INTO d.seen VALUES (77)")[0]
		s.run("TRUNCATE d.seen")
		r := s.open("run")
		b := s.session(r)

		s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "create", From: "a", To: "b",
			Steps: statements("SET SESSION sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "USE d", "CREATE TABLE t (id INT PRIMARY KEY)")}))
		s.ok(b.Run(ctx, Barrier{Number: 2, GTID: s.next(2), What: "mixed", To: "c'\\", Transactional: true,
			Steps: []Step{{Statements: []string{"BEGIN", "INSERT INTO t VALUES (1)"}}, {Events: rows}, {Statements: []string{"COMMIT"}}}}))
		s.expect("SELECT * FROM d.t", "1")
		s.expect("SELECT * FROM d.seen", "77")
		s.expect("SELECT number, to_position, finished FROM interlock_replay.epoch", "2,c'\\,1")
		s.expect("SELECT COUNT(*) FROM interlock_replay.intent", "0")

		// Several transactions as one.
		var two binlog.GTIDSet
		two.Add(s.next(3))
		two.Add(s.next(4))
		s.ok(b.Run(ctx, Barrier{Number: 3, GTIDs: &two, What: "merged", Transactional: true,
			Steps: statements("BEGIN", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)", "commit ;")}))

		_, err := r.BeginEpoch(ctx, Epoch{Number: 4})
		s.ok(err)
		s.refused(b.Run(ctx, Barrier{Number: 5, GTID: s.next(6), What: "too early", Steps: statements("DROP TABLE t")}), "epoch 4 must be finished")
		var five binlog.GTIDSet
		five.Add(s.next(5))
		r.published = time.Time{} // long ago
		s.ok(r.FinishEpoch(ctx, 4, &five, r.Generation()))
		if got, want := s.position(), map[testrig.Product]string{testrig.MySQL: foreign + ":1-5", testrig.MariaDB: "3-9-5"}[s.Product]; got != want {
			t.Errorf("position %q instead of %q", got, want)
		}
		// One that commits nothing still counts.
		s.ok(b.Run(ctx, Barrier{Number: 5, GTID: s.next(6), What: "nothing", Steps: statements("DO 1")}))
		s.ok(r.Finish(ctx))
		if got, want := s.position(), map[testrig.Product]string{testrig.MySQL: foreign + ":1-6", testrig.MariaDB: "3-9-6"}[s.Product]; got != want {
			t.Errorf("position %q instead of %q", got, want)
		}
		s.expect("SELECT * FROM d.t", "1 2 3")
	})
}

func TestBarrierErrors(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		b := s.session(r)
		err := b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "log.1:4", Transactional: true,
			Steps: statements("BEGIN", "INSERT INTO d.t VALUES (1)", "INSERT INTO d.t VALUES (1)", "COMMIT")})
		s.refused(err, "log.1:4", "Duplicate entry")
		s.expect("SELECT COUNT(*) FROM d.t", "0")
		s.expect("SELECT COUNT(*) FROM interlock_replay.epoch", "0")
		if s.position() != "" {
			t.Errorf("a barrier that failed left %q", s.position())
		}
		s.refused(b.Run(ctx, Barrier{Number: 1, What: "next"}), "failed")
		b = s.session(r)
		s.refused(b.Run(ctx, Barrier{Number: 1, Transactional: true, Steps: statements("BEGIN")}), "must end in COMMIT")

		if s.Product == testrig.MySQL {
			s.run("SET GLOBAL gtid_purged='+" + foreign + ":1'")
			s.refused(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "used", Steps: statements("CREATE TABLE d.no (id INT)")}), "something else has used it")
			s.expect("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='d' AND table_name='no'", "0")
		}
	})
}

// A barrier that is cut off by the end of its connection, at a moment when it has taken effect and when it has not.
func TestBarrierInterrupted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		b := s.session(r)
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, To: "start"})
		s.ok(err)
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))

		// The connection ends itself between two statements: the first is rolled back with it.
		cut := Barrier{Number: 2, GTID: s.next(1), What: "cut", To: "here", Transactional: true,
			Steps: statements("BEGIN", "INSERT INTO d.t VALUES (1)", fmt.Sprintf("KILL %d", b.sender.conn.ID), "COMMIT")}
		err = b.Run(ctx, cut)
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) {
			t.Fatalf("%v is no InterruptedError", err)
		}
		s.refused(b.Run(ctx, cut), "lost")
		s.ok(r.Close())
		r = s.open("run")
		if r.Last.Number != 1 {
			t.Errorf("a transaction that was rolled back counts: last epoch %+v", r.Last)
		}

		// Not transactional, in the middle.
		b = s.session(r)
		cut = Barrier{Number: 2, GTID: s.next(1), What: "create table d.u", To: "there", Steps: statements("CREATE TABLE d.u (id INT)")}
		kill := cut
		kill.Steps = append(statements(fmt.Sprintf("KILL %d", b.sender.conn.ID)), cut.Steps...)
		if err = b.Run(ctx, kill); !errors.As(err, &interrupted) {
			t.Fatalf("%v is no InterruptedError", err)
		}
		s.ok(r.Close())
		r, err = s.server.Open(ctx, spec("run"))
		if s.Product == testrig.MySQL {
			s.ok(err) // its GTID is not there, so it has not run
		} else {
			var open *OpenIntentError
			if !errors.As(err, &open) {
				t.Fatalf("%v is no OpenIntentError", err)
			}
			s.refused(err, "create table d.u", "--resolve-intent")
			s.ok(r.ResolveIntent(ctx, false))
			s.refused(r.ResolveIntent(ctx, false), "none is open")
		}
		if r.Last.Number != 1 {
			t.Errorf("a barrier that has not run counts: last epoch %+v", r.Last)
		}

		// And at its end, before that was written down.
		b = s.session(r)
		s.ok(r.intend(ctx, cut, b.ownGTID(cut), r.gtidsWith(cut, b.ownGTID(cut) != "")))
		s.ok(b.own(ctx, cut))
		s.ok(b.steps(ctx, cut.Steps))
		s.ok(b.Close())
		s.ok(r.Close())
		r, err = s.server.Open(ctx, spec("run"))
		if s.Product == testrig.MySQL {
			s.ok(err)
		} else {
			s.refused(err, "create table d.u")
			s.ok(r.ResolveIntent(ctx, true))
		}
		t.Cleanup(func() { r.Close() })
		if r.Last.Number != 2 || r.Last.To != "there" || !r.Last.Finished {
			t.Errorf("a barrier that has run does not count: last epoch %+v", r.Last)
		}
		if got, want := s.position(), map[testrig.Product]string{testrig.MySQL: foreign + ":1", testrig.MariaDB: "3-9-1"}[s.Product]; got != want {
			t.Errorf("position %q instead of %q", got, want)
		}
	})
}

// With a table that is not transactional a missing GTID proves nothing.
func TestBarrierInterruptedBesideMyISAM(t *testing.T) {
	local := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
	s := newSite(t, local)
	ctx := t.Context()
	s.run("CREATE DATABASE d", "CREATE TABLE d.m (id INT) ENGINE=MyISAM")
	r := s.open("run")
	b := s.session(r)
	err := b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "insert into m", Steps: statements("BEGIN", "INSERT INTO d.m VALUES (1)", fmt.Sprintf("KILL %d", b.sender.conn.ID))})
	s.refused(err, "lost the connection")
	s.ok(r.Close())
	status, err := s.server.Status(ctx)
	s.ok(err)
	if status[0].Intent != "insert into m" {
		t.Errorf("status %+v", status[0])
	}
	r, err = s.server.Open(ctx, spec("run"))
	s.refused(err, "insert into m")
	s.ok(r.Close())
}

func TestTemporaryTables(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		b := s.session(r)
		s.run("CREATE DATABASE d")
		s.ok(b.SetTemporary(ctx, true))
		s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "temporary", Steps: statements("CREATE TEMPORARY TABLE d.t (id INT)")}))
		s.ok(b.SetFormat(ctx, s.format)) // it must not drop them
		s.ok(b.Run(ctx, Barrier{Number: 2, GTID: s.next(2), What: "fill", Steps: statements("INSERT INTO d.t VALUES (1)")}))
		s.ok(r.Close())
		_, err := s.server.Open(ctx, spec("run"))
		s.refused(err, "temporary tables were open")
	})
}

// An XA transaction that is left prepared stays, and the session goes on.
func TestBarrierLeavesXAPrepared(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		b := s.session(r)
		s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "xa",
			Steps: statements("XA START X'61',X'',1", "INSERT INTO d.t VALUES (1)", "XA END X'61',X'',1", "XA PREPARE X'61',X'',1")}))
		s.ok(b.Run(ctx, Barrier{Number: 2, GTID: s.next(2), What: "more", Steps: statements("CREATE TABLE d.u (id INT)")}))
		s.expect("XA RECOVER", "1,1,0,a")
		s.ok(b.Run(ctx, Barrier{Number: 3, GTID: s.next(3), What: "commit", Steps: statements("XA COMMIT X'61',X'',1")}))
		s.expect("SELECT * FROM d.t", "1")
	})
}

// The marks of barriers survive a crash in which nothing is flushed but what flush says.
func TestBarrierAfterKilledServer(t *testing.T) {
	onBothKilled(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		var r *Run
		for n := 1; n <= 3; n++ {
			r = s.open("run")
			b := s.session(r)
			num := int64(10 * n)
			s.ok(b.Run(ctx, Barrier{Number: num, GTID: s.next(2*n - 1), What: "insert", Transactional: true,
				Steps: statements("BEGIN", fmt.Sprintf("INSERT INTO d.t VALUES (%d)", num), "COMMIT")}))
			// An intent reaches the disk with all that was before it.
			cut := Barrier{Number: num + 1, GTID: s.next(2 * n), What: "cut", Steps: statements("CREATE TABLE d.never (id INT)")}
			s.ok(r.intend(ctx, cut, b.ownGTID(cut), r.gtidsWith(cut, b.ownGTID(cut) != "")))
			s.ok(s.Kill())
			r.Close()
			s.ok(s.Start(ctx))
			s.reconnect()
			var err error
			r, err = s.server.Open(ctx, spec("run"))
			if s.Product == testrig.MariaDB {
				s.refused(err, "cut")
				s.ok(r.ResolveIntent(ctx, false))
			} else {
				s.ok(err)
			}
			if r.Last == nil || r.Last.Number != num {
				t.Fatalf("last epoch %+v instead of %d", r.Last, num)
			}
			if s.Product == testrig.MySQL { // the GTID survives as the transaction does
				s.expect(fmt.Sprintf("SELECT GTID_SUBSET('%s:%d', @@GLOBAL.gtid_executed), GTID_SUBSET('%[1]s:%[3]d', @@GLOBAL.gtid_executed)", foreign, 2*n-1, 2*n), "1,0")
			}
			s.ok(r.Close())
		}
		s.expect("SELECT * FROM d.t", "10 20 30")
	})
}

// Without GTIDs on the target those of the log do not matter, and a barrier that was cut off is for a person to decide.
func TestBarriersWithoutGTIDs(t *testing.T) {
	local := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL, Settings: []string{"gtid-mode=OFF", "enforce-gtid-consistency=OFF"}})
	s := newSite(t, local)
	ctx := t.Context()
	s.run("CREATE DATABASE d")
	r := s.open("run")
	s.ok(r.Canary(ctx, s.format))
	b := s.session(r)
	s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "create", Steps: statements("CREATE TABLE d.t (id INT PRIMARY KEY)")}))
	s.ok(b.Run(ctx, Barrier{Number: 2, What: "insert", Transactional: true, Steps: statements("BEGIN", "INSERT INTO d.t VALUES (1)", "COMMIT")}))
	_, err := r.BeginEpoch(ctx, Epoch{Number: 3})
	s.ok(err)
	s.ok(r.FinishEpoch(ctx, 3, s.set(foreign+":2-3"), r.Generation()))
	s.expect("SELECT * FROM d.t", "1")
	s.expect("SELECT @@GLOBAL.gtid_executed", "")
	s.refused(b.Run(ctx, Barrier{Number: 4, What: "drop", Steps: statements(fmt.Sprintf("KILL %d", b.sender.conn.ID), "DROP TABLE d.t")}), "resumes")
	s.ok(r.Close())
	r, err = s.server.Open(ctx, spec("run"))
	s.refused(err, "drop", "--resolve-intent")
	s.ok(r.ResolveIntent(ctx, false))
	s.ok(r.Close())
}
