package fleet

import (
	"errors"
	"fmt"
)

// The exit statuses, from sysexits.h where it has one. One host's command gives its own status instead.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the command failed on some host, or was not started because of that
	ExitUsage       = 64  // EX_USAGE
	ExitUnreachable = 69  // EX_UNAVAILABLE: no connection, or one that was lost: the state is unknown
	ExitSoftware    = 70  // EX_SOFTWARE: an error of ours
	ExitIO          = 74  // EX_IOERR: what came of it could not be written
	ExitLocked      = 75  // EX_TEMPFAIL: locked by someone else
	ExitRefused     = 77  // EX_NOPERM
	ExitConfig      = 78  // EX_CONFIG
	ExitInterrupted = 130 // as a shell says it: stopped by ^C before anything had started
)

// Error is an error that knows its exit status. A nil Err says nothing more: all has been printed already,
// or the status is that of a host's own command.
type Error struct {
	Status int
	Err    error
	Hint   string // what to do about it, one sentence; may be empty
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitStatus is the status that the process should exit with after err.
func ExitStatus(err error) int {
	if err == nil {
		return ExitOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return ExitSoftware
}

// Usage is an error of the command line.
func Usage(hint, format string, args ...any) error {
	return &Error{Status: ExitUsage, Err: fmt.Errorf(format, args...), Hint: hint}
}

// status is an error that only carries an exit status; nil for 0.
func status(code int) error {
	if code == ExitOK {
		return nil
	}
	return &Error{Status: code}
}

func configError(err error) error { return &Error{Status: ExitConfig, Err: err} }
