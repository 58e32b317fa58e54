package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

// interruptions are the signals that ask a command to end, but for those that it was started to ignore: SIGHUP under
// nohup, SIGINT in the background of a script.
func interruptions() []os.Signal {
	all := []os.Signal{syscall.SIGTERM}
	for _, one := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(one) {
			all = append(all, one)
		}
	}
	return all
}

// notify relays interruptions to a channel.
func notify(to chan<- os.Signal) { signal.Notify(to, interruptions()...) }

// interruptible runs f with a context that ^C ends.
func interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, interruptions()...)
	defer stop()
	err := f(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return &fleet.Error{Status: fleet.ExitInterrupted, Err: errors.New("interrupted")}
	}
	return err
}

func usageError(c *cli.Context, err error, _ bool) error {
	name := c.App.Name
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != name {
		name = c.Command.Name
	}
	return usagef("see interlock --help", "%s: %v", name, err)
}

func usagef(hint, format string, args ...any) error { return fleet.Usage(hint, format, args...) }

// printError prints each line of an error behind our name, and its hint; an error that carries a status
// alone prints nothing.
func printError(w io.Writer, err error) {
	e, ok := errors.AsType[*fleet.Error](err)
	if ok && e.Err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "interlock: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if ok && e.Hint != "" {
		printHint(w, e.Hint)
	}
}

func printHint(w io.Writer, hint string) {
	for line := range strings.Lines(hint) {
		fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
}
