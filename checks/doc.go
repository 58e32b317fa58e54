// Package checks lets a host say what it is: the script that inspects it (check.sh), the request that
// carries the script and a command to it in one SSH session, and the report that it answers with.
//
// The verdict is the host's. Nothing in this package can turn a host's "refuse" into "run"; a report that
// is cut, doubled, carries another nonce or does not parse is an error, and an error is never an absence.
package checks
