// Package audit keeps the client's own record of what was decided: one JSON line per decision, on disk
// before the command starts. It is no log: nothing that may start without it is disruptive or destructive.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is one line. Event is "decision" (before the command starts, or that it does not) "end" (what
// came of it) or "health" (whether the host has come back as what it was); they carry the same Run and Host.
type Entry struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Run     string    `json:"run"`  // one call of interlock
	Who     string    `json:"who"`  // the account, before sudo
	From    string    `json:"from"` // the client machine, and where its own login came from
	Host    string    `json:"host"` // as the user wrote it; several where the decision is one, folded
	Command string    `json:"command"`
	Shell   string    `json:"shell,omitempty"`
	Class   string    `json:"class"`
	State   string    `json:"state,omitempty"`
	Verdict string    `json:"verdict,omitempty"` // run, refused, locked, unreachable, not started
	Reasons []string  `json:"reasons,omitempty"` // stable codes
	Facts   string    `json:"facts,omitempty"`   // the reasons' texts, and what the host has seen
	Allow   []string  `json:"allow,omitempty"`
	Lock    string    `json:"lock,omitempty"`
	// Override is the ID that was given to overrule a refusal, and Reason why; Reason alone: why a lock was broken.
	Override string `json:"override,omitempty"`
	Reason   string `json:"reason,omitempty"`

	Outcome string  `json:"outcome,omitempty"` // exited, signaled, lost, timed out
	Exit    *int    `json:"exit,omitempty"`
	Signal  string  `json:"signal,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Log is the open file. It is safe for several goroutines, and for several processes at once.
type Log struct {
	path string
	mu   sync.Mutex
	f    *os.File
}

// Path is where the log is: $XDG_STATE_HOME/interlock/audit.jsonl, else ~/.local/state (XDG Base
// Directory Specification 0.8; a relative XDG_STATE_HOME is to be ignored).
func Path() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find audit log: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "interlock", "audit.jsonl"), nil
}

// Open opens the log for appending, and makes it, readable by its owner alone, where there is none.
func Open(path string) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return &Log{path: path, f: f}, nil
}

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }

// Append writes e as one line. With durable set it returns only once the line is on disk.
func (l *Log) Append(e Entry, durable bool) error {
	line, err := encode(e)
	if err != nil {
		return fmt.Errorf("write audit log %s: %w", l.path, err)
	}
	if err := l.write(line); err != nil {
		return fmt.Errorf("write audit log %s: %w", l.path, err)
	}
	if !durable {
		return nil
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("write audit log %s: %w", l.path, err)
	}
	return nil
}

// encode gives the line, its end included. Commands are kept readable: no < for <.
func encode(e Entry) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// write appends one line under a lock on the file, since a line may be longer than what NFS appends at
// once. A line that a full disk or a power cut left unfinished is closed first, so that it spoils no other.
func (l *Log) write(line []byte) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := flock(l.f, unix.LOCK_EX); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flock(l.f, unix.LOCK_UN)) }()
	torn, err := endsTorn(l.f)
	if err != nil {
		return err
	}
	if torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.f.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	return err
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// endsTorn tells whether the last byte is something else than a line end.
func endsTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}
