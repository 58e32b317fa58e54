package session

import "strconv"

// Computing is the part of the state on which computed columns depend: time zone, sql_mode, lc_time_names and
// the connection's collation. Of what else an expression can depend on (default_week_format,
// div_precision_increment) the log says nothing. It is comparable and can be a map key.
type Computing struct {
	timeZone                                  string // empty: the target's default
	sqlMode, lcTimeNames, collationConnection int64  // unset: the target's default
}

// Computing returns that part.
func (s *State) Computing() Computing {
	c := Computing{s.text[timeZone], s.nums[sqlMode], s.nums[lcTimeNames], s.nums[collationConnection]}
	if c.sqlMode != unset {
		c.sqlMode = s.keptModes(c.sqlMode) &^ parsingModes
	}
	return c
}

// parsingModes are the bits of sql_mode that only say how text is read: REAL_AS_FLOAT, PIPES_AS_CONCAT, ANSI_QUOTES,
// IGNORE_SPACE, NO_BACKSLASH_ESCAPES. The expression of a column has been read long ago; but MySQL 9.7 reads the
// form in which it keeps it again when a session opens the table, under that session's NO_BACKSLASH_ESCAPES, and
// then takes CONCAT('p', s) over a utf16 column for CONCAT('\0p', s).
const parsingModes = 0x1 | 0x2 | 0x4 | 0x8 | noBackslashEscapes

// Statements are the SETs that restore it, whatever the session had before.
func (c Computing) Statements() []string {
	zone := "DEFAULT"
	if c.timeZone != "" {
		zone = quotePlain(c.timeZone)
	}
	return []string{join([]assignment{
		{"@@session.time_zone", zone},
		{"@@session.sql_mode", orDefault(c.sqlMode)},
		{"@@session.lc_time_names", orDefault(c.lcTimeNames)},
		{"@@session.collation_connection", orDefault(c.collationConnection)},
	})}
}

func orDefault(n int64) string {
	if n == unset {
		return "DEFAULT"
	}
	return strconv.FormatInt(n, 10)
}
