package command

import (
	"fmt"
	"os"
	"runtime/debug"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

// Run is main with a status: nothing below it calls os.Exit, so that deferred work is done.
func Run(argv []string) int {
	if args, long, ok := asSSH(argv); ok {
		return runSSH(args, long, os.Stdout, os.Stderr)
	}
	ours, remote := fleet.SplitAtDashes(argv)
	app := newApp(remote)
	err := app.Run(flagsFirst(app.Commands, ours))
	if asksNagios(ours) {
		err = fleet.PluginFailed(os.Stdout, err)
	}
	if err != nil {
		printError(os.Stderr, err)
	}
	return fleet.ExitStatus(err)
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
			runCommand(r), sshCommand(), localCommand(r), checkCommand(r), explainCommand(r), hostsCommand(r), logsCommand(r), locksCommand(r), auditCommand(r),
			replayCommand(r), versionCommand(r),
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
