// Package fold turns a stretch of a binary log into its outcome: the net change of every row. It is pure; it
// knows the log's format and no server.
package fold
