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

func TestOpen(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		before := s.executed()

		status, err := s.server.Status(ctx)
		s.ok(err)
		if len(status) != 0 {
			t.Fatalf("a server without a state has runs %v", status)
		}
		s.ok(s.server.DropState(ctx, false))

		// A run that never began anything gives way to another one.
		s.ok(s.open("idle").Close())
		r := s.open("first")
		s.expect("SELECT fingerprint FROM interlock_replay.run", "first")
		_, err = s.server.Open(ctx, spec("first"))
		s.refused(err, "another replay is running", fmt.Sprint(r.conn.ID))
		s.refused(s.server.DropState(ctx, true), "another replay is running")

		epoch := Epoch{Number: 1, From: "log.1:4", To: "log.2:99", Plan: "p", Chunks: 2, Digest: "abc'\\\"", GTIDs: "g", Goes: true}
		_, err = r.BeginEpoch(ctx, epoch)
		s.ok(err)
		s.ok(s.applier(r).Apply(ctx, &Chunk{Mark: Mark{1, 1}}))
		status, err = s.server.Status(ctx)
		s.ok(err)
		if st := status[0]; len(status) != 1 || !st.Inconsistent || st.ChunksDone != 1 || st.Epoch != epoch || st.Done || !strings.Contains(st.Holder, "process") {
			t.Errorf("status %+v", status)
		}
		s.ok(r.Close())
		for range 100 { // a connection ends some time after its socket
			if status, err = s.server.Status(ctx); err == nil && status[0].Holder == "" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		s.ok(err)
		if status[0].Holder != "" {
			t.Errorf("nobody has the lock, but status says %q", status[0].Holder)
		}

		_, err = s.server.Open(ctx, RunSpec{Fingerprint: strings.Repeat("x", 256)})
		s.refused(err, "255 bytes")
		_, err = s.server.Open(ctx, spec("second"))
		s.refused(err, "unfinished", `files was "first", now "second"`)
		if other, ok := errors.AsType[*OtherRunError](err); !ok || !other.Status.Begun || other.Status.Done {
			t.Errorf("the other run is %+v", other)
		}
		s.refused(s.server.DropState(ctx, false), "unfinished")

		again := spec("first")
		again.Tunable = map[string]string{"chunk": "7"}
		r, err = s.server.Open(ctx, again)
		s.ok(err)
		defer func() { r.Close() }()
		if !r.Resumed || r.Done || r.Spec.Tunable["chunk"] != "100" || *r.Last != epoch {
			t.Errorf("resumed as %+v, last epoch %+v", r, r.Last)
		}
		other := epoch
		other.Digest = "other"
		_, err = r.BeginEpoch(ctx, other)
		s.refused(err, "epoch 1", "digest", "abc", "other")
		done, err := r.BeginEpoch(ctx, epoch)
		s.ok(err)
		if len(done) != 1 || !done[1] {
			t.Errorf("chunks %v are done, instead of 1", done)
		}
		s.refused(r.Finish(ctx), "epoch 1 is unfinished")
		s.ok(s.applier(r).Apply(ctx, &Chunk{Mark: Mark{1, 0}}))
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation())) // an answer that was lost
		_, err = r.BeginEpoch(ctx, epoch)
		s.refused(err, "epoch 1 is finished")
		s.ok(r.Finish(ctx))
		s.ok(r.Close())

		r, err = s.server.Open(ctx, spec("first"))
		s.ok(err)
		if !r.Done || !r.Last.Finished {
			t.Errorf("a finished run opens as %+v", r)
		}
		s.ok(r.Close())
		r, err = s.server.Open(ctx, spec("second")) // beside a finished one
		s.ok(err)
		if r.Resumed || r.Last != nil {
			t.Errorf("a new run opens as %+v", r)
		}
		_, err = r.BeginEpoch(ctx, Epoch{Number: 1})
		s.ok(err)
		s.ok(r.Close())
		s.ok(s.server.DropState(ctx, true))
		s.expect("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name='interlock_replay'", "0")
		if after := s.executed(); after != before {
			t.Errorf("the state's writes moved the GTIDs from %q to %q", before, after)
		}
	})
}

func TestOpenOtherFormat(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		s.ok(s.open("run").Close())
		s.run("UPDATE interlock_replay.format SET version = 99")
		_, err := s.server.Open(t.Context(), spec("run"))
		s.refused(err, "format 99", "version that began the run")
		_, err = s.server.Status(t.Context())
		s.refused(err, "format 99")
		s.refused(s.server.DropState(t.Context(), false), "format 99")
		s.ok(s.server.DropState(t.Context(), true))
	})
}

// A schema without tables is what a start leaves behind that was killed at once; one with other tables is not ours.
func TestDropStateWithoutFormat(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		there := func(want bool) {
			t.Helper()
			if got, err := s.server.StateThere(t.Context()); err != nil || got != want {
				t.Errorf("the schema is there: %t, %v; want %t", got, err, want)
			}
		}
		there(false)
		s.run("CREATE DATABASE interlock_replay", "CREATE TABLE interlock_replay.theirs (id INT PRIMARY KEY)")
		s.refused(s.server.DropState(t.Context(), true), "not interlock's")
		there(true)
		s.run("DROP TABLE interlock_replay.theirs")
		s.ok(s.server.DropState(t.Context(), false))
		there(false)
	})
}

// A start that was killed while it made the state leaves part of it, which the next one makes whole.
func TestStateHalfMade(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		s.ok(s.open("run").Close())
		for _, table := range []string{"setting", "failure", "intent", "chunk", "epoch", "run"} {
			s.run("DELETE FROM interlock_replay.run", "DROP TABLE interlock_replay."+table)
			if all, err := s.server.Status(t.Context()); err != nil || len(all) > 0 {
				t.Errorf("without table %s: %+v, %v", table, all, err)
			}
			s.ok(s.server.Preflight(t.Context(), nil, s.server.Flavor))
			r, err := s.server.Open(t.Context(), spec("run"))
			s.ok(err)
			s.ok(r.Close())
		}
		for _, table := range []string{"setting", "run"} {
			s.run("DELETE FROM interlock_replay.run", "DROP TABLE interlock_replay."+table)
			s.ok(s.server.DropState(t.Context(), false))
			s.ok(s.open("run").Close())
		}
	})
}

func TestCanary(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		s.ok(r.Canary(ctx, s.format))
		s.ok(r.Canary(ctx, s.format))
		s.expect("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='interlock_replay' AND table_name='canary'", "0")

		// A rows event whose table map is not with it is what a broken path would look like.
		events, err := canaryEvents(s.format)
		s.ok(err)
		size, err := eventSize(events)
		s.ok(err)
		s.refused(r.canary(ctx, s.format, events[size:]), "try a row event")
		other := append([]byte{}, events...)
		other[len(other)-1]++
		s.refused(r.canary(ctx, s.format, other), "try a row event", "does not apply row events")
	})
}

func TestGTIDs(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		sets, position := []string{"0-7-10", "0-7-20,5-1-3", "0-7-30"}, "SELECT @@GLOBAL.gtid_slave_pos"
		want := []string{"0-7-10", "0-7-20,5-1-3", "0-7-30,5-1-3"}
		if s.Product == testrig.MySQL {
			const a, b = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
			sets, position = []string{a + ":1-10", a + ":11-20," + b + ":3", a + ":5-30"}, "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')"
			want = []string{a + ":1-10", a + ":1-20," + b + ":3", a + ":1-30," + b + ":3"}
			s.run("RESET BINARY LOGS AND GTIDS")
		}
		r := s.open("run")
		for i, set := range sets {
			_, err := r.BeginEpoch(ctx, Epoch{Number: int64(i + 1)})
			s.ok(err)
			r.published = time.Time{} // long ago: see TestPublishInTime
			s.ok(r.FinishEpoch(ctx, int64(i+1), s.set(set), r.Generation()))
			s.expect(position, want[i])
		}
		s.ok(r.Close())
		// The server has lost them, as by a crash: the next start adds them again.
		if s.Product == testrig.MySQL {
			s.run("RESET BINARY LOGS AND GTIDS", "SET GLOBAL gtid_purged='+aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:2-3'")
		} else {
			s.run("SET GLOBAL gtid_slave_pos='0-7-10'")
		}
		s.ok(s.open("run").Close())
		s.expect(position, want[2])
	})
}

func TestAutoIncrement(t *testing.T) {
	cases := []struct {
		column         string
		max            uint64
		mysql, mariadb string // SHOW CREATE TABLE's, as row events one by one leave it
	}{
		{"INT", 0, "", ""},
		{"INT", 100, "101", "101"},
		{"INT", 2147483647, "2147483647", "2147483648"},
		{"INT UNSIGNED", 4294967295, "4294967295", "4294967296"},
		{"TINYINT", 127, "127", "128"},
		{"MEDIUMINT UNSIGNED", 16777215, "16777215", "16777216"},
		{"SMALLINT", 5, "6", "6"},
		{"BIGINT", 9223372036854775807, "9223372036854775807", "9223372036854775808"},
		{"BIGINT UNSIGNED", 18446744073709551614, "18446744073709551615", "18446744073709551615"},
		{"BIGINT UNSIGNED", 18446744073709551615, "18446744073709551615", "18446744073709551615"},
	}
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d")
		r := s.open("run")
		before := s.executed()
		for i, c := range cases {
			want := c.mysql
			if s.Product == testrig.MariaDB {
				want = c.mariadb
			}
			if want != "" {
				want = "AUTO_INCREMENT=" + want + " "
			}
			ours, events := fmt.Sprintf("t%d", i), fmt.Sprintf("e%d", i)
			for _, table := range []string{ours, events} {
				s.run(fmt.Sprintf("CREATE TABLE d.%s (id %s AUTO_INCREMENT PRIMARY KEY)", table, c.column))
			}
			table := &Table{Schema: "d", Name: ours, Columns: []Column{{Name: "id", DataType: strings.ToLower(strings.Fields(c.column)[0]),
				Unsigned: strings.Contains(c.column, "UNSIGNED"), AutoIncrement: true}}}
			for range 2 {
				s.ok(r.AutoIncrement(ctx, table, c.max))
				s.counter(ours, want)
			}
			s.ok(r.AutoIncrement(ctx, table, c.max/2)) // never lower
			s.counter(ours, want)
			if c.max > 0 {
				s.run(fmt.Sprintf("INSERT INTO d.%s VALUES (%d)", events, c.max), fmt.Sprintf("DELETE FROM d.%s", events))
				s.counter(events, want)
			}
		}
		if after := s.executed(); after != before {
			t.Errorf("GTIDs moved from %q to %q", before, after)
		}
		s.refused(r.AutoIncrement(ctx, &Table{Schema: "d", Name: "none"}, 5), "not there")
	})
}

// counter compares what SHOW CREATE TABLE says.
func (s *site) counter(table, want string) {
	s.t.Helper()
	create := s.read("SHOW CREATE TABLE d." + table)
	if want == "" && strings.Contains(create, "AUTO_INCREMENT=") || !strings.Contains(create, want) {
		s.t.Errorf("d.%s: no %q in %s", table, want, create)
	}
}

// Row events move a counter themselves: by inserts and updates alike, also when the row is gone afterwards.
func TestRowEventsMoveAutoIncrement(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)")
		events := s.events("INSERT INTO d.t VALUES (5)", "UPDATE d.t SET id=70", "DELETE FROM d.t")
		s.run("DROP TABLE d.t", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)")
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 3})
		s.ok(err)
		a := s.applier(r)
		for i, want := range []string{"AUTO_INCREMENT=6 ", "AUTO_INCREMENT=71 ", "AUTO_INCREMENT=71 "} {
			s.ok(a.Apply(ctx, &Chunk{Mark{1, i}, []Step{{Events: events[i]}}}))
			s.counter("t", want)
		}
	})
}

func TestVerifyRefusesAnotherServer(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 2})
		s.ok(err)
		a := s.applier(r)
		s.ok(a.Apply(ctx, &Chunk{Mark: Mark{1, 0}}))
		// The server comes back without a commit that it had acknowledged.
		s.run("DELETE FROM interlock_replay.chunk", fmt.Sprintf("KILL %d", a.sender.conn.ID), fmt.Sprintf("KILL %d", r.conn.ID))
		err = a.Apply(ctx, &Chunk{Mark: Mark{1, 1}})
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) {
			t.Fatalf("%v is no InterruptedError", err)
		}
		s.refused(err, "without commits of epoch 1", "resumes")
	})
}

// A connection that is dead for us but not yet for the server still holds the lock: it is ended, but nobody else's is.
func TestRelock(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		c, err := s.server.control(ctx)
		s.ok(err)
		defer c.Close()
		err = r.relock(ctx, c, r.conn.ID+1)
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) {
			t.Fatalf("%v is no InterruptedError", err)
		}
		s.refused(err, "another replay is running")
		s.ok(r.relock(ctx, c, r.conn.ID))
		s.expect("SELECT IS_USED_LOCK('interlock_replay')", fmt.Sprint(c.ID))
	})
}

// GTIDs reach the server once a second, with an interruption, and at the next start: never later, and never more than
// the target has written down.
func TestPublishInTime(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		r := s.open("run")
		shows := func(last int) {
			t.Helper()
			want := map[testrig.Product]string{testrig.MySQL: fmt.Sprintf("%s:1-%d", foreign, last), testrig.MariaDB: fmt.Sprintf("3-9-%d", last)}[s.Product]
			if got := s.position(); got != strings.TrimSuffix(want, "-1") && got != want {
				t.Fatalf("the server shows %q instead of %q", got, want)
			}
		}
		begin := func(n int) {
			t.Helper()
			_, err := r.BeginEpoch(ctx, Epoch{Number: int64(n)})
			s.ok(err)
		}
		finish := func(n int) {
			t.Helper()
			var set binlog.GTIDSet
			set.Add(s.next(n))
			s.ok(r.FinishEpoch(ctx, int64(n), &set, r.Generation()))
		}
		longAgo := time.Now().Add(-time.Hour)
		begin(1)
		finish(1)
		shows(1)
		r.published = time.Now()
		begin(2)
		finish(2)
		shows(1)
		r.published = longAgo
		begin(3)
		shows(2)
		r.published = longAgo
		finish(3)
		shows(3)
		r.published = time.Now()
		begin(4)
		finish(4)
		r.gtids.Add(s.next(9)) // not written down
		s.ok(r.Publish(ctx))
		shows(4)
		s.ok(r.Close())
		r = s.open("run")
		r.published = time.Now()
		begin(5)
		finish(5)
		shows(4)
		s.ok(r.Close())
		r = s.open("run")
		shows(5)
		s.ok(r.Close())
	})
}
