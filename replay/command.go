package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"interlock/internal/report"
)

// Command is interlock replay as a person calls it.
type Command struct {
	Config             Config
	Summary            string // file for the summary as JSON; empty: none
	Out, Err           io.Writer
	OutStyle, ErrStyle report.Style
}

// Run replays, with progress on Err and the summary on Out. A usage error leaves the file for the summary as it is.
func (c *Command) Run(ctx context.Context) error {
	var file *summaryFile
	if c.Summary != "" {
		var err error
		if file, err = openSummary(c.Summary); err != nil {
			return err
		}
	}
	progress := report.NewProgress(c.Err, c.ErrStyle.Terminal, c.ErrStyle.Width)
	cfg := c.Config
	cfg.Tell = func(line string) { progress.Println("interlock: " + line) }
	cfg.Progress = func(p Progress) {
		progress.Set("%s", p.String())
		progress.Tick()
	}
	s, err := Run(ctx, cfg)
	progress.Done()
	if errors.Is(err, ErrUsage) {
		return err
	}
	if s == nil { // it has ended before there was a log
		s = &Summary{State: StateNothingApplied, Error: err.Error()}
	}
	var said error
	if err == nil {
		said = c.print(s)
	}
	if file != nil {
		said = errors.Join(said, file.write(ctx, s))
	}
	if err == nil {
		return as(ErrOutput, said)
	}
	return errors.Join(err, said)
}

// print writes the summary of a run that has ended well for people.
func (c *Command) print(s *Summary) error {
	var err error
	if s.Before {
		_, err = fmt.Fprintln(c.Out, "this run has been finished before: nothing to do")
	} else if err = s.Write(c.Out, c.OutStyle); err == nil {
		_, err = fmt.Fprintln(c.Out, "the schema interlock_replay is left on the server; interlock replay --drop-state removes it")
	}
	if err != nil {
		return fmt.Errorf("the run has ended, but its summary cannot be printed: %w", err)
	}
	return nil
}

// String is the progress line.
func (p Progress) String() string {
	share := 0.0
	if p.Total > 0 {
		share = 100 * float64(p.Bytes) / float64(p.Total)
	}
	rate := float64(p.Bytes) / max(p.Elapsed.Seconds(), 1e-3)
	if p.Surveying {
		return fmt.Sprintf("reading the log through: %.0f %% of %s, %s/s", share, report.Bytes(p.Total), report.Bytes(int64(rate)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f %% of %s, %s/s, at %s (%s): %s changes, %s rows applied, %d epochs, %d barriers",
		share, report.Bytes(p.Total), report.Bytes(int64(rate)), p.At, p.Committed.Local().Format("2006-01-02 15:04:05"),
		report.Count(p.Changes), report.Count(p.NetRows), p.Epochs, p.Barriers)
	if left := p.left(); left != "" {
		b.WriteString(", " + left + " left")
	}
	return b.String()
}

// left guesses how long the rest takes, from the pace so far.
func (p Progress) left() string {
	if p.Bytes == 0 || p.Elapsed.Seconds() < 1 {
		return ""
	}
	return report.Duration(seconds(p.Elapsed.Seconds() * float64(p.Total-p.Bytes) / float64(p.Bytes)))
}
