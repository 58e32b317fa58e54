package fleet

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPrefixedKeepsLinesWhole(t *testing.T) {
	long := strings.Repeat("x", maxPrefixedLine)
	for _, c := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"one line", []string{"a\n"}, "h: a\n"},
		{"two lines in one write", []string{"a\nb\n"}, "h: a\nh: b\n"},
		{"a line in pieces", []string{"a", "b", "c\n"}, "h: abc\n"},
		{"a last line without an end", []string{"a\nb"}, "h: a\nh: b\n"},
		{"empty lines", []string{"\n\n"}, "h: \nh: \n"},
		{"nothing", []string{""}, ""},
		{"a line as long as is kept", []string{long + "\n"}, "h: " + long + "\n"},
		{"a longer one", []string{long + "yy", "z\n"}, "h: " + long + "\nh: yyz\n"},
	} {
		var out bytes.Buffer
		p := &prefixed{prefix: "h: ", w: &out}
		for _, w := range c.writes {
			if n, err := p.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("%s: Write: %d, %v", c.name, n, err)
			}
		}
		p.flush()
		if out.String() != c.want {
			t.Errorf("%s: got %.80q, want %.80q", c.name, out.String(), c.want)
		}
	}
}

type broken struct{ calls int }

func (b *broken) Write([]byte) (int, error) {
	b.calls++
	return 0, errors.New("broken pipe")
}

// A command must not be cut off because nobody reads any more; that it was not read is still an error.
func TestPatientTakesEverything(t *testing.T) {
	under := &broken{}
	p := &patient{w: under}
	for range 3 {
		if n, err := p.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if err := p.problem(); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("problem: %v", err)
	}
	if under.calls != 1 {
		t.Errorf("the broken writer was tried %d times, want once", under.calls)
	}
}

func TestCaptureIsBounded(t *testing.T) {
	var c capture
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for range 20 {
		if n, err := c.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	if c.Len() != maxCaptured || !c.cut {
		t.Errorf("%d bytes kept, cut %v; want %d, true", c.Len(), c.cut, maxCaptured)
	}
	if !bytes.Contains(c.shown()[maxCaptured:], []byte("the rest was cut")) {
		t.Error("what is shown does not say that it was cut")
	}
}

func TestJSONResult(t *testing.T) {
	var out bytes.Buffer
	p := &jsonPrinter{out: &patient{w: &out}, of: map[string]*captured{}}
	stdout, stderr := p.host("db1")
	_, _ = stdout.Write([]byte("a <b>\n"))
	_, _ = stderr.Write([]byte("\xff"))
	p.ended(outcome{host: "db1", kind: exited, exit: 2})
	p.ended(outcome{host: "db2", kind: lost, err: errors.New("gone"), left: true})
	const want = `{"event":"result","host":"db1","outcome":"exited","exit":2,"stdout":"a <b>\n","stderr_base64":"/w=="}
{"event":"result","host":"db2","outcome":"lost","error":"gone","may_still_be_running":true}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
