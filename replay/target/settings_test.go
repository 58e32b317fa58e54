package target

import (
	"context"
	"fmt"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// stranger is an account with all privileges on data and none to get past a closed door.
const stranger = "stranger"

func TestSettings(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, local *testrig.Local, s *Server) {
		c := dial(t, s)
		if err := makeState(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "CREATE DATABASE app", "CREATE USER stranger@localhost IDENTIFIED BY 'x'", "GRANT ALL ON app.* TO stranger@localhost",
			"SET GLOBAL innodb_flush_log_at_trx_commit=2, GLOBAL max_allowed_packet=33554432")
		mustExec(t, c, "SET GLOBAL event_scheduler=ON")
		before := values(t, c, s)
		canWrite := func() error {
			other, err := Connect(t.Context(), Options{Socket: local.Socket, User: stranger, PasswordFile: writeFile(t, "x")})
			if err != nil {
				return err
			}
			defer other.Close()
			c, err := other.Dial(t.Context())
			if err != nil {
				return err
			}
			return c.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS app.t (id INT)")
		}
		if err := canWrite(); err != nil {
			t.Fatal(err)
		}
		apply := func() {
			t.Helper()
			if err := s.applySettings(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for _, want := range s.settings() {
				if got := mustText(t, c, "SELECT @@GLOBAL."+want.name); !same(got, want.value) {
					t.Errorf("%s is %q, want %q", want.name, got, want.value)
				}
			}
			if err := canWrite(); err == nil {
				t.Error("the target is not closed to others")
			}
		}
		restore := func() {
			t.Helper()
			if err := restoreSettings(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if left := mustText(t, c, "SELECT COUNT(*) FROM interlock_replay.setting"); left != "0" {
				t.Errorf("%s settings are still kept", left)
			}
		}
		wantValues := func(want map[string]string) {
			t.Helper()
			for name, got := range values(t, c, s) {
				if !same(got, want[name]) {
					t.Errorf("%s was put back to %q, want %q", name, got, want[name])
				}
			}
		}

		apply()
		apply() // a second start after a crash of ours keeps what was there first
		restore()
		wantValues(before)
		if err := canWrite(); err != nil {
			t.Error(err)
		}
		restore() // nothing to do
		wantValues(before)

		// A value that somebody has changed meanwhile is his.
		apply()
		mustExec(t, c, "SET GLOBAL max_allowed_packet=67108864")
		restore()
		theirs := map[string]string{}
		for name, value := range before {
			theirs[name] = value
		}
		theirs["max_allowed_packet"] = "67108864"
		wantValues(theirs)
		mustExec(t, c, "SET GLOBAL max_allowed_packet="+before["max_allowed_packet"])

		// A start that was killed within a flush has left 1: ours, in the next start and at the end.
		apply()
		mustExec(t, c, "SET GLOBAL innodb_flush_log_at_trx_commit=1")
		restore()
		wantValues(before)
		apply()
		mustExec(t, c, "SET GLOBAL innodb_flush_log_at_trx_commit=1")
		apply()
		restore()
		wantValues(before)

		// So it has where the server's own value is ours.
		mustExec(t, c, "SET GLOBAL innodb_flush_log_at_trx_commit=0")
		apply()
		mustExec(t, c, "SET GLOBAL innodb_flush_log_at_trx_commit=1")
		apply()
		restore()
		if got := mustText(t, c, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit"); got != "0" {
			t.Errorf("innodb_flush_log_at_trx_commit was put back to %s, want 0", got)
		}

		// A server that was killed has forgotten ours, and starts with its configuration's.
		configuredEvents := map[binlog.Flavor]string{binlog.MySQL: "ON", binlog.MariaDB: "OFF"}[s.Flavor]
		mustExec(t, c, "SET GLOBAL innodb_flush_log_at_trx_commit=1", "SET GLOBAL event_scheduler="+configuredEvents)
		if err := s.applySettings(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := local.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := local.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		c = dial(t, s)
		configured := values(t, c, s)
		restore()
		wantValues(configured)
		apply()
		restore()
		wantValues(configured)
	})
}

func values(t *testing.T, c *Conn, s *Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, want := range s.settings() {
		all[want.name] = mustText(t, c, "SELECT @@GLOBAL."+want.name)
	}
	return all
}

// TestSettingsAllOrNone holds that what was set before a variable that cannot be set is put back: one that the account may
// not set, and, in MariaDB, where SUPER is enough for all, one that cannot be written down.
func TestSettingsAllOrNone(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, local *testrig.Local, s *Server) {
		root := dial(t, s)
		if err := makeState(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		mustExec(t, root, "CREATE USER weak@localhost", "GRANT ALL ON *.* TO weak@localhost")
		if s.Flavor == binlog.MySQL {
			mustExec(t, root, "REVOKE CONNECTION_ADMIN ON *.* FROM weak@localhost", "REVOKE SUPER ON *.* FROM weak@localhost")
		} else {
			mustExec(t, root, "CREATE TRIGGER interlock_replay.full BEFORE INSERT ON interlock_replay.setting FOR EACH ROW IF NEW.name = 'init_connect' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'denied'; END IF")
		}
		before := values(t, root, s)
		weak := connect(t, Options{Socket: local.Socket, User: "weak"})
		err := weak.withConn(t.Context(), func(c *Conn) error { return weak.applySettings(t.Context(), c) })
		if err == nil {
			t.Fatal("an account without the privilege closed the target")
		}
		mustRefuse(t, err, map[binlog.Flavor]string{binlog.MySQL: "set variable", binlog.MariaDB: "keep setting"}[s.Flavor], "denied")
		for name, got := range values(t, root, s) {
			if !same(got, before[name]) {
				t.Errorf("%s is left at %q, was %q", name, got, before[name])
			}
		}
	})
}

func TestSettingsOfRun(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, _ *testrig.Local, s *Server) {
		run, err := s.Open(t.Context(), RunSpec{Fingerprint: "f", Describe: map[string]string{}, Tunable: map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		defer run.Close()
		c := dial(t, s)
		logged := func() string {
			rows, err := c.Query(t.Context(), map[binlog.Flavor]string{binlog.MySQL: "SHOW BINARY LOG STATUS", binlog.MariaDB: "SHOW MASTER STATUS"}[s.Flavor])
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(rows)
		}
		before := logged()
		for _, step := range []func(context.Context) error{run.Settings, run.Restore} {
			if err := step(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if after := logged(); after != before {
			t.Errorf("the target's binary log grew from %s to %s", before, after)
		}
	})
}

// A flush that was given up goes on in the server and sets the variable a second time: settings are put back behind it.
func TestRestoreWaitsForWhatWasInterrupted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		s.run("SET GLOBAL innodb_flush_log_at_trx_commit=2")
		r := s.open("interrupted")
		s.ok(r.Settings(t.Context()))
		blocker, err := s.server.control(t.Context())
		s.ok(err)
		defer blocker.Close()
		mustExec(t, blocker, "BEGIN", "SELECT * FROM interlock_replay.run FOR UPDATE")
		interrupted := r.conn.ID
		ctx, cancel := context.WithCancel(t.Context())
		flushed := make(chan error)
		go func() { flushed <- r.control(ctx, func(c *Conn) error { return r.flush(ctx, c) }) }()
		for s.read("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit") != "1" {
			time.Sleep(time.Millisecond)
		}
		cancel()
		s.refused(<-flushed, "canceled")
		restored := make(chan error)
		go func() { restored <- r.Restore(t.Context()) }()
		time.Sleep(100 * time.Millisecond) // it may put the settings back now, if it does not wait
		mustExec(t, blocker, "ROLLBACK")
		s.ok(<-restored)
		for s.read(fmt.Sprintf("SELECT COUNT(*) FROM information_schema.processlist WHERE id = %d", interrupted)) != "0" {
			time.Sleep(time.Millisecond)
		}
		s.expect("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit", "2")
		s.expect("SELECT COUNT(*) FROM interlock_replay.setting", "0")
		s.ok(r.Finish(t.Context())) // by the connection that came in the place of the interrupted one
	})
}

// Closing the target is not left half done where the run is interrupted meanwhile.
func TestSettingsAreNotInterrupted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		r := s.open("interrupted")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.ok(r.Settings(ctx))
		for _, want := range s.server.settings() {
			if got := s.read("SELECT @@GLOBAL." + want.name); !same(got, want.value) {
				t.Errorf("%s is %q, want %q", want.name, got, want.value)
			}
		}
		s.ok(r.Restore(t.Context()))
	})
}

// A server that takes no writes any more gets its settings back, for all that the lock's connection cannot be had again.
func TestRestoreOnAReadOnlyServer(t *testing.T) {
	s := newSite(t, testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL}))
	s.run("SET GLOBAL innodb_flush_log_at_trx_commit=2")
	r := s.open("interrupted")
	s.ok(r.Settings(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.refused(r.control(ctx, func(c *Conn) error { return c.Exec(ctx, "DO SLEEP(10)") }), "deadline")
	s.run("SET GLOBAL super_read_only=1")
	s.refused(r.Restore(t.Context()), "forget settings")
	s.expect("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit", "2")
	s.expect("SELECT @@GLOBAL.offline_mode", "0")
}
