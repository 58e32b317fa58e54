package binlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Format is what a file's format description event says.
type Format struct {
	Flavor        Flavor
	ServerVersion string // 8.0.36, 10.11.6-MariaDB-log
	Created       time.Time
	PostHeaderLen []byte // by type, from 1
	Checksum      bool   // events end with a CRC32
	Raw           []byte // the event, header included, without checksum

	header Header
}

// Where a format description event has its parts. Source: Format_description_event,
// libs/mysql/binlog/event/control_events.h.
const (
	formatVersionAt   = HeaderLen      // 2 bytes, the version of the format: 4
	formatServerAt    = HeaderLen + 2  // 50 bytes, padded with NUL
	formatCreatedAt   = HeaderLen + 52 // 4 bytes, 0 unless the file is the first one since the server's start
	formatHeaderLenAt = HeaderLen + 56 // 1 byte: 19
	formatPostAt      = HeaderLen + 57 // one byte by event type
	formatTail        = 1 + checksumLen
)

// parseFormat reads a whole format description event, its checksum included: both servers write one also where
// they write none for other events (binlog_checksum=NONE).
func parseFormat(raw []byte) (*Format, error) {
	if len(raw) < formatPostAt+int(TypeFormatDescription)+formatTail {
		return nil, fmt.Errorf("format description of %d bytes is too short", len(raw))
	}
	if v := binary.LittleEndian.Uint16(raw[formatVersionAt:]); v != 4 {
		return nil, fmt.Errorf("binary log format %d is not 4: the server that wrote it is older than MySQL 5.0", v)
	}
	if n := raw[formatHeaderLenAt]; n != HeaderLen {
		return nil, fmt.Errorf("event headers of %d bytes instead of %d", n, HeaderLen)
	}
	version, _, _ := bytes.Cut(raw[formatServerAt:formatCreatedAt], []byte{0})
	f := &Format{
		Flavor:        MySQL,
		ServerVersion: string(version),
		PostHeaderLen: bytes.Clone(raw[formatPostAt : len(raw)-formatTail]),
		Raw:           bytes.Clone(raw[:len(raw)-checksumLen]),
		header:        parseHeader(raw),
	}
	if strings.Contains(strings.ToLower(f.ServerVersion), "mariadb") {
		f.Flavor = MariaDB
	}
	if err := f.checkVersion(); err != nil {
		return nil, err
	}
	if err := f.checkLengths(); err != nil {
		return nil, err
	}
	created := binary.LittleEndian.Uint32(raw[formatCreatedAt:])
	if created == 0 {
		created = f.header.Timestamp
	}
	f.Created = time.Unix(int64(created), 0).UTC()
	if !checksumFits(raw) {
		return nil, fmt.Errorf("checksum of the format description is wrong: the file is damaged; take another copy of it")
	}
	switch alg := f.Raw[len(f.Raw)-1]; alg {
	case 0:
	case 1:
		f.Checksum = true
	default:
		return nil, fmt.Errorf("checksum algorithm %d is neither none (0) nor CRC32 (1)", alg)
	}
	return f, nil
}

// checkVersion refuses servers whose logs look alike and mean other things.
func (f *Format) checkVersion() error {
	majorText, rest, _ := strings.Cut(f.ServerVersion, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err1 := strconv.Atoi(majorText)
	minor, err2 := strconv.Atoi(strings.TrimRight(minorText, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	if err1 != nil || err2 != nil {
		return fmt.Errorf("server version %q does not begin with numbers", f.ServerVersion)
	}
	number := major*100 + minor
	if f.Flavor == MySQL && number < 507 {
		return fmt.Errorf("written by MySQL %s: 5.7 is the oldest that is understood; replay it with mysqlbinlog", f.ServerVersion)
	}
	if f.Flavor == MariaDB && number < 1005 {
		return fmt.Errorf("written by MariaDB %s: 10.5 is the oldest that is understood; replay it with mariadb-binlog", f.ServerVersion)
	}
	return nil
}

// checkLengths refuses fixed parts of other lengths than these servers give to statements, table maps and rows events:
// whatever comes behind would be read at another place.
func (f *Format) checkLengths() error {
	const tableMap, rows1, rows2 = 8, 8, 10
	for t := TypeQuery; int(t) <= len(f.PostHeaderLen); t++ {
		var want int
		plain, _ := t.plain()
		kind, version, ok := rowsKind(plain)
		switch {
		case plain == TypeQuery:
			want = queryFixed
		case t == TypeTableMap:
			want = tableMap
		case ok && version == 1:
			want = rows1
		case ok:
			want = rows2
		default:
			continue
		}
		// MySQL 9.7 does not know rows events of version 1, nor 5.7 partial updates.
		if n := f.postHeader(t); n != want && !(n == 0 && kind != 0) {
			return fmt.Errorf("%s events with a fixed part of %d bytes instead of %d: the file is damaged, or no server that is understood wrote it; take another copy of it", t, n, want)
		}
	}
	return nil
}

// Identity is short and tells a file from others of its name. It is the same while the file is written and afterwards.
func (f *Format) Identity() string {
	sum := sha256.Sum256(closed(f.Raw))
	return hex.EncodeToString(sum[:4])
}

// closed is a format description as it is once its file has been closed: the flag that it is being written goes then.
func closed(raw []byte) []byte {
	raw = bytes.Clone(raw)
	raw[flagsOffset] &^= byte(flagInUse)
	return raw
}

// flagsOffset is where an event's header has its flags.
const flagsOffset = 17

// checksumFits compares the CRC32 at the end of a whole event. The flag that says that a file is still being
// written is set in place, after the sum was taken, and left out of it.
func checksumFits(raw []byte) bool {
	body := raw[:len(raw)-checksumLen]
	want := binary.LittleEndian.Uint32(raw[len(body):])
	if Type(body[4]) == TypeFormatDescription && body[flagsOffset]&byte(flagInUse) != 0 {
		header := [HeaderLen]byte(body)
		header[flagsOffset] &^= byte(flagInUse)
		sum := crc32.ChecksumIEEE(header[:])
		return crc32.Update(sum, crc32.IEEETable, body[HeaderLen:]) == want
	}
	return crc32.ChecksumIEEE(body) == want
}

// postHeader is the length of the fixed part of a type's body, -1 where the format does not name the type.
func (f *Format) postHeader(t Type) int {
	if t == 0 || int(t) > len(f.PostHeaderLen) {
		return -1
	}
	return int(f.PostHeaderLen[t-1])
}

// tableIDLen is how many bytes a table id has in table maps and rows events: 6, in ancient logs 4.
func (f *Format) tableIDLen(t Type) int {
	if f.postHeader(t) == 6 {
		return 4
	}
	return 6
}

// uintN reads a little endian number of n bytes.
func uintN(b []byte, n int) uint64 {
	v := uint64(0)
	for i := n - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
