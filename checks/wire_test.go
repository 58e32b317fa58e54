package checks

import (
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	for in, want := range map[string]string{
		"":           "-",
		"-":          "-", // the same as nothing: no name is a lone hyphen
		"db1.x:3306": "db1.x:3306",
		"a b":        "a%20b",
		"a\tb\n":     "a%09b%0A",
		"100%":       "100%25",
		"\x00\xff":   "%00%FF",
		"'$!\\":      "%27%24%21%5C",
		"ü":          "%C3%BC",
	} {
		if got := encode(in); got != want {
			t.Errorf("encode %q: %q, want %q", in, got, want)
		}
	}
	if got := encodeList([]string{"a,b", "c"}); got != "a%2Cb,c" {
		t.Errorf("list %q", got)
	}
	for _, bad := range []string{"%", "%2", "%2G", "%G2", "%2f", "a%"} {
		if text, ok := decode(bad); ok {
			t.Errorf("decode %q: %q", bad, text)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a b\x00%\xff'")
	f.Fuzz(func(t *testing.T, s string) {
		e := encode(s)
		if strings.Trim(e, safeBytes+"%") != "" {
			t.Fatalf("encode %q: %q holds what is not safe", s, e)
		}
		if back, ok := decode(e); !ok || back != s && s != "" {
			t.Fatalf("decode %q: %q, want %q", e, back, s)
		}
	})
}

// What decodes never needs more room than it came in, and encodes back to the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add("%41%zz")
	f.Fuzz(func(t *testing.T, s string) {
		text, ok := decode(s)
		if !ok {
			return
		}
		if len(text) > len(s) {
			t.Fatalf("decode %q: %q", s, text)
		}
		if back, ok := decode(encode(text)); text != "" && (!ok || back != text) {
			t.Fatalf("decode %q: %q, and back %q", s, text, back)
		}
	})
}
