package replay

import (
	"math"
	"sync"
	"sync/atomic"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/session"
	"interlock/replay/target"
)

// table is a table as the planner knows it: what the target says of it, under one layout of the log.
type table struct {
	name    string // as in messages
	info    *target.Table
	layout  *binlog.Table
	fold    *fold.Table
	group   string // tables that have to keep their order among one another; the table's own name without foreign keys
	ordered string // why it is always applied in its original order; empty: it is folded

	// folding is the last epoch that took folded rows of it, flags those of their events. The planner's alone.
	folding *epoch
	flags   uint16

	contended atomic.Bool // workers have met in a deadlock on it
	turn      sync.Mutex  // of the one worker that applies to it then
}

// epoch is a stretch of the log while it is folded.
type epoch struct {
	number         int64
	from           cursor
	fold           *fold.Epoch
	format         *binlog.Format
	tables         map[string]*table      // in it, by name
	byFold         map[*fold.Table]*table // the folded ones
	foldedGroups   map[string]bool        // theirs
	flags          map[*fold.Table]uint16 // of rows events, all of a table's together
	ordered        map[string]string      // group → why it is applied in its original order
	streams        []*stream              // of those, by first appearance
	streamOf       map[string]*stream     // by group
	contexts       []session.Computing    // by fold.Context
	context        map[session.Computing]fold.Context
	gtids          *binlog.GTIDSet
	count          counts
	lookedAt       int64            // changes, when it was last asked whether the epoch should end for the executor
	streamed       int64            // bytes held by streams
	orderedChanges map[string]int64 // by table
}

// stream is what is applied in its original order, for one group of tables.
type stream struct {
	group  string
	pieces []piece
}

// piece is a run of events under one context, small enough for a chunk.
type piece struct {
	context fold.Context
	events  []byte
}

// pieceBytes is how long a piece grows. A chunk in original order holds locks on whatever it touches and is
// done again from its start after a deadlock; above a few megabytes nothing more is gained.
const pieceBytes = 4 << 20

func newEpoch(number int64, from cursor, f *fold.Epoch, format *binlog.Format) *epoch {
	return &epoch{
		number: number, from: from, fold: f, format: format,
		tables: map[string]*table{}, byFold: map[*fold.Table]*table{}, foldedGroups: map[string]bool{}, flags: map[*fold.Table]uint16{},
		ordered: map[string]string{}, streamOf: map[string]*stream{}, context: map[session.Computing]fold.Context{}, gtids: &binlog.GTIDSet{}, orderedChanges: map[string]int64{},
	}
}

// bytes is what the epoch holds in memory.
func (e *epoch) bytes() int64 { return e.fold.Bytes() + e.streamed }

// maxContexts is how many contexts an epoch may have: the fold's entries have 16 bits for their numbers.
const maxContexts = math.MaxUint16 + 1

// contextOf numbers a context. There is room: rowsEvent sees to it.
func (e *epoch) contextOf(c session.Computing) fold.Context {
	n, ok := e.context[c]
	if !ok {
		n = fold.Context(len(e.contexts))
		e.context[c] = n
		e.contexts = append(e.contexts, c)
	}
	return n
}

// folded takes note of a table of which rows are folded.
func (e *epoch) folded(t *table) {
	e.tables[t.name], e.byFold[t.fold], e.foldedGroups[t.group] = t, t, true
}

// folds tells whether rows of a group have been folded in the epoch.
func (e *epoch) folds(group string) bool { return e.foldedGroups[group] }

// appendOrdered puts a rows event behind those of its group, with its table map before it.
func (e *epoch) appendOrdered(t *table, context fold.Context, tableMap, rows []byte) {
	s := e.stream(t)
	n := len(s.pieces)
	if n == 0 || s.pieces[n-1].context != context || len(s.pieces[n-1].events)+len(tableMap)+len(rows) > pieceBytes {
		s.pieces = append(s.pieces, piece{context: context})
		n++
	}
	p := &s.pieces[n-1]
	before := cap(p.events)
	p.events = append(appendPlain(p.events, tableMap), rows...)
	e.streamed += int64(cap(p.events) - before)
}

func (e *epoch) stream(t *table) *stream {
	s := e.streamOf[t.group]
	if s == nil {
		s = &stream{group: t.group}
		e.streams, e.streamOf[t.group] = append(e.streams, s), s
	}
	return s
}

// counts is what a stretch of log holds.
type counts struct {
	Transactions int64
	Changes      int64 // of rows
	Statements   int64
	Bytes        int64
}

func (c *counts) add(o counts) {
	c.Transactions += o.Transactions
	c.Changes += o.Changes
	c.Statements += o.Statements
	c.Bytes += o.Bytes
}
