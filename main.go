// Interlock keeps maintenance commands away from machines that hold live data: it asks the hosts what they
// are, and each host refuses for itself. This file holds the command line alone; what the commands do is
// in internal/fleet.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"interlock/internal/fleet"
	"interlock/replay"
	"interlock/replay/target"

	"github.com/urfave/cli/v2"
)

func main() { os.Exit(run(os.Args)) }

// run is main with a status: nothing below it calls os.Exit, so that deferred work is done.
func run(argv []string) int {
	ours, remote := fleet.SplitAtDashes(argv)
	app := newApp(remote)
	err := app.Run(flagsFirst(app.Commands, ours))
	if err != nil {
		printError(os.Stderr, err)
	}
	return fleet.ExitStatus(err)
}

// flagsFirst puts the flags of a command before its other words, since cli takes none behind them:
// `interlock check @users --json`. Not so for run, where a flag behind HOSTS may be the head of a command
// that lost its --.
func flagsFirst(commands []*cli.Command, argv []string) []string {
	for i, word := range argv[min(1, len(argv)):] {
		at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if at < 0 || word == "run" {
			return argv
		}
		if c := commands[at]; len(c.Subcommands) > 0 {
			commands = c.Subcommands
			continue
		}
		flags, others := sortFlags(commands[at], argv[i+2:])
		return slices.Concat(argv[:i+2], flags, others)
	}
	return argv
}

// sortFlags splits words into flags, with the values that they take, and others.
func sortFlags(c *cli.Command, words []string) (flags, others []string) {
	takesValue := map[string]bool{}
	for _, f := range c.Flags {
		if v, ok := f.(cli.DocGenerationFlag); ok {
			for _, name := range f.Names() {
				takesValue[name] = v.TakesValue()
			}
		}
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(word) < 2 || word[0] != '-' {
			others = append(others, word)
			continue
		}
		flags = append(flags, word)
		if takesValue[strings.TrimLeft(word, "-")] && i+1 < len(words) {
			i++
			flags = append(flags, words[i])
		}
	}
	return flags, others
}

func newApp(r fleet.CommandLine) *cli.App {
	app := &cli.App{
		Name:      "interlock",
		Usage:     "run maintenance commands on hosts that agree to them",
		UsageText: "interlock COMMAND [flags] [HOSTS] [-- REMOTE COMMAND]",
		Version:   version(),
		Description: "HOSTS is a set: db1, db[001-300], db[1-9/2], @group, @cluster, @all, ^file;\n" +
			"A,B is both, A!B is A without B, A&B is what is in both.",
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true, // a path given with -i may hold a comma
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("see interlock --help", "unknown command %q", c.Args().First())
			}
			c.App.Writer = os.Stderr
			_ = cli.ShowAppHelp(c)
			return usagef("", "no command given")
		},
		Commands: []*cli.Command{
			runCommand(r), checkCommand(r), explainCommand(r), hostsCommand(r), logsCommand(r), locksCommand(r), replayCommand(r), versionCommand(r),
		},
	}
	finish(app.Commands)
	return app
}

// finish sets what every command needs and cli does not inherit. Without HideHelpCommand a set of hosts
// named h or help would print a help text.
func finish(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = true
		c.OnUsageError = usageError
		finish(c.Subcommands)
	}
}

func runCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a command on hosts that let it through",
		UsageText: "interlock run [flags] HOSTS -- COMMAND [ARGUMENT]…\n\nSeveral words after -- are an argument list; a single one is a shell line.",
		Flags: append(remoteFlags(),
			&cli.StringFlag{Name: "allow", Usage: "let through what these `WORDS` name: data, replica, serving, member, proxy (comma-separated)"},
			&cli.StringFlag{Name: "shell", Value: "/bin/sh", Usage: "`SHELL` on the hosts that runs the command"},
			numberFlag("expect-hosts", "the set must have exactly `N` hosts; asks nobody"),
			&cli.BoolFlag{Name: "skip-refused", Usage: "leave out hosts that refuse instead of starting nowhere"},
			numberFlag("skip-unreachable", "leave out at most `N` hosts that do not answer"),
			numberFlag("parallel", "at most `N` hosts at once, never two of a cluster (default: hosts.toml, else 64)"),
			numberFlag("max-fail", "go on until more than `N` hosts have failed"),
			&cli.DurationFlag{Name: "timeout", Usage: "stop the command on a host after `DURATION`"},
			&cli.BoolFlag{Name: "tty", Aliases: []string{"t"}, Usage: "give the command a terminal (one host)"},
			&cli.BoolFlag{Name: "stdin", Usage: "read standard input to its end and give it to every host"},
			&cli.BoolFlag{Name: "prefix", Usage: "show output as it comes, each line behind its host"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: verdicts and results"},
		),
		Action: func(c *cli.Context) error {
			set, err := r.HostsBefore("run", c.Args().Slice(), "interlock run [flags] HOSTS -- COMMAND")
			if err != nil {
				return err
			}
			o := fleet.RunOptions{
				Remote: remoteOptions(c), Hosts: set, Command: r.Words, Shell: c.String("shell"),
				Allow: words(c.String("allow")), ExpectHosts: optionalInt(c, "expect-hosts"),
				SkipRefused: c.Bool("skip-refused"), SkipUnreachable: number(c, "skip-unreachable"),
				Parallel: number(c, "parallel"), MaxFail: number(c, "max-fail"), Timeout: c.Duration("timeout"),
				TTY: c.Bool("tty"), Stdin: c.Bool("stdin"), Prefix: c.Bool("prefix"), JSON: c.Bool("json"),
			}
			interrupts := make(chan os.Signal, 2) // two: the second one says "leave now"
			signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer signal.Stop(interrupts)
			o.Interrupts = interrupts
			cmd, err := fleet.NewRun(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return cmd.Run(c.Context)
		},
	}
}

// What `check` will also take, each with the code that does it: --nagios, --textfile FILE, --html FILE,
// --expect, --changes.
func checkCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "ask hosts what they are; changes nothing",
		UsageText: "interlock check [flags] HOSTS",
		Flags: append(remoteFlags(),
			numberFlag("parallel", "at most `N` hosts at once (default: hosts.toml, else 64)"),
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a host"},
		),
		Action: func(c *cli.Context) error {
			set, err := r.OnlyHosts(c.Command.Name, c.Args().Slice(), c.Command.UsageText)
			if err != nil {
				return err
			}
			o := fleet.CheckOptions{Remote: remoteOptions(c), Hosts: set, Parallel: number(c, "parallel"), JSON: c.Bool("json")}
			cmd, err := fleet.NewCheck(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}

func explainCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say how a command is classified, and why; reaches no host",
		UsageText: "interlock explain [flags] -- COMMAND [ARGUMENT]…\ninterlock explain --json -     (one command a line on standard input)",
		Flags: []cli.Flag{
			configFlag(),
			&cli.StringFlag{Name: "shell", Value: "/bin/sh", Usage: "`SHELL` that would run the command"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a command"},
		},
		Action: func(c *cli.Context) error {
			stdin := c.NArg() == 1 && c.Args().First() == "-"
			if c.NArg() > 0 && !stdin {
				return usagef("interlock explain [flags] -- COMMAND", "explain: unexpected %q before --", c.Args().First())
			}
			o := fleet.ExplainOptions{Config: c.String("config"), Shell: c.String("shell"), Command: r.Words, JSON: c.Bool("json"), Stdin: stdin}
			cmd, err := fleet.NewExplain(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}

func hostsCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "hosts",
		Usage:     "print the hosts of a set",
		UsageText: "interlock hosts [--fold | --count] HOSTS",
		Flags: []cli.Flag{
			configFlag(),
			&cli.BoolFlag{Name: "fold", Usage: "on one line, folded: db[001-003]"},
			&cli.BoolFlag{Name: "count", Usage: "the number of hosts alone"},
		},
		Action: func(c *cli.Context) error {
			set, err := r.OnlyHosts(c.Command.Name, c.Args().Slice(), c.Command.UsageText)
			if err != nil {
				return err
			}
			o := fleet.NamesOptions{Config: c.String("config"), Set: set, Fold: c.Bool("fold"), Count: c.Bool("count")}
			cmd, err := fleet.NewNames(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}

func logsCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "list the outputs kept on a host, or print one",
		UsageText: "interlock logs [flags] HOST [ID]",
		Flags:     remoteFlags(),
		Action: func(c *cli.Context) error {
			args, err := r.Arguments(c.Command.Name, c.Args().Slice(), 1, 2, c.Command.UsageText)
			if err != nil {
				return err
			}
			o := fleet.LogsOptions{Remote: remoteOptions(c), Host: args[0]}
			if len(args) == 2 {
				o.ID = args[1]
			}
			cmd, err := fleet.NewLogs(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}

func locksCommand(r fleet.CommandLine) *cli.Command {
	locks := func(o fleet.LocksOptions, ctx context.Context) error {
		cmd, err := fleet.NewLocks(o, fleet.StandardStreams())
		if err != nil {
			return err
		}
		return interruptible(ctx, cmd.Run)
	}
	return &cli.Command{
		Name:  "locks",
		Usage: "list the locks that hosts hold, or break one",
		Action: func(*cli.Context) error {
			return usagef("interlock locks list HOSTS, or interlock locks break HOST ID --reason TEXT", "locks: neither list nor break")
		},
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the locks of hosts", UsageText: "interlock locks list [flags] HOSTS", Flags: remoteFlags(),
				Action: func(c *cli.Context) error {
					set, err := r.OnlyHosts(c.Command.Name, c.Args().Slice(), c.Command.UsageText)
					if err != nil {
						return err
					}
					return locks(fleet.LocksOptions{Remote: remoteOptions(c), Hosts: set}, c.Context)
				},
			},
			{
				Name: "break", Usage: "break a lock whose owner is gone", UsageText: "interlock locks break [flags] --reason TEXT HOST ID",
				Flags: append(remoteFlags(), &cli.StringFlag{Name: "reason", Usage: "why, `TEXT` for the audit log"}),
				Action: func(c *cli.Context) error {
					args, err := r.Arguments(c.Command.Name, c.Args().Slice(), 2, 2, c.Command.UsageText)
					if err != nil {
						return err
					}
					return locks(fleet.LocksOptions{Remote: remoteOptions(c), Hosts: args[0], Break: args[1], Reason: c.String("reason")}, c.Context)
				},
			},
		},
	}
}

func replayCommand(r fleet.CommandLine) *cli.Command {
	const usage = "interlock replay [target] [range] BINLOG…|DIR|-\ninterlock replay [target] --status | --drop-state"
	return &cli.Command{
		Name:      "replay",
		Usage:     "bring a restored server up to date from binary logs",
		UsageText: usage,
		HideHelp:  true, // its -h; here that is --host, as in the mysql client
		Flags: append(targetFlags(),
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
			&cli.BoolFlag{Name: "status", Usage: "print what this server knows of runs; change nothing"},
			&cli.BoolFlag{Name: "drop-state", Usage: "remove the schema interlock_replay"},
			&cli.BoolFlag{Name: "force", Usage: "with --drop-state: that of an unfinished run, too"},
			&cli.BoolFlag{Name: "help", Usage: "show help"},
		),
		Action: func(c *cli.Context) error {
			switch target := targetOptions(c); {
			case c.Bool("help"):
				return cli.ShowSubcommandHelp(c)
			case c.Bool("status"):
				return replayError(c.Context, replay.Status(c.Context, target, os.Stdout))
			case c.Bool("drop-state"):
				return replayError(c.Context, replay.DropState(c.Context, target, c.Bool("force")))
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
			ctx, stop := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return replayError(ctx, cmd.Run(ctx))
		},
	}
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

func versionCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version",
		Action: func(c *cli.Context) error {
			if _, err := r.Arguments(c.Command.Name, c.Args().Slice(), 0, 0, c.Command.UsageText); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.App.Writer, "interlock "+version())
			return err
		},
	}
}

// version is that of the module as built, with the commit where it is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "inventory and policy: `FILE` instead of ./hosts.toml, ~/.config/interlock/hosts.toml, /etc/interlock/hosts.toml"}
}

func remoteFlags() []cli.Flag {
	return []cli.Flag{
		configFlag(),
		&cli.StringFlag{Name: "login", Aliases: []string{"l"}, Usage: "log in as `USER`"},
		numberFlag("port", "SSH `PORT`", "p"),
		&cli.StringFlag{Name: "ssh-config", Aliases: []string{"F"}, Usage: "SSH configuration `FILE`, as ssh -F"},
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "private key `FILE`, as ssh -i"},
		&cli.StringFlag{Name: "transport", Usage: "`WORD`: native, or openssh to run the system's ssh"},
	}
}

func remoteOptions(c *cli.Context) fleet.Remote {
	return fleet.Remote{
		Config: c.String("config"), User: c.String("login"), Port: number(c, "port"), SSHConfig: c.String("ssh-config"),
		IdentityFiles: c.StringSlice("identity"), Transport: c.String("transport"),
	}
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// optionalInt is nil for a flag that was not given: 0 is a value like others.
func optionalInt(c *cli.Context, name string) *int {
	if !c.IsSet(name) {
		return nil
	}
	n := number(c, name)
	return &n
}

// decimal is the value of a number flag. cli's own IntFlag reads 010 as eight, whatever its Base says.
type decimal int

func (d *decimal) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("want a decimal number")
	}
	*d = decimal(n)
	return nil
}

// String is empty for what was not given, so that help shows no default.
func (d *decimal) String() string {
	if d == nil || *d == 0 {
		return ""
	}
	return strconv.Itoa(int(*d))
}

func numberFlag(name, usage string, aliases ...string) cli.Flag {
	return &cli.GenericFlag{Name: name, Aliases: aliases, Usage: usage, Value: new(decimal)}
}

func number(c *cli.Context, name string) int {
	d, ok := c.Generic(name).(*decimal)
	if !ok {
		return 0
	}
	return int(*d)
}

// interruptible runs f with a context that ^C ends.
func interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
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
