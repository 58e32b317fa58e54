package testrig

import (
	"context"
	_ "embed" // boot.sh
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed scripts/boot.sh
var bootScript string

// Reboot pulls the plug and boots the host again: every process dies at once, files stay, the boot id is new.
func (h *Host) Reboot(ctx context.Context) error {
	if err := h.PowerOff(ctx); err != nil {
		return err
	}
	return h.Boot(ctx)
}

// PowerOff pulls the plug: first the network goes, so that no peer hears of it, then every process.
func (h *Host) PowerOff(ctx context.Context) error {
	if err := setLink(ctx, h.rig.number, h.number, false); err != nil {
		return err
	}
	return h.kill()
}

// kill ends the init, and the kernel ends the rest with it.
func (h *Host) kill() error {
	h.mu.Lock()
	init, down := h.init, h.down
	h.mu.Unlock()
	if init.pid == 0 {
		return nil
	}
	if err := unix.Kill(init.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("power off %s: %w", h.Name, err)
	}
	<-down
	return nil
}

// halt ends the host for good, also when it is about to reboot.
func (h *Host) halt() error {
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	return h.kill()
}

// remove undoes addHost.
func (h *Host) remove() error {
	err := h.halt()
	if linkExists(linkName(h.rig.number, h.number)) {
		err = errors.Join(err, ipBatch(context.Background(), nil, "link del "+linkName(h.rig.number, h.number)))
	}
	return errors.Join(err, removeHostState(h.dir))
}

// Freeze stops every process of the host as a hung machine stops: its kernel still answers, nothing else does.
func (h *Host) Freeze() error { return h.signalAll(unix.SIGSTOP) }

// Thaw lets a frozen host go on.
func (h *Host) Thaw() error { return h.signalAll(unix.SIGCONT) }

func (h *Host) signalAll(signal unix.Signal) error {
	pids, err := h.pids()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("signal process %d of %s: %w", pid, h.Name, err)
		}
	}
	return nil
}

// pids are the host's processes, init first, by their numbers on the machine.
func (h *Host) pids() ([]int, error) {
	h.mu.Lock()
	init := h.init.pid
	h.mu.Unlock()
	if init == 0 {
		return nil, fmt.Errorf("list processes of %s: %w", h.Name, errOff)
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", init))
	if err != nil {
		return nil, fmt.Errorf("list processes of %s: %w", h.Name, err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	if err != nil {
		return nil, err
	}
	pids := []int{init}
	for _, link := range links {
		ns, err := os.Readlink(link)
		if err != nil || ns != own {
			continue // gone in the meantime, or another's
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err == nil && pid != init {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// CutNetwork unplugs the host's cable; nothing on the host notices but through its connections.
func (h *Host) CutNetwork(ctx context.Context) error {
	return setLink(ctx, h.rig.number, h.number, false)
}

// JoinNetwork plugs it in again.
func (h *Host) JoinNetwork(ctx context.Context) error {
	return setLink(ctx, h.rig.number, h.number, true)
}
