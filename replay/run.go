package replay

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/session"
	"interlock/replay/target"

	"golang.org/x/sync/errgroup"
)

// planVersion says how logs are folded and cut into chunks. A run begun by a version that does it otherwise
// cannot be resumed.
const planVersion = "6"

// Run brings a target up to date from binary logs. It returns what it did, as far as it came, with an error
// too. A run that was interrupted goes on where it was when it is started again with the same files and range.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	// The fold reuses its memory; what the collector lets lie around in between is kept within the bound.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(cfg.MemoryBytes + collectorSlack))
	r := &runner{cfg: cfg, began: time.Now()}
	err = r.all(ctx)
	return r.summarize(err), err
}

// collectorSlack is what the heap may hold besides the bound of a run before it is collected more often.
const collectorSlack = 64 << 20

// runner is one start of a run.
type runner struct {
	cfg    Config
	began  time.Time
	log    *binlog.Log
	survey *binlog.Survey
	server *target.Server
	run    *target.Run
	tally  *tally
	exec   *executor
	gtids  string
}

func (r *runner) all(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	return r.onto(ctx)
}

// onto replays what open has read onto the target.
func (r *runner) onto(ctx context.Context) (err error) {
	defer r.log.Close()
	if err := r.look(ctx); err != nil {
		return err
	}
	defer r.server.Close()
	start := time.Now()
	sel, done, err := r.begin(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w before this start applied anything: --status says what the target is", errInterrupted)
	}
	if err != nil || done {
		return err
	}
	defer r.run.Close()
	r.tally.stage(func(s *Stages) { s.Prepare = time.Since(start).Seconds() })
	if err := r.replay(ctx, sel); err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return r.interrupted(err)
	}
	start = time.Now()
	defer func() { r.tally.stage(func(s *Stages) { s.Finish = time.Since(start).Seconds() }) }()
	err = r.finish(ctx)
	if err != nil && ctx.Err() != nil { // all of the log is on the target: what is left takes no time
		if err = inTime(r.finish); err != nil {
			return fmt.Errorf("%w when all of the log was on the target: the same command ends the run and opens the target: %w", errInterrupted, err)
		}
	}
	return err
}

// inTime does what is to be done after an interruption, too, but not for ever.
func inTime(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return do(ctx)
}

// begin looks whether the target is fit, finds or makes the run, and closes the target to others.
func (r *runner) begin(ctx context.Context) (sel *selection, done bool, err error) {
	flavor := r.log.Files[0].Format.Flavor
	have, err := r.server.GTIDSet(ctx)
	if err != nil {
		return nil, false, err
	}
	// What the range names is looked up before anything is written down.
	if sel, err = newSelection(ctx, r.log, r.cfg.Range, have); err != nil {
		return nil, false, err
	}
	if err := r.server.Preflight(ctx, r.survey, flavor); err != nil {
		return nil, false, as(ErrRefused, err)
	}
	if err := refuseFailed(sel, r.survey.Failed); err != nil {
		return nil, false, as(ErrRefused, err)
	}
	if err := r.againWithoutGTIDs(ctx, sel, have); err != nil {
		return nil, false, err
	}
	if r.run, err = r.openRun(ctx, have); err != nil {
		return nil, false, as(ErrRefused, err)
	}
	defer func() {
		if err != nil || done {
			r.run.Close()
		}
	}()
	if r.run.Forgot != "" {
		r.cfg.Tell(r.run.Forgot)
	}
	if r.run.Done {
		// An earlier start may have been killed before it had put the settings back.
		return nil, true, r.run.Restore(ctx)
	}
	if r.run.Resumed {
		r.cfg.Tell("going on with the run that was interrupted")
	}
	// A resumed run skips what the target had when it first began, not what it has applied since.
	if sel.have, err = binlog.ParseGTIDSet(flavor, r.run.Spec.Skip); err != nil {
		return nil, false, fmt.Errorf("read the GTIDs that the run began with: %w", err)
	}
	if err := r.run.Settings(ctx); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(errInterrupted, err)
		}
		return nil, false, r.interrupted(err) // some of them may be set
	}
	return sel, false, nil
}

var errInterrupted = errors.New("interrupted")

// refuseFailed refuses a statement in the range that failed at the source: it cannot be run again.
func refuseFailed(sel *selection, failed []binlog.Txn) error {
	for i := range failed {
		txn := &failed[i]
		switch v, _ := sel.judge(txn); v {
		case stop:
			return nil
		case take:
			behind := "--start-position " + txn.End.String()
			if (txn.GTID != binlog.GTID{}) {
				behind = "--skip-gtid " + txn.GTID.String()
			}
			return fmt.Errorf("the transaction at %s%s has a statement that failed at the source with error %d when part of it was done, and the log does not say which part: "+
				"replay up to it with --stop-position %[1]s, do by hand what it had done (look at it with mysqlbinlog --start-position=%[4]d), and go on behind it with %[5]s",
				txn.Start, named(txn.GTID), txn.FailedWith, txn.Start.Offset, behind)
		case onBoth, skip:
		}
	}
	return nil
}

// partly tells whether part of an epoch is on the target, from this start of the run or an earlier one.
func (r *runner) partly() bool {
	if r.exec != nil {
		return r.exec.inEpoch
	}
	return r.run.Last != nil && !r.run.Last.Finished
}

// openRun finds or makes the run. A statement that was running at a crash may need a person's word.
func (r *runner) openRun(ctx context.Context, have *binlog.GTIDSet) (*target.Run, error) {
	run, err := r.server.Open(ctx, r.spec(have))
	if err == nil && run.Resumed && !run.Done && run.Spec.Tunable["plan"] != planVersion {
		run.Close()
		return nil, fmt.Errorf("resume run: it was begun by a version that plans otherwise (%s, this one %s): go on with that version, or restore the backup and begin again", run.Spec.Tunable["plan"], planVersion)
	}
	if other, ok := errors.AsType[*target.OtherRunError](err); ok {
		return nil, fmt.Errorf("%w; resume it by the command that began it, or %s", err, wayOn(&other.Status))
	}
	open, ok := errors.AsType[*target.OpenIntentError](err)
	if !ok {
		return run, err
	}
	answer := r.cfg.ResolveIntent
	if answer == "" {
		run.Close()
		return nil, open
	}
	r.cfg.Tell(fmt.Sprintf("taking it from you that this is to be taken for %s: %s", answer, open.What))
	err = run.ResolveIntent(ctx, answer == "done")
	run.Close()
	if err != nil {
		return nil, err
	}
	return r.server.Open(ctx, r.spec(have))
}

// wayOn is how another command can follow an unfinished run.
func wayOn(s *target.Status) string {
	to, err := parseCursor(s.Epoch.To)
	if !s.Epoch.Finished || err != nil || to.RowsEvents != 0 || s.Intent != "" || s.Temporary || s.Failure != "" {
		return "restore the backup and remove its state by --drop-state --force"
	}
	return fmt.Sprintf("remove its state by --drop-state --force and give this command again: the server is whole up to %s, and by GTIDs the command leaves out what is there (without GTIDs, give --start-position %[1]s)", to.Txn)
}

// spec says what the run is.
func (r *runner) spec(have *binlog.GTIDSet) target.RunSpec {
	d := map[string]string{
		"start position": r.cfg.Range.StartPosition, "stop position": r.cfg.Range.StopPosition,
		"stop before GTID": r.cfg.Range.StopBefore, "skipped GTIDs": strings.Join(r.cfg.Range.SkipGTIDs, ","),
	}
	if t := r.cfg.Range.StopDatetime; !t.IsZero() {
		d["stop datetime"] = t.UTC().Format(time.RFC3339Nano)
	}
	var files []string
	for _, f := range r.log.Files {
		files = append(files, describeFile(f))
	}
	d["files"] = strings.Join(files, ", ")
	h := sha256.New()
	for _, key := range []string{"files", "start position", "stop position", "stop before GTID", "skipped GTIDs", "stop datetime"} {
		fmt.Fprintf(h, "%s=%s\n", key, d[key])
	}
	return target.RunSpec{
		Fingerprint: hex.EncodeToString(h.Sum(nil)[:16]), Describe: d,
		Tunable: map[string]string{"plan": planVersion}, Skip: have.String(),
	}
}

// againWithoutGTIDs refuses to begin before the place up to which a finished run has replayed the same log, where no GTIDs
// tell what the server has: the same files and some more.
func (r *runner) againWithoutGTIDs(ctx context.Context, sel *selection, have *binlog.GTIDSet) error {
	if r.survey.Anonymous == (binlog.Position{}) {
		return nil
	}
	runs, err := r.server.Status(ctx)
	if err != nil {
		return err
	}
	start := sel.start
	if start == (binlog.Position{}) {
		start.File = r.log.Files[0].Name
	}
	fingerprint := r.spec(have).Fingerprint
	if slices.ContainsFunc(runs, func(one target.Status) bool { return one.Done && one.Fingerprint == fingerprint }) {
		return nil // it is finished, or superseded
	}
	var last *target.Status // that has come farthest
	var reached binlog.Position
	for i, one := range runs {
		if !one.Done || one.Epoch.To == "" {
			continue
		}
		to, err := parseCursor(one.Epoch.To)
		if err != nil {
			return err
		}
		for _, f := range r.log.Files {
			if f.Name == to.Txn.File && fileDescribed(one.Describe["files"], f) && sel.before(start, to.Txn) && (last == nil || sel.before(reached, to.Txn)) {
				last, reached = &runs[i], to.Txn
			}
		}
	}
	if last == nil {
		return nil
	}
	return as(ErrRefused, fmt.Errorf("begin run: the run of %s UTC has replayed this log onto this server up to %s, and no GTIDs tell what it holds: go on behind it with --start-position %[2]s, "+
		"or, if the backup has been restored since, remove the state of that run by --drop-state", last.Started.UTC().Format(time.DateTime), reached))
}

// fileDescribed tells whether a file of the log is among those that a run was described with. It may have grown.
func fileDescribed(files string, f *binlog.File) bool {
	for _, one := range strings.SplitAfter(files, ")") {
		one = strings.TrimPrefix(one, ", ")
		if strings.HasPrefix(one, f.Name+" (") && strings.HasSuffix(one, ", "+f.Format.Identity()+")") {
			return true
		}
	}
	return false
}

// replay runs planner and executor side by side.
func (r *runner) replay(ctx context.Context, sel *selection) error {
	p, err := r.planner(ctx, sel)
	if err != nil {
		return err
	}
	units := make(chan *unit)
	p.units, p.idle = units, &atomic.Bool{}
	r.exec = &executor{cfg: r.cfg, log: r.log, server: r.server, run: r.run, flavor: p.flavor, folds: p.folds, idle: p.idle, tally: r.tally, purge: target.PurgeHold{Run: r.run}}
	r.exec.inEpoch = r.run.Last != nil && !r.run.Last.Finished
	defer r.exec.close()
	defer func() {
		if r.exec.session != nil {
			r.exec.session.Close()
		}
	}()
	g, planning := errgroup.WithContext(ctx)
	stop := make(chan struct{})
	// What the planner has handed over is brought to its end where the planner fails behind it: the target is
	// whole then.
	g.Go(func() error {
		defer close(stop)
		if err := r.canary(ctx); err != nil {
			return err
		}
		return r.exec.work(ctx, units)
	})
	g.Go(func() error { return p.run(planning) })
	g.Go(func() error {
		r.watch(ctx, stop)
		return nil
	})
	return g.Wait()
}

// canary tries the target before the first unit, while the first epoch is folded.
func (r *runner) canary(ctx context.Context) error {
	start := time.Now()
	err := r.run.Canary(ctx, r.log.Files[0].Format)
	r.tally.stage(func(s *Stages) { s.Prepare += time.Since(start).Seconds() })
	return err
}

// planner begins where the range does; a resumed one reads what lies before for what it needs to know of it.
func (r *runner) planner(ctx context.Context, sel *selection) (*planner, error) {
	reader, err := r.log.Read(sel.start)
	if err != nil {
		return nil, err
	}
	flavor := r.log.Files[0].Format.Flavor
	p := &planner{
		cfg: r.cfg, sel: sel, reader: reader, schema: r.server.Schema(), flavor: flavor, byPlace: r.survey.ByPlace,
		state: session.New(flavor, r.server.Version), maps: &binlog.TableCache{}, tables: map[string]*table{}, known: map[*binlog.Table]*table{},
		xa: map[string]prepared{}, xaKept: map[string]bool{}, temporary: temporaryTables{}, sticky: map[string]stickiness{},
		folds: make(chan *fold.Epoch, 2), tally: r.tally,
	}
	p.folds <- fold.New()
	p.folds <- fold.New()
	last := r.run.Last
	if last == nil {
		return p, nil
	}
	res := &resumption{number: last.Number, finished: last.Finished, lost: &binlog.GTIDSet{}}
	if r.server.Flavor == binlog.MySQL && r.server.GTIDs {
		if res.executed, err = r.run.GTIDSet(ctx); err != nil {
			return nil, err
		}
	}
	if res.from, err = parseCursor(last.From); err != nil {
		return nil, err
	}
	if res.to, err = parseCursor(last.To); err != nil {
		return nil, err
	}
	plan, err := readPlan(last.Plan)
	if err != nil {
		return nil, err
	}
	res.ordered = plan.Ordered
	p.number = last.Number
	if !last.Finished {
		p.number-- // it is given again
	}
	p.resume = res
	return p, nil
}

// watch reports progress until the work is done.
func (r *runner) watch(ctx context.Context, stop <-chan struct{}) {
	if r.cfg.Progress == nil {
		return
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.cfg.Progress(r.tally.progress(r.began))
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// finish proves that nothing is unaccounted for, opens the target again and closes the run.
func (r *runner) finish(ctx context.Context) error {
	if err := r.tally.accounts(); err != nil {
		return errors.Join(err, r.run.Fail(ctx, err.Error()))
	}
	if err := r.run.Finish(ctx); err != nil {
		return err
	}
	if err := r.run.Restore(ctx); err != nil {
		return fmt.Errorf("the log is replayed, but the server's settings are not put back: %w", err)
	}
	set, err := r.run.GTIDSet(ctx)
	if err != nil {
		return err
	}
	r.gtids = set.String()
	return nil
}

// interrupted adds to an error what state the target is in. Between the phases of an epoch rows are missing:
// the target then stays closed.
func (r *runner) interrupted(cause error) error {
	if err := inTime(r.run.Publish); err != nil {
		cause = errors.Join(cause, fmt.Errorf("add the GTIDs of what is applied to the server's: %w", err))
	}
	if !r.partly() {
		if err := inTime(r.run.Restore); err != nil {
			cause = errors.Join(cause, fmt.Errorf("put the server's settings back: %w (it may still be closed to others; the same command puts them back)", err))
		}
		switch {
		case r.exec != nil && r.exec.temporary:
			return fmt.Errorf("%w\ntemporary tables were open, and are lost: the target is whole up to %s, but no run can go on from there; restore the backup and begin again", cause, r.applied())
		case r.exec != nil && r.exec.underWay != "":
			return fmt.Errorf("%w\nthe target is whole up to %s, but for what was under way and may have taken effect (%s): look whether it has; the same command goes on from there, and may ask you (--resolve-intent)",
				cause, r.applied(), r.exec.underWay)
		}
		return fmt.Errorf("%w\nthe target is whole up to %s; the same command goes on from there", cause, r.applied())
	}
	return fmt.Errorf("%w\nthe target is INCONSISTENT: part of an epoch is applied; it stays closed to others until the same command has gone on and ended", cause)
}

func (r *runner) applied() string {
	if r.exec != nil && r.exec.reached != (cursor{}) {
		return r.exec.reached.String()
	}
	if r.run != nil && r.run.Last != nil {
		return r.run.Last.To // of an earlier start, finished: see partly
	}
	return "where it was"
}

func (r *runner) summarize(err error) *Summary {
	if r.tally == nil {
		return nil
	}
	s := r.tally.summary()
	if r.server != nil {
		s.TargetVersion = r.server.Version
	}
	if r.survey != nil {
		s.Torn = r.survey.Torn
	}
	s.Flavor = r.log.Files[0].Format.Flavor.String()
	s.From = r.cfg.Range.StartPosition
	if s.From == "" {
		s.From = r.log.Files[0].Name + ":4"
	}
	s.Resumed = r.run != nil && r.run.Resumed
	s.Before = r.run != nil && r.run.Done
	if r.exec != nil {
		s.Deadlocks, s.Reconnects = r.exec.retries.Deadlocks, r.exec.retries.Lost
	}
	s.GTIDs = r.gtids
	r.ended(&s, err)
	s.Connections, s.MemoryBound, s.PeakMemory = r.cfg.Connections, r.cfg.MemoryBytes, peakMemory()
	if r.exec != nil {
		s.Connections = r.exec.cfg.Connections // the server may allow fewer
	}
	s.Seconds = time.Since(r.began).Seconds()
	s.BytesPerSec = float64(s.Read.Bytes) / s.Seconds
	s.ChangesPerSec = float64(s.Read.Changes) / s.Seconds
	return &s
}

// peakMemory is the most memory that this process has held, in bytes; 0 where the system does not tell.
// Source: VmHWM in proc(5).
func peakMemory() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<16))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			if kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
