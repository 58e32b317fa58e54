// Package session turns the session context that a binary log carries with its statements into the SET
// statements that restore it, as mysqlbinlog would print them.
package session
