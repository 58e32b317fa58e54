package target

import (
	"errors"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// The end of an XA transaction that was cut off is decided by whether it is still prepared: MySQL takes up the GTID of an
// XA COMMIT after the commit, and without GTIDs there is nothing else that tells.
func TestXAEndAfterACrash(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		r := s.open("run")
		b := s.session(r)
		s.ok(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "xa",
			Steps: statements("XA START X'6b',X'00Ff',7", "INSERT INTO d.t VALUES (1)", "XA END X'6b',X'00ff',7", "XA PREPARE X'6b',X'00ff',7")}))
		end := Barrier{Number: 2, GTID: s.next(2), What: "commit", To: "there", Steps: statements("XA COMMIT X'6b',X'00ff',7")}
		intend := func() {
			s.ok(b.checkXA(ctx, end))
			s.ok(r.intend(ctx, end, b.ownGTID(end), r.gtidsWith(end, b.ownGTID(end) != "")))
			s.ok(b.Close())
			s.ok(r.Close())
		}

		intend() // killed before the statement
		r = s.open("run")
		if r.Last.Number != 1 {
			t.Errorf("a commit that was not sent counts: last epoch %+v", r.Last)
		}
		b = s.session(r)
		intend() // killed behind it
		s.run("XA COMMIT X'6b',X'00ff',7")
		r = s.open("run")
		if r.Last.Number != 2 || r.Last.To != "there" {
			t.Errorf("a commit that took effect does not count: last epoch %+v", r.Last)
		}
		s.expect("SELECT COUNT(*) FROM interlock_replay.intent", "0")
		s.expect("SELECT id FROM d.t", "1")

		b = s.session(r)
		s.refused(b.Run(ctx, Barrier{Number: 3, GTID: s.next(3), What: "again", Steps: statements("XA ROLLBACK X'6b',X'00ff',7")}), "no prepared XA transaction X'6B',X'00FF',7")
		s.expect("SELECT COUNT(*) FROM interlock_replay.intent", "0")
		s.ok(r.Finish(ctx))
		s.ok(r.Close())
		if got, want := s.position(), map[testrig.Product]string{testrig.MySQL: foreign + ":1-2", testrig.MariaDB: "3-9-2"}[s.Product]; got != want {
			t.Errorf("position %q, want %q", got, want)
		}
	})
}

// An XA COMMIT that the server refuses has done nothing: no person is asked about it, and it is not taken for done.
func TestXAEndRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
		holder := dial(t, s.server)
		prepare := []string{"XA START 'k'", "INSERT INTO d.t VALUES (1)", "XA END 'k'", "XA PREPARE 'k'"}
		if s.Product == testrig.MySQL {
			prepare = append([]string{"SET SESSION xa_detach_on_prepare=OFF"}, prepare...)
		}
		for _, sql := range prepare {
			s.ok(holder.Exec(ctx, sql))
		}
		refuse := func(words string) {
			t.Helper()
			r := s.open("run")
			defer r.Close()
			b := s.session(r)
			defer b.Close()
			end := Barrier{Number: 1, GTID: s.next(1), What: "commit", To: "there", Steps: statements("XA COMMIT X'6b',X'',1")}
			err := b.Run(ctx, end)
			if !errors.Is(err, ErrUndone) || !strings.Contains(err.Error(), words) {
				t.Errorf("error %v, want one that nothing was done and %q", err, words)
			}
			s.expect("SELECT COUNT(*) FROM interlock_replay.intent", "0")
		}
		refuse("another connection holds it")
		s.ok(holder.Close())
	})
}
