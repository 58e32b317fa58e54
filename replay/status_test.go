package replay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"interlock/replay/target"
)

// Dropping the state of a run says what the server is without it.
func TestDropStateOfInconsistentRun(t *testing.T) {
	const logged = "BEGIN; DELETE FROM d.t WHERE id = 1; INSERT INTO d.t VALUES (5, 5); COMMIT"
	const tables = "SET sql_log_bin=0; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, u INT, UNIQUE (u)); INSERT INTO d.t VALUES (1, 1); "
	eachStateSite(t, tables+"SET sql_log_bin=1; "+logged, func(s *stateSite) {
		s.exec(s.to, tables+"INSERT INTO d.t VALUES (9, 5)") // not what the log was logged on
		drop := func(force bool) (string, error) {
			var out strings.Builder
			err := DropState(s.t.Context(), s.config().Target, force, &out)
			return out.String(), err
		}
		if _, err := Run(s.t.Context(), s.config()); err == nil || !strings.Contains(err.Error(), "INCONSISTENT") {
			s.t.Fatalf("a row that collides: %v", err)
		}
		if out, err := drop(false); !errors.Is(err, target.ErrUnfinished) || out != "" {
			s.t.Errorf("without --force: %q, %v", out, err)
		}
		if out, err := drop(true); err != nil || !strings.Contains(out, "removed the schema interlock_replay\n") || !strings.Contains(out, "THIS SERVER LACKS ROWS") {
			s.t.Errorf("with --force: %q, %v", out, err)
		}
		s.exec(s.to, "SET sql_log_bin=0; CREATE DATABASE interlock_replay; CREATE TABLE interlock_replay.format (version INT NOT NULL PRIMARY KEY); INSERT INTO interlock_replay.format VALUES (99)")
		if out, err := drop(false); err == nil || out != "" {
			s.t.Errorf("a state that cannot be read, without --force: %q, %v", out, err)
		}
		if out, err := drop(true); err != nil || !strings.Contains(out, "removed the schema") || !strings.Contains(out, "IS NOT KNOWN") || !strings.Contains(out, "format 99") {
			s.t.Errorf("a state that cannot be read, with --force: %q, %v", out, err)
		}
		if out, err := drop(true); err != nil || !strings.Contains(out, "there is no schema interlock_replay") {
			s.t.Errorf("a second time: %q, %v", out, err)
		}
	})
}

// What --status says first of a run, and --drop-state of what it has dropped.
func TestStatusWords(t *testing.T) {
	begun := target.Epoch{Number: 2, From: "binlog.000001:200+0", To: "binlog.000001:900+3", Chunks: 4}
	ended := begun
	ended.Finished = true
	const holder = "db1 process 7, connection 12"
	for _, c := range []struct {
		status        target.Status
		want, dropped string
	}{
		{target.Status{Done: true}, "finished", ""},
		{target.Status{Epoch: ended}, "interrupted: whole up to the last finished epoch", ""},
		{target.Status{Epoch: begun, Inconsistent: true}, "INCONSISTENT: an epoch is applied in part, rows are missing", "LACKS ROWS"},
		{target.Status{Intent: "DROP TABLE t"}, "UNCERTAIN: a statement had begun and is not known to have ended", "DROP TABLE t"},
		{target.Status{Failure: "lost"}, "FAILED, do not use this server: lost", "NOT TO BE USED"},
		{target.Status{Holder: holder}, "under way", ""},
		{target.Status{Holder: holder, Epoch: begun, Inconsistent: true}, "under way, applied up to binlog.000001:200", ""},
		{target.Status{Holder: holder, Epoch: ended}, "under way, applied up to binlog.000001:900+3", ""},
		{target.Status{Holder: holder, Epoch: ended, Intent: "DROP TABLE t"}, "under way, applied up to binlog.000001:900+3", ""},
		{target.Status{Holder: holder, Failure: "lost"}, "FAILED, do not use this server: lost", ""},
	} {
		c.status.Started = time.Date(2026, 11, 22, 2, 8, 21, 0, time.UTC)
		var out strings.Builder
		if err := writeStatus(&out, &c.status); err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(out.String(), "\n")
		if want := "run of 2026-11-22 02:08:21 UTC: " + c.want; first != want {
			t.Errorf("%+v: %q; want %q", c.status, first, want)
		}
		if live := c.status.Holder != ""; c.status.Intent != "" && strings.Contains(rest, "--resolve-intent") == live {
			t.Errorf("%+v: %q", c.status, rest)
		}
		if c.status.Holder != "" { // its state cannot be dropped
			continue
		}
		out.Reset()
		if err := writeDropped(&out, []target.Status{c.status}, nil); err != nil {
			t.Fatal(err)
		}
		if first, rest, _ := strings.Cut(out.String(), "\n"); first != "removed the schema interlock_replay" || (rest == "") != (c.dropped == "") || !strings.Contains(rest, c.dropped) {
			t.Errorf("%+v dropped: %q; want %q", c.status, out.String(), c.dropped)
		}
	}
}
