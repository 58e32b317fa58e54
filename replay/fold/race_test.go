//go:build race

package fold

// histories is few where each takes ten times as long.
const histories = 1_000
