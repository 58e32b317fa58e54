package target

import (
	"context"

	"interlock/replay/binlog"
)

// RunSpec is what a run is: on resume all of it must be the same but what Tunable holds, which comes from the
// first start.
type RunSpec struct {
	Fingerprint string            // of files, range and filters
	Describe    map[string]string // the same in words, so that a refusal can name the difference
	Tunable     map[string]string // chunk size, memory, format version, …: as first used
	Skip        string            // GTIDs that the target had at the first start, frozen
}

// Epoch is the unfinished or last epoch of a run as the target keeps it.
type Epoch struct {
	Number   int64
	From, To string // opaque to target: where the epoch begins and ends
	Plan     string // opaque: what else must be the same when it is folded again
	Chunks   int
	Digest   string // of the plan; a resumed epoch must come out the same
	GTIDs    string // of the transactions that end in it
	Finished bool
}

// Run is a run on a target, new or resumed. It holds the lock against a second one (GET_LOCK).
type Run struct {
	Resumed bool
	Spec    RunSpec // as first used
	Last    *Epoch  // nil: none yet
}

// Open creates the schema interlock_replay where it is missing, takes the lock, finds the run or makes it.
func (s *Server) Open(ctx context.Context, spec RunSpec) (*Run, error) { return nil, errNotBuilt }

// BeginEpoch writes an epoch down before its first chunk. For the epoch that a resumed run left unfinished it
// compares chunks and digest, and returns which chunks are done.
func (r *Run) BeginEpoch(ctx context.Context, e Epoch) (done map[int]bool, err error) {
	return nil, errNotBuilt
}

// FinishEpoch marks the epoch finished with its GTIDs, removes its chunk rows, and adds the GTIDs to the
// server's (gtid_purged; MariaDB: gtid_slave_pos).
func (r *Run) FinishEpoch(ctx context.Context, number int64, gtids *binlog.GTIDSet) error {
	return errNotBuilt
}

// Finish marks the run finished; Close lets go of the lock.
func (r *Run) Finish(ctx context.Context) error { return errNotBuilt }

func (r *Run) Close() error { return nil }
