package replay

import (
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
	for _, text := range []string{"", "now", "17:30", "2014-13-01", "2014-01-10 25:00:00"} {
		if got, err := ParseDatetime(text); err == nil {
			t.Errorf("ParseDatetime(%q) = %v, want an error", text, got)
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
