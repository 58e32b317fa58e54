package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

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
