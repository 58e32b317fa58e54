// Package command is the command line: flags, wiring, error to exit status, and no logic. A command is a
// file, and all of them stand in one visible list (newApp). What they do is in internal/fleet and replay.
package command
