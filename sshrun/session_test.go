package sshrun

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExitKinds(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	for _, tc := range []struct {
		command string
		want    Exit
	}{
		{"true", Exit{Kind: Exited}},
		{"exit 3", Exit{Kind: Exited, Status: 3}},
		{"exit 255", Exit{Kind: Exited, Status: 255}},
		{"kill -TERM $$", Exit{Kind: Signaled, Signal: "TERM"}},
		{"kill -KILL $$", Exit{Kind: Signaled, Signal: "KILL"}},
	} {
		if got := conn.Run(t.Context(), tc.command, nil, nil, nil); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.command, got, tc.want)
		}
	}
}

// The connection's own sshd is killed while a command runs: neither an exit nor a signal of the command.
func TestConnectionDiesDuringCommand(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	within(t, 3*time.Second, func() {
		got := conn.Run(t.Context(), "kill -9 $PPID; sleep 5", nil, nil, nil)
		if got.Kind != Lost || got.Err == nil {
			t.Errorf("got %v, want lost", got)
		}
		if !strings.Contains(fmt.Sprint(got.Err), "closed by the host") {
			t.Errorf("reason is %v", got.Err)
		}
	})
	if _, err := conn.Start(t.Context(), "true", StartOptions{}); err == nil {
		t.Error("a command was started on a lost connection")
	}
}

// A host that stops answering without closing anything is noticed by keepalives, while a command runs silently.
func TestSilentHostIsLost(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(func(o *Options) { o.KeepAlive = 200 * time.Millisecond }), "127.0.0.1")
	s, err := conn.Start(t.Context(), "echo $PPID; exec sleep 15", StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := s.Stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // five intervals: answers keep the connection
	if why := conn.backend.(*nativeConn).whyLost(); why != nil {
		t.Fatalf("lost while the host answers: %v", why)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	within(t, 1200*time.Millisecond, func() {
		io.Copy(io.Discard, s.Stdout)
		if got := s.Wait(); got.Kind != Lost || !strings.Contains(fmt.Sprint(got.Err), "not answered for 600ms") {
			t.Errorf("got %v", got)
		}
	})
}

func TestContextEndsSession(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	within(t, 1500*time.Millisecond, func() {
		got := conn.Run(ctx, "sleep 15", nil, nil, nil)
		if got.Kind != Lost || !errors.Is(got.Err, context.DeadlineExceeded) {
			t.Errorf("got %v, want lost by deadline", got)
		}
	})
	if got := output(t, conn, "echo still"); got != "still\n" {
		t.Errorf("the connection does not work any more: %q", got)
	}
}

// A host that is gone cannot confirm a close: Run returns all the same.
func TestContextEndsSessionOfSilentHost(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	pid, err := strconv.Atoi(strings.TrimSpace(output(t, conn, "echo $PPID")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := conn.Start(ctx, "sleep 15", StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGSTOP)
	defer syscall.Kill(pid, syscall.SIGKILL)
	cancel()
	within(t, closeGrace+time.Second, func() {
		io.Copy(io.Discard, s.Stdout)
		if got := s.Wait(); got.Kind != Lost || !errors.Is(got.Err, context.Canceled) {
			t.Errorf("got %v", got)
		}
	})
}

// Starting a command on a host that has stopped answering ends soon after its context.
func TestContextEndsStart(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	pid, err := strconv.Atoi(strings.TrimSpace(output(t, conn, "echo $PPID")))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGSTOP)
	defer syscall.Kill(pid, syscall.SIGKILL)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	within(t, closeGrace+time.Second, func() {
		if _, err := conn.Start(ctx, "true", StartOptions{}); err == nil {
			t.Error("started")
		}
	})
}

func TestKeepAliveInterval(t *testing.T) {
	for _, tc := range []struct{ option, config, want time.Duration }{
		{0, 0, 5 * time.Second}, {0, time.Minute, 5 * time.Second}, {0, 2 * time.Second, 2 * time.Second}, {time.Minute, time.Second, time.Minute},
	} {
		c := NewClient(Options{KeepAlive: tc.option})
		if got := c.keepAlive(&settings{aliveInterval: tc.config}); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
		c.Close()
	}
	if got := missedKeepAlives * DefaultKeepAlive; got != 15*time.Second {
		t.Errorf("a dead host goes unnoticed for %v", got)
	}
}

// Each stream gets more than both windows together while the other is empty or not read yet.
func TestStreamsDoNotBlockEachOther(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	const size = 5 << 20
	for _, tc := range []struct{ name, redirect string }{{"stderr", ">&2"}, {"stdout", ""}} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			command := fmt.Sprintf("head -c %d /dev/zero %s; echo out; echo err >&2", size, tc.redirect)
			within(t, 20*time.Second, func() {
				if exit := conn.Run(t.Context(), command, nil, &stdout, &stderr); !exit.OK() {
					t.Fatal(exit)
				}
			})
			if got := stdout.Len() + stderr.Len(); got != size+len("out\nerr\n") {
				t.Errorf("got %d bytes", got)
			}
			if exit := conn.Run(t.Context(), command, nil, nil, nil); !exit.OK() {
				t.Errorf("nobody listens: %v", exit)
			}
		})
	}
	t.Run("start", func(t *testing.T) {
		s, err := conn.Start(t.Context(), fmt.Sprintf("head -c %d /dev/zero >&2", size), StartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, s.Stderr) // nobody reads stdout
		if n != size || err != nil || !s.Wait().OK() {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
}

func TestBinaryRoundTrip(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	in := make([]byte, 3<<20)
	for i := range in {
		in[i] = byte(i * i >> 3)
	}
	var out bytes.Buffer
	if exit := conn.Run(t.Context(), "cat", bytes.NewReader(in), &out, nil); !exit.OK() {
		t.Fatal(exit)
	}
	if sha256.Sum256(in) != sha256.Sum256(out.Bytes()) {
		t.Errorf("sent %d bytes, got %d other ones", len(in), out.Len())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestBrokenWriterDoesNotStopCommand(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	exit := conn.Run(t.Context(), "head -c 5000000 /dev/zero; exit 4", nil, brokenWriter{}, nil)
	if exit.Kind != Exited || exit.Status != 4 || !errors.Is(exit.Err, syscall.EPIPE) {
		t.Errorf("got %+v, want exit 4 and EPIPE", exit)
	}
}

// A command that does not want its stdin must not keep Run from returning.
func TestUnreadStdin(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, func() {
		if exit := conn.Run(t.Context(), "true", in, nil, nil); !exit.OK() {
			t.Error(exit)
		}
	})
	w.Close() // ends the read that Run has left behind
	time.Sleep(50 * time.Millisecond)
	in.Close()
}

func TestPTY(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	s, err := conn.Start(t.Context(), `trap 'stty size; exit 7' WINCH; tty; echo $TERM; stty size; while :; do sleep 0.1; done`,
		StartOptions{PTY: &PTY{Term: "vt220", Cols: 101, Rows: 33}})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 1000)
	for !strings.Contains(got.String(), "33 101") {
		n, err := s.Stdout.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.Write(buf[:n])
	}
	if err := s.Resize(90, 20); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(s.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.String(), "/dev/pts/") || !strings.Contains(got.String(), "vt220") || !strings.Contains(string(rest), "20 90") {
		t.Errorf("got %q then %q", got.String(), rest)
	}
	if exit := s.Wait(); exit.Kind != Exited || exit.Status != 7 {
		t.Error(exit)
	}
}

func TestSignalOfAnotherUser(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	s, err := conn.Start(t.Context(), "exec sleep 1", StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Signal("TERM"); err != nil {
		t.Error(err)
	}
	want := Exit{Kind: Signaled, Signal: "TERM"}
	if os.Getuid() == 0 {
		want = Exit{Kind: Exited} // sshd refuses signals for root
	}
	if got := s.Wait(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEnvironment(t *testing.T) {
	r := newRig(t, "AcceptEnv LANG FROM_*")
	r.configure("SendEnv FROM_ENV", `SetEnv FROM_SET="two words" LANG=xx`)
	t.Setenv("FROM_ENV", "yes")
	conn := r.dial(r.client(), "127.0.0.1")
	if got := output(t, conn, `echo "$FROM_ENV,$FROM_SET,$LANG"`); got != "yes,two words,xx\n" {
		t.Errorf("got %q", got)
	}
}

func TestLongCommand(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.client(), "127.0.0.1")
	long := strings.Repeat("x", 100<<10)
	if got := output(t, conn, "echo "+long+" | wc -c"); strings.TrimSpace(got) != fmt.Sprint(len(long)+1) {
		t.Errorf("got %q", got)
	}
}

// A caller that reads half of the output and walks away keeps nothing from ending.
func TestCloseWithUnreadOutput(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"session", "connection"} {
		t.Run(name, func(t *testing.T) {
			conn := r.dial(r.client(), "127.0.0.1")
			s, err := conn.Start(t.Context(), "head -c 100000 /dev/zero; sleep 15", StartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Stdout.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			within(t, time.Second, func() {
				if name == "session" {
					s.Close()
				} else {
					conn.Close()
				}
				if _, err := io.ReadAll(s.Stdout); err == nil {
					t.Error("output that was cut looks complete")
				}
				if exit := s.Wait(); exit.Kind != Lost || exit.Err == nil {
					t.Error(exit)
				}
			})
		})
	}
}
