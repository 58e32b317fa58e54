// Package replay brings a restored server up to date from binary logs by their outcome instead of their
// history.
//
//	files ─▶ survey ─▶ planner ───────────────────────▶ executor
//	         whole      transaction by transaction:       unit by unit:
//	         log,       select, then                      chunks over N connections, what goes before
//	         nothing    rows        ─▶ epoch (fold)       what comes, each with its mark in its own
//	         applied    statements  ─▶ batch              transaction; then AUTO_INCREMENT, epoch's mark,
//	                    the rest    ─▶ barrier            GTIDs. A barrier alone, on a session of its own.
//
// The planner is one goroutine and fills the next epoch while the executor applies the last one; the first one
// while the executor tries the target with a canary. Where a statement may have changed the schema, it waits
// until the statement has run.
//
// What holds, by number; tests name the number that they hold:
//
//  1. Nothing of the log is applied before all of it has been read through once: frames, checksums, order,
//     event types. What is not understood stops the run there.
//  2. A transaction is folded only when its end has been found: an incomplete one is never applied.
//  3. An epoch holds rows of a table under one layout alone, and ends before anything that has to see it.
//  4. What goes is committed on the target, over all connections, before anything comes.
//  5. A group of tables tied by foreign keys is either folded or in its original order, for all of an epoch.
//  6. A chunk and its mark are one transaction. The same log gives the same chunks, whatever the number of
//     connections; a resumed epoch that comes out otherwise stops the run.
//  7. A barrier runs alone: every epoch before it is finished, none behind it has begun.
//  8. Every transaction, change and byte that is read is applied, or skipped for a reason that the summary
//     names; a difference is an error.
//  9. GTIDs are added when the epoch that holds the end of their transaction is finished, never before.
//  10. An error leaves the target either whole at the end of an epoch, with its settings put back, or closed
//     to others and marked as inconsistent. The same command goes on from there.
package replay
