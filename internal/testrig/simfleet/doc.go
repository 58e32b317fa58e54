// Package simfleet answers for thousands of hosts that do not exist: SSH servers in one process, each on a loopback
// address of its own, behind a connection as long as a real one, that say what check.sh would say.
//
// The rig's hosts are real and cost some 10 MB and 100 ms of CPU for each check; a laptop has room for 200. Here a
// host costs one listening socket, so that what is measured of a client is the client. What is real: TCP, SSH, the
// exec request with the script in it (unpacked and read, its words split as a login shell does), the nonce, the go,
// the lock and its end. What is not: the inspection, and the command, which is a few words that this package knows.
//
// Every host keeps account of what it was asked to do (Ledger): which commands started under which lock, whether
// they ended, what is still open. That is what a test of an interrupted client asks.
package simfleet
