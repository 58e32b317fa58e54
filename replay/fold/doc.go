// Package fold turns a stretch of a binary log into its outcome: the net change of every row. It is pure; it
// knows the log's format and no server.
//
// Between two points of a log only the first before-image and the last after-image of a row matter. What the
// package holds, and its tests name by number:
//
//  1. Identity. The bytes of the key columns name one row for the length of an epoch, whatever their type or
//     collation: an update that alters them is the going of one row and the coming of another. Where the log may keep such
//     an update to itself (Table.LooseKey) it is a *NeedsOrder.
//  2. Chain. What an epoch knows of a row is compared with every further change to it: an insert of what is
//     there, a change to what is gone or whose before-image is not the last after-image is a *ChainError.
//  3. Net change. Applied to the state before the epoch, the outcome gives the state after it, byte for byte;
//     what ends as it began leaves no trace.
//  4. Phases. When everything in Goes has been applied, Comes can be applied in any order and no row collides
//     with another one in any unique index, whatever the history between did.
//  5. Partial images are merged by columns. A partial insert is never merged into an update: columns that it
//     leaves out are defaults, not the old row's values.
//  6. What cannot be folded exactly is a *NeedsOrder. After any error of Add the epoch is as it was before.
//  7. A row of a table whose columns are computed again has one session context from where it comes, or the epoch
//     finds it, until it goes; else it is a *NeedsOrder. What goes has the context of the row that was there before
//     the epoch, what comes that of the last one: the server takes out of its indexes what it would compute now.
//     Of a table with checks what comes has the context of the row's last change: the server that logged it accepted
//     the whole row under that one.
//  8. A table without a key is a multiset of whole rows: what comes minus what goes. One whose columns are
//     computed again is a *NeedsOrder.
//  9. The same history gives the same outcomes, byte for byte and in the same order, in every process.
//  10. Slim images (the key before, the changed columns after) say the same as whole ones.
//  11. The counter of an AUTO_INCREMENT column sees every after-image, also of rows that left no trace or were
//     rolled back.
//  12. Nothing points into the caller's buffers; Bytes covers what is held, and garbage stays below half.
package fold
