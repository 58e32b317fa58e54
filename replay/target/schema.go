package target

import "context"

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
