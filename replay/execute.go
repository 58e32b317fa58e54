package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/target"

	"golang.org/x/sync/errgroup"
)

// executor brings units onto the target, one after the other. It is one goroutine, with its workers below it.
type executor struct {
	cfg     Config
	log     *binlog.Log
	server  *target.Server
	run     *target.Run
	flavor  binlog.Flavor
	format  *binlog.Format // that the workers' connections were opened with
	workers []*worker
	session *target.Session
	// sessionFormat is what the session was told last, temporary whether tables are open in it.
	sessionFormat *binlog.Format
	temporary     bool
	folds         chan<- *fold.Epoch
	idle          *atomic.Bool // it waits for a unit
	tally         *tally
	retries       target.Retries
	purge         target.PurgeHold
	inEpoch       bool   // an epoch is begun and not finished
	underWay      string // the barrier that has begun and is not known to have ended; empty: none
	reached       cursor // behind the last finished unit
}

// worker is a connection that applies chunks, and its buffers.
type worker struct {
	applier *target.Applier
	encoder encoder
	tally   *tally
}

// work applies units until there are no more.
func (x *executor) work(ctx context.Context, units <-chan *unit) error {
	for {
		x.idle.Store(true)
		u, ok := <-units
		x.idle.Store(false)
		if !ok {
			return ctx.Err()
		}
		if u.epoch != nil {
			if err := x.epoch(ctx, u); err != nil {
				return fmt.Errorf("epoch %d (%s to %s): %w", u.epoch.number, u.epoch.from, u.to, err)
			}
		} else if err := x.barrier(ctx, u); err != nil {
			return fmt.Errorf("%s: %w", u.barrier.What, err)
		}
		x.reached = u.to
		x.tally.reach(u.to.Txn, u.read)
		close(u.applied)
	}
}

// epoch applies what a stretch of the log came to.
func (x *executor) epoch(ctx context.Context, u *unit) error {
	e := u.epoch
	p := newPlan(e, u.outcomes)
	if err := x.open(ctx, e.format, p.width()); err != nil {
		return err
	}
	start := time.Now()
	done, err := x.run.BeginEpoch(ctx, target.Epoch{
		Number: e.number, From: e.from.String(), To: u.to.String(), Plan: planText(e), Chunks: p.chunks, Digest: p.digest,
		Goes: p.goes, GTIDs: e.gtids.String(),
	})
	if err != nil {
		return err
	}
	x.inEpoch = true
	x.tally.beginChunks(u.to.Txn, p.chunks, len(done))
	begun := time.Now()
	x.tally.stage(func(s *Stages) { s.Marks += begun.Sub(start).Seconds() })
	if err := x.phases(ctx, e, p, done); err != nil {
		return x.placeRow(ctx, e, u.to, err)
	}
	start = time.Now()
	if err := x.finish(ctx, u); err != nil {
		return err
	}
	x.tally.stage(func(s *Stages) { s.Marks += time.Since(start).Seconds() })
	x.inEpoch = false
	x.count(u, p)
	e.fold.Release()
	x.folds <- e.fold // there is room: it came from there
	return nil
}

// finish raises counters and ends the epoch; once more where the target may have been down in between, and have lost them.
func (x *executor) finish(ctx context.Context, u *unit) error {
	const most = 20
	for n := 1; ; n++ {
		generation := x.run.Generation()
		if err := x.counters(ctx, u); err != nil {
			return err
		}
		err := x.run.FinishEpoch(ctx, u.epoch.number, u.epoch.gtids, generation)
		if !errors.Is(err, target.ErrGeneration) {
			return err
		}
		if n == most {
			return &target.InterruptedError{What: fmt.Sprintf("lost the connection to the target %d times at the end of one epoch", n), Err: err}
		}
	}
}

// counters raises the AUTO_INCREMENT counters of an epoch's tables to where the rows that it met have had them.
func (x *executor) counters(ctx context.Context, u *unit) error {
	for i := range u.outcomes {
		o := &u.outcomes[i]
		if o.AutoIncrement == 0 {
			continue
		}
		if err := x.counter(ctx, u.epoch.format, u.epoch.byFold[o.Table], o.AutoIncrement); err != nil {
			return err
		}
	}
	return nil
}

// counter raises one by ALTER TABLE, or by a row that is taken back: where the table is held, and, if the server takes such a
// row, where ALTER TABLE would change the definition.
func (x *executor) counter(ctx context.Context, f *binlog.Format, t *table, highest uint64) error {
	raise := func() error {
		if err := x.open(ctx, f, 1); err != nil {
			return err
		}
		return x.workers[0].applier.Raise(ctx, t.layout, t.info, highest)
	}
	if t.info.Respelled {
		if err := raise(); !errors.Is(err, target.ErrTableHeld) {
			return err
		}
	}
	err := x.run.AutoIncrement(ctx, t.info, highest)
	if errors.Is(err, target.ErrTableHeld) {
		return raise()
	}
	return err
}

// phases applies everything that goes, and what keeps its order; and then, once all that goes is committed,
// everything that comes.
func (x *executor) phases(ctx context.Context, e *epoch, p *plan, done map[int]bool) error {
	x.hold(ctx, p)
	defer x.purge.Release(ctx)
	for _, stage := range []struct {
		phases [2]phase
		took   func(*Stages) *float64
	}{
		{[2]phase{goes, inOrder}, func(s *Stages) *float64 { return &s.Goes }},
		{[2]phase{comes, comes}, func(s *Stages) *float64 { return &s.Comes }},
	} {
		start := time.Now()
		if err := x.apply(ctx, e, p, stage.phases, done); err != nil {
			return err
		}
		x.tally.stage(func(s *Stages) { *stage.took(s) += time.Since(start).Seconds() })
	}
	return nil
}

// hold keeps purge off where there are rows enough for it to matter.
func (x *executor) hold(ctx context.Context, p *plan) {
	const enough = 5000 // below, asking for it costs more
	if p.rows() >= enough {
		x.purge.Hold(ctx)
	}
}

// apply hands the jobs of some phases to the workers.
func (x *executor) apply(ctx context.Context, e *epoch, p *plan, phases [2]phase, done map[int]bool) error {
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan *job)
	g.Go(func() error {
		defer close(jobs)
		for _, j := range x.turns(p.jobs, phases) {
			select {
			case jobs <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for _, w := range x.workers {
		g.Go(func() error {
			for j := range jobs {
				if err := w.job(ctx, e, j, done); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// turns are the jobs of some phases in the order in which workers take them: of each table in turn where all of these
// tables fit into the server's buffer pool, since workers at one table wait for each other's pages (300,000 inserts into
// four tables of MariaDB: 3.1 of 7.8 s of the workers' time were waits for an index, and the run took 2.7 s instead of
// 2.0); else table by table, so that the pages of few indexes stay in the pool (eight times its size: 3.9 instead of 5.8 s).
func (x *executor) turns(all []*job, phases [2]phase) []*job {
	var queues [][]*job // by table, in order of appearance
	at := map[*table]int{}
	var bytes uint64
	for _, j := range all {
		if j.phase != phases[0] && j.phase != phases[1] {
			continue
		}
		n, ok := at[j.table]
		if !ok {
			n = len(queues)
			at[j.table], queues = n, append(queues, nil)
			if j.table != nil {
				bytes += j.table.info.Bytes
			}
		}
		queues[n] = append(queues[n], j)
	}
	if bytes > x.server.BufferPool {
		return slices.Concat(queues...)
	}
	var out []*job
	for len(queues) > 0 {
		for i, q := range queues {
			out, queues[i] = append(out, q[0]), q[1:]
		}
		queues = slices.DeleteFunc(queues, func(q []*job) bool { return len(q) == 0 })
	}
	return out
}

// job applies the chunks of a job that are not done yet.
func (w *worker) job(ctx context.Context, e *epoch, j *job, done map[int]bool) error {
	for i := range j.chunks {
		c := &j.chunks[i]
		if done[c.number] {
			continue
		}
		if err := w.alone(j.table, func() error { return w.apply(ctx, e, j, c) }); err != nil {
			return err
		}
		w.tally.chunkDone()
	}
	return nil
}

// alone has chunks of a table on which workers have met in a deadlock applied one at a time.
func (w *worker) alone(t *table, apply func() error) error {
	if t == nil {
		return apply()
	}
	if t.contended.Load() {
		t.turn.Lock()
		defer t.turn.Unlock()
	}
	before := w.applier.Retries().Deadlocks
	err := apply()
	if w.applier.Retries().Deadlocks > before {
		t.contended.Store(true)
	}
	return err
}

func (w *worker) apply(ctx context.Context, e *epoch, j *job, c *chunk) error {
	k := &target.Chunk{Mark: target.Mark{Epoch: e.number, Chunk: c.number}, Steps: w.encoder.steps(e, j, c)}
	err := w.applier.Apply(ctx, k)
	if target.RowMissing(err) {
		err = w.nameRow(ctx, e, j, c, err)
	}
	if err != nil && j.table != nil {
		return fmt.Errorf("table %s: %w", j.table.name, err)
	}
	return err
}

// open connects as many workers as have something to do side by side, at most Connections; again where another format
// holds from here on. What one connection does alone is not made to wait for the others.
func (x *executor) open(ctx context.Context, f *binlog.Format, width int) error {
	if x.format != nil && x.format != f && string(x.format.Raw) != string(f.Raw) {
		x.close()
	}
	x.format = f
	missing := min(width, x.cfg.Connections) - len(x.workers)
	if missing <= 0 {
		return nil
	}
	more := make([]*worker, missing)
	var g errgroup.Group
	for i := range more {
		g.Go(func() error {
			a, err := x.run.Applier(ctx, f)
			if err == nil {
				more[i] = &worker{applier: a, tally: x.tally, encoder: encoder{builder: binlog.Builder{Flavor: x.flavor, ServerID: 1}}}
			}
			return err
		})
	}
	err := g.Wait()
	for _, w := range more {
		if w != nil { // one that was opened beside one that was not is closed with the others
			x.workers = append(x.workers, w)
		}
	}
	if target.Full(err) {
		return x.fewer(err)
	}
	return err
}

// fewer goes on over the connections that the server allows, less some for what else comes up: statements, purge.
func (x *executor) fewer(refused error) error {
	const others = 2
	if len(x.workers) == 0 {
		return fmt.Errorf("%w (raise max_connections, or end other connections)", refused)
	}
	x.cfg.Connections = max(1, len(x.workers)-others)
	for _, w := range x.workers[x.cfg.Connections:] {
		w.applier.Close()
	}
	x.workers = x.workers[:x.cfg.Connections]
	x.cfg.Tell(fmt.Sprintf("the server allows no more connections (%v): going on over %d", refused, x.cfg.Connections))
	return nil
}

// close ends the workers' connections.
func (x *executor) close() {
	for _, w := range x.workers {
		r := w.applier.Retries()
		x.retries.Deadlocks += r.Deadlocks
		x.retries.Lost += r.Lost
		w.applier.Close()
	}
	x.workers = nil
	x.purge.Close()
}

// barrier runs what has to run alone.
func (x *executor) barrier(ctx context.Context, u *unit) error {
	b := u.barrier
	start := time.Now()
	if x.session == nil {
		s, err := x.run.Session(ctx, b.format)
		if err != nil {
			return err
		}
		x.session = s
	}
	if x.sessionFormat != b.format {
		if x.sessionFormat != nil && string(x.sessionFormat.Raw) != string(b.format.Raw) {
			if err := x.session.SetFormat(ctx, b.format); err != nil {
				return err
			}
		}
		x.sessionFormat = b.format
	}
	b.To = u.to.String()
	if b.temporary && !x.temporary {
		if err := x.session.SetTemporary(ctx, true); err != nil {
			return err
		}
	}
	if !b.Transactional {
		x.underWay = b.What
	}
	err := x.session.Run(ctx, b.Barrier)
	if err == nil || errors.Is(err, target.ErrUndone) {
		x.underWay = ""
	}
	if err != nil {
		return err
	}
	if !b.temporary && x.temporary {
		if err := x.session.SetTemporary(ctx, false); err != nil {
			return err
		}
	}
	x.temporary = b.temporary
	x.tally.mu.Lock()
	defer x.tally.mu.Unlock()
	x.tally.applied.add(b.count)
	x.tally.rows.Barrier += b.count.Changes
	x.tally.barriers++
	if b.merged {
		x.tally.merged += b.count.Transactions
	}
	x.tally.stages.Barriers += time.Since(start).Seconds()
	return nil
}

// count adds an epoch that is on the target to the tally.
func (x *executor) count(u *unit, p *plan) {
	e := u.epoch
	var net netRows
	for i := range u.outcomes {
		o := &u.outcomes[i]
		if o.Changes == 0 { // its first rows had to keep their order
			continue
		}
		strategy := "fold"
		if o.Table.Key == nil {
			strategy = "multiset"
		}
		var rows int64
		for k := range o.Goes {
			rows += int64(max(o.Goes[k].Count, 1))
		}
		net.Deletes += rows
		for k := range o.Comes {
			n := int64(max(o.Comes[k].Count, 1))
			rows += n
			if o.Comes[k].Kind == fold.Update {
				net.Updates += n
			} else {
				net.Writes += n
			}
		}
		net.Folded += o.Folded
		x.tally.table(e.byFold[o.Table].name, strategy, "", o.Changes, rows)
	}
	for name, changes := range e.orderedChanges {
		net.Ordered += changes
		x.tally.table(name, "ordered", e.ordered[e.tables[name].group], changes, changes)
	}
	x.tally.mu.Lock()
	defer x.tally.mu.Unlock()
	t := x.tally
	t.applied.add(e.count)
	t.epochs++
	t.chunks += int64(p.chunks)
	t.rows.Folded += net.Folded
	t.rows.Deletes += net.Deletes
	t.rows.Writes += net.Writes
	t.rows.Updates += net.Updates
	t.rows.Ordered += net.Ordered
}
