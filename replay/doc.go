// Package replay brings a restored server up to date from binary logs by their outcome instead of their
// history.
package replay
