package sshrun

import (
	"errors"
	"fmt"
	"time"
)

// Stage is how far a Dial came.
type Stage string

// The stages, in order.
const (
	StageResolve      Stage = "resolve"      // configuration and name
	StageConnect      Stage = "connect"      // TCP, jump hosts, proxy command, banner, key exchange
	StageHostKey      Stage = "host key"     // is it the host we mean
	StageAuthenticate Stage = "authenticate" // are we whom the host expects
)

// HostError is why a host could not be reached. Every error of Dial is one.
type HostError struct {
	Host   string // as the user named it
	Stage  Stage
	Err    error
	Remedy string // what would mend it; may be empty
}

// Error says what was tried on which host, and why it did not work, in one line.
func (e *HostError) Error() string {
	switch e.Stage {
	case StageConnect:
		return fmt.Sprintf("connect to %s: %v", e.Host, e.Err)
	case StageHostKey:
		return fmt.Sprintf("check host key of %s: %v", e.Host, e.Err)
	case StageAuthenticate:
		return fmt.Sprintf("authenticate to %s: %v", e.Host, e.Err)
	default:
		return fmt.Sprintf("resolve %s: %v", e.Host, e.Err)
	}
}

// Unwrap gives the cause.
func (e *HostError) Unwrap() error { return e.Err }

// useOpenSSH is the way out for all that this package cannot do itself.
const useOpenSSH = "--transport openssh"

// timeoutError says that ConnectTimeout went by.
type timeoutError struct{ limit time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.limit) }

// Timeout makes it a net.Error in spirit: callers may ask for it with errors.As.
func (e timeoutError) Timeout() bool { return true }

// errClosed is what a Client answers after Close.
var errClosed = errors.New("client is closed")
