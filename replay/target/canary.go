package target

import (
	"context"

	"interlock/replay/binlog"
)

// Canary applies a row event to a scratch table in interlock_replay and reads it back.
func (r *Run) Canary(ctx context.Context, f *binlog.Format) error { return errNotBuilt }
