package main

import (
	"context"
	"fmt"

	"interlock/internal/testrig"
)

// noop does nothing, which no classifier can know: touch writes, so the command is destructive.
var noop = []string{"touch", "/dev/null"}

// Bars of one host: a whole check on the way to a command may double what ssh costs, and a read-only command
// may cost nothing more.
const (
	guardedBar  = 2.0
	readOnlyBar = 1.0
)

// measureRun compares whole processes, from exec to exit, on one host without a database: the same key, the
// same ssh configuration, no connection kept between runs.
func measureRun(ctx context.Context, b *bench) error {
	host, err := b.rig.AddHost(ctx, testrig.HostSpec{Name: "app1"})
	if err != nil {
		return err
	}
	config := b.rig.SSHConfig()
	ours := func(command ...string) contender {
		argv := []string{b.interlock, "run", "--config", b.path("hosts.toml"), "-F", config, host.Name, "--"}
		return contender{name: "interlock run", argv: append(argv, command...)}
	}
	ssh := func(options ...string) contender {
		argv := append([]string{"ssh", "-F", config, "-o", "ControlMaster=no", "-o", "ControlPath=none"}, options...)
		return contender{name: "ssh", argv: append(argv, host.Name)}
	}
	plain := func(c contender, command string) contender {
		c.argv = append(c.argv, command)
		return c
	}
	all, err := b.alternate(ctx, b.rounds, ours(noop...), plain(ssh(), "true"), ours("uptime"), plain(ssh(), "uptime"),
		plain(ssh("-o", "KexAlgorithms=curve25519-sha256"), "uptime"))
	if err != nil {
		return err
	}
	b.compare("guarded no-op, destructive, clean host", all[0], "ssh true", all[1], guardedBar)
	b.compare("read-only uptime", all[2], "ssh uptime", all[3], readOnlyBar)
	// OpenSSH prefers a post-quantum key exchange that x/crypto lacks; it costs both ends of the connection.
	b.compare("  guarded, the same key exchange", all[0], "ssh -o Kex…=curve25519 uptime", all[4], 0)
	b.compare("  read-only, the same key exchange", all[2], "ssh -o Kex…=curve25519 uptime", all[4], 0)
	b.table.add(row{what: "  client CPU: guarded, read-only", ours: all[0].cpu.String() + ", " + all[2].cpu.String(),
		against: "ssh uptime " + all[3].cpu.String()})
	return nil
}

// compare adds a row of wall times where less is better. bar 0: none.
func (b *bench) compare(what string, ours rounds, peer string, theirs rounds, bar float64) {
	ratio := ours.wall.over(theirs.wall)
	r := row{what: what, ours: ours.wall.String(), against: peer + " " + theirs.wall.String(), ratio: ratio.show(times)}
	if bar > 0 {
		r.bar, r.met = fmt.Sprintf("at most %gx", bar), ratio.median() <= bar
	}
	b.table.add(r)
}
