package policy

import (
	"fmt"
	"strings"
	"testing"
)

// u is a server's uuid that ends in a digit.
func u(n int) string { return fmt.Sprintf("3e11fa47-71ca-11e1-9e33-c80aa942956%d", n) }

// gtids replaces U1, U2, … by uuids.
func gtids(text string) string {
	for n := range 10 {
		text = strings.ReplaceAll(text, fmt.Sprintf("U%d", n), u(n))
	}
	return text
}

func mustGTIDs(t testing.TB, text string) GTIDs {
	t.Helper()
	g, err := ParseGTIDs(gtids(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return g
}

func TestParseGTIDs(t *testing.T) {
	for text, want := range map[string]string{
		"U1:1-5":                       "U1:1-5",
		"U1:5":                         "U1:5",
		"U1:1-5:7":                     "U1:1-5:7",
		"U1:7:1-5:6":                   "U1:1-7",
		"U1:1-3:2-9":                   "U1:1-9",
		"U2:1,\nU1:1-2":                "U1:1-2,U2:1",
		"U1:1,U1:2":                    "U1:1-2",
		"U1:1-2:blue:1-3:9:red:4":      "U1:1-2,U1:blue:1-3:9,U1:red:4",
		"U1:Blue:1-3":                  "U1:blue:1-3",
		"U1:9223372036854775806":       "U1:9223372036854775806",
		strings.ToUpper(u(1)) + ":1-2": "U1:1-2",
		"0-1-5":                        "0-1-5",
		"1-22-7, 0-1-5":                "0-1-5,1-22-7",
	} {
		g, err := ParseGTIDs(gtids(text))
		if err != nil || g.String() != gtids(want) {
			t.Errorf("%q: %v, %v, want %s", text, g, err, want)
		}
	}
	for _, text := range []string{
		"", " \n", "U1", "U1:", "U1:0", "U1:5-4", "U1:1-", "U1:-5", "U1:1-5:", "U1:1-5,", ",U1:1", "U1:+5", "U1:1-2-3", "U1:blue", "U1:blue:",
		"U1:1:blue", "U1:blue:red:1", "U1:9223372036854775807", "U1:99999999999999999999", "3e11fa47:1-5", "x" + "U1:1", "U1:1;U2:1", "0-1", "0-1-5-6", "0-1-x",
		"0-1-5,0-2-6", "4294967296-1-1", "-1-1-1", "0-1-5,U1:1", "U1:1,0-1-5",
		"U1:1-5,cut", "0-1-5,cut", "U1:1-5:cut",
	} {
		if g, err := ParseGTIDs(gtids(text)); err == nil || g.known() {
			t.Errorf("%.60q is taken for %v", text, g)
		}
	}
}

func TestContains(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
		lack string // what b has and a lacks
	}{
		{"U1:1-5", "U1:1-5", true, ""},
		{"U1:1-6", "U1:1-5", true, ""},
		{"U1:1-5", "U1:1-6", false, "U1:6"},
		{"U1:1-5", "U1:2-4", true, ""},
		{"U1:1-3:5-9", "U1:1-9", false, "U1:4"},
		{"U1:2-3:5:7", "U1:1-9", false, "U1:1:4:6:8-9"},
		{"U1:1-9", "U1:1-3:5-9", true, ""},
		{"U1:1-9", "U2:1", false, "U2:1"},
		{"U1:1-9,U2:1-3", "U2:1-2", true, ""},
		{"U1:1-9", "U1:1-9,U2:4", false, "U2:4"},
		{"U1:1-9", "U1:blue:1", false, "U1:blue:1"},
		{"U1:blue:1-9", "U1:1", false, "U1:1"},
		{"U1:1-2:blue:1-9", "U1:blue:3:1", true, ""},
		{"0-1-5", "0-1-5", true, ""},
		{"0-1-6", "0-1-5", true, ""},
		{"0-1-5", "0-1-6", false, "0-1-6"},
		{"0-2-5", "0-1-5", false, "0-1-5"}, // parted
		{"0-2-6", "0-1-5", true, ""},       // a new primary went on
		{"0-1-5,1-1-9", "1-1-9", true, ""},
		{"0-1-5", "0-1-5,1-1-9", false, "1-1-9"},
		{"0-1-5", "U1:1", false, "U1:1"},
		{"U1:1", "0-1-5", false, "0-1-5"},
	} {
		a, b := mustGTIDs(t, tt.a), mustGTIDs(t, tt.b)
		if got := a.Contains(b); got != tt.want {
			t.Errorf("%s contains %s: %v", tt.a, tt.b, got)
		}
		if got := b.Minus(a).String(); got != gtids(tt.lack) {
			t.Errorf("%s lacks %q of %s, want %s", tt.a, got, tt.b, tt.lack)
		}
	}
	some := mustGTIDs(t, "U1:1-5")
	if some.Contains(GTIDs{}) || (GTIDs{}).Contains(some) || (GTIDs{}).Contains(GTIDs{}) {
		t.Error("a set that is not known contains, or is contained")
	}
}

func TestWrittenBy(t *testing.T) {
	if got := mustGTIDs(t, "U1:1-5,U2:3:blue:4").writtenBy(strings.ToUpper(u(2)), "9").String(); got != gtids("U2:3,U2:blue:4") {
		t.Error(got)
	}
	if got := mustGTIDs(t, "0-1-5,1-2-7").writtenBy("", "2").String(); got != "1-2-7" {
		t.Error(got)
	}
}

// FuzzGTIDs holds containment to its meaning, number by number, and the text to itself.
func FuzzGTIDs(f *testing.F) {
	for _, seed := range [][2]string{
		{"U1:1-5", "U1:1-6"}, {"U1:1-3:5-9,U2:7", "U1:2:4"}, {"U1:1-2:blue:1-3", "U1:blue:2"}, {"0-1-5,1-2-7", "0-1-4"}, {"0-1-5", "0-2-5"}, {"U1:1-", ""},
	} {
		f.Add(gtids(seed[0]), gtids(seed[1]))
	}
	f.Fuzz(func(t *testing.T, textA, textB string) {
		a, errA := ParseGTIDs(textA)
		b, errB := ParseGTIDs(textB)
		if errA != nil || errB != nil {
			if a.Contains(b) || b.Contains(a) {
				t.Fatalf("%q and %q: one is no set, and yet contained", textA, textB)
			}
			return
		}
		for _, g := range []GTIDs{a, b} {
			again, err := ParseGTIDs(g.String())
			if err != nil || again.String() != g.String() || !again.Contains(g) || !g.Contains(again) {
				t.Fatalf("%q becomes %q, %v", g, again, err)
			}
		}
		if a.Contains(b) != inside(b, a) {
			t.Fatalf("%q contains %q: %v", a, b, a.Contains(b))
		}
		if both := a.With(b); (a.sources == nil) == (b.sources == nil) && a.domains == nil && (!both.Contains(a) || !both.Contains(b)) {
			t.Fatalf("%q does not contain %q and %q", both, a, b)
		}
	})
}

// inside is containment by another way: each range's ends and the numbers beside every range's ends are
// looked up one by one.
func inside(small, big GTIDs) bool {
	if (small.sources == nil) != (big.sources == nil) {
		return false
	}
	has := func(key string, n int64) bool {
		for _, r := range big.sources[key] {
			if r.first <= n && n <= r.last {
				return true
			}
		}
		return false
	}
	for key, ranges := range small.sources {
		for _, r := range ranges {
			points := []int64{r.first, r.last}
			for _, other := range big.sources[key] {
				points = append(points, other.first-1, other.last+1)
			}
			for _, n := range points {
				if r.first <= n && n <= r.last && !has(key, n) {
					return false
				}
			}
		}
	}
	for domain, pos := range small.domains {
		at, ok := big.domains[domain]
		if !ok || at.sequence < pos.sequence || at.sequence == pos.sequence && at.server != pos.server {
			return false
		}
	}
	return true
}
