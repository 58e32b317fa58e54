package testrig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Running is a rig of another process, as its state folder tells.
type Running struct {
	Name      string
	SSHConfig string
	OwnerPID  int
	Alive     bool // false: its owner was killed, and the next rig removes it
	Hosts     []string
}

// List returns the rigs of this machine.
func List() ([]Running, error) {
	files, err := filepath.Glob(filepath.Join(stateRoot, "*", "owner"))
	if err != nil {
		return nil, err
	}
	var rigs []Running
	for _, file := range files {
		owner, err := readProcess(file)
		if err != nil {
			return nil, err
		}
		dir := filepath.Dir(file)
		hosts, err := filepath.Glob(filepath.Join(dir, "hosts", "*"))
		if err != nil {
			return nil, err
		}
		for i := range hosts {
			hosts[i] = filepath.Base(hosts[i])
		}
		rigs = append(rigs, Running{
			Name: filepath.Base(dir), SSHConfig: filepath.Join(dir, "ssh/config"),
			OwnerPID: owner.pid, Alive: owner.alive(), Hosts: hosts,
		})
	}
	return rigs, nil
}

// Command prepares a program to be run as root inside a host of a rig that another process owns.
func Command(ctx context.Context, rig, host string, argv ...string) (*exec.Cmd, error) {
	init, err := readProcess(filepath.Join(stateRoot, rig, "hosts", host, "init"))
	if err != nil {
		return nil, fmt.Errorf("find host %q of rig %q: %w", host, rig, err)
	}
	if !init.alive() {
		return nil, fmt.Errorf("run on %s: %w", host, errOff)
	}
	return enter(ctx, init, argv...), nil
}

// Down ends a rig: it asks its owner to close it, or removes it itself where the owner is dead.
func Down(ctx context.Context, name string) error {
	dir := filepath.Join(stateRoot, name)
	owner, err := readProcess(filepath.Join(dir, "owner"))
	if err != nil {
		return fmt.Errorf("find rig %q: %w", name, err)
	}
	if owner.alive() {
		if err := unix.Kill(owner.pid, unix.SIGTERM); err != nil {
			return fmt.Errorf("end rig %q: %w", name, err)
		}
		return waitUntil(ctx, fmt.Sprintf("rig %q is gone", name), func() (bool, string, error) {
			_, err := os.Stat(dir)
			return os.IsNotExist(err), "its owner has not closed it", nil
		})
	}
	unlock, err := lockFile(ctx, filepath.Join(stateRoot, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	_, err = sweep(ctx)
	return err
}
