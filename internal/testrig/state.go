package testrig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stateRoot has a folder per rig. What a rig starts can be found from there alone:
//
//	NAME/owner          pid and start time of the process that closes the rig
//	NAME/net            its number N: bridge ilkN, addresses 10.213.N.0/24
//	NAME/ssh/           config, known_hosts, client key
//	NAME/hosts/HOST/    init (pid, start time), disk (a tmpfs), net (a network namespace), boot.log
const stateRoot = "/run/interlock-rig"

// network is where all rigs have their addresses; a rig's number is the third byte.
var network = netip.MustParsePrefix("10.213.0.0/16")

// process names a process for good: a pid alone may be another's by now. Start is field 22 of
// /proc/PID/stat, in clock ticks since boot (proc(5)).
type process struct {
	pid   int
	start uint64
}

func findProcess(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, fmt.Errorf("find process %d: %w", pid, err)
	}
	// The command's name, in brackets, may hold anything; after it there are no brackets.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("find process %d: %q has too few fields", pid, stat)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return process{}, fmt.Errorf("find process %d: %w", pid, err)
	}
	return process{pid, start}, nil
}

// alive tells whether the process still runs; one that has died and waits to be reaped does not.
func (p process) alive() bool {
	now, err := findProcess(p.pid)
	if err != nil || now != p {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return false
	}
	return !strings.Contains(string(stat), ") Z ")
}

func (p process) write(path string) error {
	return os.WriteFile(path, fmt.Appendf(nil, "%d %d\n", p.pid, p.start), 0o644)
}

func readProcess(path string) (process, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return process{}, err
	}
	var p process
	if _, err := fmt.Sscan(string(text), &p.pid, &p.start); err != nil {
		return process{}, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// claim makes the state folder of a rig, with its owner and a number that no other rig has, after removing
// what dead owners left behind.
func claim(ctx context.Context, name string) (dir string, number int, err error) {
	if err := os.MkdirAll(stateRoot, 0o755); err != nil {
		return "", 0, fmt.Errorf("make state folder: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(stateRoot, "lock"))
	if err != nil {
		return "", 0, err
	}
	defer unlock()
	taken, err := sweep(ctx)
	if err != nil {
		return "", 0, err
	}
	owner, err := findProcess(os.Getpid())
	if err != nil {
		return "", 0, err
	}
	number, err = freeNumber(taken)
	if err != nil {
		return "", 0, err
	}
	dir = filepath.Join(stateRoot, name)
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return "", 0, fmt.Errorf("make rig %q: a rig of that name is running", name)
	} else if err != nil {
		return "", 0, fmt.Errorf("make rig %q: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "net"), fmt.Appendf(nil, "%d\n", number), 0o644); err != nil {
		return "", 0, fmt.Errorf("make rig %q: %w", name, err)
	}
	if err := owner.write(filepath.Join(dir, "owner")); err != nil {
		return "", 0, fmt.Errorf("make rig %q: %w", name, err)
	}
	return dir, number, nil
}

// freeNumber is the lowest number that no rig and no link of the machine uses.
func freeNumber(taken map[int]bool) (int, error) {
	for n := range 256 {
		if taken[n] {
			continue
		}
		if _, err := os.Stat("/sys/class/net/" + bridgeName(n)); errors.Is(err, os.ErrNotExist) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("make rig: all 256 networks of %s are in use", network)
}

// sweep removes the rigs whose owner is dead and returns the numbers of the others. The lock is held.
func sweep(ctx context.Context) (map[int]bool, error) {
	entries, err := os.ReadDir(stateRoot)
	if err != nil {
		return nil, fmt.Errorf("read state folder: %w", err)
	}
	taken := map[int]bool{}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		dir := filepath.Join(stateRoot, entry.Name())
		number, numberErr := readNumber(dir)
		// An owner is written under the lock that we hold: a folder without one is a dead claim.
		if owner, err := readProcess(filepath.Join(dir, "owner")); err == nil && owner.alive() {
			if numberErr != nil {
				return nil, numberErr
			}
			taken[number] = true
			continue
		}
		if err := demolish(ctx, dir, number, numberErr == nil); err != nil {
			return nil, fmt.Errorf("remove left-over rig %q: %w", entry.Name(), err)
		}
	}
	return taken, nil
}

func readNumber(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "net"))
	if err != nil {
		return 0, fmt.Errorf("read rig's number: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read rig's number: %w", err)
	}
	return n, nil
}

// demolish ends every process of a rig and removes its mounts, namespaces, links and folder. It works from
// the state folder alone, so that it serves Close and the next rig's sweep alike.
func demolish(ctx context.Context, dir string, number int, hasNet bool) error {
	hosts, err := filepath.Glob(filepath.Join(dir, "hosts", "*"))
	if err != nil {
		return err
	}
	var inits []process
	for _, host := range hosts {
		init, err := readProcess(filepath.Join(host, "init"))
		if errors.Is(err, os.ErrNotExist) {
			continue // never booted
		}
		if err != nil {
			return err
		}
		if init.alive() {
			if err := unix.Kill(init.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill host %s: %w", filepath.Base(host), err)
			}
			inits = append(inits, init)
		}
	}
	for _, init := range inits {
		if err := waitGone(ctx, init); err != nil {
			return err
		}
	}
	for _, host := range hosts {
		if err := removeHostState(host); err != nil {
			return err
		}
	}
	if hasNet {
		if err := removeNetwork(ctx, number); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// waitGone waits until a killed init has taken its whole process namespace with it.
func waitGone(ctx context.Context, p process) error {
	const bound = 20 * time.Second // a server in the middle of a write to tmpfs ends in milliseconds
	for end := time.Now().Add(bound); p.alive(); {
		if time.Now().After(end) {
			return fmt.Errorf("kill process %d: it is still there after %s", p.pid, bound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// removeHostState unmounts what a host had in the machine's mount namespace and removes its folder.
func removeHostState(host string) error {
	for _, mount := range []string{"net", "disk"} {
		path := filepath.Join(host, mount)
		err := unix.Unmount(path, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	return os.RemoveAll(host)
}
