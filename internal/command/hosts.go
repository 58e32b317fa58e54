package command

import (
	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

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
