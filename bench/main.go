// Bench measures interlock against its peers and its own bars, each pair in one run, taking turns, and prints
// one table. docs/performance.md says what the numbers mean. It needs root, for the rig's hosts.
//
//	make bench
//	make bench-fleet
//	cd bench && go run . [-rounds N] [-fleet-rounds N] [-sims N] [-only WORD[,WORD]]
//
// A bar that is missed is printed as missed; the exit status says only whether everything could be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"interlock/internal/testrig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// bench is what every part measures with.
type bench struct {
	rig       *testrig.Rig
	dir       string // scratch; the contenders run in it
	interlock string // the program under test, built from this tree
	inside    string // path of this module's inside on the machine
	env       []string
	table     table

	rounds      int // of what takes a fraction of a second
	fleetRounds int // of what takes many seconds
	sims        int // simulated hosts
}

// part is a group of rows that can be asked for by its word.
type part struct {
	word    string
	measure func(context.Context, *bench) error
}

// parts is the list of what can be measured, in the order in which it is: what needs a quiet machine comes
// before the 200 hosts.
var parts = []part{
	{"run", measureRun},
	{"budget", measureBudget},
	{"explain", measureExplain},
	{"fleet", measureFleet},
	{"scale", measureScale},
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 21, "`N` rounds of what is done on one host")
	fleetRounds := flags.Int("fleet-rounds", 3, "`N` rounds of what is done on 200 hosts, and on 5,000")
	simulated := flags.Int("sims", 5000, "simulate `N` hosts, a multiple of 200; the bars are for 5000")
	only := flags.String("only", "", "measure these `WORDS` alone: run, budget, explain, fleet, scale")
	if err := flags.Parse(args); err != nil {
		return err
	}
	words := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	for _, word := range words {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.word == word }) {
			return fmt.Errorf("-only %q: want run, budget, explain, fleet or scale", word)
		}
	}
	if *rounds < 1 || *fleetRounds < 1 {
		return errors.New("-rounds and -fleet-rounds are 1 or more")
	}
	if *simulated < 200 || *simulated%200 != 0 || *simulated > 20_000 {
		return errors.New("-sims is a multiple of 200, at most 20000")
	}
	b := &bench{rounds: *rounds, fleetRounds: *fleetRounds, sims: *simulated}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.table.out = os.Stdout
	fmt.Printf("%s, %d processors, %s, load %s\n\n", runtime.Version(), runtime.NumCPU(), kernel(), load())
	for _, p := range parts {
		if len(words) > 0 && !slices.Contains(words, p.word) {
			continue
		}
		if err := p.measure(ctx, b); err != nil {
			return fmt.Errorf("measure %s: %w", p.word, err)
		}
	}
	return b.table.flush()
}

// prepare builds the programs and brings up a rig without hosts.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "interlock-bench"); err != nil {
		return err
	}
	// An inventory of its own, so that none of the user's counts, and audit lines on a real disk: they are
	// synced before a destructive command starts, and that is part of what is measured.
	if err := os.WriteFile(b.path("hosts.toml"), nil, 0o644); err != nil {
		return err
	}
	b.env = append(os.Environ(), "XDG_STATE_HOME="+b.path("state"), "NO_COLOR=1", "SSH_AUTH_SOCK=")
	b.interlock, b.inside = b.path("interlock"), b.path("inside")
	if err := build(ctx, "..", b.interlock, "."); err != nil {
		return err
	}
	if err := build(ctx, ".", b.inside, "./inside"); err != nil {
		return err
	}
	b.rig, err = testrig.New(ctx, testrig.Options{})
	return err
}

func (b *bench) close() error {
	var err error
	if b.rig != nil {
		err = b.rig.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// build makes a program of a module without cgo, so that it runs in any tree.
func build(ctx context.Context, module, program, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, pkg)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w: %s", pkg, module, err, tail(string(out)))
	}
	return nil
}

// load is the load average of the last minute, five and fifteen: a number measured beside other work says so.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "kernel unknown"
	}
	return "Linux " + strings.TrimSpace(string(text))
}

// say tells a person who waits what is going on.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
