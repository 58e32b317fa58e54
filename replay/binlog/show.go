package binlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Show writes a value of a row image as a person reads it: what a Span of Image bounds, its length bytes included.
// unsigned is the sign of an integer, which the log does not always have. What has no short form, and what the bytes
// do not fit, is hexadecimal.
func (c Column) Show(value []byte, unsigned bool) string {
	var text string
	var ok bool
	switch c.Type {
	case ColTiny, ColShort, ColInt24, ColLong, ColLongLong, ColEnum, ColSet:
		text, ok = showInteger(value, unsigned || c.Type == ColEnum || c.Type == ColSet)
	case ColFloat, ColDouble:
		text, ok = showFloat(value)
	case ColYear:
		text, ok = showYear(value)
	case ColNewDecimal:
		text, ok = showDecimal(value, int(c.Meta>>8), int(c.Meta&0xff))
	case ColDate:
		text, ok = showDate(value)
	case ColDatetime2, ColTimestamp2, ColTime2:
		text, ok = c.showTemporal(value)
	default:
		return showText(value[min(c.LengthBytes(), len(value)):])
	}
	if !ok {
		return showHex(value)
	}
	return text
}

// LengthBytes is how many bytes of length come before a value. Source: "Table_map_event: Column types and metadata",
// libs/mysql/binlog/event/rows_event.h.
func (c Column) LengthBytes() int {
	switch c.Type {
	case ColVarchar, ColVarString, ColString, ColVarcharCompressed:
		if c.Meta > 255 {
			return 2
		}
		return 1
	case ColBlob, ColTinyBlob, ColMediumBlob, ColLongBlob, ColJSON, ColGeometry, ColVector, ColBlobCompressed:
		return int(min(c.Meta, 4))
	}
	return 0
}

// shownBytes is how much of a long value is shown.
const shownBytes = 64

func showText(text []byte) string {
	more := ""
	if len(text) > shownBytes {
		text, more = text[:shownBytes], "…"
		for len(text) > 0 && !utf8.Valid(text) && len(text) > shownBytes-utf8.UTFMax {
			text = text[:len(text)-1] // not in the middle of a character
		}
	}
	if !utf8.Valid(text) || strings.ContainsFunc(string(text), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) {
		return showHex(text) + more
	}
	return strconv.Quote(string(text)) + more
}

func showHex(value []byte) string {
	if len(value) > shownBytes {
		return fmt.Sprintf("0x%X…", value[:shownBytes])
	}
	return fmt.Sprintf("0x%X", value)
}

func showInteger(value []byte, unsigned bool) (string, bool) {
	if len(value) == 0 || len(value) > 8 {
		return "", false
	}
	n := uintN(value, len(value))
	if unsigned {
		return strconv.FormatUint(n, 10), true
	}
	shift := 64 - 8*len(value)
	return strconv.FormatInt(int64(n<<shift)>>shift, 10), true
}

func showFloat(value []byte) (string, bool) {
	switch len(value) {
	case 4:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 'g', -1, 32), true
	case 8:
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(value)), 'g', -1, 64), true
	}
	return "", false
}

// showYear: years since 1900, 0 for the year 0000.
func showYear(value []byte) (string, bool) {
	switch {
	case len(value) != 1:
		return "", false
	case value[0] == 0:
		return "0000", true
	}
	return strconv.Itoa(1900 + int(value[0])), true
}

// decimalBytes is how many bytes so many digits take, below nine of them. Source: dig2bytes, strings/decimal.cc.
var decimalBytes = [...]int{0, 1, 1, 2, 2, 3, 3, 4, 4}

// showDecimal: nine digits in four bytes each, the odd ones of the whole part first and those of the fraction last; big
// endian, the first bit set where it is not negative, all bits of a negative number turned. Source: decimal2bin.
func showDecimal(value []byte, precision, scale int) (string, bool) {
	whole := precision - scale
	if whole < 0 || len(value) != whole/9*4+decimalBytes[whole%9]+scale/9*4+decimalBytes[scale%9] || len(value) == 0 {
		return "", false
	}
	b := append([]byte(nil), value...)
	sign := ""
	if b[0]&0x80 == 0 {
		sign = "-"
		for i := range b {
			b[i] = ^b[i]
		}
	}
	b[0] &^= 0x80
	digits := func(n int) string {
		size := 4
		if n < 9 {
			size = decimalBytes[n]
		}
		v := uint64(0)
		for _, one := range b[:size] {
			v = v<<8 | uint64(one)
		}
		b = b[size:]
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%0*d", n, v)
	}
	var left, right strings.Builder
	left.WriteString(digits(whole % 9))
	for range whole / 9 {
		left.WriteString(digits(9))
	}
	for range scale / 9 {
		right.WriteString(digits(9))
	}
	right.WriteString(digits(scale % 9))
	text := strings.TrimLeft(left.String(), "0")
	if text == "" {
		text = "0"
	}
	if scale > 0 {
		text += "." + right.String()
	}
	return sign + text, true
}

// showDate: 5 bits of day, 4 of month, the year; little endian.
func showDate(value []byte) (string, bool) {
	if len(value) != 3 {
		return "", false
	}
	n := uintN(value, 3)
	return fmt.Sprintf("'%04d-%02d-%02d'", n>>9, n>>5&15, n&31), true
}

// showTemporal: big endian, the fraction behind it in as many bytes as pairs of digits. Source: my_datetime_packed_to_binary
// and its like, mysys/my_time.cc.
func (c Column) showTemporal(value []byte) (string, bool) {
	size := map[ColumnType]int{ColDatetime2: 5, ColTimestamp2: 4, ColTime2: 3}[c.Type]
	digits := int(c.Meta)
	if digits > 6 || len(value) != size+(digits+1)/2 {
		return "", false
	}
	n := uint64(0)
	for _, b := range value {
		n = n<<8 | uint64(b)
	}
	bits := 8 * ((digits + 1) / 2)
	negative := false
	switch c.Type {
	case ColDatetime2:
		n -= 0x8000000000 << bits
	case ColTime2:
		zero := uint64(0x800000) << bits
		if negative = n < zero; negative {
			n = zero - n
		} else {
			n -= zero
		}
	}
	whole, fraction := n>>bits, n&(1<<bits-1)
	part := ""
	if digits > 0 {
		part = "." + fmt.Sprintf("%0*d", (digits+1)/2*2, fraction)[:digits]
	}
	switch c.Type {
	case ColTimestamp2:
		return "'" + time.Unix(int64(whole), 0).UTC().Format("2006-01-02 15:04:05") + part + "' UTC", true
	case ColTime2:
		sign := ""
		if negative {
			sign = "-"
		}
		return fmt.Sprintf("'%s%02d:%02d:%02d%s'", sign, whole>>12&0x3ff, whole>>6&63, whole&63, part), true
	}
	month := whole >> 22
	return fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d%s'", month/13, month%13, whole>>17&31, whole>>12&31, whole>>6&63, whole&63, part), true
}
