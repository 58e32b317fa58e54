package simfleet

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

func TestSplitWords(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []string // nil: an error
	}{
		{"exec /bin/sh -c 'true'", []string{"exec", "/bin/sh", "-c", "true"}},
		{"  a'b c'd  'e'", []string{"ab cd", "e"}},
		{"a ''", []string{"a", ""}},
		{"a '$x; \"y\"'", []string{"a", `$x; "y"`}},
		{"a 'b", nil},
		{"a; b", nil},
		{"a $b", nil},
		{`a \b`, nil},
	} {
		got, err := splitWords(tc.line)
		if (err != nil) != (tc.want == nil) || err == nil && !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, %v", tc.line, got, err)
		}
	}
}

func TestKinds(t *testing.T) {
	count := map[kind]int{}
	for i := range 200 {
		count[kindOf(i)]++
	}
	for k, want := range map[kind]int{primary: 4, replica: 8, unknown: 2, locked: 1, slow: 1, dripping: 1, refusing: 1, blackhole: 1} {
		if count[k] != want {
			t.Errorf("kind %d: %d of 200, want %d", k, count[k], want)
		}
	}
}

// TestFarConn: each direction takes half a round trip, whatever else is under way; so does the beginning, and the end.
func TestFarConn(t *testing.T) {
	const roundTrip = 200 * time.Millisecond
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begin := time.Now()
	near, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := near.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	conn := far(raw, roundTrip)
	defer conn.wait()
	defer conn.Close()
	after := func(what string, want time.Duration) {
		t.Helper()
		if took := time.Since(begin); took < want || took > want+roundTrip {
			t.Errorf("%s after %v, want %v", what, took, want)
		}
	}
	got := make([]byte, 16)
	if _, err := io.ReadFull(conn, got[:1]); err != nil {
		t.Fatal(err)
	}
	after("the first byte came", 3*roundTrip/2)
	begin = time.Now()
	for range 5 { // five under way at once take no longer than one
		if _, err := conn.Write([]byte("bcd")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(near, got[:15]); err != nil || string(got[:15]) != "bcdbcdbcdbcdbcd" {
		t.Fatalf("%q, %v", got, err)
	}
	after("the answer came", roundTrip/2)
	begin = time.Now()
	near.Close()
	if _, err := conn.Read(got); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	after("the end came", roundTrip/2)
}

// TestBlackHole: a host that swallows packets and one that refuses are not reached in their own way.
func TestBlackHole(t *testing.T) {
	f, err := Start(Options{Hosts: 200, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, h := range f.hosts {
		conn, err := net.DialTimeout("tcp4", net.JoinHostPort(h.name, f.portText()), 300*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		var timeout net.Error
		errors.As(err, &timeout)
		switch h.kind {
		case blackhole:
			if timeout == nil || !timeout.Timeout() {
				t.Errorf("%s: %v, want silence", h.name, err)
			}
		case refusing:
			if err == nil || timeout != nil && timeout.Timeout() {
				t.Errorf("%s: %v, want a refusal", h.name, err)
			}
		default:
			if err != nil {
				t.Errorf("%s: %v", h.name, err)
			}
		}
	}
}
