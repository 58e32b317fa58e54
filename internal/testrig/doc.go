// Package testrig makes a fleet of real hosts on one machine, for tests and for the demo.
//
// A host is a network, process, mount, host name and IPC namespace with a private root: an overlay over a
// hermetic Debian 12 tree, its own machine-id and boot id, its own address, an sshd on port 22, and real
// MySQL or MariaDB servers with real replication between them. It sees nothing of the machine: no disk, no
// process, no data directory. The trees are built once into a cache (/var/cache/interlock-rig, or
// INTERLOCK_RIG_CACHE) with mmdebstrap; after that a host is up in well under a second.
//
//	rig := testrig.For(t)
//	db1, err := rig.AddHost(ctx, testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MySQL}})
//	srv, err := db1.StartServer(ctx, testrig.ServerSpec{Product: testrig.MySQL})
//	out, err := db1.Exec(ctx, "ps ax")
//
// Everything needs root. What a rig starts is written down under /run/interlock-rig/NAME before it is
// started, and goes away with Close; what a killed owner left behind goes away with the next New.
package testrig
