package target

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"interlock/replay/binlog"
)

// RunSpec is what a run is: on resume all of it must be the same but what Tunable holds, which comes from the
// first start.
type RunSpec struct {
	Fingerprint string            // of files, range and filters; at most 255 bytes
	Describe    map[string]string // the same in words, so that a refusal can name the difference
	Tunable     map[string]string // chunk size, memory, format version, …: as first used
	Skip        string            // GTIDs that the target had at the first start, frozen
}

// Epoch is the unfinished or last epoch of a run as the target keeps it. A barrier counts as an epoch of no
// chunks.
type Epoch struct {
	Number   int64
	From, To string // opaque to target: where the epoch begins and ends
	Plan     string // opaque: what else must be the same when it is folded again
	Chunks   int
	Digest   string // of the plan; a resumed epoch must come out the same
	GTIDs    string // of the transactions that end in it
	Goes     bool   // something goes in its first phase: until it is finished rows are missing
	Finished bool
}

// Run is a run on a target, new or resumed. It holds the lock against a second one (GET_LOCK). Its methods may
// be called from several goroutines at once, except Close; Appliers and the Session have connections of their
// own.
type Run struct {
	Resumed bool
	Done    bool    // it is finished: there is nothing to do
	Forgot  string  // an old run of the same name has been forgotten, and why; empty: there was none
	Spec    RunSpec // as first used
	Last    *Epoch  // nil: none yet; as Open found it
	// Patience is how long a lost server is waited for.
	Patience time.Duration

	server *Server
	id     int64

	mu   sync.Mutex // guards what follows, and is held while the control connection is used
	conn *Conn      // the control connection; it has the lock
	// generation counts the control connections. What another connection did is certain only as long as the
	// generation has not changed: a server that went down may have lost it.
	generation int
	last       *Epoch          // what the target keeps, as far as it has told us
	marks      map[int]bool    // of last: chunks whose commit was acknowledged
	gtids      *binlog.GTIDSet // as record.gtids
	published  time.Time       // when they were last added to the server's
	// newestTable is the highest number of InnoDB's tables when the run last had reason to look, as a literal; NULL on MySQL.
	newestTable string
}

// patience is the default of Run.Patience: a server that recovers from a crash has started within it.
const patience = 60 * time.Second

// Open creates the schema interlock_replay where it is missing, takes the lock, finds the run or makes it.
//
// A run that was interrupted is resumed by the same command alone: any other is refused while one is
// unfinished. A barrier that was interrupted is decided here: by its GTID where that is sure, else it is an
// *OpenIntentError, which the Run is returned with, so that ResolveIntent can be called.
func (s *Server) Open(ctx context.Context, spec RunSpec) (*Run, error) {
	if len(spec.Fingerprint) == 0 || len(spec.Fingerprint) > 255 {
		return nil, fmt.Errorf("open run: a fingerprint has 1 to 255 bytes, this one %d", len(spec.Fingerprint))
	}
	r := &Run{server: s, Patience: patience, newestTable: "NULL"}
	c, err := s.control(ctx)
	if err != nil {
		return nil, err
	}
	r.conn = c
	if err := r.open(ctx, spec); err != nil {
		var intent *OpenIntentError
		if errors.As(err, &intent) {
			return r, err
		}
		c.Close()
		return nil, err
	}
	return r, nil
}

func (r *Run) open(ctx context.Context, spec RunSpec) error {
	if err := makeState(ctx, r.conn); err != nil {
		return err
	}
	if err := takeLock(ctx, r.conn); err != nil {
		return err
	}
	if err := r.lookForTables(ctx, r.conn); err != nil {
		return err
	}
	all, err := records(ctx, r.conn)
	if err != nil {
		return err
	}
	var found *record
	for i := range all {
		if all[i].done {
			if all[i].spec.Fingerprint == spec.Fingerprint {
				found = &all[i]
			}
			continue
		}
		if err := refuseFailed(ctx, r.conn, all[i].id, all[i].started); err != nil {
			return err
		}
		switch {
		case !all[i].begun:
			// What the server had when it was first started, and was to be skipped, it may have got or lost since.
			if err := r.forget(ctx, all[i].id); err != nil {
				return err
			}
		case all[i].spec.Fingerprint == spec.Fingerprint:
			found = &all[i]
		default:
			st, err := statusOf(ctx, r.conn, all[i])
			if err != nil {
				return err
			}
			return &OtherRunError{Status: st, Differences: differences(all[i].spec.Describe, spec.Describe)}
		}
	}
	r.Spec = spec
	if found != nil && found.done {
		old, err := r.superseded(ctx, found)
		if err != nil {
			return err
		}
		if old {
			found = nil
		}
	}
	if found == nil {
		if r.id, err = insertRun(ctx, r.conn, spec); err != nil {
			return err
		}
		r.gtids = &binlog.GTIDSet{}
		return r.hold(ctx)
	}
	return r.resume(ctx, found)
}

// forget removes what is written down of a run.
func (r *Run) forget(ctx context.Context, run int64) error {
	for _, table := range []string{"chunk", "epoch", "intent", "failure"} {
		if err := r.conn.Exec(ctx, fmt.Sprintf("DELETE FROM %s.%s WHERE run = %d", stateSchema, table, run)); err != nil {
			return wrapState("forget a run", err)
		}
	}
	return wrapState("forget a run", r.conn.Exec(ctx, fmt.Sprintf("DELETE FROM %s.run WHERE id = %d", stateSchema, run)))
}

// OtherRunError is why a run is refused while another one is unfinished.
type OtherRunError struct {
	Status      Status // of the other one
	Differences string // from the one that was to be opened, in words
}

func (e *OtherRunError) Error() string {
	return fmt.Sprintf("open run: another run, begun %s UTC, is unfinished on this server: %s", e.Status.Started.Format("2006-01-02 15:04:05"), e.Differences)
}

// differences names what two descriptions do not have in common.
func differences(was, is map[string]string) string {
	keys := slices.Sorted(maps.Keys(was))
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if _, ok := was[key]; !ok {
			keys = append(keys, key)
		}
	}
	var all []string
	for _, key := range keys {
		if was[key] != is[key] {
			all = append(all, fmt.Sprintf("%s was %q, now %q", key, was[key], is[key]))
		}
	}
	if len(all) == 0 {
		return "it has another fingerprint"
	}
	return strings.Join(all, "; ")
}

func (r *Run) resume(ctx context.Context, found *record) error {
	r.id, r.Resumed, r.Spec, r.Done = found.id, true, found.spec, found.done
	if found.temporary && !found.done {
		return errors.New("resume run: temporary tables were open when it was interrupted, and are lost: restore the backup and begin again")
	}
	var err error
	if r.gtids, err = binlog.ParseGTIDSet(r.server.Flavor, found.gtids); err != nil {
		return wrapState("read GTIDs", err)
	}
	if r.last, err = lastEpoch(ctx, r.conn, r.id); err != nil {
		return err
	}
	if r.last != nil && !r.last.Finished {
		if r.marks, err = chunksDone(ctx, r.conn, r.id, r.last.Number); err != nil {
			return err
		}
	}
	if !r.Done {
		if err := r.reloaded(ctx); err != nil {
			return err
		}
	}
	if err := r.hold(ctx); err != nil {
		return err
	}
	if err := r.keptGTIDs(ctx); err != nil {
		return err
	}
	if err := r.settleIntent(ctx); err != nil {
		return err
	}
	r.Last = r.last.clone()
	if r.Done { // superseded has looked at its GTIDs
		return nil
	}
	return r.publish(ctx)
}

// keptGTIDs refuses to go on where the server has lost GTIDs that it had when the run began: then it has lost those of
// barriers, too, and a barrier that was interrupted is told by its own.
func (r *Run) keptGTIDs(ctx context.Context) error {
	if r.Done { // superseded has looked
		return nil
	}
	had, err := binlog.ParseGTIDSet(r.server.Flavor, r.Spec.Skip)
	if err != nil {
		return wrapState("read GTIDs", err)
	}
	executed, err := r.server.gtidSet(ctx, r.conn)
	if err != nil || executed.ContainsSet(had) {
		return err
	}
	return fmt.Errorf("resume run: when it began the server had the GTIDs %s, and now it has %q: somebody has reset them; what the run has done cannot be told by them: "+
		"restore the backup, and remove the state of the run by --drop-state --force", shorten(had.String()), shorten(executed.String()))
}

func (e *Epoch) clone() *Epoch {
	if e == nil {
		return nil
	}
	c := *e
	return &c
}

// BeginEpoch writes an epoch down before its first chunk. For the epoch that a resumed run left unfinished it
// compares what was written down, and returns which chunks are done.
//
// A plain commit is enough, whatever innodb_flush_log_at_trx_commit says: the epoch and its chunks are in one
// redo log, in this order, and a crash cuts that log at one place. There is no chunk without its epoch.
func (r *Run) BeginEpoch(ctx context.Context, e Epoch) (done map[int]bool, err error) {
	e.Finished = false
	err = r.control(ctx, func(c *Conn) error {
		last, err := lastEpoch(ctx, c, r.id) // not r.last: it may have come by a commit whose answer was lost
		if err != nil {
			return err
		}
		if err := r.kept(last); err != nil {
			return err
		}
		if last != nil && !last.Finished {
			if err := last.same(e); err != nil {
				return err
			}
			done, err = chunksDone(ctx, c, r.id, e.Number)
		} else if last != nil && e.Number <= last.Number {
			err = fmt.Errorf("begin epoch %d: epoch %d is finished", e.Number, last.Number)
		} else if err = r.publishInTime(ctx); err == nil {
			err = wrapState("begin epoch", c.Exec(ctx, r.insertEpoch(e)))
		}
		if err == nil {
			r.last, r.marks = e.clone(), map[int]bool{}
			maps.Copy(r.marks, done)
		}
		return err
	})
	return done, err
}

// same compares an epoch with what the interrupted run wrote down.
func (e *Epoch) same(now Epoch) error {
	was := *e
	was.Finished, now.Finished = false, false
	if was == now {
		return nil
	}
	for _, field := range []struct{ name, was, now string }{
		{"number", fmt.Sprint(was.Number), fmt.Sprint(now.Number)},
		{"start", was.From, now.From},
		{"end", was.To, now.To},
		{"number of chunks", fmt.Sprint(was.Chunks), fmt.Sprint(now.Chunks)},
		{"plan", was.Plan, now.Plan},
		{"digest", was.Digest, now.Digest},
		{"GTIDs", was.GTIDs, now.GTIDs},
		{"first phase", fmt.Sprint(was.Goes), fmt.Sprint(now.Goes)},
	} {
		if field.was != field.now {
			return fmt.Errorf("begin epoch %d: it was interrupted and does not come out the same again: its %s was %q, now %q: use the same files and the version that began the run, or restore the backup and begin again",
				was.Number, field.name, field.was, field.now)
		}
	}
	return fmt.Errorf("begin epoch %d: it does not come out the same again", was.Number)
}

// ErrGeneration is an epoch whose counters may have been lost: they are to be raised again.
var ErrGeneration = errors.New("the target may have been down when AUTO_INCREMENT counters were raised")

// Generation is that of the control connection. It changes when the target may have been down.
func (r *Run) Generation() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation
}

// FinishEpoch marks the epoch finished with its GTIDs, removes its chunk rows, and adds the GTIDs to the
// server's (gtid_purged; MariaDB: gtid_slave_pos), at most once a second. It refuses an epoch that has not as many marks
// as chunks, and with ErrGeneration one whose counters were raised in an earlier generation. An interruption before the
// GTIDs are with the server is made good by Publish, or the next Open.
func (r *Run) FinishEpoch(ctx context.Context, number int64, gtids *binlog.GTIDSet, generation int) error {
	return r.control(ctx, func(c *Conn) error {
		last, err := lastEpoch(ctx, c, r.id)
		if err != nil {
			return err
		}
		if last == nil || last.Number != number {
			return fmt.Errorf("finish epoch %d: the target does not know it as its last", number)
		}
		all := r.gtids.Clone()
		all.AddSet(gtids)
		if !last.Finished {
			done, err := chunksDone(ctx, c, r.id, number)
			if err != nil {
				return err
			}
			if r.generation != generation {
				return ErrGeneration
			}
			if len(done) != last.Chunks {
				return fmt.Errorf("finish epoch %d: %d of its %d chunks are marked as applied: run the same command again, it resumes", number, len(done), last.Chunks)
			}
			// A counter may have been set by making the table anew.
			if err := r.lookForTables(ctx, c); err != nil {
				return err
			}
			err = transaction(ctx, c,
				fmt.Sprintf("UPDATE %s.epoch SET finished = 1, at = UTC_TIMESTAMP(6), newest_table = %s WHERE run = %d AND number = %d", stateSchema, r.newestTable, r.id, number),
				fmt.Sprintf("UPDATE %s.run SET gtids = %s WHERE id = %d", stateSchema, hexText(all.String()), r.id),
				fmt.Sprintf("DELETE FROM %s.chunk WHERE run = %d", stateSchema, r.id),
				forgetEpochs(r.id, number))
			if err != nil {
				return wrapState(fmt.Sprintf("finish epoch %d", number), err)
			}
			last.Finished = true
		}
		r.last, r.gtids, r.marks = last, all, nil
		return r.publishInTime(ctx)
	})
}

// Finish marks the run finished, with the GTIDs that the server has then: those of barriers too.
func (r *Run) Finish(ctx context.Context) error {
	return r.control(ctx, func(c *Conn) error {
		if r.last != nil && !r.last.Finished {
			return fmt.Errorf("finish run: epoch %d is unfinished", r.last.Number)
		}
		if err := r.publish(ctx); err != nil {
			return err
		}
		executed, err := r.server.gtidSet(ctx, c)
		if err != nil {
			return err
		}
		sql := fmt.Sprintf("UPDATE %s.run SET finished = COALESCE(finished, UTC_TIMESTAMP(6)), gtids = %s, holder = '', holder_connection = 0 WHERE id = %d",
			stateSchema, hexText(executed.String()), r.id)
		if err := c.Exec(ctx, sql); err != nil {
			return wrapState("finish run", err)
		}
		// The last commits of all, which nothing behind them will push out.
		return r.flush(ctx, c)
	})
}

// Close lets go of the lock.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn.Close()
}
