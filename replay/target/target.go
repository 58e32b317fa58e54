package target

import "errors"

var errNotBuilt = errors.New("not built yet")
