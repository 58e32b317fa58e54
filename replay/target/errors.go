package target

import "errors"

// ErrLocked is why a second replay onto the same server is refused.
var ErrLocked = errors.New("another replay is running on this server")
