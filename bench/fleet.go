package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"interlock/internal/testrig"
)

// The fleet: 200 hosts of the rig, each with its own sshd, processes and files, 64 asked at a time. All of them
// work on this machine's processors, so what a check costs a host is in every contender's wall time.
const (
	fleetHosts    = 200
	fleetParallel = 64
	fleetBar      = 3.0
	// bootTogether is how many hosts come up at once: more only queue for the processors.
	bootTogether = 20
)

// fleet is what the fan-outs share.
type fleet struct {
	set    string // the addresses, as interlock and clush read them
	list   string // a file with one a line, for parallel-ssh
	config string // ssh_config without a block per host
	clush  bool   // installed
	pssh   bool
}

func measureFleet(ctx context.Context, b *bench) error {
	f, err := b.bootFleet(ctx)
	if err != nil {
		return err
	}
	b.findPeers(ctx, f)
	say("%d hosts are up", fleetHosts)
	ours := b.ours(f, "run", "--", "true")
	if err := b.fanOut(ctx, "true", ours, f.peers("true", nil)); err != nil {
		return err
	}
	_, line, err := request("fleet", finding{})
	if err != nil {
		return err
	}
	check := b.ours(f, "check", "--json")
	// A whole report, whatever it says: 64 checks at once on one machine's processors can take a host's search
	// past its bound of two seconds, and then the host is unknown, as it should be.
	check.check = said(`"looked":{`)
	return b.fanOut(ctx, "check", check, f.peers(line, said("interlock-end ")))
}

// findPeers looks for the peers, and installs them where that can be done; one that is missing has a row that
// says so.
func (b *bench) findPeers(ctx context.Context, f *fleet) {
	install := exec.CommandContext(ctx, "../.ci/packages", "bench")
	install.Stderr = os.Stderr
	if err := install.Run(); err != nil {
		say("install clush and parallel-ssh: %v", err)
	}
	for _, program := range []struct {
		name string
		has  *bool
	}{{"clush", &f.clush}, {"parallel-ssh", &f.pssh}} {
		_, err := exec.LookPath(program.name)
		*program.has = err == nil
		if err != nil {
			b.table.add(row{what: fmt.Sprintf("%d hosts: %s", fleetHosts, program.name), ours: "not measured: it is not installed (.ci/packages bench)"})
		}
	}
}

// said makes sure that every host has said a word.
func said(word string) func([]byte) error {
	return func(out []byte) error {
		if n := bytes.Count(out, []byte(word)); n != fleetHosts {
			return fmt.Errorf("%d of %d hosts said %q", n, fleetHosts, word)
		}
		return nil
	}
}

// bootFleet brings the hosts up and writes the files that name them.
func (b *bench) bootFleet(ctx context.Context) (*fleet, error) {
	var addresses []string
	for i := 0; i < fleetHosts; i += bootTogether {
		var specs []testrig.HostSpec
		for j := range min(bootTogether, fleetHosts-i) {
			specs = append(specs, testrig.HostSpec{Name: fmt.Sprintf("fleet%03d", i+j+1)})
		}
		hosts, err := b.rig.AddHosts(ctx, specs...)
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			addresses = append(addresses, h.Addr.String())
		}
	}
	f := &fleet{set: strings.Join(addresses, ","), list: b.path("addresses"), config: b.path("ssh_config")}
	config := fmt.Sprintf("Host *\n\tUser root\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile none\n"+
		"\tStrictHostKeyChecking yes\n\tBatchMode yes\n\tLogLevel ERROR\n", b.rig.KeyFile(), b.rig.KnownHosts())
	if err := os.WriteFile(f.config, []byte(config), 0o644); err != nil {
		return nil, err
	}
	return f, os.WriteFile(f.list, []byte(strings.Join(addresses, "\n")+"\n"), 0o644)
}

// ours is interlock on the fleet. What follows "--" stands behind the hosts.
func (b *bench) ours(f *fleet, words ...string) contender {
	argv := []string{b.interlock, words[0], "--config", b.path("hosts.toml"), "-F", f.config, "--parallel", strconv.Itoa(fleetParallel)}
	rest := words[1:]
	for len(rest) > 0 && rest[0] != "--" {
		argv, rest = append(argv, rest[0]), rest[1:]
	}
	argv = append(argv, f.set)
	return contender{name: "interlock " + words[0], argv: append(argv, rest...)}
}

// peers run one remote command line on the fleet.
func (f *fleet) peers(line string, check func([]byte) error) []contender {
	var all []contender
	if f.clush {
		all = append(all, contender{name: "clush", check: check,
			argv: []string{"clush", "-S", "-f", strconv.Itoa(fleetParallel), "-o", "-F " + f.config, "-w", f.set, line}})
	}
	if f.pssh {
		all = append(all, contender{name: "parallel-ssh", check: check,
			argv: []string{"parallel-ssh", "-i", "-t", "0", "-p", strconv.Itoa(fleetParallel), "-x", "-F " + f.config, "-h", f.list, line}})
	}
	return all
}

// fanOut compares wall time, client CPU and client memory. Here more is better: how many times faster we are.
func (b *bench) fanOut(ctx context.Context, what string, ours contender, peers []contender) error {
	all := append([]contender{ours}, peers...)
	results, err := b.alternate(ctx, b.fleetRounds, all...)
	if err != nil {
		return err
	}
	var memory []int64
	for _, c := range all {
		m, err := c.memory(ctx, b)
		if err != nil {
			return err
		}
		memory = append(memory, m)
	}
	for i := range peers {
		mine, theirs := results[0], results[i+1]
		ratio := theirs.wall.over(mine.wall)
		b.table.add(row{
			what: fmt.Sprintf("%s, %d hosts, %d at a time", what, fleetHosts, fleetParallel),
			ours: mine.wall.String(), against: peers[i].name + " " + theirs.wall.String(),
			ratio: ratio.show(times), bar: fmt.Sprintf("at least %gx", fleetBar), met: ratio.median() >= fleetBar,
		})
		b.table.add(row{
			what: "  client CPU; peak memory of the client's processes", ours: mine.cpu.String() + "; " + megabytes(memory[0]),
			against: theirs.cpu.String() + "; " + megabytes(memory[i+1]),
			ratio:   theirs.cpu.over(mine.cpu).show(times),
		})
	}
	return nil
}
