package target

import "context"

// Settings closes the target to others and sets what a run needs, keeping what was there in interlock_replay
// so that the next start puts it back after a crash. Restore puts it back.
func (r *Run) Settings(ctx context.Context) error { return errNotBuilt }

func (r *Run) Restore(ctx context.Context) error { return errNotBuilt }
