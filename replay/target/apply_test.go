package target

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestApply(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE d.u (id INT PRIMARY KEY)")
		events := s.events("INSERT INTO d.t VALUES (1,'one'),(2,'two')", "UPDATE d.t SET v='zwei' WHERE id=2", "INSERT INTO d.u VALUES (9)")
		s.run("TRUNCATE d.t", "TRUNCATE d.u")
		before := s.executed()

		r := s.open("run")
		s.ok(r.Canary(ctx, s.format))
		done, err := r.BeginEpoch(ctx, Epoch{Number: 1, From: "a", To: "b", Chunks: 3, Digest: "x"})
		s.ok(err)
		if len(done) != 0 {
			t.Fatalf("chunks %v of a new epoch are done", done)
		}
		a := s.applier(r)
		s.ok(a.Apply(ctx, &Chunk{Mark{1, 0}, []Step{{Events: append(append([]byte{}, events[0]...), events[2]...)}}}))
		s.expect("SELECT * FROM d.t", "1,one 2,two")

		// The second event of the chunk fails: nothing of it stays, and the connection is good for more.
		err = a.Apply(ctx, &Chunk{Mark{1, 1}, []Step{{Events: append(append([]byte{}, events[1]...), events[2]...)}}})
		s.refused(err, "chunk 1 of epoch 1", "d.u", "Duplicate entry")
		s.expect("SELECT * FROM d.t", "1,one 2,two")
		s.expect("SELECT chunk FROM interlock_replay.chunk", "0")
		s.refused(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()), "1 of its 3 chunks")

		s.ok(a.Apply(ctx, &Chunk{Mark{1, 1}, []Step{{Statements: []string{"SET SESSION time_zone='+09:00'"}, Events: events[1]}}}))
		s.ok(a.Apply(ctx, &Chunk{Mark: Mark{1, 2}}))
		s.expect("SELECT * FROM d.t", "1,one 2,zwei")
		s.expect("SELECT chunk FROM interlock_replay.chunk ORDER BY 1", "0 1 2")
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))
		s.expect("SELECT COUNT(*) FROM interlock_replay.chunk", "0")
		s.ok(r.Finish(ctx))
		if after := s.executed(); after != before {
			t.Errorf("the run's own writes moved the GTIDs from %q to %q", before, after)
		}
	})
}

func TestApplyConflicts(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v INT)", "INSERT INTO d.t VALUES (1,0),(2,0),(3,0),(4,0),(5,0)")
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 2})
		s.ok(err)
		a := s.applier(r)
		s.ok(a.sender.conn.Exec(ctx, "SET SESSION innodb_lock_wait_timeout=1"))

		// Somebody holds a row for longer than a lock is waited for.
		other, err := s.server.control(ctx)
		s.ok(err)
		defer other.Close()
		s.ok(other.Exec(ctx, "BEGIN"))
		s.ok(other.Exec(ctx, "UPDATE d.t SET v=v+1 WHERE id=1"))
		result := make(chan error, 1)
		go func() {
			result <- a.Apply(ctx, &Chunk{Mark{1, 0}, []Step{{Statements: []string{"UPDATE d.t SET v=v+10 WHERE id=2", "UPDATE d.t SET v=v+10 WHERE id=1"}}}})
		}()
		time.Sleep(1500 * time.Millisecond)
		s.ok(other.Exec(ctx, "COMMIT"))
		s.ok(<-result)
		if a.Retries().Deadlocks == 0 {
			t.Error("a lock timeout was not counted")
		}
		s.expect("SELECT v FROM d.t WHERE id<3 ORDER BY id", "11 10")

		// A deadlock, in which the larger transaction wins: InnoDB rolls back the one with fewer changes.
		before := a.Retries().Deadlocks
		s.ok(a.sender.conn.Exec(ctx, "SET SESSION innodb_lock_wait_timeout=30"))
		s.ok(other.Exec(ctx, "BEGIN"))
		s.ok(other.Exec(ctx, "UPDATE d.t SET v=v+1 WHERE id>1"))
		go func() {
			result <- a.Apply(ctx, &Chunk{Mark{1, 1}, []Step{{Statements: []string{"UPDATE d.t SET v=v+100 WHERE id=1", "UPDATE d.t SET v=v+100 WHERE id=2"}}}})
		}()
		time.Sleep(300 * time.Millisecond)
		s.ok(other.Exec(ctx, "UPDATE d.t SET v=v+1 WHERE id=1"))
		s.ok(other.Exec(ctx, "COMMIT"))
		s.ok(<-result)
		if a.Retries().Deadlocks == before {
			t.Error("a deadlock was not counted")
		}
		s.expect("SELECT v FROM d.t WHERE id<3 ORDER BY id", "112 111")
		s.expect("SELECT chunk FROM interlock_replay.chunk ORDER BY 1", "0 1")
	})
}

func TestApplyAfterKilledConnections(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 3})
		s.ok(err)
		a := s.applier(r)
		chunk := func(n int) *Chunk {
			return &Chunk{Mark{1, n}, []Step{{Statements: []string{fmt.Sprintf("INSERT INTO d.t VALUES (%d)", n)}}}}
		}
		s.ok(a.Apply(ctx, chunk(0)))
		s.run(fmt.Sprintf("KILL %d", a.sender.conn.ID))
		s.ok(a.Apply(ctx, chunk(1)))
		if a.Retries().Lost != 1 {
			t.Errorf("%d losses were counted instead of one", a.Retries().Lost)
		}
		s.run(fmt.Sprintf("KILL %d", a.sender.conn.ID), fmt.Sprintf("KILL %d", r.conn.ID))
		s.ok(a.Apply(ctx, chunk(2)))
		s.run(fmt.Sprintf("KILL %d", r.conn.ID))
		if err := r.FinishEpoch(ctx, 1, s.set(""), r.Generation()); !errors.Is(err, ErrGeneration) {
			t.Errorf("counters that may be lost: %v", err)
		}
		s.ok(r.FinishEpoch(ctx, 1, s.set(""), r.Generation()))
		s.expect("SELECT * FROM d.t", "0 1 2")
		_, err = s.server.Open(ctx, spec("run"))
		s.refused(err, "another replay is running", "process", "since")
	})
}

// A server that is killed between chunks comes back without its last commits when nothing was flushed. Whatever it
// lost, marks and rows agree, and the run goes on or says that it must be begun again.
func TestApplyAfterKilledServer(t *testing.T) {
	onBothKilled(t, func(t *testing.T, s *site) {
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (epoch INT, chunk INT, PRIMARY KEY (epoch, chunk))")
		const rounds, chunks = 4, 40
		interrupted, losses := 0, 0
		for round := 1; round <= rounds; round++ {
			s.killOnce(round, chunks, 3+7*round, &interrupted, &losses)
			s.expect(fmt.Sprintf("SELECT COUNT(*) FROM d.t WHERE epoch=%d", round), fmt.Sprint(chunks))
		}
		t.Logf("%d of %d rounds had to be begun again, %d chunks were lost and applied again", interrupted, rounds, losses)
	})
}

// killOnce applies an epoch, kills the server after some of its chunks, and resumes until the epoch is finished. The crash
// may take back the epoch before it too.
func (s *site) killOnce(round, chunks, killAfter int, interrupted, losses *int) {
	s.t.Helper()
	acknowledged, killed := 0, false
	for {
		s.reconnect()
		r := s.open("run")
		number := int64(1)
		if r.Last != nil && r.Last.Finished {
			number = r.Last.Number + 1
		} else if r.Last != nil {
			number = r.Last.Number
		}
		if number > int64(round) {
			s.ok(r.Close())
			return
		}
		done, err := r.BeginEpoch(s.t.Context(), Epoch{Number: number, Chunks: chunks, Digest: fmt.Sprint(number)})
		s.ok(err)
		s.expect(fmt.Sprintf("SELECT COUNT(*) FROM d.t WHERE epoch=%d", number), fmt.Sprint(len(done)))
		if killed && number == int64(round) {
			*losses += acknowledged - len(done)
		}
		a := s.applier(r)
		var up <-chan error
		for n := 0; n < chunks && err == nil; n++ {
			if done[n] {
				continue
			}
			if n == killAfter && !killed {
				s.ok(s.Kill())
				up, killed = s.restart(), true
			}
			err = a.Apply(s.t.Context(), &Chunk{Mark{number, n}, []Step{{Statements: []string{fmt.Sprintf("INSERT INTO d.t VALUES (%d,%d)", number, n)}}}})
			if err == nil && number == int64(round) {
				acknowledged++
			}
		}
		if up != nil {
			s.ok(<-up)
		}
		if err == nil {
			err = r.FinishEpoch(s.t.Context(), number, s.set(""), r.Generation())
		}
		a.Close()
		r.Close()
		if err == nil {
			continue
		}
		var again *InterruptedError
		if !errors.As(err, &again) {
			s.t.Fatalf("round %d: %v", round, err)
		}
		*interrupted++
	}
}

func TestSplitEvents(t *testing.T) {
	event := func(kind byte, id uint32, flags byte, body string) []byte {
		e := make([]byte, 19+8, 19+8+len(body))
		e[4], e[9], e[25] = kind, byte(19+8+len(body)), flags
		e[19], e[20], e[21] = byte(id), byte(id>>8), byte(id>>16)
		return append(e, body...)
	}
	tableMap := func(id uint32, name string) []byte {
		return event(typeTableMap, id, 1, "\x01d\x00"+string(rune(len(name)))+name+"\x00")
	}
	rows := func(id uint32, end bool) []byte { return event(30, id, map[bool]byte{true: 1}[end], "row") }
	join := func(all ...[]byte) []byte {
		var out []byte
		for _, one := range all {
			out = append(out, one...)
		}
		return out
	}
	cases := []struct {
		name   string
		events []byte
		limit  int
		want   string // tables of the batches, or the error
	}{
		{"nothing", nil, 1, ""},
		{"one statement", join(tableMap(1, "a"), rows(1, true)), 1, "table d.a"},
		{"two statements under the limit", join(tableMap(1, "a"), rows(1, true), tableMap(1, "b"), rows(1, true)), 1000, "tables d.a to d.b"},
		{"two statements over it", join(tableMap(1, "a"), rows(1, true), tableMap(1, "b"), rows(1, true)), 1, "table d.a|table d.b"},
		{"a statement is not cut", join(tableMap(1, "a"), tableMap(2, "b"), rows(1, false), rows(2, true)), 1, "tables d.a to d.b"},
		{"a map in the middle of one", join(tableMap(1, "a"), rows(1, false), tableMap(2, "b"), rows(2, true)), 1, "tables d.a to d.b"},
		{"ended by a dummy", join(tableMap(1, "a"), rows(1, false), rows(dummyTableID, true)), 1, "table d.a"},
		{"no end", join(tableMap(1, "a"), rows(1, false)), 1, "STMT_END"},
		{"no map", rows(1, true), 1, "without its table map"},
		{"its map is in the batch before", join(tableMap(1, "a"), rows(1, true), tableMap(2, "b"), rows(1, true)), 1, "without its table map"},
		{"another type", event(2, 0, 0, ""), 1, "events of type 2"},
		{"cut", rows(1, true)[:20], 1, "event is cut"},
		{"a length that lies", join(tableMap(1, "a"), rows(1, true)[:28]), 1, "event is cut"},
		{"a name that lies", event(typeTableMap, 1, 1, "\x30d"), 1, "event is cut"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			batches, err := splitEvents(c.events, c.limit)
			if err != nil {
				if c.want == "" || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %q instead of %q", err, c.want)
				}
				return
			}
			var got []string
			at := 0
			for _, b := range batches {
				if b.start != at {
					t.Errorf("a batch starts at %d instead of %d", b.start, at)
				}
				at = b.end
				got = append(got, b.String())
			}
			if at != len(c.events) || strings.Join(got, "|") != c.want {
				t.Errorf("%q to byte %d of %d, instead of %q", got, at, len(c.events), c.want)
			}
		})
	}
}

func TestApplyLargeRows(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, v LONGBLOB)")
		const length = 17 << 20 // more than one packet of the protocol
		events := s.events(fmt.Sprintf("INSERT INTO d.t VALUES (1, REPEAT('x', %d))", length))[0]
		s.run("TRUNCATE d.t")
		r := s.open("run")
		_, err := r.BeginEpoch(ctx, Epoch{Number: 1, Chunks: 1})
		s.ok(err)
		chunk := &Chunk{Mark{1, 0}, []Step{{Events: events}}}
		s.run("SET GLOBAL max_allowed_packet=1048576")
		s.refused(s.applier(r).Apply(ctx, chunk), "table d.t", "max_allowed_packet, which is 1048576")
		s.expect("SELECT COUNT(*) FROM d.t", "0")
		s.run("SET GLOBAL max_allowed_packet=1073741824")
		a := s.applier(r)
		s.ok(a.Apply(ctx, chunk))
		s.expect("SELECT LENGTH(v) FROM d.t", fmt.Sprint(length))
		if cap(a.sender.buf) > 8*batchBytes {
			t.Errorf("%d bytes are kept after a large row", cap(a.sender.buf))
		}
	})
}

// BenchmarkEncode is the price of a BINLOG statement on our side: 600 MB/s where the server applies 30.
func BenchmarkEncode(b *testing.B) {
	events := make([]byte, batchBytes)
	var buf []byte
	b.SetBytes(int64(len(events)))
	for b.Loop() {
		buf = appendBinlog(buf[:0], events)
	}
}
