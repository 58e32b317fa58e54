// Package proof holds replay against the reference: random schemas and workloads on real servers, replayed by
// mysqlbinlog | mysql and by interlock, compared row by row; kills at random moments; damaged logs.
package proof
