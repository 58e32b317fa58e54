package replay

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"interlock/replay/binlog"
)

// tally counts what becomes of everything that is read, so that at the end nothing is unaccounted for. It may
// be used by several goroutines at once.
type tally struct {
	mu        sync.Mutex
	total     int64 // bytes of the log, for the progress
	in        counts
	held      counts // prepared (XA), not committed yet
	skipped   map[string]counts
	applied   counts // what units that are on the target hold
	rows      netRows
	epochs    int64
	chunks    int64
	barriers  int64
	merged    int64 // transactions of statements that were merged
	prepared  []string
	stopAt    binlog.Position
	stopWhy   string
	at        binlog.Position // behind the last transaction read
	committed time.Time       // it was, at the source
	offset    int64           // of it, in the whole of the log
	pace      pace            // of the target
	tables    map[string]*TableSummary
	stages    Stages
}

// netRows is what changes of rows came to.
type netRows struct {
	Folded  int64 // changes that left no row to apply
	Deletes int64 // rows that went
	Writes  int64 // rows that came
	Updates int64 // rows that were changed in place
	Ordered int64 // changes applied in their original order
	Barrier int64 // changes applied within barriers
}

func newTally(files []*binlog.File) *tally {
	t := &tally{skipped: map[string]counts{}, tables: map[string]*TableSummary{}, pace: pace{files: map[string]int64{}}}
	for _, f := range files {
		t.pace.files[f.Name] = t.total
		t.total += f.Size
	}
	return t
}

func (t *tally) read(c counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in.add(c)
}

func (t *tally) skip(why string, c counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.skipped[why]
	s.add(c)
	t.skipped[why] = s
}

func (t *tally) hold(c counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held.add(c)
}

func (t *tally) release(c counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held.add(counts{Transactions: -c.Transactions, Bytes: -c.Bytes})
}

func (t *tally) stopped(at binlog.Position, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopAt, t.stopWhy = at, why
}

func (t *tally) leftPrepared(xid string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prepared = append(t.prepared, xid)
}

func (t *tally) position(at binlog.Position, committed time.Time, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.offset = at, offset
	t.pace.moved = time.Now()
	if committed.After(t.committed) {
		t.committed = committed
	}
}

// lastCommit is when what was read last was committed at the source.
func (t *tally) lastCommit() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.committed
}

// end is the place behind the last transaction read.
func (t *tally) end() binlog.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

func (t *tally) stage(add func(*Stages)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	add(&t.stages)
}

// errUnaccounted is a run that has lost something that it read.
var errUnaccounted = errors.New("unaccounted")

func unaccounted(format string, args ...any) error {
	return as(errUnaccounted, fmt.Errorf("account for the run: "+format, args...))
}

// accounts proves that whatever was read is applied, folded away or skipped for a reason.
func (t *tally) accounts() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.applied
	for _, c := range t.skipped {
		out.add(c)
	}
	switch {
	case t.held.Transactions > 0:
		return unaccounted("%d XA transactions were read, and neither applied nor left prepared; do not use this server, and report this", t.held.Transactions)
	case out.Transactions != t.in.Transactions:
		return unaccounted("%d transactions were read, %d applied or skipped; do not use this server, and report this", t.in.Transactions, out.Transactions)
	case out.Bytes != t.in.Bytes:
		return unaccounted("%d bytes of transactions were read, %d applied or skipped; do not use this server, and report this", t.in.Bytes, out.Bytes)
	case out.Changes != t.in.Changes:
		return unaccounted("%d changes were read, %d applied or skipped; do not use this server, and report this", t.in.Changes, out.Changes)
	}
	return nil
}
