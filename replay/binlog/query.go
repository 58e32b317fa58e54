package binlog

import (
	"encoding/binary"
	"fmt"
)

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

// ParseQuery reads a statement event. Its slices point into the event.
func ParseQuery(f *Format, ev *Event) (Query, error) {
	parts, err := splitQuery(f, ev.Type, ev.Body)
	if err != nil {
		return Query{}, fmt.Errorf("parse %s at %s: %w", ev.Type, ev.At, err)
	}
	return Query{
		ThreadID:  binary.LittleEndian.Uint32(ev.Body),
		ErrorCode: binary.LittleEndian.Uint16(ev.Body[9:]),
		Schema:    string(parts.schema),
		SQL:       parts.sql,
		Vars:      parts.vars,
		Verb:      verbOf(parts.sql),
	}, nil
}

// queryParts are the parts of a statement event whose lengths vary.
type queryParts struct {
	vars, schema, sql []byte
	before            int // length of everything before the SQL
}

// queryFixed is the fixed part of a statement: thread 4, seconds of execution 4, length of the schema 1, error
// 2, length of the status variables 2. EXECUTE_LOAD_QUERY has 13 bytes more.
const queryFixed = 13

// splitQuery cuts a statement event's body.
func splitQuery(f *Format, t Type, body []byte) (queryParts, error) {
	fixed := f.postHeader(t)
	if fixed < queryFixed {
		return queryParts{}, fmt.Errorf("the format gives it a fixed part of %d bytes, at least %d are needed", fixed, queryFixed)
	}
	if len(body) < fixed {
		return queryParts{}, fmt.Errorf("%d bytes are too few", len(body))
	}
	schemaLen, varsLen := int(body[8]), int(binary.LittleEndian.Uint16(body[11:]))
	before := fixed + varsLen + schemaLen + 1
	if before > len(body) {
		return queryParts{}, fmt.Errorf("its status variables (%d bytes) and schema (%d) do not fit into %d bytes", varsLen, schemaLen, len(body))
	}
	if body[before-1] != 0 {
		return queryParts{}, fmt.Errorf("its schema does not end with NUL")
	}
	return queryParts{
		vars:   body[fixed : fixed+varsLen],
		schema: body[fixed+varsLen : before-1],
		sql:    body[before:],
		before: before,
	}, nil
}
