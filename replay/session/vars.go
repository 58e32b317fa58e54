package session

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Codes of status variables in a statement event.
// Source: MySQL libs/mysql/binlog/event/statement_events.h, MariaDB sql/log_event.h.
const (
	qFlags2                       = 0
	qSQLMode                      = 1
	qCatalog                      = 2 // with a NUL behind it: 5.0.0 to 5.0.3
	qAutoIncrement                = 3
	qCharset                      = 4
	qTimeZone                     = 5
	qCatalogNZ                    = 6
	qLCTimeNames                  = 7
	qCharsetDatabase              = 8
	qTableMapForUpdate            = 9
	qMasterDataWritten            = 10 // in relay logs of old replicas
	qInvoker                      = 11
	qUpdatedDBNames               = 12
	qMicroseconds                 = 13
	qExplicitDefaultsForTimestamp = 16
	qDDLLoggedWithXID             = 17
	qDefaultCollationForUTF8MB4   = 18
	qSQLRequirePrimaryKey         = 19
	qDefaultTableEncryption       = 20
	qEnableCascadeTriggers        = 21  // MySQL 9.7
	qHRNow                        = 128 // MariaDB from here on
	qXID                          = 129
	qGTIDFlags3                   = 130
	qCharacterSetCollations       = 131
)

// manyDatabases is the number of updated databases from which on they are not named (MAX_DBS_IN_EVENT_MTS).
const manyDatabases = 16

// statusVars is what the status variables of one statement event say. A nil pointer is a variable that the
// event does not have.
type statusVars struct {
	flags2             *uint32
	sqlMode            *uint64
	increment, offset  uint16 // 1 and 1 where the event has none
	charset            *charsets
	timeZone           string // empty: none
	lcTimeNames        uint16 // 0, en_US, where the event has none
	collationDatabase  uint16 // 0: the database's own
	microseconds       uint32
	explicitDefaults   *uint8
	collationUTF8MB4   uint16 // 0: none
	requirePrimaryKey  *uint8
	tableEncryption    *uint8
	cascadeTriggers    uint8  // 0 where the event has none
	characterCollation string // MariaDB's character_set_collations, pairs of ids as the log has them
}

// charsets are the ids of character_set_client, collation_connection and collation_server.
type charsets struct{ client, connection, server uint16 }

// varReader takes values off status variables. After the first read beyond the end it gives zeroes only.
type varReader struct {
	data  []byte
	short bool
}

func (r *varReader) bytes(n int) []byte {
	if n > len(r.data) {
		r.short, r.data = true, nil
		return make([]byte, n)
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *varReader) uint8() uint8   { return r.bytes(1)[0] }
func (r *varReader) uint16() uint16 { return binary.LittleEndian.Uint16(r.bytes(2)) }
func (r *varReader) uint32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *varReader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }
func (r *varReader) string() string { return string(r.bytes(int(r.uint8()))) }
func (r *varReader) uint24() uint32 {
	b := r.bytes(3)
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
}
func (r *varReader) skipString() { r.bytes(int(r.uint8())) }

// parseVars reads the status variables of a statement event. MySQL's own parser stops at a code that it does
// not know and takes what is behind it for absent; here that is an error.
func parseVars(data []byte, mariaDB bool) (statusVars, error) {
	v := statusVars{increment: 1, offset: 1}
	r := &varReader{data: data}
	for len(r.data) > 0 {
		code := r.uint8()
		known := v.readCommon(r, code)
		if !known && mariaDB {
			known = v.readMariaDB(r, code)
		} else if !known {
			known = v.readMySQL(r, code)
		}
		if !known {
			return v, fmt.Errorf("status variable %d is not known, in %X: the log is of a newer server or of a fork: use a newer interlock", code, data)
		}
		if r.short {
			return v, fmt.Errorf("status variable %d is cut", code)
		}
	}
	if !plain(v.timeZone) {
		return v, fmt.Errorf("time zone %q cannot be written in a SET", v.timeZone)
	}
	if v.microseconds >= 1e6 {
		return v, fmt.Errorf("%d microseconds are more than a second", v.microseconds)
	}
	return v, nil
}

// readCommon reads the variables that both servers write.
func (v *statusVars) readCommon(r *varReader, code uint8) bool {
	switch code {
	case qFlags2:
		v.flags2 = new(r.uint32())
	case qSQLMode:
		v.sqlMode = new(r.uint64())
	case qCatalog:
		// One NUL more than the length says, where the length is not 0.
		if n := int(r.uint8()); n > 0 {
			r.bytes(n + 1)
		}
	case qCatalogNZ:
		r.skipString()
	case qAutoIncrement:
		v.increment, v.offset = r.uint16(), r.uint16()
	case qCharset:
		v.charset = &charsets{client: r.uint16(), connection: r.uint16(), server: r.uint16()} // in this order
	case qTimeZone:
		v.timeZone = r.string()
	case qLCTimeNames:
		v.lcTimeNames = r.uint16()
	case qCharsetDatabase:
		v.collationDatabase = r.uint16()
	case qTableMapForUpdate:
		r.bytes(8) // which tables a multi-table UPDATE locks: the statement itself says so
	case qMasterDataWritten:
		r.bytes(4)
	case qInvoker:
		r.skipString() // user and host: CURRENT_USER in a definer, which mysqlbinlog does not restore either
		r.skipString()
	default:
		return false
	}
	return true
}

func (v *statusVars) readMySQL(r *varReader, code uint8) bool {
	switch code {
	case qUpdatedDBNames:
		if n := r.uint8(); n <= manyDatabases {
			for range n {
				r.skipName()
			}
		}
	case qMicroseconds:
		v.microseconds = r.uint24()
	case qExplicitDefaultsForTimestamp:
		v.explicitDefaults = new(r.uint8())
	case qDDLLoggedWithXID:
		r.bytes(8)
	case qDefaultCollationForUTF8MB4:
		v.collationUTF8MB4 = r.uint16()
	case qSQLRequirePrimaryKey:
		v.requirePrimaryKey = new(r.uint8())
	case qDefaultTableEncryption:
		v.tableEncryption = new(r.uint8())
	case qEnableCascadeTriggers:
		v.cascadeTriggers = r.uint8()
	default:
		return false
	}
	return true
}

// skipName takes a name with a NUL behind it.
func (r *varReader) skipName() {
	for r.uint8() != 0 && !r.short {
	}
}

// Flags of qGTIDFlags3. The last two have the sequence number of the ALTER's start behind them.
const (
	flagCommitAlter   = 4
	flagRollbackAlter = 8
)

func (v *statusVars) readMariaDB(r *varReader, code uint8) bool {
	switch code {
	case qHRNow:
		v.microseconds = r.uint24()
	case qXID:
		r.bytes(8)
	case qGTIDFlags3:
		if r.uint8()&(flagCommitAlter|flagRollbackAlter) != 0 {
			r.bytes(8)
		}
	case qCharacterSetCollations:
		v.characterCollation = string(r.bytes(4 * int(r.uint8())))
	default:
		return false
	}
	return true
}

var errCut = errors.New("the event is cut")
