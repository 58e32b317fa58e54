package session

import (
	"strings"

	"interlock/replay/binlog"
)

// Opening are the statements that a session begins with before anything else is run in it, as at the top of
// mysqlbinlog's output: the server then treats statements as a replica's applier does (MySQL keeps
// original_commit_timestamp and versions, and skips checks of old syntax).
func (s *State) Opening() []string {
	list := []string{"SET @@session.pseudo_slave_mode=1", "SET @@session.completion_type=0"}
	if s.flavor == binlog.MariaDB {
		list = append(list, "SET @@session.max_delayed_threads=0") // INSERT DELAYED waits for its rows
	}
	return list
}

// Statements are the SETs that take a session from what since describes to this state, then the statement of
// the event last seen; nil since: everything is set. since is a Clone from when the session ran its last
// statement. A statement that failed at the source is a FailedStatementError.
//
// The variables are those that mysqlbinlog prints, in one SET, which is all or nothing. The values differ where
// its own lose something that the log has: user variables of type REAL are written in full (it prints 14
// digits, and 1.5 as a DECIMAL), unsigned ones stay unsigned.
func (s *State) Statements(since *State) ([]string, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	// A BEGIN before rows may have changed the database, too, which since has not seen.
	use := s.text[database]
	if since != nil && since.text[database] == use {
		use = ""
	}
	var list []string
	if s.needsUTF8(since, use) {
		// Names are in UTF-8 in the log, whatever the statement's character set is.
		list = append(list, "SET @@session.character_set_client=utf8mb4")
		since = since.without(characterSetClient)
	}
	if use != "" {
		list = append(list, "USE "+quoteName(use))
		since = since.without(collationDatabase) // USE resets it
	}
	sticky, err := s.sticky(since)
	if err != nil {
		return nil, err
	}
	if set := join(append(s.once[:len(s.once):len(s.once)], sticky...)); set != "" {
		list = append(list, set)
	}
	return append(list, s.statement.sql), nil
}

// join writes assignments as one SET, empty for none.
func join(list []assignment) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("SET ")
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.name)
		if strings.HasPrefix(a.name, "@`") {
			b.WriteByte(':')
		}
		b.WriteByte('=')
		b.WriteString(a.value)
	}
	return b.String()
}

// needsUTF8 tells whether names must be sent that the session's character set would garble.
func (s *State) needsUTF8(since *State, use string) bool {
	client := int64(unset)
	if since != nil {
		client = since.nums[characterSetClient]
	}
	c, _ := s.collation(uint32(client))
	switch c.charset {
	case "utf8mb4", "utf8mb3", "utf8":
		return false
	}
	return s.names || !ascii(use)
}

// AfterRows is what is known of a session that has applied rows events: MySQL sets its time to theirs, to the second.
func (s *State) AfterRows() *State { return s.without(timestamp) }

// without is what is known of a session whose setting has changed otherwise.
func (s *State) without(setting int) *State {
	if s == nil || s.nums[setting] == unset {
		return s
	}
	c := s.Clone()
	c.nums[setting] = unset
	return c
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
