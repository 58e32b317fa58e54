package fold

import (
	"fmt"

	"interlock/replay/binlog"
)

// Order is how the bytes of a key column sort as its index does. It decides locality alone, never identity.
type Order uint8

// The orders.
const (
	OrderBytes    Order = iota // as they are: strings, DECIMAL, DATE and TIME types
	OrderSigned                // little endian integer
	OrderUnsigned              // little endian integer
	OrderFloat
	OrderDouble
)

// Table is what the fold must know about a table. The caller owns it and does not change it during an epoch.
type Table struct {
	Name   string // schema.table, for errors
	Layout *binlog.Table
	// Key are the columns that identify a row, in index order: the primary key or a unique key over NOT NULL
	// columns. nil: the table is a multiset of whole rows.
	Key    []int
	Orders []Order // of Key
	// Unique are the columns of every unique index, the key's included, and of what a unique functional index
	// or a unique prefix may depend on. An update that alters one of them goes and comes.
	Unique binlog.Bitmap
	// Recomputed says that the server computes columns again when a row is applied (generated columns,
	// functional indexes, partitions by sums): the context then counts, also where a row goes (MySQL 9.7 looks for its
	// entry in an index by what it computes then, and leaves another one behind).
	Recomputed bool
	// Checked says that the server holds a row against CHECK constraints when it comes: the context then counts for what
	// comes.
	Checked bool
	// LooseKey says that the server may take a key for the same whose bytes are others (collations, prefixes, -0), and that
	// an update whose image lacks the key may have changed it to such a one (MariaDB 10.11: REPLACE of a row under a key
	// that is a default, which it then does not log). What follows names the row by the other bytes. Updates whose after-image
	// lacks a column of the key then need order.
	LooseKey bool
	// PartialUnsafe says that a row of a partial image cannot be taken out and put back: a unique functional
	// index. Updates with partial images then need order.
	PartialUnsafe bool
	// Generated are the columns that the server computes, nil for none. What the log has of them need not be what
	// the next change finds (MariaDB logs a virtual column over an AUTO_INCREMENT before the number is known), so
	// they are not held against it.
	Generated binlog.Bitmap
	// Cascades says that foreign keys change rows of the table while a statement goes through it. MySQL 9.6 and later
	// log such a change, but the statement's own before-image of the row may be older than it (a self-referencing
	// key): only whether the row is there is then held against what is known, not its other columns. Of rows that refer to
	// each other in a circle it logs the delete of the one that the statement names twice (MySQL 9.7), in one event: the
	// second says nothing new.
	Cascades bool
	// Unnamed says that an update may set columns to their defaults that its partial after-image lacks (MariaDB 10.11:
	// REPLACE under the row images NOBLOB and MINIMAL). They stay what they were, as on a replica, but the before-image of
	// the next change is not held against them.
	Unnamed bool
	// AutoIncrement is the column whose maximum is kept, -1 for none; AutoOrder its order.
	AutoIncrement int
	AutoOrder     Order
}

// Context is the number of a session context, as the caller numbers them. It counts for Recomputed and
// Checked tables.
type Context uint16

// Kind is what a net change does.
type Kind uint8

// The kinds.
const (
	Insert Kind = iota + 1
	Update
	Delete
)

// Change is a net change. Slices belong to the epoch and are valid until its Release.
//
// Images are slim unless the epoch was told otherwise or the table is Recomputed or has no key: the before-
// image of a Delete or an Update is its key, the after-image of an Update the columns that the epoch changed.
// Of an Insert all columns are there that the log has.
type Change struct {
	Kind    Kind
	Context Context
	Before  []byte // image; Update, Delete
	After   []byte // image; Insert, Update
	// Columns present in the images. Within an outcome the same set is the same slice: compare &cols[0].
	BeforeCols, AfterCols binlog.Bitmap
	Count                 int // of a multiset: so many times; else 1
}

// Outcome is the net effect of an epoch on one table, each list sorted by key.
type Outcome struct {
	Table *Table
	// Goes are deletes and the old rows of updates that alter a unique column: the kind is Delete, and Before
	// alone is set.
	Goes []Change
	// Comes are inserts, the new rows of those updates (the kind is Insert), and updates in place.
	Comes []Change
	// AutoIncrement is the largest value seen in any after-image, 0 for none.
	AutoIncrement uint64
	// Changes are how many changes of the log were folded into this. Folded of them left no trace: what they
	// did was undone or done again by others. Changes - Folded are what the lists stand for.
	Changes, Folded int64
}

// ChainError is a change that does not fit what the epoch knows about its row: an insert of what is there, a
// delete or an update of what is not, a before-image other than the last after-image.
type ChainError struct {
	Table string
	What  string // the change, and what was expected
	Key   []byte // the key columns' bytes, in order of columns
	Shown string // the key as a reader knows it
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("fold %s: %s: key %s (0x%x): the log lacks a change to that row or holds one twice", e.Table, e.What, e.Shown, e.Key)
}

// NeedsOrder is returned by Add when the rows of an event cannot be folded exactly. Nothing of the event has
// been added: the caller ends the epoch before the statement and applies the table in its original order.
//
//nolint:errname // it asks for another strategy and tells of no failure
type NeedsOrder struct{ Table, Why string }

func (e *NeedsOrder) Error() string { return fmt.Sprintf("fold %s: %s", e.Table, e.Why) }
