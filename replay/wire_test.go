package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"
	"interlock/replay/target"

	"github.com/google/go-cmp/cmp"
)

// wire is a way to a server on which something happens once, as a chosen command comes: what at says, or its connection
// is lost, so that the server gets the command and its answer does not come back.
type wire struct {
	listener net.Listener
	server   string

	mu  sync.Mutex
	sql string // part of the command
	nth int    // which of those, from 1; 0: none any more
	do  func() // nil: lose the connection
}

func newWire(t *testing.T, s *testrig.Local) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, server: fmt.Sprintf("127.0.0.1:%d", s.Port)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.carry(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return w
}

func (w *wire) target() target.Options {
	return target.Options{Host: "127.0.0.1", Port: w.listener.Addr().(*net.TCPAddr).Port, User: "root", SSLMode: "DISABLED"}
}

// at chooses the command, and what is done before the server gets it; nil loses its connection.
func (w *wire) at(nth int, sql string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nth, w.sql, w.do = nth, sql, do
}

// done tells whether the command has come.
func (w *wire) done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nth == 0
}

func (w *wire) chosen(packet []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nth == 0 || !bytes.Contains(packet, []byte(w.sql)) {
		return false
	}
	w.nth--
	return w.nth == 0
}

// carry passes on one connection, packet by packet on the client's side.
func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server) // either end may hang up
		client.Close()
	}()
	head := make([]byte, 4)
	for {
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		packet := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(client, packet); err != nil {
			return
		}
		lost := w.chosen(packet)
		if lost && w.do != nil {
			w.do()
			lost = false
		}
		if lost {
			client.Close()
		}
		if _, err := server.Write(append(bytes.Clone(head), packet...)); err != nil {
			return
		}
		if lost {
			time.Sleep(200 * time.Millisecond) // the server is to come to its end with it
			return
		}
	}
}

// A connection that is lost at any command leaves the server as the run's last words say, with its settings put back, and
// does not have the run say what is not so.
func TestLostConnection(t *testing.T) {
	products(t, func(t *testing.T, p testrig.Product) {
		closing, dictionary := "SET GLOBAL offline_mode=1", "information_schema.INNODB_INDEXES"
		if p == testrig.MariaDB {
			closing, dictionary = "SET GLOBAL init_connect='SIGNAL", "information_schema.INNODB_SYS_INDEXES"
		}
		source := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		history(t, source)
		files := binlogs(t, source)
		for _, c := range []struct {
			name  string
			nth   int // of the commands with it
			sql   string
			words string // of the error; empty: the run goes on
			not   string
		}{
			{"as the format is read", 1, "SELECT version FROM interlock_replay.format", "read format", "rename it"},
			{"as the server closes", 1, closing, "the target is whole up to where it was; the same command goes on", "grant"},
			{"closed, as it is asked whether we are let in", 1, "DO 0", "", ""},
			{"as the scratch table goes", 4, "interlock_replay.canary", "", ""},
			{"as the dictionary is read", 1, dictionary, "the target is whole up to", "grant"},
		} {
			t.Run(c.name, func(t *testing.T) {
				to := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Loopback: true})
				w := newWire(t, to)
				before := settingsOf(t, to)
				through := func() error {
					_, err := replay.Run(t.Context(), replay.Config{Paths: files, Target: w.target()})
					return err
				}
				if c.name == "as the format is read" { // which is there when a run has begun
					mustExec(t, to, "SET sql_log_bin=0; CREATE DATABASE interlock_replay; CREATE TABLE interlock_replay.format (version INT NOT NULL PRIMARY KEY)")
				}
				w.at(c.nth, c.sql, nil)
				err := through()
				switch {
				case !w.done():
					t.Fatalf("the command did not come; %v", err)
				case c.words == "" && err != nil, c.words != "" && (err == nil || !strings.Contains(err.Error(), c.words)):
					t.Fatalf("error %v, want %q", err, c.words)
				case c.not != "" && strings.Contains(err.Error(), c.not):
					t.Errorf("error %v says %q", err, c.not)
				}
				if diff := cmp.Diff(before, settingsOf(t, to)); diff != "" {
					t.Errorf("settings (-before +after):\n%s", diff)
				}
				if err != nil {
					if err := through(); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(contents(t, source), contents(t, to)); diff != "" {
					t.Errorf("source and target differ (-source +target):\n%s", diff)
				}
			})
		}
	})
}

// A server that becomes read-only in the middle is opened again, and the last words say what it is. MySQL alone: root may
// write to a MariaDB that is read-only.
func TestReadOnlyInTheMiddle(t *testing.T) {
	const p = testrig.MySQL
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
	history(t, source)
	to := testrig.LocalFor(t, testrig.LocalSpec{Product: p, Loopback: true})
	w := newWire(t, to)
	before := settingsOf(t, to)
	cfg := replay.Config{Paths: binlogs(t, source), Target: w.target()}
	w.at(1, "INSERT INTO interlock_replay.epoch", func() { mustExec(t, to, "SET GLOBAL super_read_only=1") })
	_, err := replay.Run(t.Context(), cfg)
	for _, words := range []string{"super-read-only", "put the server's settings back", "the target is whole up to where it was"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v does not say %q", err, words)
		}
	}
	if diff := cmp.Diff(before, settingsOf(t, to)); diff != "" {
		t.Errorf("settings (-before +after):\n%s", diff)
	}
	mustExec(t, to, "SET GLOBAL super_read_only=0; SET GLOBAL read_only=0")
	if _, err := replay.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settingsOf(t, source)+contents(t, source), settingsOf(t, to)+contents(t, to)); diff != "" {
		t.Errorf("source and target differ (-source +target):\n%s", diff)
	}
}

// settingsOf are those that a run changes.
func settingsOf(t *testing.T, s *testrig.Local) string {
	t.Helper()
	look := "SELECT @@GLOBAL.event_scheduler, @@GLOBAL.max_allowed_packet, @@GLOBAL.log_bin_trust_function_creators, @@GLOBAL.innodb_flush_log_at_trx_commit"
	if s.Product == testrig.MySQL {
		look += ", @@GLOBAL.offline_mode"
	} else {
		look += ", @@GLOBAL.gtid_strict_mode, @@GLOBAL.init_connect"
	}
	out, err := s.Exec(t.Context(), look)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
