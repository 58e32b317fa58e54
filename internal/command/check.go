package command

import (
	"slices"
	"strings"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

func checkCommand(r fleet.CommandLine) *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "ask hosts what they are; changes nothing",
		UsageText: "interlock check [flags] HOSTS",
		Flags: append(remoteFlags(),
			numberFlag("parallel", "at most `N` hosts at once (default: hosts.toml, else 64)"),
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a host, and with --expect one a finding"},
			&cli.BoolFlag{Name: "expect", Usage: "compare with the roles that hosts.toml states; asks all members of every cluster that HOSTS touches"},
			&cli.BoolFlag{Name: "nagios", Usage: "one line and an exit status of 0 to 3, as a monitoring plugin"},
			&cli.BoolFlag{Name: "changes", Usage: "print only what changed since the last check --changes of these HOSTS"},
			&cli.StringFlag{Name: "state", Usage: "with --changes: `FILE` that remembers the last check, instead of one under $XDG_STATE_HOME"},
			&cli.StringFlag{Name: "textfile", Usage: "write metrics to `FILE`.prom, for Prometheus' node_exporter"},
			&cli.StringFlag{Name: "html", Usage: "write a page to `FILE`"},
		),
		Action: func(c *cli.Context) error {
			set, err := r.OnlyHosts(c.Command.Name, c.Args().Slice(), c.Command.UsageText)
			if err != nil {
				return err
			}
			o := fleet.CheckOptions{
				Remote: remoteOptions(c), Hosts: set, Parallel: number(c, "parallel"),
				JSON: c.Bool("json"), Nagios: c.Bool("nagios"), Changes: c.Bool("changes"), Expect: c.Bool("expect"),
				State: c.String("state"), Textfile: c.String("textfile"), HTML: c.String("html"),
			}
			cmd, err := fleet.NewCheck(o, fleet.StandardStreams())
			if err != nil {
				return err
			}
			return interruptible(c.Context, cmd.Run)
		},
	}
}

// asksNagios tells whether a command line is that of the plugin: then every error, also one of the command
// line itself, is a line of the plugin's.
func asksNagios(argv []string) bool {
	if len(argv) < 2 || argv[1] != "check" {
		return false
	}
	return slices.ContainsFunc(argv[2:], func(word string) bool {
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		return strings.HasPrefix(word, "-") && name == "nagios" && (!given || value != "false")
	})
}
