package target

import (
	"context"
	"errors"
	"time"

	"interlock/replay/binlog"
)

var errNotBuilt = errors.New("not built yet")

// Options say how the target is reached, as the MySQL client's options of the same names do.
type Options struct {
	DefaultsFile string // [client] and [mysql]/[mariadb] of it; empty: none is read
	Host         string
	Port         int
	Socket       string
	User         string
	PasswordFile string
	SSLMode      string // DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY
	SSLCA        string
	SSLCert      string
	SSLKey       string
}

// Server is the target. Its methods may be called from several goroutines at once.
type Server struct {
	Flavor  binlog.Flavor
	Version string
	GTIDs   bool // MySQL: gtid_mode is ON
}

// Connect reaches the target and finds out what it is. It changes nothing.
func Connect(ctx context.Context, opts Options) (*Server, error) { return nil, errNotBuilt }

// Close ends every connection of the server.
func (s *Server) Close() error { return nil }

// Table is a table of the target.
type Table struct {
	Schema, Name, Engine string
	Columns              []Column
	Key                  []int   // primary key, else a unique key over NOT NULL columns, in index order; nil: none
	Unique               [][]int // columns of every unique index that has only plain whole columns
	UniqueUnsafe         bool    // a unique index over a prefix, an expression, a hash, or multi-valued
	Computed             bool    // generated columns, functional indexes, expression defaults: the server computes again
	Group                string  // tables that foreign keys tie together share it; empty: no foreign keys
	Actions              bool    // a foreign key of its group has ON DELETE or ON UPDATE CASCADE, SET NULL, SET DEFAULT
	NotTransactional     bool    // engine is not InnoDB
	Ordered              string  // why it can only be applied in its original order (sequence, system-versioned, mysql.*), empty: it can be folded
}

// Column is a column of the target, in the order in which row images have them: hidden ones that the log
// carries included.
type Column struct {
	Name          string
	DataType      string // information_schema's DATA_TYPE
	Unsigned      bool
	Nullable      bool
	Generated     bool
	AutoIncrement bool
	Collation     string
}

// Schema reads and keeps what is known of the target's tables. It belongs to one goroutine.
type Schema struct{}

// Schema returns an empty cache.
func (s *Server) Schema() *Schema { return &Schema{} }

// Table describes a table; one that is not there is an error that names it.
func (c *Schema) Table(ctx context.Context, schema, name string) (*Table, error) {
	return nil, errNotBuilt
}

// Forget drops everything: a statement that may have changed the schema has run.
func (c *Schema) Forget() {}

// Fit tells whether rows of the log's layout are rows of the table: number, types, nullability and sign of
// columns. The error names the first column that differs and what to do.
func (t *Table) Fit(layout *binlog.Table) error { return errNotBuilt }

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

// AutoIncrement raises a table's counter so that the next value is at least max+1, by ALTER TABLE where the
// server does not have it there already.
func (r *Run) AutoIncrement(ctx context.Context, t *Table, max uint64) error { return errNotBuilt }

// FinishEpoch marks the epoch finished with its GTIDs, removes its chunk rows, and adds the GTIDs to the
// server's (gtid_purged; MariaDB: gtid_slave_pos).
func (r *Run) FinishEpoch(ctx context.Context, number int64, gtids *binlog.GTIDSet) error {
	return errNotBuilt
}

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

// Settings closes the target to others and sets what a run needs, keeping what was there in interlock_replay
// so that the next start puts it back after a crash. Restore puts it back.
func (r *Run) Settings(ctx context.Context) error { return errNotBuilt }

func (r *Run) Restore(ctx context.Context) error { return errNotBuilt }

// Finish marks the run finished; Close lets go of the lock.
func (r *Run) Finish(ctx context.Context) error { return errNotBuilt }

func (r *Run) Close() error { return nil }

// DropState removes the schema interlock_replay, unless a run is unfinished.
func (s *Server) DropState(ctx context.Context) error { return errNotBuilt }

// Preflight looks at everything that must be true before a run, and returns all that is not, each with what
// would mend it.
func (s *Server) Preflight(ctx context.Context, log *binlog.Survey, flavor binlog.Flavor) error {
	return errNotBuilt
}

// Canary applies a row event to a scratch table in interlock_replay and reads it back.
func (r *Run) Canary(ctx context.Context, f *binlog.Format) error { return errNotBuilt }
