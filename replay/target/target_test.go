package target

import (
	"context"
	"encoding/binary"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// site is a server for tests and what they need of it.
type site struct {
	*testrig.Local
	t      *testing.T
	server *Server
	format *binlog.Format
}

// onBoth runs a test on a MySQL and a MariaDB of its own.
func onBoth(t *testing.T, f func(t *testing.T, s *site)) { onBothIn(t, "", f) }

// onBothKilled does so for tests that kill the server. Its data is on a disk: MariaDB 10.11 takes a log in /dev/shm for
// persistent memory, maps it, and loses nothing.
func onBothKilled(t *testing.T, f func(t *testing.T, s *site)) {
	onBothIn(t, os.TempDir(), f, "innodb-flush-log-at-trx-commit=0")
}

func onBothIn(t *testing.T, dir string, f func(t *testing.T, s *site), settings ...string) {
	for _, product := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			local := testrig.LocalFor(t, testrig.LocalSpec{Product: product, TempDir: dir, Settings: settings})
			f(t, newSite(t, local))
		})
	}
}

func newSite(t *testing.T, local *testrig.Local) *site {
	t.Helper()
	s := &site{Local: local, t: t}
	s.reconnect()
	files, err := s.BinlogFiles()
	s.ok(err)
	log, err := binlog.Open(t.Context(), files[:1], binlog.OpenOptions{TempDir: t.TempDir()})
	s.ok(err)
	s.format = log.Files[0].Format
	s.ok(log.Close())
	return s
}

// reconnect makes a Server as a new process would have it.
func (s *site) reconnect() {
	s.t.Helper()
	server, err := Connect(s.t.Context(), Options{Socket: s.Socket, User: "root", SSLMode: "DISABLED"})
	s.ok(err)
	s.server = server
	s.t.Cleanup(func() { server.Close() })
}

func (s *site) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// refused fails unless err has all the words.
func (s *site) refused(err error, words ...string) {
	s.t.Helper()
	if err == nil {
		s.t.Fatalf("no error where one with %q was expected", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			s.t.Fatalf("error %q does not have %q", err, word)
		}
	}
}

// run runs statements in a session that is not logged.
func (s *site) run(statements ...string) {
	s.t.Helper()
	c, err := s.server.control(s.t.Context())
	s.ok(err)
	defer c.Close()
	for _, sql := range statements {
		if err := c.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// read is the rows of a query, columns parted by commas, rows by blanks.
func (s *site) read(sql string) string {
	s.t.Helper()
	c, err := s.server.Dial(s.t.Context())
	s.ok(err)
	defer c.Close()
	rows, err := c.Query(s.t.Context(), sql)
	if err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, row := range rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, cell.Text)
		}
		lines = append(lines, strings.Join(cells, ","))
	}
	return strings.Join(lines, " ")
}

func (s *site) expect(sql, want string) {
	s.t.Helper()
	if got := s.read(sql); got != want {
		s.t.Fatalf("%s: %q instead of %q", sql, got, want)
	}
}

// events runs statements in a logged session and returns the table maps and rows events of each as it was logged,
// without checksums. What the statements did stays done.
func (s *site) events(statements ...string) [][]byte {
	s.t.Helper()
	ctx := s.t.Context()
	c, err := s.server.Dial(ctx)
	s.ok(err)
	defer c.Close()
	var all [][]byte
	for _, sql := range statements {
		s.ok(c.Exec(ctx, "FLUSH LOGS"))
		if err := c.Exec(ctx, sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
		files, err := s.BinlogFiles()
		s.ok(err)
		sort.Strings(files)
		all = append(all, rowEvents(s.t, files[len(files)-1]))
	}
	return all
}

// rowEvents are the table maps and rows events of a file, each without its checksum.
func rowEvents(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var events []byte
	for raw = raw[4:]; len(raw) > binlog.HeaderLen; {
		size := binary.LittleEndian.Uint32(raw[9:])
		switch kind := raw[4]; {
		case kind == typeTableMap, kind >= typeRowsV1First && kind <= typeRowsV1Last, kind >= typeRowsV2First && kind <= typeRowsV2Last:
			start := len(events)
			events = append(events, raw[:size-4]...)
			binary.LittleEndian.PutUint32(events[start+9:], size-4)
		}
		raw = raw[size:]
	}
	if len(events) == 0 {
		t.Fatalf("%s has no rows events", file)
	}
	return events
}

// spec is a run of that fingerprint.
func spec(fingerprint string) RunSpec {
	return RunSpec{Fingerprint: fingerprint, Describe: map[string]string{"files": fingerprint, "stop": "end"}, Tunable: map[string]string{"chunk": "100"}}
}

// open opens a run that must open.
func (s *site) open(fingerprint string) *Run {
	s.t.Helper()
	r, err := s.server.Open(s.t.Context(), spec(fingerprint))
	s.ok(err)
	r.Patience = 20 * time.Second
	s.t.Cleanup(func() { r.Close() })
	return r
}

// applier opens one.
func (s *site) applier(r *Run) *Applier {
	s.t.Helper()
	a, err := r.Applier(s.t.Context(), s.format)
	s.ok(err)
	s.t.Cleanup(func() { a.Close() })
	return a
}

// session opens one.
func (s *site) session(r *Run) *Session {
	s.t.Helper()
	session, err := r.Session(s.t.Context(), s.format)
	s.ok(err)
	s.t.Cleanup(func() { session.Close() })
	return session
}

// executed is what the server says that it has executed, and must not move by what a run does for itself.
func (s *site) executed() string {
	if s.Product == testrig.MySQL {
		return s.read("SELECT @@GLOBAL.gtid_executed")
	}
	return s.read("SELECT @@GLOBAL.gtid_binlog_pos")
}

// set is a GTID set of the server's flavor.
func (s *site) set(text string) *binlog.GTIDSet {
	s.t.Helper()
	set, err := binlog.ParseGTIDSet(s.server.Flavor, text)
	s.ok(err)
	return set
}

// gtid is a GTID of the server's flavor.
func (s *site) gtid(text string) binlog.GTID {
	s.t.Helper()
	g, err := binlog.ParseGTID(text)
	s.ok(err)
	return g
}

// restart starts a server that was killed, as soon as it is waited for, and tells when it is up.
func (s *site) restart() <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Start(context.Background()) }()
	return done
}
