package replay

import "errors"

// What kind of error a run ended with, for exit statuses: errors.Is tells.
var (
	// ErrUnreachable: the target could not be reached or logged into.
	ErrUnreachable = errors.New("target is unreachable")
	// ErrUsage: what was asked for makes no sense with these logs; nothing was applied.
	ErrUsage = errors.New("usage")
	// ErrRefused: the target, or the log, is not fit; nothing was applied.
	ErrRefused = errors.New("refused")
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
