package session

import (
	"errors"

	"interlock/replay/binlog"
)

var errNotBuilt = errors.New("not built yet")

// State is the session state that the log has set so far, sticky from one event to the next as in the session
// that mysqlbinlog's output runs in. It belongs to one goroutine.
type State struct{}

// New is the state of a fresh session of a target of that flavor and version (the log's may differ).
func New(target binlog.Flavor) *State { return &State{} }

// Clone is a copy.
func (s *State) Clone() *State { c := *s; return &c }

// See takes over what an event says: the status variables of a statement (BEGIN too), INTVAR, RAND, USER_VAR.
// A status variable that is not understood is an error: those behind it cannot be found.
func (s *State) See(f *binlog.Format, ev *binlog.Event) error { return errNotBuilt }

// Statements are the SETs that take a session from what since describes to this state, then the statement of
// the event last seen; nil since: everything is set.
func (s *State) Statements(since *State) ([]string, error) { return nil, errNotBuilt }

// Computing is the part of the state on which computed columns depend: time zone, sql_mode, lc_time_names,
// character sets and collations, default week format. It is comparable and can be a map key.
type Computing struct{}

// Computing returns that part.
func (s *State) Computing() Computing { return Computing{} }

// Statements are the SETs that restore it.
func (c Computing) Statements() []string { return nil }
