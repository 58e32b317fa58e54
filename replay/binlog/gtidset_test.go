package binlog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// model is a GTIDSet as simple as it can be.
type model map[GTID]bool

func (m model) set() *GTIDSet {
	s := &GTIDSet{}
	for g := range m { // in any order
		s.Add(g)
	}
	return s
}

// randomModel has two UUIDs and two tags, and numbers up to 20, so that runs grow together and break.
func randomModel(r *rand.Rand) model {
	m := model{}
	for range r.IntN(40) {
		g := GTID{Flavor: MySQL, Number: 1 + r.Uint64N(20)}
		g.SID[15] = byte(r.IntN(2))
		g.Tag = []string{"", "t"}[r.IntN(2)]
		m[g] = true
	}
	return m
}

func TestGTIDSetAgainstMaps(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		a, b := randomModel(r), randomModel(r)
		sa, sb := a.set(), b.set()
		minus, both, union := model{}, model{}, maps.Clone(a)
		maps.Copy(union, b)
		subset := true
		for g := range a {
			if b[g] {
				both[g] = true
			} else {
				minus[g], subset = true, false
			}
			if !sa.Contains(g) {
				t.Fatalf("%s does not contain %s", sa, g)
			}
		}
		sum := sa.Clone()
		sum.AddSet(sb)
		for what, pair := range map[string][2]*GTIDSet{
			"minus": {sa.Minus(sb), minus.set()}, "intersection": {sa.Intersect(sb), both.set()}, "union": {sum, union.set()},
		} {
			if !pair[0].Equal(pair[1]) || pair[0].String() != pair[1].String() {
				t.Fatalf("%s of %s and %s is %s, want %s", what, sa, sb, pair[0], pair[1])
			}
		}
		if sb.ContainsSet(sa) != subset {
			t.Fatalf("%s in %s: %v", sa, sb, !subset)
		}
		if int(sa.count()) != len(a) || sa.Empty() != (len(a) == 0) {
			t.Fatalf("%s has %d, want %d", sa, sa.count(), len(a))
		}
		again, err := ParseGTIDSet(MySQL, sa.String())
		if err != nil || !again.Equal(sa) {
			t.Fatalf("%s read again is %s, %v", sa, again, err)
		}
	}
}

func TestGTIDText(t *testing.T) {
	for _, text := range []string{
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:23", "3e11fa47-71ca-11e1-9e33-c80aa9429562:tag_1:23", "0-1-2", "4294967295-4294967295-18446744073709551615",
	} {
		g, err := ParseGTID(text)
		if err != nil || g.String() != text {
			t.Errorf("%q is %q, %v", text, g, err)
		}
	}
	for _, text := range []string{
		"", "1", "1-2", "1-2-3-4", "x-1-2", "4294967296-1-2", "3e11fa47-71ca-11e1-9e33-c80aa942956:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562:0",
		"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2", "3e11fa47-71ca-11e1-9e33-c80aa9429562:9223372036854775807", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1t:1",
	} {
		if g, err := ParseGTID(text); err == nil {
			t.Errorf("%q is %s, want an error", text, g)
		}
	}
	if (GTID{}).String() != "" {
		t.Error("an anonymous GTID has a name")
	}
}

func TestGTIDSetText(t *testing.T) {
	const a = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	for text, want := range map[string]string{
		"":                                       "",
		a + ":1-3:4":                             a + ":1-4",
		a + ":7:1-5":                             a + ":1-5:7",
		"3E11FA47-71CA-11E1-9E33-C80AA9429562:2": a + ":2",
		a + ":TAG:1":                             a + ":tag:1",
		a + ":tag:1, \n" + a + ":1":              a + ":1:tag:1",
		a + ":tag:1:b:2-3," + a + ":a:1":         a + ":a:1:b:2-3:tag:1",
	} {
		s, err := ParseGTIDSet(MySQL, text)
		if err != nil || s.String() != want {
			t.Errorf("%q is %q, %v, want %q", text, s, err, want)
		}
	}
	for _, text := range []string{a, a + ":", a + ":3-1", a + ":0", a + ":1-", a + ":t", a + ":t:u:1", "x:1", a + ":1-9223372036854775807"} {
		if s, err := ParseGTIDSet(MySQL, text); err == nil {
			t.Errorf("%q is %q, want an error", text, s)
		}
	}
}

func TestMariaDBPosition(t *testing.T) {
	s, err := ParseGTIDSet(MariaDB, "1-5-7,0-1-10")
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != "0-1-10,1-5-7" {
		t.Errorf("position is %s", s)
	}
	for text, want := range map[string]bool{"0-1-10": true, "0-9-3": true, "0-1-11": false, "1-5-8": false, "2-1-1": false} {
		g, err := ParseGTID(text)
		if err != nil {
			t.Fatal(err)
		}
		if s.Contains(g) != want {
			t.Errorf("%s in %s: %v", text, s, !want)
		}
	}
	g := GTID{Flavor: MariaDB, Domain: 0, Server: 2, Number: 9}
	s.Add(g) // an older one
	g.Number = 12
	s.Add(g)
	if s.String() != "0-2-12,1-5-7" {
		t.Errorf("position is %s", s)
	}
	if _, err := ParseGTIDSet(MariaDB, "0-1-1,0-2-2"); err == nil {
		t.Error("two GTIDs of one domain are accepted")
	}
	var none *GTIDSet
	if !none.Empty() || none.Contains(g) || !s.ContainsSet(none) || none.ContainsSet(s) || fmt.Sprint(none) != "" {
		t.Error("nil is not an empty set")
	}
}
