package sshrun

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func overOpenSSH(o *Options) { o.Transport = "openssh" }

func TestOpenSSHTransport(t *testing.T) {
	need(t, "ssh")
	r := newRig(t)
	conn := r.dial(r.client(overOpenSSH), "127.0.0.1")
	for _, tc := range []struct {
		command string
		kind    ExitKind
		status  int
	}{{"true", Exited, 0}, {"exit 3", Exited, 3}, {"exit 255", Lost, 0}, {"kill -9 $$", Lost, 0}} {
		got := conn.Run(t.Context(), tc.command, nil, nil, nil)
		if got.Kind != tc.kind || got.Status != tc.status {
			t.Errorf("%s: %v", tc.command, got)
		}
		if tc.kind == Lost && !errors.Is(got.Err, errAmbiguous) {
			t.Errorf("%s: %v", tc.command, got.Err)
		}
	}
	var out, errOut bytes.Buffer
	in := bytes.Repeat([]byte{0, 1, '~', '\n', 255}, 1<<20)
	if exit := conn.Run(t.Context(), "cat; head -c 3000000 /dev/zero >&2", bytes.NewReader(in), &out, &errOut); !exit.OK() || !bytes.Equal(in, out.Bytes()) || errOut.Len() != 3000000 {
		t.Errorf("%v, %d and %d bytes", exit, out.Len(), errOut.Len())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	within(t, 2*time.Second, func() {
		if exit := conn.Run(ctx, "sleep 15", nil, nil, nil); exit.Kind != Lost || !errors.Is(exit.Err, context.DeadlineExceeded) {
			t.Errorf("got %v", exit)
		}
	})
}

func TestOpenSSHTransportPTY(t *testing.T) {
	need(t, "ssh")
	r := newRig(t)
	conn := r.dial(r.client(overOpenSSH), "127.0.0.1")
	s, err := conn.Start(t.Context(), "tty", StartOptions{PTY: &PTY{}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s.Stdout)
	if err != nil || !strings.HasPrefix(string(got), "/dev/pts/") {
		t.Errorf("%q, %v", got, err)
	}
	if exit := s.Wait(); !exit.OK() {
		t.Error(exit)
	}
}

// The system's ssh is no way around host keys, and it is told the inventory's address and port.
func TestOpenSSHTransportChecksHostKeys(t *testing.T) {
	need(t, "ssh")
	r := newRig(t)
	c := r.client(overOpenSSH)
	conn, err := c.Dial(t.Context(), Target{Name: "db17", Address: "127.0.0.8", Port: r.port, KnownHosts: r.known})
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, conn, "echo yes"); got != "yes\n" {
		t.Errorf("got %q", got)
	}
	write(t, r.known, "")
	var stderr bytes.Buffer
	if exit := conn.Run(t.Context(), "true", nil, nil, &stderr); exit.Kind != Lost || !strings.Contains(stderr.String(), "Host key verification failed") {
		t.Errorf("%v: %s", exit, &stderr)
	}
}

func TestOpenSSHTransportClose(t *testing.T) {
	need(t, "ssh")
	r := newRig(t)
	conn := r.dial(r.client(overOpenSSH), "127.0.0.1")
	s, err := conn.Start(t.Context(), "sleep 15", StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, func() {
		s.Close()
		if exit := s.Wait(); exit.Kind != Lost {
			t.Error(exit)
		}
	})
}
