package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/unix"

	"interlock/replay/binlog"
	"interlock/replay/fold"
)

// barScan is how many megabytes of log a second must be scanned, checked and folded on one core.
const barScan = 300

// scanned says how a log was read in this process, without a server. Seconds are of CPU, so that what else
// the machine does counts for little.
type scanned struct {
	SurveySeconds float64 // frames, checksums and types, once over
	FoldSeconds   float64 // transactions, rows, checksums again, and the fold with its sorting
	Changes       int64
}

// scan reads the logs as a run does, on one core: the survey, then the fold. All tables must be keyed by their
// first column, an integer.
func scan(ctx context.Context, logs []string, memory int64) (s scanned, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	log, err := binlog.Open(ctx, logs, binlog.OpenOptions{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if s.SurveySeconds, err = clocked(func() error { _, err := log.Survey(ctx, nil); return err }); err != nil {
		return s, err
	}
	f := folder{epoch: fold.New(), tables: map[*binlog.Table]*fold.Table{}, memory: memory}
	s.FoldSeconds, err = clocked(func() error { return f.all(ctx, log) })
	s.Changes = f.changes
	return s, err
}

// clocked is how much CPU this process uses while do runs, in seconds.
func clocked(do func() error) (float64, error) {
	begin, err := usedCPU(unix.RUSAGE_SELF)
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	end, err := usedCPU(unix.RUSAGE_SELF)
	return end - begin, err
}

// folder folds a log as a run does, and throws away what comes out.
type folder struct {
	maps    binlog.TableCache
	tables  map[*binlog.Table]*fold.Table
	epoch   *fold.Epoch
	memory  int64
	changes int64
}

func (f *folder) all(ctx context.Context, log *binlog.Log) error {
	reader, err := log.Read(binlog.Position{})
	if err != nil {
		return err
	}
	for {
		_, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return f.flush()
		}
		if err != nil {
			return err
		}
		for event, err := range reader.Events(ctx) {
			if err == nil {
				err = f.event(reader.Format(), event)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (f *folder) event(format *binlog.Format, event *binlog.Event) error {
	if event.Type == binlog.TypeTableMap {
		_, err := f.maps.Parse(format, event)
		return err
	}
	if !event.Type.IsRows() {
		return nil
	}
	rows, err := binlog.ParseRows(format, event, f.maps.Table)
	if err != nil || rows.Table == nil {
		return err
	}
	t := f.tables[rows.Table]
	if t == nil {
		t = &fold.Table{
			Name: rows.Table.Schema + "." + rows.Table.Name, Layout: rows.Table,
			Key: []int{0}, Orders: []fold.Order{fold.OrderSigned}, Unique: binlog.NewBitmap(len(rows.Table.Columns)), AutoIncrement: -1,
		}
		t.Unique.Set(0)
		f.tables[rows.Table] = t
	}
	if err := f.epoch.Add(t, &rows, 0); err != nil {
		return err
	}
	if f.epoch.Bytes() > f.memory {
		return f.flush()
	}
	return nil
}

func (f *folder) flush() error {
	outcomes, err := f.epoch.Outcomes()
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		f.changes += o.Changes
	}
	f.epoch.Release()
	return nil
}

// scan measures the reading of a workload's log and adds a note.
func (t *table) scan(ctx context.Context, w workload, rec *recording) error {
	var best scanned
	for range t.b.rounds {
		s, err := scan(ctx, rec.Logs, scanMemory)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if best.Changes == 0 || s.SurveySeconds+s.FoldSeconds < best.SurveySeconds+best.FoldSeconds {
			best = s
		}
	}
	rate := func(seconds float64) float64 { return float64(rec.LogBytes) / (1 << 20) / seconds }
	verdict := "met"
	if rate(best.FoldSeconds) < barScan {
		verdict = "MISSED"
	}
	note := fmt.Sprintf("%s, on one core, best of %d: survey %.0f MB/s, scan and fold %.0f MB/s (bar %d: %s), both %.0f MB/s; %d changes, %s",
		w.name, t.b.rounds, rate(best.SurveySeconds), rate(best.FoldSeconds), barScan, verdict,
		rate(best.SurveySeconds+best.FoldSeconds), best.Changes, megabytes(rec.LogBytes))
	say("%s", note)
	t.notes = append(t.notes, note)
	return nil
}

// scanMemory is what an epoch of the scan may hold.
const scanMemory = 256 << 20
