package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/replay/binlog"
)

func TestPositionsAndCursors(t *testing.T) {
	for _, text := range []string{"", "binlog.000001", ":4", "binlog.000001:", "binlog.000001:x", "binlog.000001:-4"} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("ParsePosition(%q) = %v, want an error", text, p)
		}
	}
	c := cursor{Txn: binlog.Position{File: "odd:name+1.000007", Offset: 1 << 40}, RowsEvents: 12}
	if got, err := parseCursor(c.String()); err != nil || got != c {
		t.Errorf("parseCursor(%q) = %v, %v", c, got, err)
	}
	for _, text := range []string{"", "f:4", "f:4+", "f:4+-1", "f:x+1"} {
		if got, err := parseCursor(text); err == nil {
			t.Errorf("parseCursor(%q) = %v, want an error", text, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1048576": 1 << 20, "256M": 256 << 20, "2g": 2 << 30, "1T": 1 << 40, "64k": 64 << 10} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "-1", "0", "1.5G", "256MB", "9999999999T", "10 G", "ı"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestDatetimes(t *testing.T) {
	want := time.Date(2014, 1, 10, 17, 30, 0, 123456000, time.Local)
	for _, text := range []string{"2014-01-10 17:30:00.123456", "2014-01-10T17:30:00.123456"} {
		if got, err := ParseDatetime(text); err != nil || !got.Equal(want) {
			t.Errorf("ParseDatetime(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "17:30", "2014-13-01", "2014-01-10 25:00:00", "0001-01-01", "0001-01-01T00:00:00Z"} {
		if got, err := ParseDatetime(text); err == nil {
			t.Errorf("ParseDatetime(%q) = %v, want an error", text, got)
		}
	}
}

// A time that clocks show twice or never is refused, with what is not. Those beside it are taken.
func TestTurnedClocks(t *testing.T) {
	for _, test := range []struct{ zone, text, want string }{
		{"Europe/Berlin", "2026-10-25 01:59:59.999999", "2026-10-24T23:59:59.999999Z"},
		{"Europe/Berlin", "2026-10-25 02:30:00", "give 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
		{"Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25T02:00:00Z"},
		{"Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z"},
		{"Europe/Berlin", "2026-03-29 02:30:00", "clocks never show it"},
		{"Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00Z"},
		{"America/New_York", "2026-11-01 01:30:00", "give 2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"America/New_York", "2026-11-01 02:00:00", "2026-11-01T07:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-05 01:45:00", "give 2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30"}, // by half an hour
		{"Pacific/Apia", "2011-12-30 12:00:00", "clocks never show it"},                                               // by a day
		{"Pacific/Apia", "2011-12-31 12:00:00", "2011-12-30T22:00:00Z"},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		wall, err := time.Parse("2006-01-02 15:04:05", test.text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := onlyTime(test.text, wall, zone)
		if said := fmt.Sprint(err); err == nil && got.UTC().Format(time.RFC3339Nano) != test.want || err != nil && !strings.Contains(said, test.want) {
			t.Errorf("%s in %s: %v, %v; want %s", test.text, test.zone, got, err, test.want)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"no logs":          {},
		"little memory":    {Paths: []string{"x"}, MemoryBytes: 1 << 20},
		"many connections": {Paths: []string{"x"}, Connections: 1000},
	} {
		if _, err := c.withDefaults(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c, err := Config{Paths: []string{"x"}}.withDefaults()
	if err != nil || c.MemoryBytes < MinMemory || c.MemoryBytes > maxMemory || c.Connections < 2 {
		t.Errorf("defaults: %+v, %v", c, err)
	}
}
