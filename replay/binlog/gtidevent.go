package binlog

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"
)

// begin is what the event says that a transaction begins with.
type begin struct {
	gtid   GTID
	commit Commit // MySQL
	flags  uint8  // MariaDB, the flags of mariaGTID below
	alter  uint8  // MariaDB: which step of a two-phase ALTER
	xid    string // MariaDB: of an XA transaction
}

// Commit is what a GTID event of MySQL says of its transaction beside the GTID. Zero: the server that wrote it did
// not say.
type Commit struct {
	OriginalMicros   uint64 // since 1970: when it was committed where it was executed first
	OriginalVersion  uint32 // of the server where that was, 80036
	ImmediateVersion uint32 // of the server that wrote this log
}

// Flags of MariaDB's GTID event. Source: Gtid_log_event, sql/log_event.h.
const (
	mariaStandalone    = 0x01
	mariaGroupCommit   = 0x02
	mariaTransactional = 0x04
	mariaDDL           = 0x20
	mariaPreparedXA    = 0x40
	mariaCompletedXA   = 0x80

	mariaMultiEngine   = 0x01 // the first of the extra flags
	mariaStartAlter    = 0x02
	mariaCommitAlter   = 0x04
	mariaRollbackAlter = 0x08
)

// parseBegin reads a GTID event of either server.
func parseBegin(h *Header, body []byte) (begin, error) {
	var b begin
	var err error
	switch h.Type {
	case TypeGTID, TypeAnonymousGTID:
		b, err = parseGTIDEvent(h.Type, body)
	case TypeGTIDTagged:
		b, err = parseTagged(body)
	case TypeMariaGTID:
		b, err = parseMariaBegin(h, body)
	default:
		err = fmt.Errorf("not a GTID event")
	}
	return b, err
}

// ParseCommit reads a GTID event of MySQL, with or without a GTID in it.
func ParseCommit(ev *Event) (Commit, error) {
	if ev.Type == TypeGTIDTagged {
		b, err := parseTagged(ev.Body)
		if err != nil {
			return Commit{}, fmt.Errorf("read GTID with tag: %w", err)
		}
		return b.commit, nil
	}
	return parseCommit(ev.Body)
}

// parseGTIDEvent reads flags 1, UUID 16, number 8, and what parseCommit reads. Source: Gtid_event,
// libs/mysql/binlog/event/control_events.h.
func parseGTIDEvent(t Type, body []byte) (b begin, err error) {
	const fixed = 1 + 16 + 8
	if len(body) < fixed {
		return b, fmt.Errorf("%d bytes are too few", len(body))
	}
	if t == TypeGTID {
		b.gtid = GTID{Flavor: MySQL, Number: binary.LittleEndian.Uint64(body[17:])}
		copy(b.gtid.SID[:], body[1:17])
		if n := b.gtid.Number; n == 0 || n > maxGNO {
			return b, fmt.Errorf("number %d is not one of a GTID", n)
		}
	}
	b.commit, err = parseCommit(body)
	return b, err
}

// parseCommit reads what follows flags, UUID and number: clock type 1, clocks 16; from 8.0.1 on the commit times of 7
// bytes each, from 8.0.2 on the transaction's packed length, from 8.0.14 on the versions of 4 bytes each. Time and
// version are those of the immediate source, whose top bit says whether those of the original one follow. Source:
// Gtid_event::Gtid_event, libs/mysql/binlog/event/control_events.cpp.
func parseCommit(body []byte) (c Commit, err error) {
	const timesAt, timeBit, versionBit = 1 + 16 + 8 + 1 + 16, 1 << 55, 1 << 31
	if len(body) <= timesAt {
		return c, nil // MySQL 5.7
	}
	rest := cutter{rest: body[timesAt:]}
	if c.OriginalMicros = uint56(rest.take(7)); c.OriginalMicros&timeBit != 0 {
		c.OriginalMicros = uint56(rest.take(7))
	}
	if len(rest.rest) > 0 {
		rest.packed()
	}
	if len(rest.rest) > 0 {
		c.ImmediateVersion = uint32(rest.fixed(4))
		c.OriginalVersion = c.ImmediateVersion
		if c.ImmediateVersion&versionBit != 0 {
			c.ImmediateVersion &^= versionBit
			c.OriginalVersion = uint32(rest.fixed(4))
		}
	}
	if rest.err != nil {
		return Commit{}, fmt.Errorf("the event is cut, or its commit times and versions are: %w", rest.err)
	}
	return c, nil
}

// uint56 reads 7 bytes, or none.
func uint56(b []byte) uint64 {
	if b == nil {
		return 0
	}
	_ = b[6]
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32 | uint64(b[6])<<48
}

func fromMicros(micros uint64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(micros)).UTC()
}

// Fields of a tagged GTID event, by their ids in the message. Source: Gtid_event::define_fields.
const (
	taggedFlags = iota
	taggedUUID
	taggedNumber
	taggedTag
	taggedLastCommitted
	taggedSequence
	taggedImmediateTime
	taggedOriginalTime
	taggedLength
	taggedImmediateVersion
	taggedOriginalVersion
	taggedTicket
	taggedFields
)

// parseTagged reads a tagged GTID event: a message of libs/mysql/serialization, that is its version, its
// size, the last field that may not be ignored, and fields with their ids in rising order.
func parseTagged(body []byte) (begin, error) {
	m := message{rest: body}
	version, size, lastNeeded := m.uint(), m.uint(), m.uint()
	if m.err == nil && version != 1 {
		return begin{}, fmt.Errorf("message version %d is not known: the server is newer than this program", version)
	}
	if m.err == nil && size > uint64(len(body)) {
		return begin{}, fmt.Errorf("message of %d bytes in an event of %d", size, len(body))
	}
	if m.err == nil && lastNeeded > taggedFields {
		return begin{}, fmt.Errorf("it has fields up to %d which may not be ignored, known are %d: the server is newer than this program", lastNeeded-1, taggedFields)
	}
	b := begin{gtid: GTID{Flavor: MySQL}}
	var immediateMicros uint64
	seen := [taggedFields]bool{}
	last := int64(-1)
	for m.err == nil && len(m.rest) > 0 {
		id := m.uint()
		if m.err != nil || id >= taggedFields {
			break // fields of a later version that may be ignored
		}
		if int64(id) <= last {
			return begin{}, fmt.Errorf("field %d follows field %d", id, last)
		}
		last, seen[id] = int64(id), true
		switch id {
		case taggedUUID:
			for i := range b.gtid.SID {
				b.gtid.SID[i] = byte(m.uint())
			}
		case taggedNumber:
			b.gtid.Number = uint64(m.int())
		case taggedTag:
			b.gtid.Tag = string(m.bytes())
		case taggedImmediateTime:
			immediateMicros = m.uint()
		case taggedOriginalTime:
			b.commit.OriginalMicros = m.uint()
		case taggedImmediateVersion:
			b.commit.ImmediateVersion = uint32(m.uint())
		case taggedOriginalVersion:
			b.commit.OriginalVersion = uint32(m.uint())
		default:
			m.uint()
		}
	}
	if m.err != nil {
		return begin{}, m.err
	}
	if !seen[taggedUUID] || !seen[taggedNumber] || !seen[taggedTag] || b.gtid.Number == 0 || b.gtid.Number > maxGNO {
		return begin{}, fmt.Errorf("it names no GTID")
	}
	if b.gtid.Tag != "" {
		if _, err := parseTag(b.gtid.Tag); err != nil {
			return begin{}, err
		}
	}
	if !seen[taggedOriginalTime] {
		b.commit.OriginalMicros = immediateMicros
	}
	if !seen[taggedOriginalVersion] {
		b.commit.OriginalVersion = b.commit.ImmediateVersion
	}
	return b, nil
}

// message reads the numbers of MySQL's serialization library. A number is 1 to 9 bytes; as many ones as its
// first byte has at its low end, so many bytes follow. Source: libs/mysql/serialization/variable_length_integers.h.
type message struct {
	rest []byte
	err  error
}

func (m *message) uint() uint64 {
	if m.err != nil {
		return 0
	}
	if len(m.rest) == 0 {
		m.err = fmt.Errorf("it is cut")
		return 0
	}
	n := bits.TrailingZeros8(^m.rest[0]) + 1
	if len(m.rest) < n {
		m.err = fmt.Errorf("it is cut")
		return 0
	}
	var v uint64
	if n == 9 {
		v = uintN(m.rest[1:], 8)
	} else {
		v = uintN(m.rest, n) >> n
	}
	m.rest = m.rest[n:]
	return v
}

// int reads a signed number, whose lowest bit is the sign.
func (m *message) int() int64 {
	v := m.uint()
	if v&1 != 0 {
		return -int64(v>>1) - 1
	}
	return int64(v >> 1)
}

func (m *message) bytes() []byte {
	n := m.uint()
	if m.err == nil && n > uint64(len(m.rest)) {
		m.err = fmt.Errorf("it is cut")
	}
	if m.err != nil {
		return nil
	}
	b := m.rest[:n]
	m.rest = m.rest[n:]
	return b
}

// parseMariaBegin reads MariaDB's GTID event: number 8, domain 4, flags 1, then what the flags announce; zeroes
// fill it up to 19 bytes. Source: Gtid_log_event::Gtid_log_event, sql/log_event.cc.
func parseMariaBegin(h *Header, body []byte) (begin, error) {
	if len(body) < 13 {
		return begin{}, fmt.Errorf("%d bytes are too few", len(body))
	}
	b := begin{gtid: GTID{
		Flavor: MariaDB,
		Domain: binary.LittleEndian.Uint32(body[8:]),
		Server: h.ServerID,
		Number: binary.LittleEndian.Uint64(body),
	}, flags: body[12]}
	rest := body[13:]
	take := func(n int) ([]byte, error) {
		if len(rest) < n {
			return nil, fmt.Errorf("it is cut: %d bytes with flags %#x", len(body), b.flags)
		}
		part := rest[:n]
		rest = rest[n:]
		return part, nil
	}
	if b.flags&mariaGroupCommit != 0 {
		if _, err := take(8); err != nil {
			return begin{}, err
		}
	}
	if b.flags&(mariaPreparedXA|mariaCompletedXA) != 0 {
		fixed, err := take(6)
		if err != nil {
			return begin{}, err
		}
		gtrid, err1 := take(int(fixed[4]))
		bqual, err2 := take(int(fixed[5]))
		if err1 != nil || err2 != nil {
			return begin{}, fmt.Errorf("its XID is cut")
		}
		b.xid = formatXID(gtrid, bqual, int64(int32(binary.LittleEndian.Uint32(fixed))))
	}
	if len(rest) > 0 {
		// What follows (engines, the number of a START ALTER, a thread id) is of no use here.
		b.alter = rest[0]
	}
	return b, nil
}

// parsePreviousGTIDs reads what MySQL writes at the start of each file: how many sources, and for each its UUID,
// its tag where the format has tags, and its intervals, whose ends are not in them. The count's top byte is the
// format. Source: Gtid_set::encode, sql/rpl_gtid_set.cc.
func parsePreviousGTIDs(body []byte) (*GTIDSet, error) {
	s := &GTIDSet{flavor: MySQL}
	if len(body) < 8 {
		return nil, fmt.Errorf("%d bytes are too few", len(body))
	}
	count, tagged := binary.LittleEndian.Uint64(body), false
	switch body[7] {
	case 0:
	case 1:
		count, tagged = uintN(body[1:], 6), true
	default:
		return nil, fmt.Errorf("GTID set format %d is not known", body[7])
	}
	rest := body[8:]
	for range count {
		var key source
		if len(rest) < 16 {
			return nil, fmt.Errorf("its sources are cut")
		}
		copy(key.sid[:], rest)
		rest = rest[16:]
		if tagged {
			m := message{rest: rest}
			key.tag = string(m.bytes())
			if m.err != nil {
				return nil, fmt.Errorf("tag: %w", m.err)
			}
			rest = m.rest
		}
		if len(rest) < 8 {
			return nil, fmt.Errorf("its intervals are cut")
		}
		n := binary.LittleEndian.Uint64(rest)
		rest = rest[8:]
		if n > uint64(len(rest))/16 {
			return nil, fmt.Errorf("%d intervals do not fit into %d bytes", n, len(rest))
		}
		for range n {
			r := run{binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:]) - 1}
			if r.first == 0 || r.last < r.first || r.last > maxGNO {
				return nil, fmt.Errorf("interval from %d to %d makes no sense", r.first, r.last)
			}
			s.addRun(key, r)
			rest = rest[16:]
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last interval", len(rest))
	}
	return s, nil
}

// parseGTIDList reads what MariaDB writes at the start of each file: the number of GTIDs, and for each domain 4,
// server 4, number 8: of each domain the last GTID of every server, and the domain's last at the end. Source:
// Gtid_list_log_event, sql/log_event.cc; rpl_binlog_state::get_gtid_list, sql/rpl_gtid.cc.
//
// The greatest one is kept, which is the last unless numbers have not always risen. Then it is the one to compare with:
// along a chain it never falls, so that files come into order, and Survey refuses a log that does not rise above it.
func parseGTIDList(body []byte) (*GTIDSet, error) {
	s := &GTIDSet{flavor: MariaDB}
	if len(body) < 4 {
		return nil, fmt.Errorf("%d bytes are too few", len(body))
	}
	count := int64(binary.LittleEndian.Uint32(body) & 0x0fffffff)
	rest := body[4:]
	if int64(len(rest)) < count*16 {
		return nil, fmt.Errorf("%d GTIDs do not fit into %d bytes", count, len(rest))
	}
	for range count {
		s.Add(GTID{
			Flavor: MariaDB,
			Domain: binary.LittleEndian.Uint32(rest),
			Server: binary.LittleEndian.Uint32(rest[4:]),
			Number: binary.LittleEndian.Uint64(rest[8:]),
		})
		rest = rest[16:]
	}
	return s, nil
}
