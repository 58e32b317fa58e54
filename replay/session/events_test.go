package session

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

var testFormat = &binlog.Format{Flavor: binlog.MySQL, ServerVersion: "9.7.4"}

// seeBody lets a fresh session of MySQL see one event.
func seeBody(kind binlog.Type, body []byte) (*State, error) {
	s := New(binlog.MySQL, "9.7.4")
	ev := &binlog.Event{Header: binlog.Header{Type: kind}, Body: body}
	return s, s.See(testFormat, ev)
}

// userVar is the body of a USER_VAR event.
func userVar(name string, kind byte, charset uint32, value string, flags ...byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)))
	b = append(b, name...)
	b = append(b, 0, kind)
	b = binary.LittleEndian.AppendUint32(b, charset)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return append(append(b, value...), flags...)
}

func little(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }

func TestOneStatementSettings(t *testing.T) {
	for _, test := range []struct {
		title string
		kind  binlog.Type
		body  []byte
		want  string
	}{
		{"INSERT_ID", binlog.TypeIntvar, []byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff"), "SET INSERT_ID=18446744073709551615"},
		{"LAST_INSERT_ID", binlog.TypeIntvar, []byte("\x01\x07\x00\x00\x00\x00\x00\x00\x00"), "SET LAST_INSERT_ID=7"},
		{"RAND", binlog.TypeRand, []byte(little(1) + little(2)), "SET @@RAND_SEED1=1, @@RAND_SEED2=2"},
		{"NULL", binlog.TypeUserVar, []byte("\x01\x00\x00\x00a\x01"), "SET @`a`:=NULL"},
		{"name in backticks", binlog.TypeUserVar, []byte("\x03\x00\x00\x00a`b\x01"), "SET @`a``b`:=NULL"},
		{"string", binlog.TypeUserVar, userVar("a", stringResult, 255, "it's\x00"), "SET @`a`:=_utf8mb4 X'6974277300' COLLATE `utf8mb4_0900_ai_ci`"},
		{"empty string", binlog.TypeUserVar, userVar("a", stringResult, 33, ""), "SET @`a`:=_utf8mb3 X'' COLLATE `utf8mb3_general_ci`"},
		{"binary string", binlog.TypeUserVar, userVar("a", stringResult, 63, "\xff"), "SET @`a`:=_binary X'FF' COLLATE `binary`"},
		{"real", binlog.TypeUserVar, userVar("a", realResult, 8, little(math.Float64bits(1.5))), "SET @`a`:=1.5e+00"},
		{"real of 17 digits", binlog.TypeUserVar, userVar("a", realResult, 8, little(math.Float64bits(0.30000000000000004))), "SET @`a`:=3.0000000000000004e-01"},
		{"negative integer", binlog.TypeUserVar, userVar("a", intResult, 8, little(1<<63), 0), "SET @`a`:=-9223372036854775808"},
		{"unsigned integer", binlog.TypeUserVar, userVar("a", intResult, 8, little(5), 1), "SET @`a`:=CAST(5 AS UNSIGNED)"},
		{"large unsigned integer", binlog.TypeUserVar, userVar("a", intResult, 8, little(math.MaxUint64), 1), "SET @`a`:=18446744073709551615"},
		{"decimal", binlog.TypeUserVar, userVar("a", decimalResult, 8, "\x09\x04\x80\x30\x39\x1a\x85"), "SET @`a`:=12345.6789"},
		{"small negative decimal", binlog.TypeUserVar, userVar("a", decimalResult, 8, "\x07\x06\x7f\xff\xff\xfe"), "SET @`a`:=-0.000001"},
		{"decimal zero", binlog.TypeUserVar, userVar("a", decimalResult, 8, "\x02\x01\x80\x00"), "SET @`a`:=0.0"},
		{"MySQL 5.7 GTID", binlog.TypeGTID, make([]byte, 42), ""},
		{"GTID of an intermediate source", binlog.TypeGTID, append(make([]byte, 42), "\x01\x00\x00\x00\x00\x00\x80\x02\x00\x00\x00\x00\x00\x00\xfc\x01\x01\x50\x62\x01\x80\x68\xc4\x00\x00"...),
			"SET @@session.original_commit_timestamp=2, @@session.original_server_version=50280, @@session.immediate_server_version=90704"},
	} {
		t.Run(test.title, func(t *testing.T) {
			s, err := seeBody(test.kind, test.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := join(s.once); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestEventsRefused(t *testing.T) {
	for _, test := range []struct {
		title string
		kind  binlog.Type
		body  []byte
		want  string
	}{
		{"cut INTVAR", binlog.TypeIntvar, []byte("\x02\x01"), "the event is cut"},
		{"unknown INTVAR", binlog.TypeIntvar, []byte("\x03\x01\x00\x00\x00\x00\x00\x00\x00"), "INTVAR of type 3"},
		{"cut RAND", binlog.TypeRand, []byte("123456789"), "the event is cut"},
		{"user variable without a name", binlog.TypeUserVar, []byte("\x00\x00\x00\x00\x01"), "the event is cut"},
		{"user variable longer than the event", binlog.TypeUserVar, []byte("\xff\xff\xff\xffa\x01"), "the event is cut"},
		{"cut value", binlog.TypeUserVar, userVar("a", stringResult, 33, "abc")[:16], "the event is cut"},
		{"unknown collation", binlog.TypeUserVar, userVar("a", stringResult, 9999, "abc"), "collation 9999 is not known"},
		{"row", binlog.TypeUserVar, userVar("a", 3, 33, "abc"), "type 3 is not known"},
		{"infinite real", binlog.TypeUserVar, userVar("a", realResult, 8, little(math.Float64bits(math.Inf(1)))), "is none"},
		{"decimal with more scale than precision", binlog.TypeUserVar, userVar("a", decimalResult, 8, "\x02\x03\x80"), "DECIMAL(2,3) is none"},
		{"cut decimal", binlog.TypeUserVar, userVar("a", decimalResult, 8, "\x09\x04\x80\x30"), "the event is cut"},
		{"cut GTID", binlog.TypeGTID, make([]byte, 45), "the event is cut"},
		{"cut GTID with a tag", binlog.TypeGTIDTagged, []byte("\x02\x01"), "read GTID with tag"},
		{"LOAD DATA", binlog.TypeExecuteLoadQuery, nil, "LOAD DATA as a statement cannot be replayed"},
	} {
		t.Run(test.title, func(t *testing.T) {
			if _, err := seeBody(test.kind, test.body); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Names that the target's version does not have yet are not used.
func TestCollationNames(t *testing.T) {
	for _, test := range []struct {
		flavor  binlog.Flavor
		version string
		id      uint32
		want    collation
	}{
		{binlog.MySQL, "9.7.4", 33, collation{"utf8mb3", "utf8mb3_general_ci"}},
		{binlog.MySQL, "8.0.29", 33, collation{"utf8", "utf8_general_ci"}},
		{binlog.MySQL, "5.7.44", 45, collation{"utf8mb4", "utf8mb4_general_ci"}},
		{binlog.MariaDB, "10.5.29-MariaDB", 33, collation{"utf8", "utf8_general_ci"}},
		{binlog.MariaDB, "10.11.6-MariaDB", 2304, collation{"utf8mb4", "utf8mb4_uca1400_ai_ci"}},
	} {
		if got, _ := New(test.flavor, test.version).collation(test.id); got != test.want {
			t.Errorf("%d on %s is %v, want %v", test.id, test.version, got, test.want)
		}
	}
}
