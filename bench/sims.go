package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"interlock/internal/testrig/simfleet"
)

// sims is the process that plays the hosts.
type sims struct {
	ready struct {
		Set, Config   string
		Dead, Refuses int
	}
	dir string // files of the fleet, and a place for what a client could leave behind
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// account is what the hosts have seen, and what playing them has cost so far.
type account struct {
	simfleet.Ledger
	CPU  time.Duration
	Busy string // what was open or at work where nothing should be
}

// simulate starts the hosts.
func (b *bench) simulate(ctx context.Context, hashed bool) (s *sims, err error) {
	s = &sims{}
	if s.dir, err = os.MkdirTemp(b.dir, "sims"); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(s.tmp(), 0o700), os.Mkdir(s.work(), 0o700)); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, b.path("simhosts"), "-hosts", strconv.Itoa(b.sims), "-dir", s.dir, "-hashed="+strconv.FormatBool(hashed))
	s.cmd.Stderr = os.Stderr
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.read(&s.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("start simulated hosts: %w", err), s.close())
	}
	return s, nil
}

func (s *sims) tmp() string  { return filepath.Join(s.dir, "tmp") }
func (s *sims) work() string { return filepath.Join(s.dir, "work") }

// mark is in the environment of the clients that are interrupted, and of what they start.
func (s *sims) mark() string { return "INTERLOCK_BENCH_MARK=" + s.dir }

func (s *sims) read(into any) error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return decodeLine(line, into)
}

func decodeLine(line []byte, into any) error {
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("read %.80q: %w", line, err)
	}
	return nil
}

// ask gives the account: as it stands for "now", once nothing is at work for "idle".
func (s *sims) ask(word string) (*account, error) {
	if _, err := io.WriteString(s.in, word+"\n"); err != nil {
		return nil, fmt.Errorf("ask simulated hosts: %w", err)
	}
	a := &account{}
	if err := s.read(a); err != nil {
		return nil, fmt.Errorf("ask simulated hosts: %w", err)
	}
	return a, nil
}

func (s *sims) close() error { return errors.Join(s.in.Close(), s.cmd.Wait()) }

// since is what has come to the account after before.
func (a *account) since(before *account) *account {
	d := *a
	d.CPU -= before.CPU
	d.Connections -= before.Connections
	d.Sessions -= before.Sessions
	d.Reports -= before.Reports
	d.Declined -= before.Declined
	d.LocksTaken -= before.LocksTaken
	d.Commands = a.Commands[len(before.Commands):]
	return &d
}

// odd is what idle hosts have to complain of: nothing, "".
func (a *account) odd() string {
	switch {
	case a.Busy != "":
		return a.Busy
	case len(a.Held) > 0:
		return fmt.Sprintf("%d locks stay", len(a.Held))
	case len(a.Problems) > 0:
		return a.Problems[0]
	}
	return ""
}

// simArgv is a client for all simulated hosts.
func (b *bench) simArgv(s *sims, word string, rest ...string) []string {
	argv := []string{b.interlock, word, "--config", b.path("hosts.toml"), "-F", s.ready.Config, "--parallel", strconv.Itoa(simParallel)}
	return append(argv, rest...)
}

// leftHere is what a client has left on its own machine: files, processes. "" for nothing.
func (b *bench) leftHere(s *sims) (odd string, err error) {
	for _, dir := range []string{s.tmp(), s.work()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		if len(entries) > 0 {
			odd += fmt.Sprintf("; %d files in %s, the first is %s", len(entries), filepath.Base(dir), entries[0].Name())
		}
	}
	time.Sleep(time.Second) // an ssh -G may still be ending
	left, err := simfleet.Processes(s.mark())
	if len(left) > 0 {
		odd += fmt.Sprintf("; %d processes", len(left))
	}
	return odd, err
}
