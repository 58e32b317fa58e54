package binlog

import "testing"

// Values as servers write them, from the tables of "Date and Time Data Type Representation" and the comment of
// decimal2bin, and what the servers print for them.
func TestShow(t *testing.T) {
	for _, c := range []struct {
		column   Column
		value    string
		unsigned bool
		want     string
	}{
		{Column{Type: ColTiny}, "\xff", false, "-1"},
		{Column{Type: ColTiny}, "\xff", true, "255"},
		{Column{Type: ColInt24}, "\xfe\xff\xff", false, "-2"},
		{Column{Type: ColLongLong}, "\xff\xff\xff\xff\xff\xff\xff\xff", true, "18446744073709551615"},
		{Column{Type: ColFloat, Meta: 4}, "\x00\x00\xc0\x3f", false, "1.5"},
		{Column{Type: ColYear}, "\x7e", false, "2026"},
		{Column{Type: ColNewDecimal, Meta: 14<<8 | 4}, "\x81\x0d\xfb\x38\xd2\x04\xd2", false, "1234567890.1234"},
		{Column{Type: ColNewDecimal, Meta: 14<<8 | 4}, "\x7e\xf2\x04\xc7\x2d\xfb\x2d", false, "-1234567890.1234"},
		{Column{Type: ColNewDecimal, Meta: 4<<8 | 4}, "\x80\x01", false, "0.0001"},
		{Column{Type: ColDate}, "\x5c\xd5\x0f", false, "'2026-10-28'"},
		{Column{Type: ColDatetime2, Meta: 2}, "\x99\xbb\x38\x31\x05\x32", false, "'2026-10-28 03:04:05.50'"},
		{Column{Type: ColTimestamp2, Meta: 3}, "\x00\x00\x00\x01\x00\x0a", false, "'1970-01-01 00:00:01.001' UTC"},
		{Column{Type: ColTime2}, "\x80\x10\x83", false, "'01:02:03'"},
		{Column{Type: ColTime2}, "\x7f\xef\x7d", false, "'-01:02:03'"},
		{Column{Type: ColTime2, Meta: 2}, "\x7f\xff\xfe\xce", false, "'-00:00:01.50'"},
		{Column{Type: ColVarchar, Meta: 20}, "\x03abc", false, `"abc"`},
		{Column{Type: ColVarchar, Meta: 300}, "\x04\x00Gr\xc3\xbc", false, `"Grü"`},
		{Column{Type: ColVarchar, Meta: 20}, "\x02\xff\x00", false, "0xFF00"},
		{Column{Type: ColString, Meta: 16}, "\x02\x01\x02", false, "0x0102"},
		{Column{Type: ColTime2}, "\x00", false, "0x00"}, // cut
		{Column{Type: ColNewDecimal, Meta: 4<<8 | 4}, "", false, "0x"},
	} {
		if got := c.column.Show([]byte(c.value), c.unsigned); got != c.want {
			t.Errorf("%+v of %q: %s, want %s", c.column, c.value, got, c.want)
		}
	}
}
