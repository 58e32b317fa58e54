package testrig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// AsksPassword is what sudo wants from the account asks, the only one with a password.
const AsksPassword = "open sesame"

// Accounts are the login accounts of every host; all let the rig's key in.
//
// root; ops and ops-SHELL (sudo without a password; ops-banner's shell prints a banner at start-up); plain
// (no sudo); asks (sudo with AsksPassword).
var Accounts = []string{"root", "ops", "plain", "asks", "ops-bash", "ops-busybox", "ops-zsh", "ops-tcsh", "ops-fish", "ops-banner"}

func (r *Rig) sshPath(name string) string { return filepath.Join(r.dir, "ssh", name) }

// SSHConfig is the path of an ssh_config file that names every host: ssh -F PATH db1.
func (r *Rig) SSHConfig() string { return r.sshPath("config") }

// KnownHosts is the path of a known_hosts file with every host's key, by name and by address.
func (r *Rig) KnownHosts() string { return r.sshPath("known_hosts") }

// KeyFile is the path of the private key that every account of every host lets in.
func (r *Rig) KeyFile() string { return r.sshPath("id_ed25519") }

func makeKey(ctx context.Context, path, comment string) error {
	return run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
}

// writeSSHFiles renews config and known_hosts, each in one rename, so that a reader never sees half of one.
func (r *Rig) writeSSHFiles(hosts []*Host) error {
	var config, known strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&config, "Host %s\n\tHostName %s\n\tHostKeyAlias %s\n\n", h.Name, h.Addr, h.Name)
		fmt.Fprintf(&known, "%s,%s %s\n", h.Name, h.Addr, h.hostKey)
	}
	fmt.Fprintf(&config, "Host *\n\tUser root\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile none\n\tStrictHostKeyChecking yes\n\tBatchMode yes\n\tLogLevel ERROR\n",
		r.KeyFile(), r.KnownHosts())
	if err := replaceFile(r.SSHConfig(), config.String()); err != nil {
		return err
	}
	return replaceFile(r.KnownHosts(), known.String())
}

func replaceFile(path, text string) error {
	next := path + ".new"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
