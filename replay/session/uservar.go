package session

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"interlock/replay/binlog"
)

// Types of a user variable's value (Item_result).
const (
	stringResult  = 0
	realResult    = 1
	intResult     = 2
	decimalResult = 4
)

// unsignedFlag stands behind the value of an unsigned integer. MariaDB has a list of attributes in its place,
// of which the other one, the name of a data type, is not restored by its mysqlbinlog either.
const unsignedFlag = 1

// seeUserVar reads a USER_VAR event: name, and value as the server keeps it.
// Source: User_var_event in MySQL libs/mysql/binlog/event/statement_events.cpp, MariaDB sql/log_event.cc.
func (s *State) seeUserVar(f *binlog.Format, body []byte) error {
	s.begin()
	r := &varReader{data: body}
	name := string(r.long())
	if r.short || name == "" {
		return errCut
	}
	value := "NULL"
	if r.uint8() == 0 {
		kind, charset := r.uint8(), r.uint32()
		bytes := r.long()
		unsigned := len(r.data) > 0 && r.data[0]&unsignedFlag != 0
		if f.Flavor == binlog.MariaDB {
			unsigned = len(r.data) > 0 && r.data[0] == unsignedFlag
		}
		if r.short {
			return errCut
		}
		var err error
		if value, err = s.userValue(kind, charset, bytes, unsigned); err != nil {
			return fmt.Errorf("read user variable %q: %w", name, err)
		}
	}
	if r.short {
		return errCut
	}
	s.once = append(s.once, assignment{"@" + quoteName(name), value})
	s.names = s.names || !ascii(name)
	return nil
}

// long takes bytes behind their length in four bytes.
func (r *varReader) long() []byte {
	n := r.uint32()
	if uint64(n) > uint64(len(r.data)) {
		r.short, r.data = true, nil
		return nil
	}
	return r.bytes(int(n))
}

// userValue writes a value so that the server keeps the very same one. Strings are in hexadecimal: what they
// would look like in quotes depends on the client's character set.
func (s *State) userValue(kind uint8, charset uint32, bytes []byte, unsigned bool) (string, error) {
	number := &varReader{data: bytes}
	switch kind {
	case stringResult:
		c, ok := s.collation(charset)
		if !ok {
			return "", fmt.Errorf("collation %d is not known: use a newer interlock", charset)
		}
		return fmt.Sprintf("_%s X'%X' COLLATE `%s`", c.charset, bytes, c.name), nil
	case realResult:
		value := math.Float64frombits(number.uint64())
		if number.short || math.IsNaN(value) || math.IsInf(value, 0) {
			return "", fmt.Errorf("REAL value X'%X' is none", bytes)
		}
		return strconv.FormatFloat(value, 'e', -1, 64), nil // with an exponent it is no DECIMAL
	case intResult:
		value := number.uint64()
		switch {
		case number.short:
			return "", errCut
		case !unsigned:
			return strconv.FormatInt(int64(value), 10), nil
		case value > math.MaxInt64:
			return strconv.FormatUint(value, 10), nil // too large to be taken for a signed one
		}
		return fmt.Sprintf("CAST(%d AS UNSIGNED)", value), nil
	case decimalResult:
		return decimal(bytes)
	}
	return "", fmt.Errorf("type %d is not known", kind)
}

// Digits of a DECIMAL are kept nine to four bytes, big endian; fewer at either end take fewer bytes.
// Source: MySQL strings/decimal.cc, bin2decimal.
const digitsPerWord = 9

var bytesOfDigits = [digitsPerWord + 1]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// decimal writes a DECIMAL: precision, scale, and the digits with the sign in their first bit.
func decimal(bytes []byte) (string, error) {
	if len(bytes) < 3 {
		return "", errCut
	}
	precision, scale := int(bytes[0]), int(bytes[1])
	const most = 81 // DECIMAL_MAX_PRECISION, of a calculation
	if scale > precision || precision > most {
		return "", fmt.Errorf("DECIMAL(%d,%d) is none", precision, scale)
	}
	digits := append([]byte(nil), bytes[2:]...)
	negative := digits[0]&0x80 == 0
	digits[0] ^= 0x80
	if negative {
		for i := range digits {
			digits[i] ^= 0xff
		}
	}
	r := &varReader{data: digits}
	whole := precision - scale
	var b strings.Builder
	r.group(&b, whole%digitsPerWord)
	for range whole / digitsPerWord {
		r.group(&b, digitsPerWord)
	}
	text := strings.TrimLeft(b.String(), "0")
	if text == "" {
		text = "0"
	}
	if negative {
		text = "-" + text
	}
	if scale > 0 {
		b.Reset()
		for range scale / digitsPerWord {
			r.group(&b, digitsPerWord)
		}
		r.group(&b, scale%digitsPerWord)
		text += "." + b.String()
	}
	if r.short {
		return "", errCut
	}
	return text, nil
}

// group takes so many digits.
func (r *varReader) group(b *strings.Builder, digits int) {
	if digits == 0 {
		return
	}
	value := 0
	for _, part := range r.bytes(bytesOfDigits[digits]) {
		value = value<<8 | int(part)
	}
	fmt.Fprintf(b, "%0*d", digits, value)
}
