package simfleet

import (
	"fmt"
	"slices"
	"sync"
)

// Command is one that a host has started.
type Command struct {
	Host   string
	Lock   string // id of its lock; "" where its class takes none
	Text   string
	Signal string // the last one that it got
	Ended  bool   // and its end is recorded on the host, its lock put away
	Status int    // once it has ended
}

// Ledger is what the hosts have seen so far.
type Ledger struct {
	Connections, Open int // taken; still open
	Sessions, Working int // exec requests; still at work on a host, whether or not anybody listens
	Reports           int // whole ones, sent
	Declined          int // guarded sessions whose host said run, and that got no go
	LocksTaken        int
	Commands          []Command // in the order in which they started
	Held              []string  // hosts with a lock that one of our sessions took
	Problems          []string  // what a real host would have refused to understand, or broke a rule; at most maxProblems
}

const maxProblems = 20

// Running are the hosts where a command has not ended.
func (l *Ledger) Running() []string {
	var names []string
	for _, c := range l.Commands {
		if !c.Ended {
			names = append(names, c.Host)
		}
	}
	return names
}

// book is the ledger while it is written.
type book struct {
	mu       sync.Mutex
	l        Ledger
	commands []*command
	held     map[string]bool
}

func (b *book) note(f func(*Ledger)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.l)
}

func (b *book) problem(host, format string, args ...any) {
	b.note(func(l *Ledger) {
		if len(l.Problems) < maxProblems {
			l.Problems = append(l.Problems, host+": "+fmt.Sprintf(format, args...))
		}
	})
}

// locked notes that a host's lock was taken (true) or put away.
func (b *book) locked(host string, is bool) {
	b.note(func(l *Ledger) {
		if is {
			l.LocksTaken++
			b.held[host] = true
			return
		}
		delete(b.held, host)
	})
}

func (b *book) started(c *command) {
	b.note(func(*Ledger) { b.commands = append(b.commands, c) })
}

// Ledger is a copy of the account as it stands.
func (f *Fleet) Ledger() Ledger {
	b := &f.book
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.l
	l.Problems = slices.Clone(l.Problems)
	for _, c := range b.commands {
		l.Commands = append(l.Commands, c.seen())
	}
	for host := range b.held {
		l.Held = append(l.Held, host)
	}
	slices.Sort(l.Held)
	return l
}
