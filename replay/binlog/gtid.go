package binlog

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// GTID names one transaction. In MySQL it is a UUID, an optional tag and a number, in MariaDB domain,
// server and sequence number. The zero value is an anonymous transaction.
type GTID struct {
	Flavor Flavor
	SID    [16]byte // MySQL
	Tag    string   // MySQL 8.3+
	Domain uint32   // MariaDB
	Server uint32   // MariaDB
	Number uint64   // GNO, or sequence number
}

// String writes the GTID as its server does; empty for an anonymous one.
func (g GTID) String() string {
	switch g.Flavor {
	case MySQL:
		if g.Tag != "" {
			return fmt.Sprintf("%s:%s:%d", formatUUID(g.SID), g.Tag, g.Number)
		}
		return fmt.Sprintf("%s:%d", formatUUID(g.SID), g.Number)
	case MariaDB:
		return fmt.Sprintf("%d-%d-%d", g.Domain, g.Server, g.Number)
	}
	return ""
}

// ParseGTID reads what String writes.
func ParseGTID(text string) (GTID, error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, ":") {
		return parseMySQLGTID(text)
	}
	return parseMariaGTID(text)
}

func parseMySQLGTID(text string) (GTID, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return GTID{}, fmt.Errorf("parse GTID %q: want UUID:NUMBER, UUID:TAG:NUMBER or DOMAIN-SERVER-NUMBER", text)
	}
	g := GTID{Flavor: MySQL}
	var err error
	if g.SID, err = parseUUID(parts[0]); err != nil {
		return GTID{}, fmt.Errorf("parse GTID %q: %w", text, err)
	}
	if len(parts) == 3 {
		if g.Tag, err = parseTag(parts[1]); err != nil {
			return GTID{}, fmt.Errorf("parse GTID %q: %w", text, err)
		}
	}
	if g.Number, err = parseGNO(parts[len(parts)-1]); err != nil {
		return GTID{}, fmt.Errorf("parse GTID %q: %w", text, err)
	}
	return g, nil
}

func parseMariaGTID(text string) (GTID, error) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return GTID{}, fmt.Errorf("parse GTID %q: want UUID:NUMBER, UUID:TAG:NUMBER or DOMAIN-SERVER-NUMBER", text)
	}
	domain, err1 := strconv.ParseUint(parts[0], 10, 32)
	server, err2 := strconv.ParseUint(parts[1], 10, 32)
	number, err3 := strconv.ParseUint(parts[2], 10, 64)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return GTID{}, fmt.Errorf("parse GTID %q: %w", text, err)
		}
	}
	return GTID{Flavor: MariaDB, Domain: uint32(domain), Server: uint32(server), Number: number}, nil
}

// maxGNO is the greatest number of a MySQL GTID. Source: GNO_END, libs/mysql/gtid/gtid_constants.h.
const maxGNO = 1<<63 - 2

func parseGNO(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, err
	}
	if n == 0 || n > maxGNO {
		return 0, fmt.Errorf("number %d is not between 1 and %d", n, uint64(maxGNO))
	}
	return n, nil
}

// maxTagLen is the length of the longest tag. Source: tag_max_length, libs/mysql/gtid/gtid_constants.h.
const maxTagLen = 32

// parseTag checks a tag and puts it in lower case, as the server does.
func parseTag(text string) (string, error) {
	text = strings.ToLower(text)
	if len(text) == 0 || len(text) > maxTagLen {
		return "", fmt.Errorf("tag %q is not 1 to %d characters", text, maxTagLen)
	}
	for i := range len(text) {
		c := text[i]
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return "", fmt.Errorf("tag %q holds %q", text, c)
		}
	}
	return text, nil
}

func formatUUID(u [16]byte) string {
	var b [36]byte
	hex.Encode(b[:], u[:4])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	hex.Encode(b[9:], u[4:6])
	hex.Encode(b[14:], u[6:8])
	hex.Encode(b[19:], u[8:10])
	hex.Encode(b[24:], u[10:])
	return string(b[:])
}

func parseUUID(text string) (u [16]byte, err error) {
	plain := text
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		plain = text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	}
	if len(plain) != 32 {
		return u, fmt.Errorf("%q is not a UUID", text)
	}
	if _, err := hex.Decode(u[:], []byte(plain)); err != nil {
		return u, fmt.Errorf("%q is not a UUID", text)
	}
	return u, nil
}
