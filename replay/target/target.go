package target

import (
	"context"
	"errors"

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

// Settings closes the target to others and sets what a run needs, keeping what was there in interlock_replay
// so that the next start puts it back after a crash. Restore puts it back.
func (r *Run) Settings(ctx context.Context) error { return errNotBuilt }

func (r *Run) Restore(ctx context.Context) error { return errNotBuilt }

// Preflight looks at everything that must be true before a run, and returns all that is not, each with what
// would mend it.
func (s *Server) Preflight(ctx context.Context, log *binlog.Survey, flavor binlog.Flavor) error {
	return errNotBuilt
}

