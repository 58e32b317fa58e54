package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	r.tally = newTally(log.Files)
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
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	var unread error
	g.Go(func() error {
		unread = r.readThrough(both, from, to)
		return nil
	})
	g.Go(func() error {
		err := r.connect(both)
		if err != nil {
			cancel()
		}
		return err
	})
	err = g.Wait()
	if err == nil {
		var cut bool
		if cut, err = r.asBegun(ctx); err == nil && cut {
			unread = r.readThrough(ctx, from, to)
		}
	}
	if err == nil {
		err = unread
	}
	if err != nil && r.server != nil {
		err = errors.Join(err, r.server.Close())
	}
	return err
}

// asBegun cuts the log to what it was when the unfinished run began that the target knows: since then its newest file may
// have grown, and others may have come.
func (r *runner) asBegun(ctx context.Context) (cut bool, err error) {
	runs, err := r.server.Status(ctx)
	if err != nil {
		return false, as(ErrRefused, err)
	}
	for _, one := range runs {
		if one.Done || !one.Begun {
			continue
		}
		files, size, ok := asDescribed(one.Describe["files"], r.log.Files)
		if !ok || files == len(r.log.Files) && size == r.log.Files[files-1].Size {
			return false, nil // the same, or a difference that Open names
		}
		last := r.log.Files[files-1]
		r.cfg.Tell(fmt.Sprintf("the log has grown since the run began: going on with what it was, up to %s:%d; replay the rest by another command", last.Name, size))
		err := r.log.CutTo(files, size)
		r.tally = newTally(r.log.Files)
		return true, err
	}
	return false, nil
}

// describeFile is a file in the description of a run.
func describeFile(f *binlog.File) string { return describeSize(f, strconv.FormatInt(f.Size, 10)) }

func describeSize(f *binlog.File, size string) string {
	return fmt.Sprintf("%s (%s bytes, %s)", f.Name, size, f.Format.Identity())
}

// asDescribed finds out of a description how many files of a log it means, and how long the last of them was.
func asDescribed(described string, files []*binlog.File) (n int, size int64, ok bool) {
	for i, f := range files {
		if whole := describeFile(f); described == whole {
			return i + 1, f.Size, true
		} else if rest, more := strings.CutPrefix(described, whole+", "); more {
			described = rest
			continue
		}
		before, after, _ := strings.Cut(describeSize(f, "\x00"), "\x00")
		text, ok := strings.CutPrefix(described, before)
		text, fits := strings.CutSuffix(text, after)
		size, err := strconv.ParseInt(text, 10, 64)
		return i + 1, size, ok && fits && err == nil && size < f.Size
	}
	return 0, 0, false
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
