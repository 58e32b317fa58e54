package command

import (
	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

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
