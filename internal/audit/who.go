package audit

import (
	"os"
	"os/user"
	"strings"
)

// Who is the account that a person logged in with: the one before sudo, where sudo says so.
func Who() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// From is this machine's name, and the address of the SSH client that its session came from, if any.
func From() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "unknown"
	}
	if client, _, ok := strings.Cut(os.Getenv("SSH_CONNECTION"), " "); ok && client != "" {
		return name + " (" + client + ")"
	}
	return name
}
