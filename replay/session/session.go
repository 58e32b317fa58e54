package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"interlock/replay/binlog"
)

// Flags of a statement event's header.
const (
	flagThreadSpecific = 0x4 // uses temporary tables
	flagSuppressUse    = 0x8 // does not depend on the default database
)

// State is the session state that the log has set so far, sticky from one event to the next as in the session
// that mysqlbinlog's output runs in. It belongs to one goroutine.
type State struct {
	flavor  binlog.Flavor
	version int // of the target, as binlog.VersionNumber

	nums [settings]int64 // of the sticky settings, -1: the log has not said it
	text [texts]string   // of the sticky settings that are texts, empty: the log has not said it

	// What holds for the next statement alone.
	once  []assignment
	names bool // a name in once has bytes beyond ASCII
	// The last statement. Once it is seen, the next event of a session begins anew.
	seen      bool
	statement statement

	// Status variables that the sticky settings hold already: consecutive statements mostly have the same.
	lastFormat *binlog.Format
	lastVars   string
	lastParsed statusVars
}

// statement is a statement of the log and what holds for it alone.
type statement struct {
	sql       string
	errorCode uint16
	at        binlog.Position
	bounds    bool // it only bounds a transaction or part of it, and has no backslash
}

// New is the state of a fresh session of a target of that flavor and version, as VERSION() gives it. Of a text
// that is no version (there is no target to --plan with) the newest is taken.
func New(target binlog.Flavor, version string) *State {
	s := &State{flavor: target, version: binlog.VersionNumber(version)}
	if s.version == 0 {
		s.version = newest
	}
	for i := range s.nums {
		s.nums[i] = unset
	}
	return s
}

// Clone is a copy.
func (s *State) Clone() *State {
	c := *s
	c.once = slices.Clone(s.once)
	return &c
}

// See takes over what an event says: the status variables of a statement (BEGIN too), INTVAR, RAND, USER_VAR,
// and the server versions of MySQL's GTID events. Other events have no session state and change nothing.
// A status variable that is not understood is an error: those behind it cannot be found.
func (s *State) See(f *binlog.Format, ev *binlog.Event) error {
	var err error
	switch ev.Type {
	case binlog.TypeQuery:
		err = s.seeQuery(f, ev)
	case binlog.TypeIntvar:
		err = s.seeIntVar(ev.Body)
	case binlog.TypeRand:
		err = s.seeRand(ev.Body)
	case binlog.TypeUserVar:
		err = s.seeUserVar(f, ev.Body)
	case binlog.TypeGTID, binlog.TypeAnonymousGTID, binlog.TypeGTIDTagged:
		if s.flavor == binlog.MySQL {
			err = s.seeGTID(ev)
		}
	case binlog.TypeExecuteLoadQuery:
		err = errors.New("LOAD DATA as a statement cannot be replayed: replay up to it, load the file by hand, and go on behind it")
	}
	if err != nil {
		return fmt.Errorf("read session state at %s: %w", ev.At, err)
	}
	return nil
}

// begin forgets what held for the last statement alone.
func (s *State) begin() {
	if s.seen {
		s.once, s.names, s.seen, s.statement = nil, false, false, statement{}
	}
}

func (s *State) seeQuery(f *binlog.Format, ev *binlog.Event) error {
	q, err := binlog.ParseQuery(f, ev)
	if err != nil {
		return err
	}
	if string(q.Vars) != s.lastVars || s.lastFormat != f {
		v, err := parseVars(q.Vars, f.Flavor == binlog.MariaDB)
		if err != nil {
			return err
		}
		s.lastFormat, s.lastVars, s.lastParsed = f, string(q.Vars), v
		s.takeOver(f, &v)
	}
	s.begin()
	s.seen = true
	s.statement = statement{sql: textOf(q.SQL), errorCode: q.ErrorCode, at: ev.At, bounds: transactional(q.Verb) && !bytes.Contains(q.SQL, []byte{'\\'})}
	s.nums[timestamp] = int64(ev.Timestamp)*1e6 + int64(s.lastParsed.microseconds)
	if s.flavor == binlog.MariaDB && ev.ServerID != 0 {
		s.nums[serverID] = int64(ev.ServerID) // statements can name it
	}
	if s.nums[threadID] == unset || ev.Flags&flagThreadSpecific != 0 {
		s.nums[threadID] = int64(q.ThreadID)
	}
	switch {
	case ev.Flags&flagSuppressUse == 0:
		s.text[database] = q.Schema
	case !transactional(q.Verb):
		// CREATE and DROP DATABASE: what the session's database is now, the log does not say.
		s.text[database] = ""
	}
	return nil
}

// textOf is a statement's text. That of nearly all is this one, in a log of rows.
func textOf(sql []byte) string {
	const begin = "BEGIN"
	if string(sql) == begin {
		return begin
	}
	return string(sql)
}

// transactional tells whether a statement only bounds a transaction.
func transactional(v binlog.Verb) bool { return v >= binlog.VerbBegin && v <= binlog.VerbXARollback }

func (s *State) seeIntVar(body []byte) error {
	s.begin()
	const length = 9
	if len(body) < length {
		return errCut
	}
	names := map[byte]string{1: "LAST_INSERT_ID", 2: "INSERT_ID"}
	name, ok := names[body[0]]
	if !ok {
		return fmt.Errorf("INTVAR of type %d is not known", body[0])
	}
	s.once = append(s.once, assignment{name, fmt.Sprint(binary.LittleEndian.Uint64(body[1:]))})
	return nil
}

func (s *State) seeRand(body []byte) error {
	s.begin()
	const length = 16
	if len(body) < length {
		return errCut
	}
	s.once = append(s.once,
		assignment{"@@RAND_SEED1", fmt.Sprint(binary.LittleEndian.Uint64(body))},
		assignment{"@@RAND_SEED2", fmt.Sprint(binary.LittleEndian.Uint64(body[8:]))})
	return nil
}

// FailedStatementError is a statement that failed at the source after it had changed something that cannot be
// rolled back. Nothing tells how far it came, so it cannot be run again; mysqlbinlog's output stops at it too,
// or worse, runs it as a whole.
type FailedStatementError struct {
	Code uint16 // the source's error: 1317 interrupted, 1053 shut down, 1062 duplicate key …
	At   binlog.Position
	SQL  string
}

func (e *FailedStatementError) Error() string {
	return fmt.Sprintf("run statement at %s: it failed at the source with error %d when part of it was done, and the log does not say which part: "+
		"replay up to it, repair its tables by hand, and go on behind it: %q", e.At, e.Code, binlog.Shown(e.SQL))
}

// Check tells whether the statement last seen can be run at all: a FailedStatementError if not.
func (s *State) Check() error {
	if !s.seen {
		return errors.New("run statement: none was seen")
	}
	if s.statement.errorCode != 0 {
		return &FailedStatementError{Code: s.statement.errorCode, At: s.statement.at, SQL: s.statement.sql}
	}
	return nil
}
