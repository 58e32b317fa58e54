package binlog

import "time"

// Ending is how a transaction ends in the log.
type Ending uint8

// The endings.
const (
	EndXID      Ending = iota + 1 // an XID event: engines with two-phase commit
	EndCommit                     // a COMMIT statement: no such engine took part
	EndRollback                   // a ROLLBACK statement: something in it could not be rolled back
	EndBare                       // a single statement outside of BEGIN … COMMIT: DDL, XA COMMIT, XA ROLLBACK
	EndPrepare                    // XA PREPARE
	EndOnePhase                   // XA COMMIT … ONE PHASE
)

// Txn is one transaction of the log, or one statement that stands alone. Its end is known before its events
// are handed out, so an incomplete one is never seen.
type Txn struct {
	Start, End Position
	GTID       GTID      // zero: anonymous
	ServerID   uint32    // of the server where it was executed first
	Committed  time.Time // original commit time, in microseconds where the log has it, else seconds
	Ending     Ending
	Bytes      int64 // length in the files

	HasRows       bool   // a rows event
	HasStatements bool   // a statement besides BEGIN, COMMIT, savepoints and XA
	HasSavepoints bool   // SAVEPOINT, ROLLBACK TO, RELEASE
	XID           string // of an XA transaction, as its statements write it: X'67',X'',1
	XARollback    bool   // bare XA ROLLBACK (XA COMMIT otherwise)

	// MariaDB's two-phase ALTER: the flags of the GTID event.
	StartAlter, CommitAlter, RollbackAlter bool
	Standalone, Transactional, DDL         bool // MariaDB: FL_STANDALONE, FL_TRANSACTIONAL, FL_DDL

	// CreateSelect: MySQL's CREATE TABLE … START TRANSACTION with its rows.
	CreateSelect bool
	// FailedWith is the error with which a statement of it ended at the source, 0 mostly: part of it was done, and the log
	// does not say which part.
	FailedWith uint16
	// ByPlace: a statement of it may number or choose rows by where they lie in their table.
	ByPlace bool
	// CreatesTemporary: CREATE TEMPORARY TABLE is among its statements.
	CreatesTemporary bool
	// Events counts the events as Events yields them.
	Events int
}
