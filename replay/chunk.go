package replay

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"slices"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/target"
)

// The size of a chunk. Smaller ones cost commits, larger ones spread badly over the connections and are done
// again as a whole after a deadlock. They are part of a run's plan: a resumed run uses those it began with.
const (
	chunkRows  = 4000
	chunkBytes = 2 << 20
	// A table without a key is searched through once for each event: as few events as can be.
	multisetRows  = 100_000
	multisetBytes = 64 << 20
)

// phase is the part of an epoch's application that a chunk belongs to.
type phase uint8

const (
	goes    phase = iota // what goes, of all tables, before anything comes
	inOrder              // groups that keep their order: beside the two others
	comes
)

// job is chunks of one epoch that one connection applies one after the other.
type job struct {
	phase  phase
	table  *table // nil: in order
	chunks []chunk
}

// contextual tells whether what the server does with the job's rows depends on the session: it computes columns again
// whatever becomes of a row, and holds what comes against its checks.
func (j *job) contextual() bool {
	return j.table.fold.Recomputed || j.table.fold.Checked && j.phase == comes
}

// chunk is one transaction on the target, before it is encoded.
type chunk struct {
	number  int
	changes []fold.Change
	pieces  []piece
	flags   uint16
}

// plan cuts an epoch into jobs. The same epoch gives the same plan, whatever the number of connections.
type plan struct {
	jobs   []*job
	chunks int
	goes   bool
	digest string
}

func newPlan(e *epoch, outcomes []fold.Outcome) *plan {
	p := &plan{}
	for i := range outcomes {
		p.cut(e, goes, outcomes[i].Table, outcomes[i].Goes, false)
	}
	p.goes = p.chunks > 0
	for _, s := range e.streams {
		j := &job{phase: inOrder}
		for i := range s.pieces {
			j.chunks = append(j.chunks, chunk{number: p.chunks, pieces: s.pieces[i : i+1]})
			p.chunks++
		}
		p.jobs = append(p.jobs, j)
	}
	for i := range outcomes {
		o := &outcomes[i]
		p.cut(e, comes, o.Table, o.Comes, e.byFold[o.Table].crowds(len(o.Goes)))
	}
	p.digest = p.sum()
	return p
}

// width is how many jobs there are at most to be done side by side.
func (p *plan) width() int {
	before, after := 0, 0
	for _, j := range p.jobs {
		if j.phase == comes {
			after++
		} else {
			before++
		}
	}
	return max(before, after)
}

// rows is how many folded rows go and come.
func (p *plan) rows() int {
	n := 0
	for _, j := range p.jobs {
		for i := range j.chunks {
			n += len(j.chunks[i].changes)
		}
	}
	return n
}

// crowdedRows is from how many deleted rows of a table on workers would meet over them: before that there are hardly two
// chunks to meet.
const crowdedRows = 1000

// crowds tells whether the rows that have gone from a table with unique secondary indexes are in the way of those that
// come: their delete marks stay until they are purged, an insert between them locks its neighbours, and workers
// deadlock. 18,248 rows whose values were swapped came in 0.18 s over one connection and in 0.28 s, with 13
// deadlocks, over four (MariaDB 10.11, two cores); waiting for purge in between cost what it saved.
func (t *table) crowds(gone int) bool {
	return gone >= crowdedRows && (len(t.info.Unique) >= 2 || t.info.UniqueUnsafe)
}

// cut makes chunks of a table's sorted changes, one job each; of a table without a key one job, since its
// chunks search the same rows.
func (p *plan) cut(e *epoch, ph phase, ft *fold.Table, changes []fold.Change, oneByOne bool) {
	t := e.byFold[ft]
	maxRows, maxBytes := chunkRows, chunkBytes
	if ft.Key == nil {
		maxRows, maxBytes, oneByOne = multisetRows, multisetBytes, true
	}
	var single *job
	for len(changes) > 0 {
		n, size := 0, 0
		for n < len(changes) && (n == 0 || n < maxRows && size < maxBytes) {
			size += len(changes[n].Before) + len(changes[n].After)
			n++
		}
		c := chunk{number: p.chunks, changes: changes[:n:n], flags: e.flags[ft]}
		p.chunks++
		changes = changes[n:]
		if oneByOne && single != nil {
			single.chunks = append(single.chunks, c)
			continue
		}
		single = &job{phase: ph, table: t, chunks: []chunk{c}}
		p.jobs = append(p.jobs, single)
	}
}

// sum is a digest of the plan: which rows are in which chunk, and what becomes of them.
func (p *plan) sum() string {
	h := fnv.New128a()
	var b []byte
	for _, j := range p.jobs {
		for i := range j.chunks {
			c := &j.chunks[i]
			b = append(b[:0], byte(j.phase))
			b = binary.LittleEndian.AppendUint64(b, uint64(c.number))
			b = binary.LittleEndian.AppendUint64(b, uint64(len(c.changes)))
			for _, piece := range c.pieces {
				b = binary.LittleEndian.AppendUint64(b, uint64(len(piece.events)))
			}
			h.Write(b)
			// The ends of a chunk say where it was cut; what lies between follows from the log.
			for _, k := range ends(c.changes) {
				h.Write(k.Before)
				h.Write(k.After)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func ends(changes []fold.Change) []fold.Change {
	if len(changes) < 2 {
		return changes
	}
	return []fold.Change{changes[0], changes[len(changes)-1]}
}

// eventBytes is how long a rows event grows. The server decodes one at a time, and a table without a key is
// searched once for each.
const eventBytes = 16 << 20

// encoder writes chunks as steps. It belongs to one goroutine and reuses its buffers.
type encoder struct {
	builder binlog.Builder
	buf     []byte
	groups  []group
}

// group is the changes of a chunk that go into one rows event.
type group struct {
	kind          binlog.RowsKind
	context       fold.Context
	before, after binlog.Bitmap
	rows          []int // of the chunk's changes
}

// tableID is under which id our table maps name their table: each rows event has its own map before it.
const tableID = 1

// steps encodes a chunk. The result is valid until the next call.
func (c *encoder) steps(e *epoch, j *job, k *chunk) []target.Step {
	if k.pieces != nil {
		var steps []target.Step
		for _, p := range k.pieces {
			steps = append(steps, target.Step{Statements: e.contexts[p.context].Statements()}, target.Step{Events: p.events})
		}
		return steps
	}
	c.group(j, k)
	c.buf = c.buf[:0]
	var steps []target.Step
	start, context := 0, fold.Context(0)
	end := func() {
		if len(c.buf) > start {
			steps = append(steps, target.Step{Events: c.buf[start:len(c.buf):len(c.buf)]})
			start = len(c.buf)
		}
	}
	contextual := j.contextual()
	for i := range c.groups {
		g := &c.groups[i]
		if contextual && (i == 0 || g.context != context) {
			end()
			context = g.context
			steps = append(steps, target.Step{Statements: e.contexts[context].Statements()})
		}
		c.append(j, k, g)
	}
	end()
	return steps
}

// group puts changes of one kind, context and set of columns together, by first appearance: what goes before
// what comes, within a group in the order of the key.
func (c *encoder) group(j *job, k *chunk) {
	for i := range c.groups {
		c.groups[i].rows = c.groups[i].rows[:0]
	}
	c.groups = c.groups[:0]
	contextual := j.contextual()
	last := -1
	for i := range k.changes {
		ch := &k.changes[i]
		g := group{kind: kindOf(j.phase, ch), before: ch.BeforeCols, after: ch.AfterCols}
		if contextual {
			g.context = ch.Context
		}
		if last < 0 || !c.groups[last].same(&g) {
			last = slices.IndexFunc(c.groups, func(o group) bool { return o.same(&g) })
			if last < 0 {
				if n := len(c.groups); n < cap(c.groups) {
					g.rows = c.groups[:n+1][n].rows[:0]
				}
				last = len(c.groups)
				c.groups = append(c.groups, g)
			}
		}
		c.groups[last].rows = append(c.groups[last].rows, i)
	}
}

func kindOf(ph phase, c *fold.Change) binlog.RowsKind {
	switch {
	case ph == goes:
		return binlog.DeleteRows
	case c.Kind == fold.Update:
		return binlog.UpdateRows
	}
	return binlog.WriteRows
}

func (g *group) same(o *group) bool {
	return g.kind == o.kind && g.context == o.context && sameBitmap(g.before, o.before) && sameBitmap(g.after, o.after)
}

func sameBitmap(a, b binlog.Bitmap) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || string(a) == string(b))
}

// append writes a group as rows events, each behind its table map.
func (c *encoder) append(j *job, k *chunk, g *group) {
	flags := binlog.StmtEnd | binlog.NoForeignKeyChecks | k.flags&binlog.UseSQLForeignKey
	before, after := g.before, g.after
	switch g.kind {
	case binlog.WriteRows:
		before = nil
	case binlog.DeleteRows:
		after = nil
	}
	begin := -1
	for _, i := range g.rows {
		ch := &k.changes[i]
		for range max(ch.Count, 1) {
			if begin >= 0 && len(c.buf)-begin > eventBytes {
				c.buf = c.builder.EndRows(c.buf, begin)
				begin = -1
			}
			if begin < 0 {
				c.buf = c.builder.AppendTableMap(c.buf, j.table.layout, tableID)
				c.buf, begin = c.builder.BeginRows(c.buf, g.kind, j.table.layout, tableID, flags, before, after)
			}
			if before != nil {
				c.buf = append(c.buf, ch.Before...)
			}
			if after != nil {
				c.buf = append(c.buf, ch.After...)
			}
		}
	}
	if begin >= 0 {
		c.buf = c.builder.EndRows(c.buf, begin)
	}
}
