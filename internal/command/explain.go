package command

import (
	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

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
