package policy

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"interlock/checks"
)

type labelled struct {
	class   checks.Class
	command string
	origin  string
}

// corpus reads testdata/corpus*.txt: CLASS<TAB>COMMAND, one to a line; a line that begins with # is a comment.
func corpus(tb testing.TB) []labelled {
	tb.Helper()
	files, err := filepath.Glob("testdata/corpus*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no testdata/corpus*.txt: %v", err)
	}
	var out []labelled
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			word, command, found := strings.Cut(line, "\t")
			class, err := checks.ParseClass(word)
			if !found || err != nil {
				tb.Fatalf("%s: line %q is not CLASS<TAB>COMMAND", name, line)
			}
			out = append(out, labelled{class, command, filepath.Base(name)})
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

func classifier(tb testing.TB, rules ...Rule) *Classifier {
	tb.Helper()
	c, err := NewClassifier(rules)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestCorpus holds the classifier against commands labelled by people who had not seen it. It may be stricter
// than they are now and then, and never milder.
func TestCorpus(t *testing.T) {
	c := classifier(t)
	readers, proven, milder, others := 0, 0, 0, 0
	for _, l := range corpus(t) {
		got := c.Classify(l.command, "/bin/sh")
		if l.class == checks.ReadOnly {
			readers++
			if got.Class == checks.ReadOnly {
				proven++
			} else {
				t.Logf("%s: not proven: %s\n\t%s", l.origin, l.command, reasons(got))
			}
			continue
		}
		others++
		if got.Class < l.class {
			milder++
			t.Errorf("%s: %s: is %s, classified %s", l.origin, l.command, l.class, got.Class)
		}
	}
	t.Logf("%d of %d read-only commands proven; %d of %d others classified too mild", proven, readers, milder, others)
	if proven*100 < readers*90 {
		t.Errorf("%d of %d read-only commands proven, want 90 %%", proven, readers)
	}
}

func reasons(c Classification) string {
	var out []string
	for _, r := range c.Reasons {
		text := "?"
		if r.Start >= 0 && r.Start <= r.End && r.End <= len(c.Command) {
			text = c.Command[r.Start:r.End]
		}
		out = append(out, r.Code+" at "+text+": "+r.Text)
	}
	return strings.Join(out, "; ")
}

// TestSeveralAtOnce: one classifier serves several goroutines, and gives each the same answers.
func TestSeveralAtOnce(t *testing.T) {
	c := classifier(t)
	lines := corpus(t)
	want := make([]checks.Class, len(lines))
	for i, l := range lines {
		want[i] = c.Classify(l.command, "/bin/sh").Class
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, l := range lines {
				if got := c.Classify(l.command, "/bin/sh").Class; got != want[i] {
					t.Errorf("%q: %s, alone %s", l.command, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}
