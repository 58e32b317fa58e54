package command

import (
	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

func auditCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "audit",
		Usage:     "show what was decided from here, and what came of it",
		UsageText: "interlock audit [flags]",
		Flags: []cli.Flag{
			configFlag(),
			&cli.StringFlag{Name: "host", Usage: "only what is about a host of this `SET`"},
			&cli.StringFlag{Name: "since", Usage: "only what is younger: `TIME` or duration (24h, 7d, 2014-01-10, 2014-01-10 17:30)"},
			&cli.StringFlag{Name: "who", Usage: "only what this `ACCOUNT` did"},
			&cli.StringFlag{Name: "verdict", Usage: "only with this `WORD`: run, refused, locked, unreachable, not started"},
			&cli.StringFlag{Name: "run", Usage: "only what has this `ID`, or an id that begins so"},
			&cli.StringFlag{Name: "file", Usage: "another log: `FILE` instead of $XDG_STATE_HOME/interlock/audit.jsonl"},
			&cli.BoolFlag{Name: "json", Usage: "the lines of the log as they are"},
		},
		Action: func(c *cli.Context) error {
			if _, err := r.Arguments(c.Command.Name, c.Args().Slice(), 0, 0, c.Command.UsageText); err != nil {
				return err
			}
			o := fleet.AuditOptions{
				Config: c.String("config"), File: c.String("file"), Hosts: c.String("host"), Since: c.String("since"),
				Who: c.String("who"), Verdict: c.String("verdict"), Run: c.String("run"), JSON: c.Bool("json"),
			}
			cmd, err := fleet.NewAudit(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}
