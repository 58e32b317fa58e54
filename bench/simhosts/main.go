// Simhosts is the simulated fleet in a process of its own, so that what it costs is not the client's. It prints an
// object of JSON when it answers, and another one, the account of what its hosts have seen, for each line that it reads:
// at once for "now", after nothing is open and nothing runs any more for "idle".
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"interlock/internal/testrig/simfleet"
)

// Ready is the first object.
type Ready struct {
	Set, Config   string
	Dead, Refuses int // hosts that never answer; that say no to a destructive command
}

// Account is an answer to a line.
type Account struct {
	simfleet.Ledger
	CPU  time.Duration // of this process so far
	Busy string        // after "idle": what was still open or at work after a while
}

// settle is how long a line waits for the hosts to be done.
const settle = 20 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "simhosts: %v\n", err)
		os.Exit(1)
	}
}

func run() (err error) {
	var o simfleet.Options
	flag.IntVar(&o.Hosts, "hosts", 5000, "`N` hosts")
	flag.DurationVar(&o.RoundTrip, "rtt", 50*time.Millisecond, "round trip")
	flag.DurationVar(&o.Inspect, "inspect", 100*time.Millisecond, "what a check takes on a host")
	flag.DurationVar(&o.Slow, "slow", 5*time.Second, "what it takes on a slow one")
	flag.StringVar(&o.Dir, "dir", "", "`DIRECTORY` for the client's files")
	flag.BoolVar(&o.Hashed, "hashed", false, "known_hosts with hashed names")
	flag.Parse()
	fleet, err := simfleet.Start(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(Ready{Set: fleet.Set(), Config: fleet.Config(), Dead: fleet.Dead(), Refuses: fleet.Refuses()}); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		a := Account{}
		if in.Text() == "idle" {
			ctx, cancel := context.WithTimeoutCause(context.Background(), settle, fmt.Errorf("still so after %v", settle))
			if err := fleet.Idle(ctx); err != nil {
				a.Busy = err.Error()
			}
			cancel()
		}
		a.Ledger = fleet.Ledger()
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		a.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}
