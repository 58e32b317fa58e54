package session

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/go-mysql-org/go-mysql/replication"

	"interlock/replay/binlog"
)

// versions is what a GTID event of MySQL says beside the GTID. Zero: the server that wrote it did not say.
type versions struct {
	originalCommit      uint64 // microseconds since 1970
	original, immediate uint32 // server versions, 80036
}

// seeGTID takes over commit time and server versions. The server forgets them at every commit, so they are
// set once a transaction. They decide how DDL of an older source is understood: the order of the hidden columns
// of functional indexes, and whether row images hold them (MySQL sql/sql_table.cc, sql/rpl_record.cc).
func (s *State) seeGTID(ev *binlog.Event) error {
	s.begin()
	var v versions
	var err error
	if ev.Type == binlog.TypeGTIDTagged {
		v, err = parseTagged(ev.Body)
	} else {
		v, err = parseVersions(ev.Body)
	}
	if err != nil {
		return err
	}
	const timeSince, versionsSince = 80001, 80014
	if v.originalCommit != 0 && s.version >= timeSince {
		s.once = append(s.once, assignment{"@@session.original_commit_timestamp", strconv.FormatUint(v.originalCommit, 10)})
	}
	if v.immediate != 0 && s.version >= versionsSince {
		s.once = append(s.once,
			assignment{"@@session.original_server_version", fmt.Sprint(v.original)},
			assignment{"@@session.immediate_server_version", fmt.Sprint(v.immediate)})
	}
	return nil
}

// parseVersions reads the part of a GTID event behind flags, UUID, number and logical clock. Each value of the
// immediate source has a high bit that says whether the original one's follows.
// Source: Gtid_event in MySQL libs/mysql/binlog/event/control_events.cpp.
func parseVersions(body []byte) (versions, error) {
	const before = 1 + 16 + 8 + 1 + 8 + 8
	if len(body) <= before {
		return versions{}, nil // MySQL 5.7
	}
	r := &varReader{data: body[before:]}
	const timeBit, versionBit = 1 << 55, 1 << 31
	var v versions
	v.originalCommit = r.uint56()
	if v.originalCommit&timeBit != 0 {
		v.originalCommit = r.uint56()
	}
	if !r.short && len(r.data) == 0 {
		return v, nil // before 8.0.2
	}
	r.skipPacked()
	if !r.short && len(r.data) == 0 {
		return v, nil // before 8.0.14
	}
	v.immediate = r.uint32()
	v.original = v.immediate
	if v.immediate&versionBit != 0 {
		v.immediate &^= versionBit
		v.original = r.uint32()
	}
	if r.short {
		return versions{}, errCut
	}
	return v, nil
}

func (r *varReader) uint56() uint64 {
	var b [8]byte
	copy(b[:], r.bytes(7))
	return binary.LittleEndian.Uint64(b[:])
}

// skipPacked takes an integer in the packing of the client protocol.
func (r *varReader) skipPacked() {
	switch r.uint8() {
	case 0xfc:
		r.bytes(2)
	case 0xfd:
		r.bytes(3)
	case 0xfe:
		r.bytes(8)
	}
}

// parseTagged reads a GTID event with a tag (MySQL 8.3), which is serialized in another way.
func parseTagged(body []byte) (v versions, err error) {
	// The library takes lengths of its input for granted.
	defer func() {
		if p := recover(); p != nil {
			v, err = versions{}, fmt.Errorf("read GTID with tag: %v", p)
		}
	}()
	var ev replication.GtidTaggedLogEvent
	if err := ev.Decode(body); err != nil {
		return versions{}, fmt.Errorf("read GTID with tag: %w", err)
	}
	return versions{originalCommit: ev.OriginalCommitTimestamp, original: ev.OriginalServerVersion, immediate: ev.ImmediateServerVersion}, nil
}
