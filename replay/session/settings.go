package session

import (
	"fmt"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// The sticky settings, in the order in which mysqlbinlog prints them.
const (
	timestamp = iota // microseconds since 1970
	threadID
	foreignKeyChecks
	autoIsNull
	uniqueChecks
	autocommit
	checkConstraintChecks
	ifExists
	explicitDefaults
	insertHistory
	sqlMode
	autoIncrementIncrement
	autoIncrementOffset
	characterSetClient
	collationConnection
	collationServer
	lcTimeNames
	collationDatabase
	collationUTF8MB4
	requirePrimaryKey
	tableEncryption
	cascadeTriggers
	serverID // MariaDB
	settings // their number
)

// The sticky settings that are texts.
const (
	database = iota // the session's default database
	timeZone
	characterSetCollations // pairs of ids as the log has them
	texts                  // their number
)

const unset = -1

// settingNames are the variables of the settings; timestamp has no session prefix in any mysqlbinlog.
var settingNames = [settings]string{
	"TIMESTAMP", "@@session.pseudo_thread_id",
	"@@session.foreign_key_checks", "@@session.sql_auto_is_null", "@@session.unique_checks", "@@session.autocommit",
	"@@session.check_constraint_checks", "@@session.sql_if_exists", "@@session.explicit_defaults_for_timestamp",
	"@@session.system_versioning_insert_history",
	"@@session.sql_mode", "@@session.auto_increment_increment", "@@session.auto_increment_offset",
	"@@session.character_set_client", "@@session.collation_connection", "@@session.collation_server",
	"@@session.lc_time_names", "@@session.collation_database", "@@session.default_collation_for_utf8mb4",
	"@@session.sql_require_primary_key", "@@session.default_table_encryption", "@@session.enable_cascade_triggers",
	"@@session.server_id",
}

// since are the first versions of MySQL that know a setting, as the comments around it in mysqlbinlog's output
// say.
var mysqlSince = [settings]int{collationUTF8MB4: 80011, requirePrimaryKey: 80013, tableEncryption: 80016, cascadeTriggers: 90700}

// ddlOnly are settings that MySQL writes with DDL alone. They are set for the statements that have them, each
// time: explicit_defaults_for_timestamp cannot be set in a transaction.
var ddlOnly = [settings]bool{explicitDefaults: true, requirePrimaryKey: true, tableEncryption: true}

// said tells whether the last statement has such a setting.
func (s *State) said(setting int) bool {
	v := &s.lastParsed
	return setting == explicitDefaults && v.explicitDefaults != nil ||
		setting == requirePrimaryKey && v.requirePrimaryKey != nil ||
		setting == tableEncryption && v.tableEncryption != nil
}

// optionBit is a bit of the status variable flags2.
type optionBit struct {
	bit      int
	setting  int
	negative bool                        // the bit stands for off
	written  func(f *binlog.Format) bool // whether the log's server writes the bit; nil: always
}

// optionBits are the bits of flags2. Source: sql/query_options.h of MySQL; MariaDB's from its sql/sql_priv.h,
// and in which of its versions from Format_description_log_event::deduct_options_written_to_bin_log.
var optionBits = []optionBit{
	{bit: 26, setting: foreignKeyChecks, negative: true},
	{bit: 14, setting: autoIsNull},
	{bit: 27, setting: uniqueChecks, negative: true},
	{bit: 19, setting: autocommit, negative: true},
	{bit: 15, setting: checkConstraintChecks, negative: true, written: func(f *binlog.Format) bool { return f.Flavor == binlog.MariaDB }},
	{bit: 28, setting: ifExists, written: func(f *binlog.Format) bool { return mariaDBFrom(f, 100502) }},
	{bit: 24, setting: explicitDefaults, written: writesExplicitDefaults},
	{bit: 30, setting: insertHistory, written: func(f *binlog.Format) bool { return mariaDBFrom(f, 101100) }},
}

func mariaDBFrom(f *binlog.Format, version int) bool {
	return f.Flavor == binlog.MariaDB && binlog.VersionNumber(f.ServerVersion) >= version
}

// writesExplicitDefaults: the bit came with a bug fix (MDEV-29078) in the middle of several series.
func writesExplicitDefaults(f *binlog.Format) bool {
	if !mariaDBFrom(f, 100517) {
		return false
	}
	version := binlog.VersionNumber(f.ServerVersion)
	first := map[int]int{1006: 100609, 1007: 100705, 1008: 100804, 1009: 100902}
	return version >= first[version/100]
}

// takeOver takes the status variables of a statement into the sticky settings. What an event does not have
// stays as it was, but for auto_increment_*, lc_time_names, collation_database and enable_cascade_triggers, which
// are then at their defaults: so mysqlbinlog prints it.
func (s *State) takeOver(f *binlog.Format, v *statusVars) {
	if v.flags2 != nil {
		for _, option := range optionBits {
			if option.written == nil || option.written(f) {
				on := *v.flags2>>option.bit&1 == 1
				s.nums[option.setting] = number(on != option.negative)
			}
		}
	}
	if v.sqlMode != nil {
		s.nums[sqlMode] = int64(*v.sqlMode)
	}
	s.nums[autoIncrementIncrement], s.nums[autoIncrementOffset] = int64(v.increment), int64(v.offset)
	if c := v.charset; c != nil {
		s.nums[characterSetClient], s.nums[collationConnection], s.nums[collationServer] = int64(c.client), int64(c.connection), int64(c.server)
	}
	if v.timeZone != "" {
		s.text[timeZone] = v.timeZone
	}
	s.nums[lcTimeNames], s.nums[collationDatabase] = int64(v.lcTimeNames), int64(v.collationDatabase)
	if v.explicitDefaults != nil {
		s.nums[explicitDefaults] = number(*v.explicitDefaults != 0)
	}
	if v.collationUTF8MB4 != 0 {
		s.nums[collationUTF8MB4] = int64(v.collationUTF8MB4)
	}
	if v.requirePrimaryKey != nil {
		s.nums[requirePrimaryKey] = int64(*v.requirePrimaryKey)
	}
	if v.tableEncryption != nil {
		s.nums[tableEncryption] = int64(*v.tableEncryption)
	}
	if s.flavor == binlog.MySQL {
		s.nums[cascadeTriggers] = int64(v.cascadeTriggers)
	}
	if v.characterCollation != "" {
		s.text[characterSetCollations] = v.characterCollation
	}
}

func number(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// assignment is one variable of a SET.
type assignment struct{ name, value string }

// removedModes are the bits of sql_mode that MySQL 8.0.5 no longer has; mysqlbinlog masks them as well.
const removedModes = 0x1003ff00

// keptModes are the bits of sql_mode that the target has.
func (s *State) keptModes(mode int64) int64 {
	if s.flavor == binlog.MySQL && s.version >= 80005 {
		return mode &^ removedModes
	}
	return mode
}

// noBackslashEscapes is a bit of sql_mode.
const noBackslashEscapes = 0x100000

// num is what a setting has to be for the statement last seen. Where that only bounds a transaction or part of it, and
// its text is the same either way, MySQL's session is not to have NO_BACKSLASH_ESCAPES: of rows that follow, it would
// misread computed columns (parsingModes) and leave their entries in indexes behind.
func (s *State) num(setting int) int64 {
	n := s.nums[setting]
	if setting == sqlMode && n != unset && s.statement.bounds && s.flavor == binlog.MySQL {
		n &^= noBackslashEscapes
	}
	return n
}

// value writes a setting as mysqlbinlog does: character sets and collations as numbers, but for MariaDB's
// character_set_client, which does not take the numbers of its newer collations.
func (s *State) value(setting int) string {
	n := s.num(setting)
	switch setting {
	case timestamp:
		if micros := n % 1e6; micros != 0 {
			return fmt.Sprintf("%d.%06d", n/1e6, micros)
		}
		return strconv.FormatInt(n/1e6, 10)
	case sqlMode:
		return strconv.FormatUint(uint64(s.keptModes(n)), 10)
	case characterSetClient:
		if c, ok := s.collation(uint32(n)); ok && s.flavor == binlog.MariaDB {
			return c.charset
		}
	case collationDatabase:
		if n == 0 {
			return "DEFAULT"
		}
	}
	return strconv.FormatInt(n, 10)
}

// sticky are the assignments that take a session from what since describes to this state.
func (s *State) sticky(since *State) ([]assignment, error) {
	var list []assignment
	for i := range settings {
		if s.nums[i] == unset || s.flavor == binlog.MySQL && s.version < mysqlSince[i] {
			continue
		}
		if s.flavor == binlog.MySQL && ddlOnly[i] {
			if !s.said(i) {
				continue
			}
		} else if since != nil && since.num(i) == s.num(i) && !s.drifts(i) {
			continue
		}
		list = append(list, assignment{settingNames[i], s.value(i)})
	}
	if zone := s.text[timeZone]; zone != "" && (since == nil || since.text[timeZone] != zone) {
		list = append(list, assignment{"@@session.time_zone", quotePlain(zone)})
	}
	if pairs := s.text[characterSetCollations]; pairs != "" && (since == nil || since.text[characterSetCollations] != pairs) {
		text, err := s.collationPairs(pairs)
		if err != nil {
			return nil, err
		}
		list = append(list, assignment{"@@session.character_set_collations", quotePlain(text)})
	}
	return list, nil
}

// drifts tells whether a setting does not stay what it was set to: after SET TIMESTAMP each further statement of a
// MariaDB session begins a microsecond later (10.11), so it is set for each, as mysqlbinlog does.
func (s *State) drifts(setting int) bool { return setting == timestamp && s.flavor == binlog.MariaDB }

// plain tells whether a text can be written in quotes whatever sql_mode and client character set are.
func plain(text string) bool {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' || b == '\\' {
			return false
		}
	}
	return true
}

// quotePlain quotes a plain text. It says the character set, since the server takes some values (gtid_next, in
// MySQL) for the bytes that they have in collation_connection, which can be UCS-2.
func quotePlain(text string) string { return "_latin1'" + strings.ReplaceAll(text, "'", "''") + "'" }

// quoteName writes an identifier or the name of a user variable.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
