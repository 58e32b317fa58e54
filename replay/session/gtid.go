package session

import (
	"fmt"
	"strconv"

	"interlock/replay/binlog"
)

// seeGTID takes over commit time and server versions. The server forgets them at every commit, so they are
// set once a transaction. They decide how DDL of an older source is understood: the order of the hidden columns
// of functional indexes, and whether row images hold them (MySQL sql/sql_table.cc, sql/rpl_record.cc).
func (s *State) seeGTID(ev *binlog.Event) error {
	s.begin()
	c, err := binlog.ParseCommit(ev)
	if err != nil {
		return err
	}
	const timeSince, versionsSince = 80001, 80014
	if c.OriginalMicros != 0 && s.version >= timeSince {
		s.once = append(s.once, assignment{"@@session.original_commit_timestamp", strconv.FormatUint(c.OriginalMicros, 10)})
	}
	if c.ImmediateVersion != 0 && s.version >= versionsSince {
		s.once = append(s.once,
			assignment{"@@session.original_server_version", fmt.Sprint(c.OriginalVersion)},
			assignment{"@@session.immediate_server_version", fmt.Sprint(c.ImmediateVersion)})
	}
	return nil
}
