package target

import (
	"context"

	"interlock/replay/binlog"
)

// Preflight looks at everything that must be true before a run, and returns all that is not, each with what
// would mend it.
func (s *Server) Preflight(ctx context.Context, log *binlog.Survey, flavor binlog.Flavor) error {
	return errNotBuilt
}
