package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// summary is what interlock writes with --summary, as it is.
type summary map[string]any

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

// limits says in a sentence what interlock did with the log, from which follows what limits it.
func (s summary) limits() string { return fmt.Sprint(map[string]any(s)) }
