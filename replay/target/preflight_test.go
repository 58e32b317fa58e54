package target

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

func TestPreflight(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, local *testrig.Local, s *Server) {
		log := &binlog.Survey{Bytes: 1 << 20, GTIDs: &binlog.GTIDSet{}}
		if err := s.Preflight(t.Context(), log, s.Flavor); err != nil {
			t.Fatalf("a fresh server is refused: %v", err)
		}
		c := dial(t, s)
		fault := func(do, undo string, words ...string) {
			t.Helper()
			mustExec(t, c, do)
			mustRefuse(t, s.Preflight(t.Context(), log, s.Flavor), words...)
			mustExec(t, c, undo)
			if err := s.Preflight(t.Context(), log, s.Flavor); err != nil {
				t.Fatalf("after %s: %v", undo, err)
			}
		}
		fault("SET GLOBAL read_only=ON", "SET GLOBAL read_only=OFF", "read_only", "SET GLOBAL read_only=OFF")
		if s.Flavor == binlog.MySQL {
			fault("SET GLOBAL super_read_only=ON", "SET GLOBAL super_read_only=OFF, GLOBAL read_only=OFF", "super_read_only")
			fault("SET GLOBAL replica_type_conversions='ALL_LOSSY'", "SET GLOBAL replica_type_conversions=''", "replica_type_conversions", "ALL_LOSSY")
			fault("SET GLOBAL sql_generate_invisible_primary_key=ON", "SET GLOBAL sql_generate_invisible_primary_key=OFF", "sql_generate_invisible_primary_key")
			mustExec(t, c, "SET sql_log_bin=0", "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
			fault("SET GLOBAL rpl_semi_sync_source_enabled=ON", "SET GLOBAL rpl_semi_sync_source_enabled=OFF", "rpl_semi_sync_source_enabled")
			mustExec(t, c, "UNINSTALL PLUGIN rpl_semi_sync_source", "SET sql_log_bin=1")
			fault("ALTER INSTANCE DISABLE INNODB REDO_LOG", "ALTER INSTANCE ENABLE INNODB REDO_LOG", "redo log is off")
			fault("CHANGE REPLICATION SOURCE TO SOURCE_HOST='192.0.2.1', SOURCE_USER='r', SOURCE_PASSWORD='p'", "RESET REPLICA ALL", "replica", "RESET REPLICA ALL")
		} else {
			fault("SET GLOBAL slave_exec_mode=IDEMPOTENT", "SET GLOBAL slave_exec_mode=STRICT", "slave_exec_mode", "IDEMPOTENT")
			fault("SET GLOBAL slave_run_triggers_for_rbr=YES", "SET GLOBAL slave_run_triggers_for_rbr=NO", "slave_run_triggers_for_rbr")
			fault("SET GLOBAL slave_type_conversions='ALL_NON_LOSSY'", "SET GLOBAL slave_type_conversions=''", "slave_type_conversions")
			fault("SET GLOBAL rpl_semi_sync_master_enabled=ON", "SET GLOBAL rpl_semi_sync_master_enabled=OFF", "rpl_semi_sync_master_enabled")
			fault("SET GLOBAL enforce_storage_engine=Aria", "SET GLOBAL enforce_storage_engine=NULL", "enforce_storage_engine", "Aria")
			fault("SET GLOBAL replicate_rewrite_db='a->b'", "SET GLOBAL replicate_rewrite_db=''", "replicate_rewrite_db", "a->b")
			fault("CHANGE MASTER TO MASTER_HOST='192.0.2.1', MASTER_USER='r', MASTER_PASSWORD='p'", "RESET SLAVE ALL", "replica", "STOP ALL SLAVES")
			fault("CHANGE MASTER 'named' TO MASTER_HOST='192.0.2.1', MASTER_USER='r', MASTER_PASSWORD='p'", "RESET SLAVE 'named' ALL", "replica")
		}
		mustExec(t, c, "SET GLOBAL event_scheduler=ON") // its thread is no client
		testClients(t, local, s, c, log)
		testOwnState(t, s, c, log)
		huge := *log
		huge.Bytes = 1 << 60
		mustRefuse(t, s.Preflight(t.Context(), &huge, s.Flavor), "MiB free", local.DataDir)
		other := binlog.MySQL + binlog.MariaDB - s.Flavor
		mustRefuse(t, s.Preflight(t.Context(), log, other), "MySQL", "MariaDB", "restore the backup onto")
		testMinimalAccount(t, local, c, log)
		if s.GTIDs {
			testGTIDs(t, s, c)
		} else {
			testPosition(t, s)
		}
	})
}

// A server that was told to pass over errors of replication passes over those of BINLOG, too: with it a missing row takes
// the rest of its event along, and nobody is told.
func TestPreflightSkippedErrors(t *testing.T) {
	eachServer(t, testrig.LocalSpec{Settings: []string{"slave-skip-errors=1032,1062"}}, func(t *testing.T, _ *testrig.Local, s *Server) {
		log := &binlog.Survey{Bytes: 1 << 20, GTIDs: &binlog.GTIDSet{}}
		mustRefuse(t, s.Preflight(t.Context(), log, s.Flavor), `slave_skip_errors is "1032,1062"`, "start it without")
	})
}

// An event of the backup that has run since the server was started is a fault, whatever time zone it goes by; one that ran
// before is none.
func TestPreflightEvents(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, local *testrig.Local, s *Server) {
		log := &binlog.Survey{Bytes: 1 << 20, GTIDs: &binlog.GTIDSet{}}
		c := dial(t, s)
		mustExec(t, c, "SET sql_log_bin=0", "CREATE DATABASE ev", "SET time_zone='+13:00'", "CREATE EVENT ev.east ON SCHEDULE EVERY 1 SECOND DO SET @x = 1",
			"SET time_zone='-12:00'", "CREATE EVENT ev.west ON SCHEDULE EVERY 1 SECOND DO SET @x = 1", "CREATE EVENT ev.later ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO SET @x = 1")
		if err := s.Preflight(t.Context(), log, s.Flavor); s.Flavor == binlog.MariaDB && err != nil {
			t.Errorf("events that have not run are refused: %v", err) // MySQL's scheduler is on by default
		}
		mustExec(t, c, "SET GLOBAL event_scheduler=ON")
		for ran := ""; ran != "2"; {
			ran = mustText(t, c, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE LAST_EXECUTED IS NOT NULL")
		}
		mustExec(t, c, "SET sql_log_bin=0", "ALTER EVENT ev.east DISABLE", "ALTER EVENT ev.west DISABLE")
		mustRefuse(t, s.Preflight(t.Context(), log, s.Flavor), "event ev.east has run at", "event ev.west has run at", "event_scheduler=OFF")
		time.Sleep(1100 * time.Millisecond) // the server counts its age in seconds
		if err := local.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := local.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := connect(t, Options{Socket: local.Socket})
		defer again.Close()
		if err := again.Preflight(t.Context(), log, s.Flavor); err != nil {
			t.Errorf("started anew it is refused: %v", err)
		}
	})
}

// testClients holds that anybody who can do more than watch is a client.
func testClients(t *testing.T, local *testrig.Local, s *Server, c *Conn, log *binlog.Survey) {
	mustExec(t, c, "CREATE DATABASE app", "CREATE USER watcher@localhost", "GRANT PROCESS ON *.* TO watcher@localhost", "CREATE USER reader@localhost",
		"GRANT SELECT ON app.* TO reader@localhost", "CREATE ROLE anything", "GRANT ALL ON app.* TO anything", "CREATE USER roled@localhost", "GRANT anything TO roled@localhost")
	for user, client := range map[string]bool{"watcher": false, "reader": true, "roled": true, "root": true} {
		other := connect(t, Options{Socket: local.Socket, User: user})
		gone := dial(t, other).ID
		err := s.Preflight(t.Context(), log, s.Flavor)
		if client {
			mustRefuse(t, err, "it has clients", user+" from localhost", "is it the right server?")
		} else if err != nil {
			t.Errorf("%s is taken for a client: %v", user, err)
		}
		other.Close()
		// The server takes note of a closed socket when it gets round to it.
		for left := ""; left != "0"; {
			left = mustText(t, c, fmt.Sprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID IN (%d)", gone))
		}
	}
}

// testOwnState holds that what an unfinished run of ours has set is no fault.
func testOwnState(t *testing.T, s *Server, c *Conn, log *binlog.Survey) {
	if err := makeState(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.applySettings(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := s.Preflight(t.Context(), log, s.Flavor); err != nil {
		t.Errorf("our own settings are refused: %v", err)
	}
	if err := restoreSettings(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// testMinimalAccount holds that the privileges that Preflight's comment names are enough, and that each one
// missing is named.
func testMinimalAccount(t *testing.T, local *testrig.Local, c *Conn, log *binlog.Survey) {
	const table = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX"
	all := "REPLICATION_APPLIER, SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN, CONNECTION_ADMIN"
	static := "PROCESS, RELOAD, REPLICATION CLIENT"
	named := []string{"RELOAD", "REPLICATION_APPLIER", "PROCESS", "SELECT", "ALTER", "CONNECTION_ADMIN"}
	if local.Product == testrig.MariaDB {
		all = "BINLOG REPLAY, BINLOG ADMIN, CONNECTION ADMIN, SLAVE MONITOR, REPLICATION SLAVE ADMIN, DELETE HISTORY"
		static = "PROCESS, SUPER"
		named = []string{"SUPER", "PROCESS", "SELECT", "ALTER"} // in 10.11 SUPER holds the others
	}
	mustExec(t, c, "CREATE USER `min@x`@localhost", "GRANT "+table+", "+static+" ON *.* TO `min@x`@localhost", "GRANT "+all+" ON *.* TO `min@x`@localhost")
	mustExec(t, c, "CREATE TABLE app.counted (id INT AUTO_INCREMENT PRIMARY KEY)")
	c.Close()
	check := func() error {
		s := connect(t, Options{Socket: local.Socket, User: "min@x"})
		defer s.Close()
		return s.Preflight(t.Context(), log, s.Flavor)
	}
	var err error
	for range 50 { // until the server has noticed that root has gone
		if err = check(); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("the minimal account is refused: %v", err)
	}
	testRunAs(t, local, "min@x")
	for _, privilege := range named {
		query := func(sql string) {
			t.Helper()
			if _, err := local.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		query("REVOKE " + privilege + " ON *.* FROM `min@x`@localhost")
		err := check()
		for range 50 {
			if err != nil && !strings.Contains(err.Error(), "clients") {
				break
			}
			err = check()
		}
		mustRefuse(t, err, "lacks", privilege, "GRANT")
		query("GRANT " + privilege + " ON *.* TO `min@x`@localhost")
	}
}

// testRunAs begins and ends a run under an account.
func testRunAs(t *testing.T, local *testrig.Local, account string) {
	files, err := local.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	log, err := binlog.Open(t.Context(), files[:1], binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := connect(t, Options{Socket: local.Socket, User: account})
	defer s.Close()
	run, err := s.Open(t.Context(), RunSpec{Fingerprint: "f", Describe: map[string]string{}, Tunable: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	gtid := map[testrig.Product]string{testrig.MySQL: "11111111-1111-1111-1111-111111111111:1", testrig.MariaDB: "7-7-1"}[local.Product]
	barrier := Barrier{Number: 1, Steps: []Step{{Statements: []string{"CREATE TABLE app.made (id INT)"}}}, What: "a table", From: "a", To: "b"}
	if barrier.GTID, err = binlog.ParseGTID(gtid); err != nil {
		t.Fatal(err)
	}
	folded, err := binlog.ParseGTIDSet(s.Flavor, gtid[:len(gtid)-1]+"2")
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(context.Context) error{
		run.Settings,
		func(ctx context.Context) error { return run.Canary(ctx, log.Files[0].Format) },
		func(ctx context.Context) error {
			session, err := run.Session(ctx, log.Files[0].Format)
			if err != nil {
				return err
			}
			defer session.Close()
			return session.Run(ctx, barrier)
		},
		func(ctx context.Context) error {
			_, err := run.BeginEpoch(ctx, Epoch{Number: 2, From: "b", To: "c", Digest: "d", GTIDs: folded.String()})
			return err
		},
		func(ctx context.Context) error {
			return run.AutoIncrement(ctx, &Table{Schema: "app", Name: "counted", Engine: "InnoDB", Columns: []Column{{Name: "id", DataType: "int", AutoIncrement: true}}, Key: []int{0}}, 7)
		},
		func(ctx context.Context) error { return run.FinishEpoch(ctx, 2, folded, run.Generation()) },
		run.Restore, run.Finish,
	}
	for i, step := range steps {
		if err := step(t.Context()); err != nil {
			t.Errorf("step %d of a run as %s: %v", i, account, err)
		}
	}
}

// testGTIDs holds that a target is refused which has what the log's source had not, or lacks what came before the log,
// and that what the refusals say mends it.
func testGTIDs(t *testing.T, s *Server, _ *Conn) {
	c := dial(t, s)
	own := mustText(t, c, "SELECT @@GLOBAL.server_uuid")
	other := "11111111-1111-1111-1111-111111111111"
	for _, one := range []struct {
		executed, before, logged string
		partial                  bool
		refused                  []string // empty: it is not
	}{
		{executed: own + ":1-3", logged: own + ":1-2"}, // nothing to apply
		{executed: own + ":1-3", logged: own + ":2-9"},
		{executed: own + ":1-3", logged: other + ":1", refused: []string{own + ":1-3", "restore the backup again", "gtid_purged=''"}},
		{executed: own + ":1-3," + other + ":1-5", logged: other + ":1-9", refused: []string{"executed " + own + ":1-3,", "gtid_purged='" + other + ":1-5'"}},
		{executed: other + ":1-5:9", logged: other + ":1-8", refused: []string{"executed " + other + ":9,", "newest files"}},
		{executed: own + ":1-3," + other + ":1-5", before: own + ":1-3", logged: other + ":1-9"},
		{executed: other + ":1-5", before: other + ":1-5", logged: other + ":6-9"},
		{executed: other + ":1-5", before: other + ":1-3", logged: other + ":4-9"},
		{executed: other + ":1-5", before: other + ":1-7", logged: other + ":8-9", refused: []string{"begins behind", other + ":6-7", "add the files"}},
		{executed: other + ":1-5", before: other + ":1-7", logged: other + ":8-9", partial: true},
		{executed: "", before: other + ":1-7", logged: other + ":8-9", refused: []string{"SET GLOBAL gtid_purged='+" + other + ":1-7'"}},
		{executed: other + ":1-5", before: other + ":1-2", logged: other + ":6-9", partial: true},
	} {
		mustExec(t, c, "RESET BINARY LOGS AND GTIDS", "SET GLOBAL gtid_purged='"+one.executed+"'")
		log := &binlog.Survey{Partial: one.partial, GTIDs: gtidSet(t, one.logged), Before: gtidSet(t, one.before)}
		err := s.Preflight(t.Context(), log, binlog.MySQL)
		if len(one.refused) > 0 {
			mustRefuse(t, err, one.refused...)
		} else if err != nil {
			t.Errorf("%+v: %v", one, err)
		}
	}
}

func gtidSet(t *testing.T, text string) *binlog.GTIDSet {
	t.Helper()
	set, err := binlog.ParseGTIDSet(binlog.MySQL, text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// testPosition is testGTIDs for MariaDB.
func testPosition(t *testing.T, s *Server) {
	c := dial(t, s)
	set := func(text string) *binlog.GTIDSet {
		out, err := binlog.ParseGTIDSet(binlog.MariaDB, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, one := range []struct {
		position string
		partial  bool
		refused  []string
	}{
		{position: ""}, // a backup of a primary brings none along
		{position: "0-1-7"}, {position: "0-2-9"}, {position: "0-1-3", partial: true},
		{position: "0-2-7", refused: []string{"gtid_slave_pos is 0-2-7"}}, // the same number, of another server
		{position: "0-1-6", refused: []string{"begins behind", "gtid_slave_pos is 0-1-6", "SET GLOBAL gtid_slave_pos='0-1-7'"}},
		{position: "1-1-9", refused: []string{"gtid_slave_pos is 1-1-9"}},
	} {
		mustExec(t, c, "SET GLOBAL gtid_slave_pos='"+one.position+"'")
		err := s.Preflight(t.Context(), &binlog.Survey{Partial: one.partial, GTIDs: set("0-1-12"), Before: set("0-1-7")}, binlog.MariaDB)
		if len(one.refused) > 0 {
			mustRefuse(t, err, one.refused...)
		} else if err != nil {
			t.Errorf("%+v: %v", one, err)
		}
	}
}

func TestTakesLog(t *testing.T) {
	for _, c := range []struct {
		flavor      binlog.Flavor
		target, log string
		refused     bool
	}{
		{binlog.MySQL, "8.0.36", "8.0.36", false}, {binlog.MySQL, "8.0.30", "8.0.36", false}, {binlog.MySQL, "8.4.0", "8.0.36-log", false},
		{binlog.MySQL, "9.7.4-2", "5.7.44-log", false}, {binlog.MySQL, "8.0.36", "8.4.1", true}, {binlog.MySQL, "5.7.44", "8.0.1", true},
		{binlog.MariaDB, "10.11.6-MariaDB", "5.5.5-10.6.1-MariaDB-log", false}, {binlog.MariaDB, "10.6.1-MariaDB", "10.11.6-MariaDB-log", true},
		{binlog.MySQL, "8.0.36", "eight", true},
	} {
		s := &Server{Flavor: c.flavor, Version: c.target}
		err := s.TakesLog(&binlog.Format{Flavor: c.flavor, ServerVersion: c.log})
		if (err != nil) != c.refused {
			t.Errorf("%s onto %s: %v", c.log, c.target, err)
		}
	}
	s := &Server{Flavor: binlog.MySQL, Version: "8.0.36"}
	mustRefuse(t, s.TakesLog(&binlog.Format{Flavor: binlog.MariaDB, ServerVersion: "10.6.1-MariaDB"}), "MySQL 8.0.36", "MariaDB's")
	mustRefuse(t, s.TakesLog(&binlog.Format{Flavor: binlog.MySQL, ServerVersion: "8.4.1"}), "8.4.1", "restore onto 8.4 or newer")
}
