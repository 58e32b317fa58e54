package command

import (
	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

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
