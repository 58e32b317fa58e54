package command

import (
	"os"
	"os/signal"
	"time"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

func runCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a command on hosts that let it through",
		UsageText: "interlock run [flags] HOSTS -- COMMAND [ARGUMENT]…\n\nSeveral words after -- are an argument list; a single one is a shell line.",
		Flags: append(remoteFlags(),
			&cli.StringFlag{Name: "allow", Usage: "let through what these `WORDS` name: data, replica, serving, member, proxy (comma-separated)"},
			&cli.StringFlag{Name: "override", Usage: "overrule the refusal that came with this `ID`: one host, within ten minutes"},
			&cli.StringFlag{Name: "reason", Usage: "why the refusal is overruled, `TEXT` for the audit log"},
			&cli.StringFlag{Name: "shell", Value: "/bin/sh", Usage: "`SHELL` on the hosts that runs the command"},
			numberFlag("expect-hosts", "the set must have exactly `N` hosts; asks nobody"),
			&cli.BoolFlag{Name: "skip-refused", Usage: "leave out hosts that refuse instead of starting nowhere"},
			numberFlag("skip-unreachable", "leave out at most `N` hosts that do not answer"),
			numberFlag("parallel", "at most `N` hosts at once, never two of a cluster (default: hosts.toml, else 64)"),
			numberFlag("max-fail", "go on until more than `N` hosts have failed"),
			&cli.DurationFlag{Name: "timeout", Usage: "stop the command on a host after `DURATION`"},
			&cli.BoolFlag{Name: "wait-healthy", Value: true, Usage: "after a disruptive command wait until the host is what it was before the next one starts (default)"},
			&cli.BoolFlag{Name: "no-wait-healthy", Usage: "do not wait"},
			&cli.DurationFlag{Name: "wait-timeout", Value: 15 * time.Minute, Usage: "how long to wait for that: `DURATION`"},
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
				Override: c.String("override"), Reason: c.String("reason"),
				SkipRefused: c.Bool("skip-refused"), SkipUnreachable: number(c, "skip-unreachable"),
				Parallel: number(c, "parallel"), MaxFail: number(c, "max-fail"), Timeout: c.Duration("timeout"),
				NoWaitHealthy: c.Bool("no-wait-healthy") || !c.Bool("wait-healthy"), WaitTimeout: c.Duration("wait-timeout"),
				TTY: c.Bool("tty"), Stdin: c.Bool("stdin"), Prefix: c.Bool("prefix"), JSON: c.Bool("json"),
			}
			interrupts := make(chan os.Signal, 2) // two: the second one says "leave now"
			notify(interrupts)
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
