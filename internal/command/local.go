package command

import (
	"os"
	"os/signal"
	"time"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

func localCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:  "local",
		Usage: "run a command on this machine, once hosts let it through",
		UsageText: "interlock local [flags] HOSTS -- COMMAND [ARGUMENT]…\n\nFor what does not pass through SSH: PXE, IPMI, a cloud API. Several words after -- are an argument list; a single one is a\n" +
			"shell line. {host} in it stands for a host's name, and it runs once for each; without, it runs once, with all names in\nINTERLOCK_HOSTS. The hosts stay locked until they were seen with a new boot id or machine id.",
		Flags: append(remoteFlags(),
			&cli.StringFlag{Name: "for", Usage: "what the command does to the hosts: `WORD` disruptive, or reinstall, which takes clear hosts alone (default: destructive)"},
			&cli.StringFlag{Name: "allow", Usage: "let through what these `WORDS` name: data, replica, serving, member, proxy (comma-separated)"},
			numberFlag("expect-hosts", "the set must have exactly `N` hosts; asks nobody"),
			numberFlag("parallel", "ask at most `N` hosts at once (default: hosts.toml, else 64)"),
			&cli.StringFlag{Name: "until", Usage: "unlock when this shell `LINE`, tried again and again, succeeds, instead of by boot id"},
			&cli.DurationFlag{Name: "until-timeout", Value: time.Hour, Usage: "leave the locks after `DURATION`"},
		),
		Action: func(c *cli.Context) error {
			set, err := r.HostsBefore("local", c.Args().Slice(), "interlock local [flags] HOSTS -- COMMAND")
			if err != nil {
				return err
			}
			interrupts := make(chan os.Signal, 2)
			notify(interrupts)
			defer signal.Stop(interrupts)
			o := fleet.LocalOptions{
				Remote: remoteOptions(c), Hosts: set, Command: r.Words, For: c.String("for"), Allow: words(c.String("allow")),
				ExpectHosts: optionalInt(c, "expect-hosts"), Parallel: number(c, "parallel"),
				Until: c.String("until"), UntilTimeout: c.Duration("until-timeout"), Interrupts: interrupts,
			}
			cmd, err := fleet.NewLocal(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return cmd.Run(c.Context)
		},
	}
}
