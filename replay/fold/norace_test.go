//go:build !race

package fold

// histories is how many random histories TestHistories runs on each kind of table.
const histories = 13_000
