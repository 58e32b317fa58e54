package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"interlock/internal/fleet"
	"interlock/replay"
	"interlock/replay/target"

	"github.com/urfave/cli/v2"
)

func replayCommand(r fleet.CommandLine) *cli.Command {
	const usage = "interlock replay [target] [range] BINLOG…|DIR|-\ninterlock replay [target] --status | --drop-state"
	return &cli.Command{
		Name:      "replay",
		Usage:     "bring a restored server up to date from binary logs",
		UsageText: usage,
		HideHelp:  true, // its -h; here that is --host, as in the mysql client
		Flags: append(append(targetFlags(), runFlags()...),
			&cli.BoolFlag{Name: "status", Usage: "print what this server knows of runs; change nothing"},
			&cli.BoolFlag{Name: "drop-state", Usage: "remove the schema interlock_replay"},
			&cli.BoolFlag{Name: "force", Usage: "with --drop-state: that of an unfinished run, too"},
			&cli.BoolFlag{Name: "help", Usage: "show help"},
		),
		Action: func(c *cli.Context) error {
			if c.Bool("help") {
				return cli.ShowSubcommandHelp(c)
			}
			if err := noneEmpty(c); err != nil {
				return err
			}
			if err := stateAlone(c, r); err != nil {
				return err
			}
			switch target := targetOptions(c); {
			case c.Bool("status"):
				return replayError(c.Context, replay.Status(c.Context, target, os.Stdout))
			case c.Bool("drop-state"):
				return replayError(c.Context, replay.DropState(c.Context, target, c.Bool("force"), os.Stdout))
			}
			paths, err := r.Arguments(c.Command.Name, c.Args().Slice(), 1, math.MaxInt, usage)
			if err != nil {
				return err
			}
			cfg, err := replayConfig(c, paths)
			if err != nil {
				return usagef("see interlock replay --help", "replay: %v", err)
			}
			cmd := replay.Command{
				Config: cfg, Summary: c.String("summary"),
				Out: os.Stdout, OutStyle: fleet.StyleOf(os.Stdout), Err: os.Stderr, ErrStyle: fleet.StyleOf(os.Stderr),
			}
			// Whoever reads what is said may go: a run is not to end by that, with the server closed.
			signal.Ignore(syscall.SIGPIPE)
			ctx, stop := signal.NotifyContext(c.Context, interruptions()...)
			defer stop()
			return replayError(ctx, cmd.Run(ctx))
		},
	}
}

// noneEmpty refuses an option without a value, as an unset variable of a shell leaves it: a stop that is none would be
// all of the log, and no socket is that of another server.
func noneEmpty(c *cli.Context) error {
	for _, flag := range append(targetFlags(), runFlags()...) {
		name := flag.Names()[0]
		values := []string{c.String(name)}
		switch flag.(type) {
		case *cli.StringSliceFlag:
			values = c.StringSlice(name)
		case *cli.GenericFlag: // a number
			continue
		}
		if c.IsSet(name) && slices.Contains(values, "") {
			return usagef("leave it out, or give it a value", "replay: --%s is empty", name)
		}
	}
	return nil
}

// stateAlone refuses what --status and --drop-state would pass over: they replay nothing.
func stateAlone(c *cli.Context, r fleet.CommandLine) error {
	const hint = "see interlock replay --help"
	refuse := func(format string, args ...any) error { return usagef(hint, "replay: "+format, args...) }
	var mode string
	switch status, drop := c.Bool("status"), c.Bool("drop-state"); {
	case status && drop:
		return refuse("--status and --drop-state: give one of them")
	case c.Bool("force") && !drop:
		return refuse("--force goes with --drop-state alone")
	case status:
		mode = "--status"
	case drop:
		mode = "--drop-state"
	default:
		return nil
	}
	for _, flag := range runFlags() {
		if name := flag.Names()[0]; c.IsSet(name) {
			return refuse("%s replays nothing and takes no --%s: give two commands, one after the other", mode, name)
		}
	}
	if c.Args().Present() {
		return refuse("%s replays nothing and takes no binary logs (%q): give two commands, one after the other", mode, c.Args().First())
	}
	_, err := r.Arguments(c.Command.Name, nil, 0, 0, hint)
	return err
}

// replayError gives an error of replay its exit status.
func replayError(ctx context.Context, err error) error {
	status := fleet.ExitFailed
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		status = fleet.ExitInterrupted
	case errors.Is(err, replay.ErrUsage):
		status = fleet.ExitUsage
	case errors.Is(err, target.ErrLocked):
		status = fleet.ExitLocked
	case errors.Is(err, replay.ErrRefused), errors.Is(err, target.ErrUnfinished):
		status = fleet.ExitRefused
	case errors.Is(err, replay.ErrUnreachable):
		status = fleet.ExitUnreachable
	case errors.Is(err, replay.ErrOutput):
		status = fleet.ExitIO
	}
	return &fleet.Error{Status: status, Err: err}
}

// targetFlags are those of the mysql client, but for -p, which would put a password on the command line.
func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "defaults-file", Usage: "read [client] options from `FILE`"},
		&cli.StringFlag{Name: "host", Aliases: []string{"h"}, Usage: "server's `NAME`"},
		numberFlag("port", "server's `PORT`", "P"),
		&cli.StringFlag{Name: "socket", Aliases: []string{"S"}, Usage: "server's socket `FILE`"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "account `NAME`"},
		&cli.StringFlag{Name: "password-file", Usage: "`FILE` with the password on its first line"},
		&cli.StringFlag{Name: "ssl-mode", Usage: "`MODE`: DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY"},
		&cli.StringFlag{Name: "ssl-ca", Usage: "`FILE` with the certificates of authorities"},
		&cli.StringFlag{Name: "ssl-cert", Usage: "`FILE` with our certificate"},
		&cli.StringFlag{Name: "ssl-key", Usage: "`FILE` with its key"},
	}
}

// runFlags are those of a run: its range, and how it is replayed.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "start-position", Usage: "begin with the transaction at `FILE:POS`"},
		&cli.StringFlag{Name: "stop-position", Usage: "stop before the transaction at `FILE:POS`"},
		&cli.StringFlag{Name: "stop-datetime", Usage: "stop before the first transaction committed at `TIME` or later (2014-01-10 17:30:00.000000)"},
		&cli.StringFlag{Name: "stop-before-gtid", Usage: "stop before the transaction `GTID`"},
		&cli.StringSliceFlag{Name: "skip-gtid", Usage: "leave out the transaction `GTID`; may be given again"},
		&cli.StringFlag{Name: "memory", Usage: "hold at most `SIZE` of the log in memory (default: a quarter of this machine's, at most 2G)"},
		numberFlag("connections", "apply over `N` connections (default: two for each core, 4 to 16)"),
		numberFlag("epoch-changes", "end an epoch after `N` changes instead of by memory alone"),
		&cli.StringFlag{Name: "tmpdir", Usage: "`DIR` for compressed logs, which are inflated there"},
		&cli.StringFlag{Name: "summary", Usage: "write what was done to `FILE` as JSON"},
		&cli.StringFlag{Name: "resolve-intent", Usage: "what became of a statement that was running at a crash, once you have looked: `done` or redo"},
	}
}

func targetOptions(c *cli.Context) target.Options {
	return target.Options{
		DefaultsFile: c.String("defaults-file"), Host: c.String("host"), Port: number(c, "port"), Socket: c.String("socket"),
		User: c.String("user"), PasswordFile: c.String("password-file"),
		SSLMode: c.String("ssl-mode"), SSLCA: c.String("ssl-ca"), SSLCert: c.String("ssl-cert"), SSLKey: c.String("ssl-key"),
	}
}

func replayConfig(c *cli.Context, paths []string) (cfg replay.Config, err error) {
	cfg = replay.Config{
		Target: targetOptions(c), Paths: paths, TempDir: c.String("tmpdir"), Connections: number(c, "connections"),
		EpochChanges: int64(number(c, "epoch-changes")), ResolveIntent: c.String("resolve-intent"),
		Range: replay.Range{
			StartPosition: c.String("start-position"), StopPosition: c.String("stop-position"),
			StopBefore: c.String("stop-before-gtid"), SkipGTIDs: c.StringSlice("skip-gtid"),
		},
	}
	if text := c.String("memory"); text != "" {
		if cfg.MemoryBytes, err = replay.ParseSize(text); err != nil {
			return cfg, fmt.Errorf("--memory: %w", err)
		}
	}
	if text := c.String("stop-datetime"); text != "" {
		if cfg.Range.StopDatetime, err = replay.ParseDatetime(text); err != nil {
			return cfg, fmt.Errorf("--stop-datetime: %w", err)
		}
	}
	return cfg, nil
}
