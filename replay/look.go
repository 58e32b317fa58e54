package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/target"

	"golang.org/x/sync/errgroup"
)

// open finds the files of the log.
func (r *runner) open(ctx context.Context) error {
	log, err := binlog.Open(ctx, r.cfg.Paths, binlog.OpenOptions{TempDir: r.cfg.TempDir})
	if err != nil {
		return err
	}
	r.log = log
	if left := leftOut(log.Ignored); left != "" {
		r.cfg.Tell("left out, not binary logs: " + left)
	}
	var total int64
	for _, f := range log.Files {
		total += f.Size
	}
	r.tally = newTally(total)
	return nil
}

// leftOut names what a folder holds besides logs, a few of many; their index files are no news.
func leftOut(ignored []string) string {
	const most = 5
	paths := slices.DeleteFunc(slices.Clone(ignored), func(path string) bool { return strings.HasSuffix(path, ".index") })
	if more := len(paths) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), more)
	}
	return strings.Join(paths, ", ")
}

// look reads the log through, before anything is touched, and reaches the target meanwhile.
func (r *runner) look(ctx context.Context) error {
	from, to, err := r.cfg.Range.positions(r.log)
	if err != nil {
		return err
	}
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return r.readThrough(both, from, to) })
	g.Go(func() error { return r.connect(both) })
	err = g.Wait()
	if err != nil && r.server != nil {
		err = errors.Join(err, r.server.Close())
	}
	return err
}

// readThrough reads the log once, from one position to another.
func (r *runner) readThrough(ctx context.Context, from, to binlog.Position) (err error) {
	start := time.Now()
	r.survey, err = r.log.SurveyRange(ctx, from, to, func(n int64) {
		if r.cfg.Progress != nil {
			r.cfg.Progress(Progress{Surveying: true, Bytes: n, Total: r.tally.total, Elapsed: time.Since(r.began)})
		}
	})
	if err != nil {
		return err
	}
	if r.survey.Torn != "" {
		r.cfg.Tell("the log is torn, and is replayed to its last whole transaction (" + r.survey.End.String() + "): " + r.survey.Torn)
	}
	r.tally.stage(func(s *Stages) { s.Survey = time.Since(start).Seconds() })
	return nil
}

// connect reaches the target and asks what can be asked before the log is known.
func (r *runner) connect(ctx context.Context) (err error) {
	if r.server, err = target.Connect(ctx, r.cfg.Target); err != nil {
		return notConnected(err)
	}
	if err := r.server.LockFree(ctx); err != nil {
		return err
	}
	for _, f := range r.log.Files {
		if err := r.server.TakesLog(f.Format); err != nil {
			return as(ErrRefused, fmt.Errorf("%s: %w", f.Name, err))
		}
	}
	return nil
}
