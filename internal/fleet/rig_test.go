package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/audit"
	"interlock/internal/testrig"
)

// site of real hosts: MySQL primary db1 with replicas db2 and db3 and clients at work, db4 drained, app1
// without a database.
type realHosts struct {
	*testrig.Rig
	config string // hosts.toml
	state  string // XDG_STATE_HOME
}

func demo(t *testing.T) *realHosts {
	t.Helper()
	rig := testrig.For(t)
	topology, err := rig.Build(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if topology.Traffic != nil {
		t.Cleanup(func() { _ = topology.Traffic.Stop() })
	}
	h := &realHosts{Rig: rig, config: filepath.Join(t.TempDir(), "hosts.toml"), state: t.TempDir()}
	const text = `
[defaults]
connect_timeout = "3s"
[clusters.users]
hosts = ["db[1-3]"]
[[client]]
user = "monitor"
`
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", h.state)
	return h
}

// safeBuffer may be written by several goroutines and read meanwhile.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// result is what a command of ours gave.
type result struct {
	stdout, stderr string
	status         int
}

// started is a run that is under way.
type started struct {
	stdout, stderr safeBuffer
	interrupts     chan os.Signal
	done           chan int // the exit status
}

func (h *realHosts) remote() Remote { return Remote{Config: h.config, SSHConfig: h.SSHConfig()} }

// start starts a run; in is the text of its standard input, or /dev/null where empty.
func (h *realHosts) start(t *testing.T, o RunOptions, in string) *started {
	t.Helper()
	s := &started{interrupts: make(chan os.Signal, 2), done: make(chan int, 1)}
	o.Config, o.SSHConfig, o.Interrupts = h.config, h.SSHConfig(), s.interrupts
	if o.Shell == "" {
		o.Shell = "/bin/sh"
	}
	streams := Streams{Out: &s.stdout, Err: &console{w: &s.stderr}, In: strings.NewReader(in)}
	if in == "" {
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = null.Close() })
		streams.In = null
	}
	run, err := NewRun(o, streams)
	if err != nil {
		s.stderr.b.WriteString(err.Error())
		s.done <- ExitStatus(err)
		return s
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	go func() {
		defer cancel()
		s.done <- ExitStatus(run.Run(ctx))
	}()
	return s
}

func (s *started) wait(t *testing.T) result {
	t.Helper()
	select {
	case status := <-s.done:
		return result{s.stdout.String(), s.stderr.String(), status}
	case <-time.After(10 * time.Minute):
		t.Fatalf("run has not ended within ten minutes; stdout %q, stderr %q", s.stdout.String(), s.stderr.String())
	}
	return result{}
}

func (h *realHosts) run(t *testing.T, set, command string, o RunOptions) result {
	t.Helper()
	o.Hosts, o.Command = set, []string{command}
	return h.start(t, o, "").wait(t)
}

func (h *realHosts) exec(t *testing.T, host, script string) string {
	t.Helper()
	out, err := h.Host(host).Exec(t.Context(), script)
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	return out
}

// there tells whether a file is on a host.
func (h *realHosts) there(t *testing.T, host, path string) bool {
	t.Helper()
	return strings.TrimSpace(h.exec(t, host, "if [ -e "+path+" ]; then echo yes; else echo no; fi")) == "yes"
}

func (h *realHosts) audited(t *testing.T) (all []audit.Entry) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.state, "interlock", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("audit line %q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// expect compares a whole result.
func (r result) expect(t *testing.T, status int, stdout, stderr string) {
	t.Helper()
	if r.status != status {
		t.Errorf("exit status %d, want %d", r.status, status)
	}
	if r.stdout != stdout {
		t.Errorf("stdout\n%s\nwant\n%s", r.stdout, stdout)
	}
	if r.stderr != stderr {
		t.Errorf("stderr\n%s\nwant\n%s", r.stderr, stderr)
	}
}

// eventually waits until ok, for at most limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func n(i int) *int { return &i }
