package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"interlock/replay/binlog"
)

// verdict is what becomes of a transaction.
type verdict uint8

const (
	take   verdict = iota
	onBoth         // the target had it before the run
	skip           // --skip-gtid
	stop           // it and everything behind it is left alone
)

// selection decides which transactions are replayed. It is made before the first one is read, so that a GTID
// or a position that the log does not have is an error and not a range without end.
type selection struct {
	start, stop binlog.Position // zero: none
	stopTime    time.Time
	stopGTID    binlog.GTID
	stopAt      binlog.Position // of stopGTID
	skip        []binlog.GTID
	have        *binlog.GTIDSet // on the target at the run's first start; nil: none
	order       map[string]int  // file → its place in the log
}

// newSelection reads a range and finds in the log what it names.
func newSelection(ctx context.Context, log *binlog.Log, r Range, have *binlog.GTIDSet) (*selection, error) {
	s := &selection{stopTime: r.StopDatetime, have: have, order: map[string]int{}}
	for i, f := range log.Files {
		s.order[f.Name] = i
	}
	var errs []error
	gtid := func(flag, text string) binlog.GTID {
		g, err := binlog.ParseGTID(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", flag, err))
		}
		return g
	}
	var err error
	s.start, s.stop, err = r.positions(log)
	errs = append(errs, err)
	if r.StopBefore != "" {
		s.stopGTID = gtid("--stop-before-gtid", r.StopBefore)
	}
	for _, text := range r.SkipGTIDs {
		s.skip = append(s.skip, gtid("--skip-gtid", text))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, as(ErrUsage, err)
	}
	if err := s.find(ctx, log); err != nil {
		return nil, err
	}
	return s, s.passed(ctx, log)
}

// passed refuses a range whose end the target has passed: the first transaction that is to be left out is on it.
func (s *selection) passed(ctx context.Context, log *binlog.Log) error {
	if s.have.Empty() || s.stop == (binlog.Position{}) && s.stopTime.IsZero() && s.stopAt == (binlog.Position{}) {
		return nil
	}
	r, err := log.Read(s.start)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		txn, err := r.Next(ctx)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			return nil // what lies before the end has been read through: this lies behind, or is the log's end
		}
		if v, _ := s.judge(txn); v == stop {
			if (txn.GTID != binlog.GTID{}) && s.have.Contains(txn.GTID) {
				return as(ErrRefused, fmt.Errorf("the server has passed the end of the range: the first transaction that is to be left out is the one at %s, and the server has it (%s), from its backup or an earlier run: "+
					"restore a backup from before it, or give another end, or none", txn.Start, txn.GTID))
			}
			return nil
		}
	}
}

// find looks for the GTIDs that the range names, since a set of GTIDs does not tell where one is, nor in
// MariaDB whether it is there at all.
func (s *selection) find(ctx context.Context, log *binlog.Log) error {
	want := map[binlog.GTID]bool{}
	for _, g := range s.skip {
		want[g] = true
	}
	stopping := s.stopGTID != binlog.GTID{}
	if stopping {
		want[s.stopGTID] = true
	}
	if len(want) == 0 {
		return nil
	}
	r, err := log.Read(s.start)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.StopAt(s.stop); err != nil {
		return err
	}
	for len(want) > 0 {
		txn, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			part := "in the logs from their start on"
			if r.Stopped() {
				part = "in the logs before --stop-position " + s.stop.String()
			}
			for g := range want {
				return as(ErrUsage, fmt.Errorf("GTID %s is not %s: nothing was applied", g, part))
			}
		}
		if err != nil {
			return err
		}
		if stopping && txn.GTID == s.stopGTID {
			s.stopAt = txn.Start
		}
		delete(want, txn.GTID)
	}
	return nil
}

// positions are where a range of a log begins and ends, zero where it does not say. They lie in the log, so that a
// typing mistake never means all of it.
func (r Range) positions(log *binlog.Log) (from, to binlog.Position, err error) {
	var errs []error
	number := map[string]int{}
	for i, f := range log.Files {
		number[f.Name] = i
	}
	read := func(flag, text string) (p binlog.Position) {
		if text == "" {
			return p
		}
		p, err := ParsePosition(text)
		i, known := number[p.File]
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", flag, err))
		case !known:
			errs = append(errs, fmt.Errorf("%s %s: there is no file %s among the logs (%s … %s)", flag, p, p.File, log.Files[0].Name, log.Files[len(log.Files)-1].Name))
		case p.Offset > uint64(log.Files[i].Size):
			errs = append(errs, fmt.Errorf("%s %s: the file ends at %d; give a position in it, or that of a later file", flag, p, log.Files[i].Size))
		}
		return p
	}
	from, to = read("--start-position", r.StartPosition), read("--stop-position", r.StopPosition)
	if i, j := number[from.File], number[to.File]; len(errs) == 0 && to != (binlog.Position{}) && (j < i || j == i && to.Offset < from.Offset) {
		errs = append(errs, fmt.Errorf("--stop-position %s lies before --start-position %s: nothing lies between them; exchange them, or leave one out", to, from))
	}
	return from, to, as(ErrUsage, errors.Join(errs...))
}

// judge decides about one transaction that begins before the stop position; why is for the summary.
func (s *selection) judge(t *binlog.Txn) (v verdict, why string) {
	switch {
	case s.stop != (binlog.Position{}) && s.before(s.stop, t.End):
		return stop, fmt.Sprintf("--stop-position %s lies inside the transaction at %s", s.stop, t.Start)
	case !s.stopTime.IsZero() && !t.Committed.Before(s.stopTime):
		return stop, "--stop-datetime " + s.stopTime.Format("2006-01-02 15:04:05.999999")
	case s.stopAt != (binlog.Position{}) && t.Start == s.stopAt:
		return stop, "--stop-before-gtid " + s.stopGTID.String()
	}
	if (t.GTID == binlog.GTID{}) {
		return take, ""
	}
	for _, g := range s.skip {
		if g == t.GTID {
			return skip, "--skip-gtid"
		}
	}
	if s.have != nil && s.have.Contains(t.GTID) {
		return onBoth, "on the target already"
	}
	return take, ""
}

// before tells whether a lies before b in the log.
func (s *selection) before(a, b binlog.Position) bool {
	if i, j := s.order[a.File], s.order[b.File]; i != j {
		return i < j
	}
	return a.Offset < b.Offset
}
