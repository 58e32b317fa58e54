// Package target is the server that a log is replayed onto: its connections, its schema, what must be true of
// it before a run, how chunks are applied to it, and what a run keeps there to be resumed.
package target
