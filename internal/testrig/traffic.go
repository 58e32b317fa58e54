package testrig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// TrafficSpec says who connects to a server, over TCP from the machine's address on the rig's network, and
// how busy they are.
type TrafficSpec struct {
	Clients         int     // connections that write to app.writes; all stay open
	WritesPerSecond float64 // of all of them together
	Idle            int     // connections that do nothing
	User            string  // empty: app; the password is the name
}

// Traffic is a set of clients at work.
type Traffic struct {
	sent    atomic.Int64
	cancel  context.CancelFunc
	clients []*tcpClient
	done    sync.WaitGroup
	stop    sync.Once
	stopErr error
}

// Traffic connects clients and returns once every one of them is logged in. They go on until Stop, until the
// server ends or until the rig is closed.
func (s *Server) Traffic(ctx context.Context, spec TrafficSpec) (*Traffic, error) {
	if spec.User == "" {
		spec.User = AppUser
	}
	t := &Traffic{}
	for range spec.Clients + spec.Idle {
		c, err := s.dial(ctx, spec.User)
		if err != nil {
			return nil, errors.Join(err, t.closeAll())
		}
		t.clients = append(t.clients, c)
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.cancel = cancel
	s.Host.rig.atClose(t.Stop)
	if spec.Clients == 0 || spec.WritesPerSecond <= 0 {
		return t, nil
	}
	pause := time.Duration(float64(spec.Clients) / spec.WritesPerSecond * float64(time.Second))
	for _, c := range t.clients[:spec.Clients] {
		t.done.Go(func() { t.write(work, c, pause) })
	}
	return t, nil
}

// write sends a row at a time; a server that has gone ends it, as it would end a client.
func (t *Traffic) write(ctx context.Context, c *tcpClient, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := io.WriteString(c.stdin, "INSERT INTO app.writes (note) VALUES ('traffic');\n"); err != nil {
				return
			}
			t.sent.Add(1)
		}
	}
}

// Sent is how many writes have been sent so far.
func (t *Traffic) Sent() int64 { return t.sent.Load() }

// Stop disconnects every client. The error is what clients have said about writes that the server refused.
// Only the first call does something.
func (t *Traffic) Stop() error {
	t.stop.Do(func() {
		t.cancel()
		t.done.Wait()
		t.stopErr = t.closeAll()
	})
	return t.stopErr
}

func (t *Traffic) closeAll() error {
	errs := make([]error, len(t.clients))
	var group sync.WaitGroup
	for i, c := range t.clients {
		group.Go(func() { errs[i] = c.close() })
	}
	group.Wait()
	return errors.Join(errs...)
}

// tcpClient is a client program with its input held open.
type tcpClient struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr bytes.Buffer
}

// dial starts a client and waits for the answer to its first query.
func (s *Server) dial(ctx context.Context, user string) (*tcpClient, error) {
	// The client lives as long as the traffic, not as long as the call.
	cmd, err := s.client(context.WithoutCancel(ctx), "--host="+s.Host.Addr.String(), fmt.Sprintf("--port=%d", s.Port),
		"--protocol=tcp", "--user="+user, "--unbuffered", "--batch", "--skip-column-names", "--skip-reconnect")
	if err != nil {
		return nil, err
	}
	cmd.Env = []string{"MYSQL_PWD=" + user}
	c := &tcpClient{cmd: cmd}
	cmd.Stderr = &c.stderr
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s, err)
	}
	answer := make([]byte, len("ready\n"))
	if _, err = io.WriteString(c.stdin, "SELECT 'ready';\n"); err == nil {
		_, err = io.ReadFull(stdout, answer)
	}
	if err != nil || string(answer) != "ready\n" {
		return nil, fmt.Errorf("connect to %s as %s: %w", s, user, errors.Join(err, c.close()))
	}
	return c, nil
}

// close ends the client's input, and the client itself where it does not end by that: one whose server is
// paused waits for its answer for ever.
func (c *tcpClient) close() error {
	inputErr := c.stdin.Close()
	var killed atomic.Bool
	timer := time.AfterFunc(2*time.Second, func() {
		killed.Store(true)
		_ = c.cmd.Process.Kill() // it may end in this very moment
	})
	err := c.cmd.Wait()
	timer.Stop()
	said := c.stderr.String()
	if err == nil || killed.Load() || strings.Contains(said, "Lost connection") || strings.Contains(said, "gone away") {
		return nil
	}
	return fmt.Errorf("end client: %w: %s", errors.Join(err, inputErr), tail([]byte(said)))
}
