package testrig

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// install makes the host's disk and writes what is its own: names, machine-id, host key, authorized keys.
func (h *Host) install(ctx context.Context) error {
	disk := filepath.Join(h.dir, "disk")
	upper := filepath.Join(disk, "upper")
	for _, dir := range []string{disk, filepath.Join(h.dir, "root")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, "net"), nil, 0o600); err != nil {
		return err
	}
	// 4 GB is the size of the host's disk; memory is used for what is on it only.
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=4g"); err != nil {
		return fmt.Errorf("mount disk: %w", err)
	}
	for _, dir := range []string{upper, filepath.Join(disk, "work"), filepath.Join(upper, "etc/ssh"), filepath.Join(upper, "usr/sbin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	key := filepath.Join(upper, "etc/ssh/ssh_host_ed25519_key")
	if err := makeKey(ctx, key, "root@"+h.Name); err != nil {
		return err
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		return err
	}
	h.hostKey = strings.Join(strings.Fields(string(pub))[:2], " ")
	for _, file := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"etc/hostname", h.Name + "\n", 0o644},
		{"etc/machine-id", randomHex(16) + "\n", 0o444},
		{"etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n", h.Addr, h.Name), 0o644},
		{"usr/sbin/init", initScript, 0o755},
		{"usr/sbin/reboot", haltScript, 0o755},
		{"usr/sbin/poweroff", haltScript, 0o755},
		{"usr/sbin/halt", haltScript, 0o755},
		{"usr/sbin/shutdown", haltScript, 0o755},
	} {
		if err := os.WriteFile(filepath.Join(upper, file.name), []byte(file.text), file.mode); err != nil {
			return err
		}
	}
	return h.authorize(upper)
}

// authorize lets the rig's key into every account, with the owners and modes of the lower tree.
func (h *Host) authorize(upper string) error {
	lowest := h.lower[strings.LastIndexByte(h.lower, ':')+1:]
	for _, account := range Accounts {
		home := "home/" + account
		if account == "root" {
			home = "root"
		}
		for _, dir := range []string{"home", home, home + "/.ssh"} {
			if err := copyDir(filepath.Join(lowest, dir), filepath.Join(upper, dir)); err != nil {
				return err
			}
		}
		file := filepath.Join(upper, home, ".ssh/authorized_keys")
		if err := os.WriteFile(file, []byte(h.rig.pubKey), 0o600); err != nil {
			return err
		}
		if err := chownLike(filepath.Join(lowest, home), file); err != nil {
			return err
		}
	}
	return nil
}

// copyDir makes a directory with the mode and owner of another; one that is there stays.
func copyDir(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, info.Mode().Perm()); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return chownLike(from, to)
}

func chownLike(from, to string) error {
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err != nil {
		return fmt.Errorf("stat %s: %w", from, err)
	}
	return os.Chown(to, int(st.Uid), int(st.Gid))
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
