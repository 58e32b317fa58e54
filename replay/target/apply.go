package target

import (
	"context"

	"interlock/replay/binlog"
)

// Mark names a chunk of a run.
type Mark struct {
	Epoch int64
	Chunk int
}

// Step is one thing that a chunk does: statements, or events.
type Step struct {
	Statements []string // run one by one
	Events     []byte   // plain events back to back, a table map before its rows; sent as BINLOG
}

// Chunk is one target transaction: its steps and its mark, all or nothing.
type Chunk struct {
	Mark  Mark
	Steps []Step
}

// Applier applies chunks over one connection. It belongs to one goroutine.
type Applier struct{}

// Retries is how often an Applier tried a chunk again, by reason.
type Retries struct{ Deadlocks, Lost int }

// Applier opens a connection for chunks: no binary log, READ COMMITTED, the log's format description.
func (r *Run) Applier(ctx context.Context, f *binlog.Format) (*Applier, error) {
	return nil, errNotBuilt
}

// Apply applies a chunk: BEGIN, steps, mark, COMMIT. Any error rolls the whole chunk back. A deadlock or lock
// timeout is tried again, a lost connection is opened again (up to a bound) after a look whether the mark is
// there. When Apply returns nil the chunk and its mark are committed, once.
func (a *Applier) Apply(ctx context.Context, c *Chunk) error { return errNotBuilt }

// Retries so far.
func (a *Applier) Retries() Retries { return Retries{} }

// Close ends the connection.
func (a *Applier) Close() error { return nil }
