package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/testrig"
)

// Bars of check.sh on the host itself, without SSH.
const (
	cleanCPUBar   = 40 * time.Millisecond
	serverWallBar = 150 * time.Millisecond
	crowdWallBar  = time.Second
	searchBar     = 2 * time.Second // of the search alone; the rest of the check comes on top
)

// The crowd is a big host of today: 2,000 processes, and a server with 20,000 connections from itself.
const (
	crowdProcesses = 2000
	crowdSockets   = 40_000
	manyFiles      = 300_000
)

// insidePath is where this module's inside lies on a host.
const insidePath = "/usr/local/bin/inside"

// finding is what a report must say for a measurement to count.
type finding struct {
	state       checks.State // "": any
	descriptors int          // at least so many looked at
	searchless  bool         // the check is to leave out its search of the file systems
}

// spent is what check.sh has used on a host in several rounds.
type spent struct {
	wall, cpu samples // seconds
	processes int     // started, in one round
}

// measureBudget runs check.sh as root on the hosts, as a session would, without SSH around it.
func measureBudget(ctx context.Context, b *bench) error {
	hosts, err := b.rig.AddHosts(ctx, testrig.HostSpec{Name: "clean1"}, testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MySQL}})
	if err != nil {
		return err
	}
	clean, db := hosts[0], hosts[1]
	if _, err := db.StartServer(ctx, testrig.ServerSpec{Product: testrig.MySQL}); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := b.copyInside(h); err != nil {
			return err
		}
	}
	s, err := b.spend(ctx, clean, finding{state: checks.Clear})
	if err != nil {
		return err
	}
	b.budget("check.sh, clean host, with the file system search", s, "wall", s.wall, searchBar+serverWallBar)
	if s, err = b.spend(ctx, clean, finding{state: checks.Clear, searchless: true}); err != nil {
		return err
	}
	b.budget("check.sh, clean host, without the search", s, "CPU", s.cpu, cleanCPUBar)
	if s, err = b.spend(ctx, db, finding{state: checks.Primary}); err != nil {
		return err
	}
	b.budget("check.sh, one MySQL server (no search)", s, "wall", s.wall, serverWallBar)
	if err := b.crowded(ctx, db, finding{state: checks.Primary, descriptors: crowdSockets}, "one MySQL server"); err != nil {
		return err
	}
	if err := b.crowded(ctx, clean, finding{state: checks.Clear, descriptors: crowdSockets}, "clean host"); err != nil {
		return err
	}
	return b.searched(ctx, clean)
}

// copyInside puts inside on a host.
func (b *bench) copyInside(h *testrig.Host) error {
	program, err := os.ReadFile(b.inside)
	if err != nil {
		return err
	}
	return h.WriteFile(insidePath, string(program), 0o755)
}

// crowded measures a host with the crowd on it.
func (b *bench) crowded(ctx context.Context, h *testrig.Host, want finding, what string) error {
	leave, err := crowd(ctx, h)
	if err != nil {
		return err
	}
	s, err := b.spend(ctx, h, want)
	if err = errors.Join(err, leave()); err != nil {
		return err
	}
	b.budget(fmt.Sprintf("check.sh, %s, %d processes, %d sockets", what, crowdProcesses, crowdSockets), s, "wall", s.wall, crowdWallBar)
	return nil
}

// crowd fills a host, and gives what empties it.
func crowd(ctx context.Context, h *testrig.Host) (leave func() error, err error) {
	cmd, err := h.Command(ctx, insidePath, "crowd", strconv.Itoa(crowdProcesses), strconv.Itoa(crowdSockets))
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	leave = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("fill %s: it said %q", h.Name, line), err, leave())
	}
	return leave, nil
}

// searched measures a host with many files. Where they are more than two seconds of search the state is unknown:
// that is the bound at work, so any state but a wrong one is taken.
func (b *bench) searched(ctx context.Context, h *testrig.Host) error {
	if _, err := h.Exec(ctx, fmt.Sprintf("%s files /srv/many %d", insidePath, manyFiles)); err != nil {
		return err
	}
	s, err := b.spend(ctx, h, finding{})
	if err != nil {
		return err
	}
	b.budget(fmt.Sprintf("check.sh, clean host, %d more files to search", manyFiles), s, "wall", s.wall, searchBar+serverWallBar)
	return nil
}

func (b *bench) budget(what string, s spent, word string, held samples, bar time.Duration) {
	b.table.add(row{
		what: what, ours: fmt.Sprintf("wall %s, CPU %s, %d processes", s.wall, s.cpu, s.processes),
		ratio: fmt.Sprintf("%.2g of the bar", held.median()/bar.Seconds()),
		bar:   fmt.Sprintf("%s at most %v", word, bar), met: held.median() <= bar.Seconds(),
	})
}

// spend runs check.sh in rounds, and makes sure that it finds what is there.
func (b *bench) spend(ctx context.Context, h *testrig.Host, want finding) (spent, error) {
	var s spent
	for round := -1; round < b.rounds; round++ {
		m, err := inspect(ctx, h, want)
		if err != nil {
			return s, err
		}
		if round >= 0 {
			s.wall = append(s.wall, m.Wall.Seconds())
			s.cpu = append(s.cpu, m.CPU.Seconds())
		}
	}
	var err error
	s.processes, err = processes(ctx, h, want)
	return s, err
}

// measured is the answer of inside measure.
type measured struct {
	Wall, CPU time.Duration
	Output    string
}

// inspect runs check.sh once.
func inspect(ctx context.Context, h *testrig.Host, want finding) (measured, error) {
	q, line, err := request(h.Name, want)
	if err != nil {
		return measured{}, err
	}
	cmd, err := h.Command(ctx, insidePath, "measure", "/bin/sh", "-c", line)
	if err != nil {
		return measured{}, err
	}
	out, err := cmd.Output()
	if err != nil {
		return measured{}, fmt.Errorf("measure check on %s: %w", h.Name, err)
	}
	var m measured
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("measure check on %s: %w", h.Name, err)
	}
	report, _, err := checks.ReadReport(bufio.NewReader(strings.NewReader(m.Output)), q.Nonce)
	if err != nil {
		return m, fmt.Errorf("measure check on %s: %w", h.Name, err)
	}
	if want.state != "" && report.State != want.state {
		return m, fmt.Errorf("measure check on %s: it says %s, not %s: %v", h.Name, report.State, want.state, report.Reasons)
	}
	if n := report.Looked["descriptors"]; n < want.descriptors {
		return m, fmt.Errorf("measure check on %s: it looked at %d descriptors, not %d", h.Name, n, want.descriptors)
	}
	return m, nil
}

// request is a check as interlock check asks for it.
func request(host string, want finding) (checks.Request, string, error) {
	q := checks.Request{Nonce: checks.NewNonce(), Mode: checks.ModeCheck, Class: checks.ReadOnly, Host: host, Owner: "bench"}
	line, err := q.ExecLine()
	if err == nil && want.searchless {
		line, err = withoutSearch(line)
	}
	return q, line, err
}

// withoutSearch takes the call of the search out of the script that an exec request carries.
func withoutSearch(line string) (string, error) {
	const key = "'script="
	at := strings.Index(line, key)
	if at < 0 {
		return "", errors.New("take the search out: the request carries no script")
	}
	at += len(key)
	end := at + strings.IndexByte(line[at:], '\'')
	packed, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(line[at:end])))
	if err != nil {
		return "", fmt.Errorf("take the search out: %w", err)
	}
	script, err := io.ReadAll(packed)
	if err != nil {
		return "", fmt.Errorf("take the search out: %w", err)
	}
	before, after, found := strings.Cut(string(script), "\nsearch_files\n")
	if !found {
		return "", errors.New("take the search out: check.sh does not call search_files on a line of its own")
	}
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // the level is valid, and a buffer does not fail
	_, _ = io.WriteString(w, before+"\n"+after)
	_ = w.Close()
	return line[:at] + base64.StdEncoding.EncodeToString(buf.Bytes()) + line[end:], nil
}

// processes is how many processes one check starts. The kernel counts them: process ids of a namespace are
// given out in order, and nothing else starts one on a host of the rig. (read would not do for cat: it reads
// a byte at a time, and the kernel gives this number in one read only.)
func processes(ctx context.Context, h *testrig.Host, want finding) (int, error) {
	_, line, err := request(h.Name, want)
	if err != nil {
		return 0, err
	}
	cmd, err := h.Command(ctx, "/bin/sh", "-c",
		`a=$(cat /proc/sys/kernel/ns_last_pid); /bin/sh -c "$1" >/dev/null; b=$(cat /proc/sys/kernel/ns_last_pid); echo $((b - a - 1))`, "sh", line)
	if err != nil {
		return 0, err
	}
	cmd.Stderr = io.Discard
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("count processes on %s: %w", h.Name, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}
