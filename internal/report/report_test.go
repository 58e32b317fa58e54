package report

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func join(hosts []string) string { return strings.Join(hosts, "+") }

func sample() *Table {
	return &Table{
		Columns: []Column{{Title: "HOST"}, {Title: "STATE"}, {Title: "LAG", Right: true}, {Title: "WHY"}},
		Rows: []Row{
			{{Text: "db[1-3]"}, {Text: "primary", Tone: Bad}, {}, {Text: "no source and 2 replicas, 14 clients, 3 writes in the last second"}},
			{{Text: "db4"}, {Text: "replica", Tone: Warn}, {Text: "412s"}, {Text: "receives from db1"}},
			{{Text: "データ1"}, {Text: "clear", Tone: Good}, {Text: "0s"}},
			{{Text: "caf\u0065\u0301"}, {Text: "unknown", Tone: Bad}, {Text: "?"}, {Text: "said \x1b[2J\x07 and \u202e and \xff, then\nmore"}},
			{{Text: "a-host-with-a-long-name.eu-west-1.example.com"}, {Text: "idle"}, {Text: "1s"}, {Text: "x"}},
		},
	}
}

func TestTable(t *testing.T) {
	for name, s := range map[string]Style{
		"table.txt":        {},
		"table-80.txt":     {Width: 80, Terminal: true},
		"table-40.txt":     {Width: 40, Terminal: true},
		"table-1.txt":      {Width: 1, Terminal: true},
		"table-colour.txt": {Color: true},
	} {
		var b strings.Builder
		if err := sample().Write(&b, s); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
		for _, line := range strings.Split(b.String(), "\n") {
			if s.Width >= 40 && Width(line) > s.Width {
				t.Errorf("%s: %d columns: %s", name, Width(line), line)
			}
			if plain := strings.NewReplacer("\x1b[2m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", reset, "").Replace(line); strings.ContainsAny(plain, "\x1b\x07\u202e") {
				t.Errorf("%s: a control character reached the terminal: %q", name, line)
			}
		}
	}
	var b strings.Builder
	if err := (&Table{Columns: []Column{{Title: "HOST"}}}).Write(&b, Style{}); err != nil || b.Len() > 0 {
		t.Errorf("a table without rows wrote %q, %v", b.String(), err)
	}
}

// failing is a pipe whose reader has gone.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWriteErrors(t *testing.T) {
	if err := sample().Write(failing{}, Style{}); err == nil {
		t.Error("Table.Write gave no error")
	}
	if err := GroupOutputs(failing{}, []Output{{Host: "db1", Text: "x"}}, join, Style{}); err == nil {
		t.Error("GroupOutputs gave no error")
	}
}

func TestFoldRows(t *testing.T) {
	rows := []Row{
		{{Text: "db1"}, {Text: "clear"}},
		{{Text: "db2"}, {Text: "primary"}},
		{{Text: "db3"}, {Text: "clear"}},
		{{Text: "db4"}, {Text: "clear", Tone: Good}},
		{{Text: "db5"}, {Text: "cl"}, {Text: "ear"}},
		{},
	}
	want := []Row{
		{{Text: "db1+db3"}, {Text: "clear"}},
		{{Text: "db2"}, {Text: "primary"}},
		{{Text: "db4"}, {Text: "clear", Tone: Good}},
		{{Text: "db5"}, {Text: "cl"}, {Text: "ear"}},
		{},
	}
	if d := cmp.Diff(want, FoldRows(rows, 0, join)); d != "" {
		t.Error(d)
	}
	if rows[0][0].Text != "db1" {
		t.Error("FoldRows changed its argument")
	}
}

func TestGroupOutputs(t *testing.T) {
	outputs := []Output{
		{Host: "db1", Text: "up 3 days\n"},
		{Host: "db2", Text: "up 3 days\n"},
		{Host: "db3", Text: "up 3 days"},
		{Host: "db4", Text: "up 3 days\n", Note: "exit 3", Tone: Bad},
		{Host: "db5"},
		{Host: "db6", Text: "a\tb\r\n\x1b[31mred\rover\n"},
		{Host: "db7", Text: "up 3 days\n"},
	}
	for name, s := range map[string]Style{"groups.txt": {}, "groups-terminal.txt": {Terminal: true, Color: true}} {
		var b strings.Builder
		if err := GroupOutputs(&b, outputs, join, s); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

// clock is a time that stands still until it is told to move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestProgressOnTerminal(t *testing.T) {
	var b strings.Builder
	c := &clock{time.Unix(0, 0)}
	p := newProgress(&b, true, 12, c.now)
	step := func(want string) {
		t.Helper()
		if b.String() != want {
			t.Errorf("wrote %q, want %q", b.String(), want)
		}
		b.Reset()
	}
	p.Set("1 of 3")
	step("\r1 of 3\x1b[K")
	p.Set("2 of 3")
	step("") // too soon
	c.t = c.t.Add(99 * time.Millisecond)
	p.Tick()
	step("")
	c.t = c.t.Add(time.Millisecond)
	p.Tick()
	step("\r2 of 3\x1b[K")
	c.t = c.t.Add(time.Second)
	p.Tick()
	step("") // nothing new
	p.Println("db1: refused")
	step("\r\x1b[Kdb1: refused\n\r2 of 3\x1b[K")
	c.t = c.t.Add(time.Second)
	p.Set("a line of\x1b[2J too many columns")
	step("\ra line of\\…\x1b[K")
	p.Done()
	step("\r\x1b[K")
	p.Done()
	p.Tick()
	step("")
}

func TestProgressInLog(t *testing.T) {
	var b strings.Builder
	c := &clock{time.Unix(0, 0)}
	p := newProgress(&b, false, 0, c.now)
	for i := range 25 {
		p.Set("%d s", i)
		c.t = c.t.Add(time.Second)
	}
	p.Println("db1: refused")
	p.Done()
	if got, want := b.String(), "10 s\n20 s\ndb1: refused\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// TestProgressAtOnce is for the race detector, and holds that no drawing is torn by another.
func TestProgressAtOnce(t *testing.T) {
	var b strings.Builder // as good as a terminal: only one method may write at a time
	var tick atomic.Int64
	p := newProgress(&b, true, 80, func() time.Time { return time.Unix(tick.Add(1), 0) })
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 100 {
				p.Set("%d of 8", i)
				p.Tick()
				p.Println("a host")
			}
		})
	}
	group.Wait()
	p.Done()
	drawing := regexp.MustCompile(`^(\r\d of 8\x1b\[K|\r\x1b\[K|a host\n)+$`)
	if !drawing.MatchString(b.String()) || strings.Count(b.String(), "a host\n") != 800 {
		t.Errorf("torn: %.200q", b.String())
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Bytes(0), "0 B"},
		{Bytes(999), "999 B"},
		{Bytes(1000), "1.00 kB"},
		{Bytes(9_994), "9.99 kB"},
		{Bytes(9_996), "10.0 kB"},
		{Bytes(999_499), "999 kB"},
		{Bytes(999_500), "1.00 MB"},
		{Bytes(214_000_000), "214 MB"},
		{Bytes(math.MaxInt64), "9.22 EB"},
		{Bytes(-5), "-5 B"},
		{Rate(0), "0/s"},
		{Rate(0.25), "0.25/s"},
		{Rate(12.345), "12.3/s"},
		{Rate(340), "340/s"},
		{Rate(999.6), "1.00k/s"},
		{Rate(12_500), "12.5k/s"},
		{Rate(math.NaN()), "?/s"},
		{Rate(math.Inf(1)), "?/s"},
		{Count(0), "0"},
		{Count(999), "999"},
		{Count(1000), "1,000"},
		{Count(1234567), "1,234,567"},
		{Count(-1000), "-1,000"},
		{Count(-999), "-999"},
		{Duration(0), "0s"},
		{Duration(time.Microsecond), "<1ms"},
		{Duration(250 * time.Millisecond), "250ms"},
		{Duration(1250 * time.Millisecond), "1.2s"},
		{Duration(12900 * time.Millisecond), "12s"},
		{Duration(60 * time.Second), "1m"},
		{Duration(4*time.Minute + 30*time.Second), "4m30s"},
		{Duration(2*time.Hour + 5*time.Minute + 59*time.Second), "2h5m"},
		{Duration(76 * time.Hour), "3d4h"},
		{Duration(-90 * time.Second), "-1m30s"},
		{Duration(math.MinInt64), "-106751d23h"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "db1": 3, "e\u0301": 1, "日本": 4, "한국": 4, "\u1112\u1161\u11ab": 2, "ｄｂ": 4, "ﾃﾞ": 2, "🔥": 2, "𠀀": 2, "…": 1, "é": 1,
	} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	for s, want := range map[string]string{
		"plain é 日本":            "plain é 日本",
		"a\x00b\x1b[0m\x7f":     `a\x00b\x1b[0m\x7f`,
		"\u009b31m":             `\x9b31m`,
		"\x9b31m":               `\x9b31m`,
		"a\r\n\tb":              `a\r\n\tb`,
		"\u202etxt\u200b\ufeff": `\u202etxt\u200b\ufeff`,
		"\u2028":                `\u2028`,
		"\U000e0001":            `\U000e0001`,
		"\xff\xfe�":             `\xff\xfe�`,
		`back\slash`:            `back\slash`,
	} {
		if got := Visible(s); got != want {
			t.Errorf("Visible(%q) = %q, want %q", s, got, want)
		}
	}
}

// FuzzTable holds that whatever hosts say, a table has no control character in it, no line wider than the
// terminal once there is room for its columns, and loses nothing of its last column.
func FuzzTable(f *testing.F) {
	f.Add("db1", "primary", "no source, 3 replicas", 80)
	f.Add("日本日本日本日本日本日本日本日本", "é\x1b[2J", "한국 한국", 30)
	f.Add("", "\n\n", strings.Repeat("x", 200), 33)
	f.Fuzz(func(t *testing.T, host, state, why string, width int) {
		width = 30 + (width%100+100)%100
		table := &Table{
			Columns: []Column{{Title: "HOST"}, {Title: "STATE", Right: true}, {Title: "WHY"}},
			Rows:    []Row{{{Text: host}, {Text: state}, {Text: why}}},
		}
		var b strings.Builder
		if err := table.Write(&b, Style{Width: width, Terminal: true}); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		for _, r := range got {
			if hidden(r) && r != '\n' {
				t.Fatalf("%q is in %q", r, got)
			}
		}
		if !utf8.ValidString(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		for _, line := range strings.Split(got, "\n") {
			if Width(line) > width {
				t.Fatalf("%d columns for %d: %q", Width(line), width, line)
			}
		}
		squeeze := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "\n", "") }
		if !strings.HasSuffix(squeeze(got), squeeze(Visible(why))) {
			t.Fatalf("%q is not the end of %q", why, got)
		}
	})
}

func ExampleFoldRows() {
	rows := []Row{{{Text: "db1"}, {Text: "clear"}}, {{Text: "db2"}, {Text: "clear"}}}
	for _, r := range FoldRows(rows, 0, func(h []string) string { return strings.Join(h, ",") }) {
		fmt.Println(r[0].Text, r[1].Text)
	}
	// Output: db1,db2 clear
}
