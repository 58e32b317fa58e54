package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// summary is the part of what interlock writes with --summary that says where its time went.
type summary struct {
	Net struct {
		Folded int64 `json:"folded"`
	} `json:"net_rows"`
	Epochs    int64 `json:"epochs"`
	Chunks    int64 `json:"chunks"`
	Barriers  int64 `json:"barriers"`
	Merged    int64 `json:"merged_statement_transactions"`
	Deadlocks int   `json:"deadlocks"`
	Tables    []struct {
		Strategy string `json:"strategy"`
		Why      string `json:"why"`
		Changes  int64  `json:"changes"`
		NetRows  int64  `json:"net_rows"`
	} `json:"tables"`
	Stages map[string]float64 `json:"stages_seconds"`
}

// replayer is interlock with a number of connections.
func replayer(name string, connections int) contender {
	return contender{name: name, run: func(t *target) error { return t.replay(connections, t.b.memory, t.rec.Logs) }}
}

// replay runs the program under test, and keeps its peak memory and its summary.
func (t *target) replay(connections int, memory string, logs []string) error {
	file := filepath.Join(t.rec.dir, "summary.json")
	args := append([]string{
		"replay", "--socket", t.Socket, "--user", "root", "--memory", memory,
		"--connections", strconv.Itoa(connections), "--summary", file,
	}, logs...)
	cmd := exec.CommandContext(t.ctx, t.b.interlock, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run interlock replay: %w: %s", err, tail(out.Bytes()))
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.used.PeakBytes = usage.Maxrss << 10 // kilobytes, getrusage(2)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t.summary = &summary{}
	if err := json.Unmarshal(text, t.summary); err != nil {
		return fmt.Errorf("read summary: %w", err)
	}
	return nil
}

// limits says in a sentence what interlock did with the log and where its time went: strategies, epochs, the
// stages that took the most.
func (s *summary) limits() string {
	strategies := map[string]int64{}
	var changes, net int64
	for _, t := range s.Tables {
		name := t.Strategy
		if t.Why != "" {
			name += " (" + t.Why + ")"
		}
		strategies[name] += t.Changes
		changes, net = changes+t.Changes, net+t.NetRows
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(strategies)) {
		parts = append(parts, fmt.Sprintf("%s: %d changes", name, strategies[name]))
	}
	parts = append(parts, fmt.Sprintf("%d changes to %d rows, %d epochs, %d chunks", changes, net, s.Epochs, s.Chunks))
	for _, count := range []struct {
		what string
		n    int64
	}{{"barriers", s.Barriers}, {"merged statement transactions", s.Merged}, {"deadlocks", int64(s.Deadlocks)}} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	return strings.Join(parts, "; ") + "; time: " + s.slowest()
}

// slowest are the stages that took a tenth of the time or more, longest first.
func (s *summary) slowest() string {
	var sum float64
	for _, seconds := range s.Stages {
		sum += seconds
	}
	names := slices.SortedFunc(maps.Keys(s.Stages), func(a, b string) int { return cmp.Compare(s.Stages[b], s.Stages[a]) })
	var parts []string
	for _, name := range names {
		if s.Stages[name] >= sum/10 {
			parts = append(parts, fmt.Sprintf("%s %.2f s", name, s.Stages[name]))
		}
	}
	return strings.Join(parts, ", ")
}
