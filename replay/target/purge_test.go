package target

import (
	"context"
	"fmt"
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
		c := dial(t, s)
		mustExec(t, c, "CREATE DATABASE held", "CREATE TABLE held.t (id INT PRIMARY KEY, v INT, KEY (v))", "INSERT INTO held.t VALUES (1, 0)")
		history := func() int64 {
			n, known, err := s.history(ctx, c)
			if err != nil || !known {
				t.Fatal(known, err)
			}
			return n
		}
		const updates = 200
		update := func() {
			for range updates {
				mustExec(t, c, "UPDATE held.t SET v = v + 1")
			}
		}
		if s.Flavor == binlog.MySQL { // it shortens its list after so many rounds of purge, and makes none where nothing happens
			mustExec(t, c, "SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")
		}
		purged := func() bool {
			for begin := time.Now(); time.Since(begin) < time.Minute; {
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
		mustExec(t, c, "KILL "+mustText(t, hold.conn, "SELECT CONNECTION_ID()"))
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

// history is how many transactions wait for purge, where the server tells.
func (s *Server) history(ctx context.Context, c *Conn) (length int64, known bool, err error) {
	sql := "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len' AND status = 'enabled'"
	if s.Flavor == binlog.MariaDB {
		sql = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Innodb_history_list_length'"
	}
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return 0, false, fmt.Errorf("ask how much is to be purged: %w", err)
	}
	if len(rows) == 0 || rows[0][0].Null {
		return 0, false, nil
	}
	length, err = strconv.ParseInt(rows[0][0].Text, 10, 64)
	return length, err == nil, err
}
