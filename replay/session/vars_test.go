package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/replay/binlog"
)

func ptr[T any](v T) *T { return &v }

func TestParseVars(t *testing.T) {
	defaults := statusVars{increment: 1, offset: 1}
	for _, test := range []struct {
		title   string
		data    string
		mariaDB bool
		want    func(v *statusVars)
	}{
		{"nothing", "", false, func(*statusVars) {}},
		{"flags2", "\x00\x00\x40\x00\x04", false, func(v *statusVars) { v.flags2 = ptr[uint32](0x04004000) }},
		{"sql_mode", "\x01\x20\x00\xa0\x45\x00\x00\x00\x00", false, func(v *statusVars) { v.sqlMode = ptr[uint64](0x45a00020) }},
		{"old catalog", "\x02\x03std\x00\x07\x05\x00", false, func(v *statusVars) { v.lcTimeNames = 5 }},
		{"old catalog, empty", "\x02\x00\x07\x05\x00", false, func(v *statusVars) { v.lcTimeNames = 5 }},
		{"auto_increment", "\x03\x0a\x00\x02\x00", false, func(v *statusVars) { v.increment, v.offset = 10, 2 }},
		{"charsets", "\x04\x21\x00\xff\x00\x08\x00", false, func(v *statusVars) { v.charset = &charsets{33, 255, 8} }},
		{"time zone", "\x05\x06+09:00", false, func(v *statusVars) { v.timeZone = "+09:00" }},
		{"catalog", "\x06\x03std\x08\x21\x00", false, func(v *statusVars) { v.collationDatabase = 33 }},
		{"tables to update, relay log", "\x09\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x01\x02\x03\x04\x07\x01\x00", false, func(v *statusVars) { v.lcTimeNames = 1 }},
		{"invoker", "\x0b\x01u\x04host\x07\x01\x00", false, func(v *statusVars) { v.lcTimeNames = 1 }},
		{"updated databases", "\x0c\x02ab\x00c\x00\x0d\x01\x00\x00", false, func(v *statusVars) { v.microseconds = 1 }},
		{"too many updated databases", "\x0c\xfe\x0d\x3f\x42\x0f", false, func(v *statusVars) { v.microseconds = 999999 }},
		{"MySQL 8", "\x10\x01\x11\x01\x02\x03\x04\x05\x06\x07\x08\x12\xff\x00\x13\x00\x14\x01\x15\x01", false, func(v *statusVars) {
			v.explicitDefaults, v.collationUTF8MB4, v.requirePrimaryKey, v.tableEncryption = ptr[uint8](1), 255, ptr[uint8](0), ptr[uint8](1)
			v.cascadeTriggers = 1
		}},
		{"MariaDB", "\x80\x05\x00\x00\x81\x01\x02\x03\x04\x05\x06\x07\x08\x82\x02\x07\x01\x00", true, func(v *statusVars) { v.microseconds, v.lcTimeNames = 5, 1 }},
		{"MariaDB, end of an ALTER", "\x82\x04\x01\x02\x03\x04\x05\x06\x07\x08\x07\x01\x00", true, func(v *statusVars) { v.lcTimeNames = 1 }},
		{"MariaDB 11.5, before the charsets", "\x83\x01\x2d\x00\x00\x09\x04\x21\x00\x21\x00\x08\x00", true, func(v *statusVars) {
			v.characterCollation, v.charset = "\x2d\x00\x00\x09", &charsets{33, 33, 8}
		}},
	} {
		t.Run(test.title, func(t *testing.T) {
			want := defaults
			test.want(&want)
			got, err := parseVars([]byte(test.data), test.mariaDB)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(statusVars{}, charsets{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseVarsRefuses(t *testing.T) {
	for _, test := range []struct {
		title   string
		data    string
		mariaDB bool
		want    string
	}{
		{"an unknown variable", "\x07\x01\x00\xc8\x01", false, "status variable 200 is not known"},
		{"MariaDB's in a log of MySQL", "\x80\x01\x00\x00", false, "status variable 128 is not known"},
		{"MySQL's in a log of MariaDB", "\x0d\x01\x00\x00", true, "status variable 13 is not known"},
		{"a cut number", "\x00\x01\x02", false, "status variable 0 is cut"},
		{"a cut text", "\x05\x06+09", false, "status variable 5 is cut"},
		{"a cut name", "\x0c\x01ab", false, "status variable 12 is cut"},
		{"a time zone that ends the quotes", "\x05\x02\\'", false, `time zone "\\'" cannot be written`},
		{"too many microseconds", "\x0d\x40\x42\x0f", false, "1000000 microseconds are more than a second"},
	} {
		t.Run(test.title, func(t *testing.T) {
			if _, err := parseVars([]byte(test.data), test.mariaDB); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Whatever is read was there: a prefix of it is an error or means less, and nothing panics.
func FuzzParseVars(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x20\x00\xa0\x45\x00\x00\x00\x00\x06\x03std\x04\xff\x00\xff\x00\xff\x00\x05\x06SYSTEM\x0c\x01d\x00\x12\xff\x00\x13\x00"), false)
	f.Add([]byte("\x00\x00\x00\x00\x01\x06\x03std\x04\x21\x00\x21\x00\x08\x00\x80\x01\x00\x00\x81\x01\x02\x03\x04\x05\x06\x07\x08\x82\x04\x01\x02\x03\x04\x05\x06\x07\x08"), true)
	f.Fuzz(func(t *testing.T, data []byte, mariaDB bool) {
		v, err := parseVars(data, mariaDB)
		if err != nil {
			return
		}
		if !plain(v.timeZone) || v.microseconds >= 1e6 {
			t.Errorf("%q gives time zone %q and %d microseconds", data, v.timeZone, v.microseconds)
		}
		// Twice the same variables are the same variables.
		again, err := parseVars(append(append([]byte(nil), data...), data...), mariaDB)
		if err != nil {
			t.Fatalf("%q is read once but not twice: %v", data, err)
		}
		if diff := cmp.Diff(v, again, cmp.AllowUnexported(statusVars{}, charsets{})); diff != "" {
			t.Errorf("%q once and twice: %s", data, diff)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x00\x04\x08\x00\x00\x00\x06\x00\x00\x00\x07\x06\x7f\xff\xff\xfe"))
	f.Add([]byte("\x00ABCDEFGHIJKLMNOP\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\xfc\x01\x01\x28\x5f\x01\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []binlog.Type{binlog.TypeIntvar, binlog.TypeRand, binlog.TypeUserVar, binlog.TypeGTID, binlog.TypeGTIDTagged} {
			_, _ = seeBody(kind, body) // must not panic
		}
	})
}
