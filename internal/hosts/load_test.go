package hosts

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestBadFiles compares every error of every file in testdata/bad, in full, with the text beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 20 {
		t.Fatalf("testdata/bad has %d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			inv, err := Load(file)
			if err == nil || inv != nil {
				t.Fatalf("Load gave %v, %v; want an error and no inventory", inv, err)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".toml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestShippedFile reads the example that the repository ships.
func TestShippedFile(t *testing.T) {
	inv, err := Load("../../hosts.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := builtinDefaults()
	want.User = "ops"
	if d := cmp.Diff(want, inv.Defaults); d != "" {
		t.Errorf("defaults: the file says that these are the built-in ones:\n%s", d)
	}
	if d := cmp.Diff(shippedCritical(), inv.Critical); d != "" {
		t.Errorf("critical: the file says that these are the built-in ones:\n%s", d)
	}
	users := Cluster{Name: "users", Hosts: []string{"db1", "db2", "db3"}, Primary: "db1", Replicas: []string{"db2", "db3"}, MinReplicas: 1}
	if d := cmp.Diff(users, inv.Clusters["users"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"db1", "db2", "db3", "db4", "db5"}, inv.Groups["no_web"]); d != "" {
		t.Error(d)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	backup := Host{
		Name: "backup1", Address: "192.0.2.11", Port: 2222, User: "backup",
		IdentityFile: filepath.Join(home, ".ssh/id_backup"), KnownHosts: filepath.Join(dir, "known_hosts.backup"),
	}
	if d := cmp.Diff(backup, inv.Hosts["backup1"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Data{{Path: "/backup"}}, inv.Data); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Client{{User: "pmm"}, {User: "monitor"}}, inv.Clients); d != "" {
		t.Error(d)
	}
	if len(inv.Commands) != 4 {
		t.Fatalf("commands: %+v", inv.Commands)
	}
	first := inv.Commands[0]
	if first.Match != "perform_upgrade **" || first.Class != "destructive" || first.Origin != "../../hosts.toml:"+lineOf(t, "../../hosts.toml", "perform_upgrade") {
		t.Errorf("first command: %+v", first)
	}
}

// lineOf gives the line before the first that holds word: that of its [[command]].
func lineOf(t *testing.T, file, word string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), word)
	return fmt.Sprint(strings.Count(before, "\n"))
}

func TestLoadNothing(t *testing.T) {
	inv, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(inv.Defaults, builtinDefaults()) || len(inv.Critical) != 5 || len(inv.Hosts) != 0 {
		t.Errorf("%+v", inv)
	}
	if names, err := inv.Expand("@all"); err == nil {
		t.Errorf("@all of nothing is %q, want an error", names)
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing.toml"), dir} {
		if inv, err := Load(path); err == nil {
			t.Errorf("Load(%q) = %+v, want an error", path, inv)
		}
	}
	big := filepath.Join(dir, "big.toml")
	if err := os.WriteFile(big, []byte(strings.Repeat("# fill\n", maxFileBytes/7+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "more than 16 MB") {
		t.Errorf("a file over the bound: %v", err)
	}
}

// TestLoadLarge reads 10 MB. What we add to the library's decoding is linear: twice its time when measured.
func TestLoadLarge(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < 10<<20; i++ {
		fmt.Fprintf(&b, "[hosts.db%06d]\naddress = \"10.%d.%d.%d\"\nuser = \"ops\"\nmysql_defaults_file = \"/etc/mysql/interlock.cnf\"\n\n", i, i>>16, i>>8&255, i&255)
	}
	begin := time.Now()
	if _, err := toml.Decode(b.String(), &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	decode := time.Since(begin)
	begin = time.Now()
	inv, err := parse("big.toml", b.String())
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	t.Logf("%d hosts in %v, of which the library's part is about %v", len(inv.Hosts), took, decode)
	const most = 20 // a square term would make it thousands
	if took > most*decode {
		t.Errorf("%v, more than %d times the library's %v", took, most, decode)
	}
}

// TestLoadEncodings reads what editors on other systems write.
func TestLoadEncodings(t *testing.T) {
	const text = "[groups]\nweb = [\"app1\"]\n[[command]]\nmatch = \"x\"\nclass = \"routine\"\n"
	for name, file := range map[string]string{
		"plain": text,
		"bom":   "\ufeff" + text,
		"crlf":  strings.ReplaceAll(text, "\n", "\r\n"),
		"both":  "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		inv, err := parse("f.toml", file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := inv.Groups["web"]; !reflect.DeepEqual(got, []string{"app1"}) {
			t.Errorf("%s: web = %q", name, got)
		}
		if got := inv.Commands[0].Origin; got != "f.toml:3" {
			t.Errorf("%s: origin %s", name, got)
		}
	}
}

// TestInlineStyles reads the same inventory in TOML's other spellings.
func TestInlineStyles(t *testing.T) {
	for name, text := range map[string]string{
		"dotted": "hosts.db1.address = \"10.0.0.1\"\ncommand = [{match = \"x\", class = \"routine\"}]\n",
		"inline": "hosts = {db1 = {address = '10.0.0.1'}}\ncommand = [\n  {match = 'x', class = 'routine'}, # one\n]\n",
		"nested": "[[command]]\nmatch = \"x\"\nclass = \"routine\"\n[hosts . 'db1']\n\"addr\\u0065ss\" = \"10.0.0.1\"\n",
		"quoted": "[hosts.\"db1\"]\n\"address\" = \"10.0.0.1\"\n[[command]]\nmatch = \"\"\"x\"\"\"\nclass = '''routine'''\n",
	} {
		inv, err := parse("f.toml", text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if inv.Hosts["db1"].Address != "10.0.0.1" || len(inv.Commands) != 1 || inv.Commands[0].Class != "routine" {
			t.Errorf("%s: %+v", name, inv)
		}
	}
}

func TestFind(t *testing.T) {
	home, work := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Chdir(work)
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(explicit, path string) {
		t.Helper()
		if got, err := Find(explicit); err != nil || got != path {
			t.Errorf("Find(%q) = %q, %v; want %q", explicit, got, err, path)
		}
	}
	if _, err := os.Stat("/etc/interlock/hosts.toml"); err != nil {
		want("", "")
	}
	own := filepath.Join(home, ".config/interlock/hosts.toml")
	write(own)
	want("", own)
	write(filepath.Join(work, "hosts.toml"))
	want("", "hosts.toml")
	want(own, own)
	if got, err := Find(filepath.Join(work, "missing.toml")); err == nil {
		t.Errorf("an explicit file that is missing gave %q", got)
	}
	if err := os.Remove(filepath.Join(work, "hosts.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(work, "hosts.toml")); err != nil {
		t.Fatal(err)
	}
	want("", "hosts.toml") // Load then says that it leads nowhere
	blocked := filepath.Join(work, "file")
	write(blocked)
	if got, err := firstThere([]string{filepath.Join(blocked, "hosts.toml")}); err == nil {
		t.Errorf("a place that cannot be looked at gave %q and no error", got)
	}
}

func TestKey(t *testing.T) {
	inv := mustParse(t, "[hosts.db1]\n[groups]\nFrontEnd = [\"app1\"]\n[clusters.users]\nhosts = [\"db2\"]\n")
	for _, word := range []string{"hwclass", "lifecycle", "GROUP", "Cluster", "hosts", "role", "max_lag", "max-lag", "frontend", "FRONTEND", "USERS", "db1", "DB2", "app1", "state"} {
		if !inv.Key(word) {
			t.Errorf("Key(%q) = false", word)
		}
	}
	for _, word := range []string{"", "DEBIAN_FRONTEND", "LC_ALL", "PATH", "db3", "user s"} {
		if inv.Key(word) {
			t.Errorf("Key(%q) = true", word)
		}
	}
}

func TestMembers(t *testing.T) {
	inv := mustParse(t, `
[hosts.DB1]
address = "10.0.0.1"
[hosts.db2]
address = "2001:DB8:0::2"
[clusters.users]
hosts = ["db[1-3]"]
primary = "db1"
[clusters.audit]
hosts = ["db3", "db1"]
`)
	for host, want := range map[string][]string{
		"DB1": {"audit", "users"}, "db1": {"audit", "users"}, "root@db1": {"audit", "users"}, "db1.": {"audit", "users"},
		"10.0.0.1": {"audit", "users"}, "2001:db8::2": {"users"}, "db3": {"audit", "users"}, "db4": nil,
	} {
		if got := inv.ClusterOf(host); !reflect.DeepEqual(got, want) {
			t.Errorf("ClusterOf(%q) = %q, want %q", host, got, want)
		}
	}
	if got := inv.Clusters["users"]; got.Primary != "DB1" || got.Hosts[0] != "DB1" {
		t.Errorf("users is spelled %+v, want DB1 as in [hosts]", got)
	}
	if h, ok := inv.Lookup("root@db1"); !ok || h.Address != "10.0.0.1" {
		t.Errorf("Lookup(root@db1) = %+v, %v", h, ok)
	}
	if h, ok := inv.Lookup("db3"); ok {
		t.Errorf("Lookup(db3) = %+v, but nothing is said of it", h)
	}
}

func mustParse(t testing.TB, text string) *Inventory {
	t.Helper()
	inv, err := parse("hosts.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// checkIndex fails when the index misses a key or an element of a decoded text, or finds it elsewhere.
func checkIndex(t *testing.T, ix *index, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			p := child(path, key)
			off, ok := ix.keys[p]
			if !ok {
				t.Fatalf("key %q is not in the index of\n%s", p, ix.text)
			}
			s := &scanner{ix: ix, text: ix.text, off: off}
			if parts, _ := s.dottedKey(); len(parts) == 0 || parts[0] != key {
				t.Fatalf("key %q is said to be at %d, where %q is, of\n%s", p, off, parts, ix.text)
			}
			checkIndex(t, ix, p, value)
		}
	case []map[string]any:
		for i, value := range v {
			checkIndex(t, ix, child(path, strconv.Itoa(i)), value)
		}
	case []any:
		for i, value := range v {
			p := child(path, strconv.Itoa(i))
			if _, ok := ix.values[p]; !ok {
				t.Fatalf("element %q is not in the index of\n%s", p, ix.text)
			}
			checkIndex(t, ix, p, value)
		}
	}
}

// FuzzParse holds that every key is found where it stands, that no text makes the loader panic, and that every error has a place within the text.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../../hosts.toml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "^") || len(text) > 1<<11 {
			return // ^file reads files
		}
		l := &loader{}
		l.start("f.toml", text)
		root := l.decode()
		if !l.syntax {
			l.root(root)
			l.resolve()
		}
		if !l.syntax && len(l.ix.dups) == 0 {
			checkIndex(t, l.ix, "", root)
		}
		lines := 1 + strings.Count(text, "\n")
		for _, e := range l.errs {
			if e.Line < 1 || e.Line > lines || e.Col < 1 || e.Col > len(text)+1 || e.Text == "" {
				t.Errorf("error out of the text: %v", e)
			}
		}
		if l.syntax && len(l.errs) == 0 {
			t.Error("a text without a meaning has no error")
		}
	})
}
