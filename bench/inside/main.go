// Inside is the part of the benchmark that runs on the rig's hosts. It links nothing of the system, so that
// the same file runs in any tree.
//
//	inside measure ARGV...          runs a command and prints what it and everything it started has used, as JSON
//	inside crowd PROCESSES SOCKETS  makes that many of each, prints "ready", keeps them until standard input ends
//	inside files DIR N              makes N empty files in DIR, 1,000 a directory
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	runtime.LockOSThread() // a parent-death signal goes by the thread that started the child
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 1 && args[0] == "measure" {
		return measure(ctx, args[1:])
	}
	var numbers []int // the last one or two words
	for _, word := range args[min(1, len(args)):] {
		if n, err := strconv.Atoi(word); err == nil {
			numbers = append(numbers, n)
		}
	}
	switch {
	case len(args) == 3 && args[0] == "crowd" && len(numbers) == 2:
		return crowd(ctx, numbers[0], numbers[1])
	case len(args) == 2 && args[0] == "hold" && len(numbers) == 1: // a child of crowd
		return hold(numbers[0])
	case len(args) == 3 && args[0] == "files" && len(numbers) == 1:
		return files(args[1], numbers[0])
	}
	return errors.New("want measure ARGV..., crowd PROCESSES SOCKETS or files DIR N")
}

// Measured is what a command has used; the benchmark reads it as JSON.
type Measured struct {
	Wall   time.Duration // from start to the exit of the command itself
	CPU    time.Duration // user and system, of all its descendants, those that it left behind included
	Output string        // standard output
}

// stragglers is how long processes that the command left behind may take to end.
const stragglers = 10 * time.Second

// measure runs argv as their subreaper: who is orphaned becomes our child, and counts.
func measure(ctx context.Context, argv []string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	out, err := os.CreateTemp("", "measure")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr // files: no goroutine of ours copies
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	m := Measured{Wall: time.Since(begin)}
	if err := reapAll(time.Now().Add(stragglers)); err != nil {
		return err
	}
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &used); err != nil {
		return err
	}
	m.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano())
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return err
	}
	m.Output = string(text)
	return json.NewEncoder(os.Stdout).Encode(m)
}

// reapAll waits until no child is left.
func reapAll(until time.Time) error {
	for time.Now().Before(until) {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for what the command left behind: %w", err)
		case pid == 0:
			time.Sleep(time.Millisecond)
		}
	}
	return fmt.Errorf("wait for what the command left behind: something still runs after %v", stragglers)
}

// socketsPerProcess is below the number of open files that any account may raise itself to.
const socketsPerProcess = 2000

// crowd is a busy host: many processes that sleep, and many connections.
func crowd(ctx context.Context, processes, sockets int) error {
	var all children
	defer all.end()
	for ; sockets > 0; sockets -= socketsPerProcess {
		if err := all.holder(ctx, min(sockets, socketsPerProcess)/2); err != nil {
			return err
		}
	}
	for len(all) < processes {
		if err := all.add(exec.CommandContext(ctx, "sleep", "86400")); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// children die with this process. It reaps them itself, since thousands of them at once are more than a small
// init can take.
type children []*exec.Cmd

func (c *children) add(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	*c = append(*c, cmd)
	return nil
}

// holder starts a process with n connections, and waits until it has them.
func (c *children) holder(ctx context.Context, n int) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "hold", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.add(cmd); err != nil {
		return err
	}
	var ready [1]byte
	if _, err := out.Read(ready[:]); err != nil {
		return fmt.Errorf("hold %d connections: %w", n, err)
	}
	return nil
}

func (c children) end() {
	for _, cmd := range c {
		_ = cmd.Process.Kill()
	}
	for _, cmd := range c {
		_ = cmd.Wait() // killed
	}
}

// hold makes n connections of this process to itself, two sockets each, and keeps them until it is killed.
func hold(n int) error {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make socket: %w", err)
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.Bind(listener, local), unix.Listen(listener, 128)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	addr, err := unix.Getsockname(listener)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for range n {
		if err := pair(listener, addr); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	return unix.Pause() // until it is killed
}

// pair leaves both ends of a connection open.
func pair(listener int, addr unix.Sockaddr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(s, addr)
	}
	if err == nil {
		_, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	}
	if err != nil {
		return fmt.Errorf("connect to itself: %w", err)
	}
	return nil
}

const filesPerDirectory = 1000

func files(dir string, n int) error {
	for i := range n {
		in := filepath.Join(dir, strconv.Itoa(i/filesPerDirectory))
		if i%filesPerDirectory == 0 {
			if err := os.MkdirAll(in, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(in, strconv.Itoa(i)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}
