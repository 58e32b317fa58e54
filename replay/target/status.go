package target

import (
	"context"
	"time"
)

// Status is what --status prints.
type Status struct {
	Fingerprint  string
	Started      time.Time
	Epoch        Epoch
	ChunksDone   int
	Inconsistent bool // between the phases of an epoch: rows are missing
	Intent       string
	Closed       bool // the target is closed to others for the run
}

// Status reads the runs that the target knows. It changes nothing.
func (s *Server) Status(ctx context.Context) ([]Status, error) { return nil, errNotBuilt }

// DropState removes the schema interlock_replay, unless a run is unfinished.
func (s *Server) DropState(ctx context.Context) error { return errNotBuilt }
