package target

import (
	"context"

	"interlock/replay/binlog"
)

// Session is the one connection on which barriers run, one after the other; temporary tables live in it.
type Session struct{}

// Session opens it. It is not reopened when it is lost.
func (r *Run) Session(ctx context.Context, f *binlog.Format) (*Session, error) {
	return nil, errNotBuilt
}

// Barrier is what runs alone.
type Barrier struct {
	Number        int64 // counted as an epoch
	GTID          binlog.GTID
	Steps         []Step // verbatim, in order, BEGIN and COMMIT among them
	Transactional bool   // InnoDB alone, between BEGIN and COMMIT: its mark goes into its transaction
	What          string // for the intent row and errors: position, GTID, the statement's first 200 characters
	From, To      string // as of Epoch
}

// Run runs a barrier exactly once: under its own GTID on MySQL with GTIDs, under an intent row committed with
// flush 1 elsewhere. A barrier whose GTID is in gtid_executed has run. An intent left open by a crash is an
// error at Open that names What.
func (s *Session) Run(ctx context.Context, b Barrier) error { return errNotBuilt }

// Close ends it.
func (s *Session) Close() error { return nil }
