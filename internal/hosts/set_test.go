package hosts

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
)

const fleet = `
[hosts.DB1]
[hosts.spare1]
[groups]
web = ["app[01-03]"]
both = ["@web", "@users"]
[clusters.users]
hosts = ["db[1-3]"]
`

func TestExpand(t *testing.T) {
	inv := mustParse(t, fleet)
	t.Chdir(t.TempDir())
	writeFile(t, "list.txt", "\ufeff# hosts\r\ndb7, db8\r\n\n  @web!app02 # and these\nroot@x1\n")
	for _, c := range []struct{ set, want string }{
		{"db7", "db7"},
		{" db7 , db8 ", "db7 db8"},
		{"db7,db7,db8,db7", "db7 db8"},
		{"db[7-9]", "db7 db8 db9"},
		{"db[007-010]", "db007 db008 db009 db010"},
		{"db[09-11]", "db09 db10 db11"},
		{"db[99-101]", "db99 db100 db101"},
		{"db[08-100/46]", "db08 db54 db100"},
		{"db[1-9/2]", "DB1 db3 db5 db7 db9"},
		{"db[1-9/20]", "DB1"},
		{"db[0,00,000]", "db0 db00 db000"},
		{"db[5,007,9-10]x", "db5x db007x db9x db10x"},
		{"r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"},
		{"[1-2]a", "1a 2a"},
		{"999999999999999999", "999999999999999999"},
		{"x[999999999999999998-999999999999999999]", "x999999999999999998 x999999999999999999"},
		{"10.0.0.[8-10]", "10.0.0.8 10.0.0.9 10.0.0.10"},
		{"2001:db8::[9-10]", "2001:db8::9 2001:db8::10"},
		{"::1,0:0::1,::0001", "::1"},
		{"root@db7", "root@db7"},
		{"root@db[7-8]", "root@db7 root@db8"},
		{"a-b_c.example.com.", "a-b_c.example.com."},
		{"a.example,A.EXAMPLE,a.example.", "a.example"},
		{"@web", "app01 app02 app03"},
		{"@users", "DB1 db2 db3"},
		{"@both!@web", "DB1 db2 db3"},
		{"@both&@web", "app01 app02 app03"},
		{"@users!db1", "db2 db3"},
		{"@users!root@DB1", "db2 db3"},
		{"@users&root@db1", "DB1"},
		{"@users!db2,db2", "DB1 db3 db2"},
		{"db2,@users!db2", "DB1 db3"},
		{"db2,@users&db[2-9]", "db2 db3"},
		{"@all", "DB1 app01 app02 app03 db2 db3 spare1"},
		{"@all!@both", "spare1"},
		{"@users!db99", "DB1 db2 db3"},
		{"^list.txt", "db7 db8 app01 app03 root@x1"},
		{"db1,^list.txt!@web", "DB1 db7 db8 root@x1"},
	} {
		got, err := inv.Expand(c.set)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("Expand(%q) = %q, %v; want %q", c.set, got, err, c.want)
		}
	}
}

// TestExpandErrors holds the texts of a few and that all of them are errors; testdata/bad has the rest.
func TestExpandErrors(t *testing.T) {
	inv := mustParse(t, fleet)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "bad.txt"), "db1\ndb[2-\n")
	writeFile(t, filepath.Join(dir, "users.txt"), "root@db1\nops@db1\n")
	for _, c := range []struct{ set, want string }{
		{"", `expand hosts "": column 1: the set is empty; name hosts, or write @all`},
		{"@users!@users", `expand hosts "@users!@users": column 1: the set is empty: nothing is left of it; see what it takes away with ! and &`},
		{"db1,@userz", `expand hosts "db1,@userz": column 5: no group or cluster is called "userz"; there are both, users, web`},
		{"db1, db[3-1]", `expand hosts "db1, db[3-1]": column 9: range 3-1 runs backwards; write 1-3`},
		{"dıb1", `expand hosts "dıb1": column 2: 'ı' (U+0131) is not an ASCII letter; names are made of A-Z a-z 0-9 . _ : - (IDNs in their xn-- form)`},
		{"db1,root@db1", `expand hosts "db1,root@db1": column 5: DB1 and root@DB1 are one host under two users; name it once`},
		{"a\xff", `expand hosts "a\xff": column 2: byte 0xff is not UTF-8; names are ASCII`},
	} {
		got, err := inv.Expand(c.set)
		if err == nil || err.Error() != c.want {
			t.Errorf("Expand(%q) = %q, error\n%v, want\n%s", c.set, got, err, c.want)
		}
	}
	for _, set := range []string{
		" ", ",", "!", "db1,", ",db1", "db1,,db2", "!db1", "&db1", "@", "@@web", "@web@", "@all,@al", "web@", "@w eb",
		"all", "ALL", "root@all", "*", "db*", "db?", "db1 db2", "db1;reboot", "$(reboot)", "-oProxyCommand=x", "root@-x", "-l@x", "@-x",
		".", "..", "-", "_x", "a..b", "a/b", "a\x00b", "a\nb", "a\tb", "ＤＢ１", "db１", "db٣", "dbı", "dbİ", "ſdb", "\u212Aa", "а1",
		"[", "]", "db[", "db]", "db[]", "db[1", "db1]", "db[[1]]", "db[1-]", "db[-1]", "db[1--2]", "db[1-2-3]", "db[1,]", "db[,1]", "db[1 2]",
		"db[a-c]", "db[1-3/]", "db[1-3/0]", "db[3/1]", "db[1-3/-1]", "db[010-1]", "db[1-010]", "db[001-10]", "db[1-3/1/1]", "db[+1-3]", "db[1.0-2]", "db[٣-٤]",
		"db[1-100001]", "db[1-1000000000000000000]", "db[1-99999999999999999999999]", "db[1-1000][1-1000]", "a[1-60000],b[1-60000]",
		"[::1]", "[::1]:22", "db1:22", ":", "::g", "fe80::1%eth0", strings.Repeat("a", 254),
		"a@b@c", "a b@c", "@web!", "db1!!db2", "db1,&db2", "db1&db2", "db1!db1",
		"^", "^" + dir, "^" + filepath.Join(dir, "missing"), "^" + filepath.Join(dir, "bad.txt"), "^" + filepath.Join(dir, "users.txt"), "^^x",
	} {
		if got, err := inv.Expand(set); err == nil {
			t.Errorf("Expand(%q) = %q, want an error", set, got[:min(len(got), 10)])
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"", ""},
		{"db1", "db1"},
		{"db1 db2 db3", "db[1-3]"},
		{"db001 db002 db003 db007 app1", "db[001-003,007],app1"},
		{"db3 db1 db2 db1", "db[1-3]"},
		{"app1 db1 app2 db2", "app[1-2],db[1-2]"},
		{"db099 db100 db101", "db[099-101]"},
		{"db99 db100", "db[99-100]"},
		{"db1 db01 db001", "db1,db01,db001"},
		{"db8 db08 db9 db09 db10", "db[8-9],db[08-10]"},
		{"r1n1 r1n2 r2n1 r2n2", "r1n[1-2],r2n[1-2]"},
		{"db1.dc1 db2.dc1 db3.dc1", "db[1-3].dc1"},
		{"db1.dc1 db1.dc2 db2.dc1", "db1.dc[1-2],db2.dc1"},
		{"10.0.0.1 10.0.0.2 10.0.1.1", "10.0.0.[1-2],10.0.1.1"},
		{"root@db1 root@db2 db3", "root@db[1-2],db3"},
		{"u1@db u2@db", "u1@db,u2@db"},
		{"::1 ::2", "::1,::2"},
		{"db1 db[2] bad\x1bname2", "db1,db[2],bad\x1bname2"},
		{"db1234567890123456789 db1234567890123456780", "db1234567890123456789,db1234567890123456780"},
		{"db999999999999999998 db999999999999999999", "db[999999999999999998-999999999999999999]"},
	} {
		if got := Fold(strings.Fields(c.names)); got != c.want {
			t.Errorf("Fold(%s) = %s, want %s", c.names, got, c.want)
		}
	}
}

// TestFoldExpand folds random names, drawn so that padding, several numbers and users often meet, and
// expands them again.
func TestFoldExpand(t *testing.T) {
	inv, seed := &Inventory{}, rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	parts := []string{"0", "1", "2", "9", "10", "00", "01", "09", "99", "100", "099", "a", "b", "-", ".", "db", "n"}
	for range 20_000 {
		names := make([]string, 0, 12)
		for range 1 + r.IntN(12) {
			name := ""
			for range 1 + r.IntN(4) {
				name += parts[r.IntN(len(parts))]
			}
			if checkName(name) == nil {
				names = append(names, name)
			}
		}
		checkFold(t, inv, names)
	}
}

// FuzzFold holds Fold to the names that Expand gives for any set.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"db[001-003,007],app1", "root@db[1-2]", "r[1-2]n[1-2]", "db1,db01,db[8-11],db[08-11]", "2001:db8::[1-3]", "a.,A", "x[0-9/3]", "@web!db1&c", "db[9-1]"} {
		f.Add(s)
	}
	inv := &Inventory{}
	f.Fuzz(func(t *testing.T, set string) {
		if strings.Contains(set, "^") || len(set) > 200 {
			return // ^file reads files
		}
		names, err := inv.Expand(set)
		if err != nil {
			if names != nil {
				t.Errorf("Expand(%q) gives names with an error", set)
			}
			return
		}
		if len(names) == 0 {
			t.Fatalf("Expand(%q) gives nothing and no error", set)
		}
		for _, n := range names {
			user, host := SplitUser(n)
			if checkName(host) != nil || strings.HasPrefix(user, "-") || strings.HasPrefix(n, "-") {
				t.Errorf("Expand(%q) gives %q", set, n)
			}
		}
		checkFold(t, inv, names)
	})
}

// checkFold fails when folding and expanding names gives other names.
func checkFold(t *testing.T, inv *Inventory, names []string) {
	t.Helper()
	if len(names) == 0 {
		return
	}
	list := newHostList()
	if f := list.add(names); f != nil {
		return
	}
	names = list.names // each host once, as Expand gives them
	folded := Fold(names)
	got, err := inv.Expand(folded)
	if err != nil {
		t.Fatalf("Fold(%q) = %s, which is an error: %v", names, folded, err)
	}
	want := slices.Clone(names)
	sort.Strings(got)
	sort.Strings(want)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("Fold(%q) = %s, which is %q", names, folded, got)
	}
	if again := Fold(got); !sameWords(again, folded) {
		t.Fatalf("Fold of the same names in another order: %s and %s", folded, again)
	}
}

// sameWords tells whether two folded sets hold the same words in any order.
func sameWords(a, b string) bool {
	x, fx := split(a)
	y, fy := split(b)
	if fx != nil || fy != nil || len(x) != len(y) {
		return false
	}
	words := map[string]bool{}
	for _, o := range x {
		words[o.text] = true
	}
	for _, o := range y {
		if !words[o.text] {
			return false
		}
	}
	return true
}

func TestExpandLargest(t *testing.T) {
	inv := &Inventory{}
	names, err := inv.Expand("db[1-100000]")
	if err != nil || len(names) != 100_000 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	if got := Fold(names); got != "db[1-100000]" {
		t.Errorf("Fold gives %.80s", got)
	}
}

func TestNaturalOrder(t *testing.T) {
	want := []string{"a", "a1", "a1b", "a01", "a2", "a10", "b", "db2.dc1", "db2.dc10", "db10.dc1"}
	got := slices.Clone(want)
	rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
	slices.SortFunc(got, Compare)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
