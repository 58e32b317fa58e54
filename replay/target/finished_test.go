package target

import (
	"testing"
	"time"

	"interlock/internal/testrig"
)

// finish makes a finished run with one epoch of those GTIDs, and waits until what is made then is younger by its whole
// seconds.
func (s *site) finish(fingerprint, gtids string) {
	s.t.Helper()
	r := s.open(fingerprint)
	_, err := r.BeginEpoch(s.t.Context(), Epoch{Number: 1})
	s.ok(err)
	s.ok(r.FinishEpoch(s.t.Context(), 1, s.set(gtids), r.Generation()))
	s.ok(r.Finish(s.t.Context()))
	s.ok(r.Close())
	time.Sleep(1100 * time.Millisecond)
}

// noGTIDs takes all GTIDs from the server, as a dump without them does that is loaded after a reset.
func (s *site) noGTIDs() {
	s.t.Helper()
	if s.Product == testrig.MySQL {
		s.run("RESET BINARY LOGS AND GTIDS")
		return
	}
	s.run("SET GLOBAL gtid_slave_pos=''")
}

// What a finished run of the same command means depends on whether the data are those that it left: its state may have
// come with a dump, or have stayed beneath one.
func TestFinishedRunMayBeOld(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		done := func(want bool) {
			t.Helper()
			r, err := s.server.Open(ctx, spec("run"))
			s.ok(err)
			if r.Done != want || (r.Forgot == "") != want || r.Resumed != want || want == (r.Last == nil) {
				t.Errorf("opened as %+v; want done: %v", r, want)
			}
			s.ok(r.Close())
		}
		refused := func(words ...string) {
			t.Helper()
			_, err := s.server.Open(ctx, spec("run"))
			s.refused(err, append(words, "--drop-state")...)
		}
		gtids := "0-7-10"
		if s.Product == testrig.MySQL {
			gtids = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-10"
		}
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (a INT)")

		s.noGTIDs()
		s.finish("run", gtids)
		done(true)
		s.run("CREATE TABLE d.later (a INT)") // the server is in use
		done(true)
		s.noGTIDs()
		if s.Product == testrig.MySQL {
			s.run("SET GLOBAL gtid_purged='aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-9'")
		}
		done(false) // restored: its tables are new, its GTIDs are not there
		s.ok(s.server.DropState(ctx, true))

		s.noGTIDs()
		s.finish("run", gtids)
		s.noGTIDs()
		refused("no longer the GTIDs", gtids)
		s.ok(s.server.DropState(ctx, true))

		s.noGTIDs()
		s.finish("run", "")
		done(true)
		s.run("CREATE TABLE interlock_replay.copy LIKE interlock_replay.run", "INSERT INTO interlock_replay.copy SELECT * FROM interlock_replay.run",
			"DROP TABLE interlock_replay.run", "RENAME TABLE interlock_replay.copy TO interlock_replay.run") // as loading a dump does
		refused("table interlock_replay.run was made since")
		s.run("CREATE TABLE d.a (a INT)", "CREATE TABLE d.b (a INT)", "CREATE TABLE d.c (a INT)")
		refused("and others were made since")
		s.ok(s.server.DropState(ctx, false))
		r := s.open("run")
		if r.Resumed || r.Done {
			t.Errorf("without a state it opens as %+v", r)
		}
	})
}

// Invariant 8 of package replay: a run that could not account for itself is not passed over by the next start.
func TestFailedRunStaysFailed(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1})
		s.ok(err)
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))
		s.ok(r.Fail(ctx, "2 were read, 1 applied: it's lost"))
		s.ok(r.Close())
		for _, name := range []string{"run", "another"} {
			_, err = s.server.Open(ctx, spec(name))
			s.refused(err, "has failed", "2 were read, 1 applied: it's lost", "--drop-state --force")
		}
		status, err := s.server.Status(ctx)
		s.ok(err)
		if len(status) != 1 || status[0].Failure != "2 were read, 1 applied: it's lost" || status[0].Done {
			t.Errorf("status %+v", status)
		}
		s.refused(s.server.DropState(ctx, false), "unfinished")
		s.ok(s.server.DropState(ctx, true))

		// The state of a version that did not know failures.
		s.ok(s.open("run").Close())
		s.run("DROP TABLE interlock_replay.failure")
		if status, err = s.server.Status(ctx); err != nil || status[0].Failure != "" {
			t.Errorf("status %+v, %v", status, err)
		}
		s.ok(s.open("run").Close())
	})
}

// A backup that was loaded over an unfinished run is noticed by its tables; what the run made itself is not in its way.
func TestResumeUnderAReloadedDump(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		b := s.session(r)
		time.Sleep(1100 * time.Millisecond) // CREATE_TIME has whole seconds
		s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "ddl", Steps: statements("CREATE TABLE d.u (id INT PRIMARY KEY)")}))
		s.ok(r.Close())
		r = s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 2})
		s.ok(err)
		time.Sleep(1100 * time.Millisecond)
		s.run("ALTER TABLE d.t FORCE") // as a counter may be set
		s.ok(r.FinishEpoch(ctx, 2, s.set(""), r.Generation()))
		s.ok(r.Close())
		r = s.open("run")
		_, err = r.BeginEpoch(ctx, Epoch{Number: 3, Chunks: 2})
		s.ok(err)
		s.ok(r.Close())
		s.ok(s.open("run").Close())

		time.Sleep(1100 * time.Millisecond)
		s.run("DROP TABLE d.t", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		column := "at"
		if s.Product == testrig.MariaDB {
			column = "newest_table"
		}
		_, err = s.server.Open(ctx, spec("run"))
		s.refused(err, "table d.t was made since", "--drop-state --force", column+" = NULL")
		s.run("UPDATE interlock_replay.epoch SET " + column + " = NULL")
		s.ok(s.open("run").Close())
	})
}
