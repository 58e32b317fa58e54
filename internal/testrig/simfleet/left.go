package simfleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Unaccounted is what the account of hosts that are idle again does not explain: a command that started without the
// client's record of it, or twice on a host, or that has not ended; a lock that stays, or that nothing came of; what
// the hosts did not understand. recorded are the client's decisions to run: lock to host; under "" stands anything
// where the command takes no lock.
func (l *Ledger) Unaccounted(recorded map[string]string) []string {
	var odd []string
	add := func(format string, args ...any) { odd = append(odd, fmt.Sprintf(format, args...)) }
	locked := 0
	seen := map[string]bool{}
	for _, c := range l.Commands {
		if c.Lock != "" {
			locked++
		}
		switch _, known := recorded[c.Lock]; {
		case !known, c.Lock != "" && recorded[c.Lock] != c.Host:
			add("%s: started under lock %q, which is on record for %q", c.Host, c.Lock, recorded[c.Lock])
		case seen[c.Host]:
			add("%s: started twice", c.Host)
		case !c.Ended:
			add("%s: has not ended", c.Host)
		}
		seen[c.Host] = true
	}
	if l.LocksTaken != locked+l.Declined {
		add("%d locks were taken for %d commands and %d that were declined", l.LocksTaken, locked, l.Declined)
	}
	for _, host := range l.Held {
		add("%s: its lock stays", host)
	}
	return append(odd, l.Problems...)
}

// Processes are those that have mark, NAME=VALUE, in the environment that they were started with.
func Processes(mark string) ([]string, error) {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	var some []string
	for _, file := range all {
		// One that cannot be read has ended, or is not ours.
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(append([]byte{0}, text...), []byte("\x00"+mark+"\x00")) {
			some = append(some, filepath.Dir(file))
		}
	}
	return some, nil
}
