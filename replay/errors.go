package replay

import (
	"errors"

	"interlock/replay/target"
)

// What kind of error a run ended with, for exit statuses: errors.Is tells.
var (
	// ErrUnreachable: the target could not be reached or logged into.
	ErrUnreachable = errors.New("target is unreachable")
	// ErrUsage: what was asked for makes no sense, as such or with these logs; nothing was applied.
	ErrUsage = errors.New("usage")
	// ErrRefused: the target, or the log, is not fit; nothing was applied.
	ErrRefused = errors.New("refused")
	// ErrOutput: the run has ended well, and its summary could not be written.
	ErrOutput = errors.New("output")
)

// kindError is an error with its kind, which its text does not repeat.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

// as gives an error its kind.
func as(kind, err error) error {
	if err == nil {
		return nil
	}
	return &kindError{kind, err}
}

// notConnected gives an error of target.Connect its kind.
func notConnected(err error) error {
	if _, ok := errors.AsType[*target.OptionsError](err); ok {
		return as(ErrUsage, err)
	}
	return as(ErrUnreachable, err)
}
