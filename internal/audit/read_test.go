package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func line(t *testing.T, run string) string {
	t.Helper()
	b, err := json.Marshal(Entry{Time: time.Unix(1389375000, 0), Event: "decision", Run: run, Host: "db1"})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readAll gives the runs of whole lines and the numbers of the others.
func readAll(r io.Reader) (got []string, err error) {
	err = Read(r, func(n int, e Entry, text []byte) error {
		got = append(got, fmt.Sprintf("%d:%s", n, e.Run))
		return nil
	}, func(n int, why error) { got = append(got, fmt.Sprintf("%d!", n)) })
	return got, err
}

func TestRead(t *testing.T) {
	a, b := line(t, "a"), line(t, "b")
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"two", a + "\n" + b + "\n", []string{"1:a", "2:b"}},
		{"without a last line end", a + "\n" + b, []string{"1:a", "2:b"}},
		{"torn at the end", a + "\n" + b[:40], []string{"1:a", "2!"}},
		{"torn in between", a[:50] + "\n" + b + "\n", []string{"1!", "2:b"}},
		{"foreign", "hello\n[]\n{}\n{\"event\":\"decision\"}\nnull\n" + a + "\n", []string{"1!", "2!", "3!", "4!", "5!", "6:a"}},
		{"an empty line", a + "\n\n" + b + "\n", []string{"1:a", "2!", "3:b"}},
		{"bytes that are no text", "\xff\x00\n" + b + "\n", []string{"1!", "2:b"}},
		{"two on a line", a + b + "\n" + a + "\n", []string{"1!", "2:a"}},
		{"a line without end in sight", strings.Repeat("x", maxLine+100) + "\n" + a + "\n", []string{"1!", "2:a"}},
		{"the same at the end", a + "\n" + strings.Repeat("x", maxLine+100), []string{"1:a", "2!"}},
		{"a long line of ours", strings.Replace(a, `"db1"`, `"`+strings.Repeat("x", 300_000)+`"`, 1) + "\n" + b + "\n", []string{"1:a", "2:b"}},
	} {
		got, err := readAll(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// An error while reading is none of the ends of the log.
func TestReadFails(t *testing.T) {
	broken := errors.New("i/o error")
	got, err := readAll(io.MultiReader(strings.NewReader(line(t, "a")+"\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	stop := errors.New("enough")
	err = Read(strings.NewReader(line(t, "a")+"\n"), func(int, Entry, []byte) error { return stop }, func(int, error) {})
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// What Append writes Read reads.
func TestReadWhatWasWritten(t *testing.T) {
	exit := 3
	want := Entry{
		Time: time.Date(2014, 1, 10, 17, 30, 0, 0, time.UTC), Event: "end", Run: "1a", Who: "ops", From: "laptop", Host: "db1", Command: "a\n\"b\" <c>",
		Class: "destructive", Outcome: "exited", Exit: &exit, Seconds: 1.5, Reasons: []string{"x"},
	}
	text, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	err = Read(strings.NewReader(string(text)), func(_ int, got Entry, _ []byte) error {
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		return nil
	}, func(_ int, why error) { t.Error(why) })
	if err != nil {
		t.Error(err)
	}
}
