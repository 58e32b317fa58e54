package binlog

// Verb is what a statement of the log is, by its first words.
type Verb uint8

// The verbs.
const (
	VerbOther           Verb = iota // DDL and everything that is not below
	VerbBegin                       // BEGIN, START TRANSACTION
	VerbCommit                      // COMMIT
	VerbRollback                    // ROLLBACK
	VerbSavepoint                   // SAVEPOINT, RELEASE SAVEPOINT
	VerbRollbackTo                  // ROLLBACK TO
	VerbXAStart                     // XA START, XA BEGIN
	VerbXAEnd                       // XA END
	VerbXAPrepare                   // XA PREPARE
	VerbXACommit                    // XA COMMIT
	VerbXARollback                  // XA ROLLBACK
	VerbDML                         // INSERT, UPDATE, DELETE, REPLACE, LOAD DATA, WITH, SELECT, DO, CALL
	VerbCreateTemporary             // CREATE [OR REPLACE] TEMPORARY TABLE
	VerbDropTemporary               // DROP TEMPORARY TABLE
)

// Query is a statement event: QUERY, EXECUTE_LOAD_QUERY, MariaDB's compressed query.
type Query struct {
	ThreadID  uint32
	ErrorCode uint16 // the error that the statement ended with at the source, 0 mostly
	Schema    string
	SQL       []byte
	Vars      []byte // status variables, undecoded
	Verb      Verb
}

// ParseQuery reads a statement event.
func ParseQuery(f *Format, ev *Event) (Query, error) { return Query{}, errNotBuilt }
