package binlog

import "testing"

func TestVersionNumber(t *testing.T) {
	for text, want := range map[string]int{
		"8.0.36": 80036, "9.7.4-2": 90704, "10.11.19-MariaDB-0+deb12u1-log": 101119, "5.7.44-log": 50744, "5.5.5-10.6.1-MariaDB-log": 100601,
		"8.0.36\x00\x00\x00": 80036, "": 0, "8": 0, "8.0": 0, "eight": 0, "8.x.1": 0, "8.0.100": 0,
	} {
		if got := VersionNumber(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
