package command

import (
	"errors"
	"strconv"
	"strings"

	"interlock/internal/fleet"

	"github.com/urfave/cli/v2"
)

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "inventory and policy: `FILE` instead of ./hosts.toml, ~/.config/interlock/hosts.toml, /etc/interlock/hosts.toml"}
}

func remoteFlags() []cli.Flag {
	return []cli.Flag{
		configFlag(),
		&cli.StringFlag{Name: "login", Aliases: []string{"l"}, Usage: "log in as `USER`"},
		numberFlag("port", "SSH `PORT`", "p"),
		&cli.StringFlag{Name: "ssh-config", Aliases: []string{"F"}, Usage: "SSH configuration `FILE`, as ssh -F"},
		&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "private key `FILE`, as ssh -i"},
		&cli.StringFlag{Name: "transport", Usage: "`WORD`: native, or openssh to run the system's ssh"},
	}
}

func remoteOptions(c *cli.Context) fleet.Remote {
	return fleet.Remote{
		Config: c.String("config"), User: c.String("login"), Port: number(c, "port"), SSHConfig: c.String("ssh-config"),
		IdentityFiles: c.StringSlice("identity"), Transport: c.String("transport"),
	}
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// optionalInt is nil for a flag that was not given: 0 is a value like others.
func optionalInt(c *cli.Context, name string) *int {
	if !c.IsSet(name) {
		return nil
	}
	n := number(c, name)
	return &n
}

// decimal is the value of a number flag. cli's own IntFlag reads 010 as eight, whatever its Base says.
type decimal int

func (d *decimal) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("want a decimal number")
	}
	*d = decimal(n)
	return nil
}

// String is empty for what was not given, so that help shows no default.
func (d *decimal) String() string {
	if d == nil || *d == 0 {
		return ""
	}
	return strconv.Itoa(int(*d))
}

func numberFlag(name, usage string, aliases ...string) cli.Flag {
	return &cli.GenericFlag{Name: name, Aliases: aliases, Usage: usage, Value: new(decimal)}
}

func number(c *cli.Context, name string) int {
	d, ok := c.Generic(name).(*decimal)
	if !ok {
		return 0
	}
	return int(*d)
}
