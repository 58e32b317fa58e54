package target

import "errors"

// OptionsError is what is wrong with Options themselves, before a server is asked.
type OptionsError struct{ Err error }

func (e *OptionsError) Error() string { return e.Err.Error() }
func (e *OptionsError) Unwrap() error { return e.Err }

// ErrLocked is why a second replay onto the same server is refused.
var ErrLocked = errors.New("another replay is running on this server")
