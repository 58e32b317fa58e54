package testrig

import (
	"context"
	_ "embed" // the scripts that start and end a host
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

//go:embed scripts/init.pl
var initScript string

//go:embed scripts/halt.sh
var haltScript string

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

// BootID is the id of the host's present boot, or of the last one if it is off.
func (h *Host) BootID() (string, error) {
	id, err := os.ReadFile(filepath.Join(h.dir, "boot_id"))
	if err != nil {
		return "", fmt.Errorf("read boot id of %s: %w", h.Name, err)
	}
	return strings.TrimSpace(string(id)), nil
}

// WaitReboot waits until a host that reboots from inside is up with another boot id than before.
func (h *Host) WaitReboot(ctx context.Context, before string) error {
	if err := waitUntil(ctx, h.Name+" reboots", func() (bool, string, error) {
		id, err := h.BootID()
		return id != before && h.Up(), "boot id " + id, err
	}); err != nil {
		return err
	}
	return h.waitSSH(ctx)
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
