package command

import (
	"context"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

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
		Usage: "list the locks and leases that hosts hold, or break one",
		Action: func(*cli.Context) error {
			return usagef("interlock locks list HOSTS, show HOST [ID], or break --reason TEXT HOST ID", "locks: neither list, show nor break")
		},
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "list the locks and leases of hosts", UsageText: "interlock locks list [flags] HOSTS", Flags: remoteFlags(),
				Action: func(c *cli.Context) error {
					set, err := r.OnlyHosts(c.Command.Name, c.Args().Slice(), c.Command.UsageText)
					if err != nil {
						return err
					}
					return locks(fleet.LocksOptions{Remote: remoteOptions(c), Hosts: set}, c.Context)
				},
			},
			{
				Name: "show", Usage: "show everything about the locks and leases of a host", UsageText: "interlock locks show [flags] HOST [ID]", Flags: remoteFlags(),
				Action: func(c *cli.Context) error {
					args, err := r.Arguments(c.Command.Name, c.Args().Slice(), 1, 2, c.Command.UsageText)
					if err != nil {
						return err
					}
					o := fleet.LocksOptions{Remote: remoteOptions(c), Hosts: args[0], Show: true}
					if len(args) > 1 {
						o.ID = args[1]
					}
					return locks(o, c.Context)
				},
			},
			{
				Name: "break", Usage: "break a lock or a lease whose owner is gone", UsageText: "interlock locks break [flags] --reason TEXT HOST ID",
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
