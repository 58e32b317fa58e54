// Package binlog reads MySQL and MariaDB binary logs from files: frames, checksums, transactions, table maps
// and the bounds of every column in a row image, without decoding values. It knows the format and no server.
//
// MySQL 5.7 to 9.x and MariaDB 10.5 to 11.x. What is not understood is an error; nothing is skipped in
// silence but events that carry the ignorable flag.
package binlog
