package target

import (
	"strconv"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// While purge is held nothing is purged, and afterwards all of it; a hold whose connection was killed is none, and
// the next one is.
func TestPurgeHold(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, _ *testrig.Local, s *Server) {
		ctx := t.Context()
		r, err := s.Open(ctx, RunSpec{Fingerprint: "purge"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		c, err := s.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mustExec(t, c, "CREATE DATABASE held", "CREATE TABLE held.t (id INT PRIMARY KEY, v INT, KEY (v))", "INSERT INTO held.t VALUES (1, 0)")
		history := func() int {
			sql := "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'"
			if s.Flavor == binlog.MariaDB {
				sql = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'"
			}
			rows, err := c.Query(ctx, sql)
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			n, err := strconv.Atoi(rows[0][0].Text)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		const updates = 200
		update := func() {
			for range updates {
				mustExec(t, c, "UPDATE held.t SET v = v + 1")
			}
		}
		// MySQL shortens its list after so many rounds of purge, and makes none where nothing happens.
		purged := func() bool {
			for begin := time.Now(); time.Since(begin) < 20*time.Second; {
				if history() < updates/2 {
					return true
				}
				mustExec(t, c, "UPDATE held.t SET v = v + 1")
			}
			return false
		}

		hold := PurgeHold{Run: r}
		defer hold.Close()
		hold.Hold(ctx)
		hold.Hold(ctx) // it is held already
		update()
		time.Sleep(time.Second)
		if n := history(); n < updates {
			t.Errorf("%d of %d updates are left to be purged while purge is held", n, updates)
		}
		hold.Release(ctx)
		if !purged() {
			t.Errorf("%d are not purged after the hold", history())
		}

		hold.Hold(ctx)
		id, err := hold.conn.Query(ctx, "SELECT CONNECTION_ID()")
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "KILL "+id[0][0].Text)
		hold.Release(ctx)
		update()
		if !purged() {
			t.Errorf("%d are not purged after the connection of the hold was killed", history())
		}
		hold.Hold(ctx)
		update()
		time.Sleep(time.Second)
		if n := history(); n < updates {
			t.Errorf("%d of %d updates are left after a lost hold was taken again", n, updates)
		}
	})
}
