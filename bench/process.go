package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// used is what one run of a program cost.
type used struct {
	wall time.Duration // from exec to exit
	cpu  time.Duration // user and system of the process and of every descendant that was waited for
}

// contender is one way to do what is compared.
type contender struct {
	name  string
	argv  []string
	stdin string                 // path of a file; "": none
	check func(out []byte) error // nil: exit status 0 is enough
}

// patience bounds one run of one contender. The slowest takes half a minute on two cores.
const patience = 5 * time.Minute

func (c contender) command(ctx context.Context, b *bench) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = b.dir
	cmd.Env = b.env
	if c.stdin != "" {
		in, err := os.Open(c.stdin)
		if err != nil {
			return nil, err
		}
		cmd.Stdin = in
	}
	return cmd, nil
}

// run does it once.
func (c contender) run(ctx context.Context, b *bench) (used, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, err := c.command(ctx, b)
	if err != nil {
		return used{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err = cmd.Run()
	u := used{wall: time.Since(begin)}
	if err == nil && c.check != nil {
		err = c.check(stdout.Bytes())
	}
	if err != nil {
		return used{}, fmt.Errorf("run %s: %w: %s", c.name, err, tail(stderr.String()+stdout.String()))
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, nil
}

// tail is the end of what a program printed, for an error.
func tail(s string) string {
	const most = 500
	if len(s) > most {
		s = s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}

// memoryEvery is how often the memory of a process tree is looked at.
const memoryEvery = 25 * time.Millisecond

// memory runs c once more and returns the most memory that its process tree has held at a time, in bytes:
// proportional set size, so that what 64 processes share counts once. Looking costs time, so this run is not
// one of those that are timed.
func (c contender) memory(ctx context.Context, b *bench) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, err := c.command(ctx, b)
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var most int64
	for tick := time.NewTicker(memoryEvery); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if err == nil && most == 0 {
				err = fmt.Errorf("it ended within %v", memoryEvery)
			}
			if err != nil {
				return 0, fmt.Errorf("measure memory of %s: %w", c.name, err)
			}
			return most, nil
		case <-tick.C:
			most = max(most, treeMemory(cmd.Process.Pid))
		}
	}
}

// treeMemory adds up a process and its descendants. One that ends meanwhile counts nothing.
func treeMemory(pid int) int64 {
	sum := pss(pid)
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return sum
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				sum += treeMemory(child)
			}
		}
	}
	return sum
}

// pss is the proportional set size of a process in bytes (proc_pid_smaps_rollup in proc(5)), 0 when it is gone.
func pss(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
