package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"interlock/internal/fleet"
	"interlock/sshrun"

	"github.com/urfave/cli/v2"
)

// sshName is the name under which this program is ssh alone, without options of its own: scp -S and GIT_SSH take a
// program, and no arguments for it.
const sshName = "interlock-ssh"

// sshFlags are interlock's own options of `interlock ssh`, with whether they take a value. They stand before HOST; ssh
// itself has no long ones.
func sshFlags() map[string]bool {
	return map[string]bool{"allow": true, "config": true, "transport": true, "override": true, "reason": true, "started-fd": true, "help": false}
}

const sshUsage = `interlock ssh [--config FILE] [--allow WORDS] [--override ID --reason TEXT] [--transport native|openssh]
              [ssh's options] HOST [COMMAND]

As ssh, whose options these are. The long ones are those of interlock run; --allow also takes shell: open a
shell on a live host where hosts.toml says require_shell_allow. The exit status is the command's own, or 255.
As interlock-ssh (a symbolic link to interlock) it takes ssh's options alone.
`

// sshCommand is there for the list of commands: what takes ssh's options is not for cli to parse (runSSH).
func sshCommand() *cli.Command {
	return &cli.Command{Name: "ssh", Usage: "ssh, guarded: for scripts that call ssh", UsageText: sshUsage, SkipFlagParsing: true}
}

// asSSH tells whether a command line is ssh's, and gives the arguments for it.
func asSSH(argv []string) (args []string, long map[string]bool, ok bool) {
	switch {
	case len(argv) > 0 && argv[0][strings.LastIndexByte(argv[0], '/')+1:] == sshName:
		return argv[1:], nil, true
	case len(argv) > 1 && argv[1] == "ssh":
		return argv[2:], sshFlags(), true
	}
	return nil, nil, false
}

// runSSH is `interlock ssh` and interlock-ssh. Whatever goes wrong is 255, as with ssh.
func runSSH(args []string, long map[string]bool, stdout, stderr io.Writer) int {
	err := ssh(args, long, stdout)
	if err == nil {
		return fleet.ExitOK
	}
	printError(stderr, err)
	if e, ok := errors.AsType[*fleet.Error](err); ok && e.Err == nil {
		return e.Status
	}
	return fleet.ExitSSH
}

func ssh(args []string, long map[string]bool, stdout io.Writer) error {
	line, err := sshrun.ParseCommandLine(args, long)
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	o := fleet.SSHOptions{Args: args, Line: line}
	for _, l := range line.Long {
		switch l.Name {
		case "help":
			_, err := io.WriteString(stdout, sshUsage)
			return err
		case "allow":
			o.Allow = append(o.Allow, words(l.Value)...)
		case "config":
			o.Config = l.Value
		case "override":
			o.Override = l.Value
		case "reason":
			o.Reason = l.Value
		case "transport":
			o.Transport = l.Value
		case "started-fd":
			fd, err := strconv.Atoi(l.Value)
			if err != nil || fd < 3 {
				return fmt.Errorf("ssh: --started-fd %q: not for people", l.Value)
			}
			o.Started = os.NewFile(uintptr(fd), "started")
			syscall.CloseOnExec(fd)
		}
	}
	signals, interrupts := make(chan os.Signal, 2), make(chan os.Signal, 2)
	notify(signals)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go relay(ctx, signals, interrupts)
	o.Interrupts = interrupts
	cmd, err := fleet.NewSSH(o, fleet.StandardStreams())
	if err != nil {
		return err
	}
	return cmd.Run(ctx)
}

// relay passes signals on. TERM becomes HUP, "leave at once": programs that started ssh end it with TERM and wait
// for that; ^C asks the command to stop.
func relay(ctx context.Context, from <-chan os.Signal, to chan<- os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-from:
			if sig == syscall.SIGTERM {
				sig = syscall.SIGHUP
			}
			select {
			case to <- sig:
			case <-ctx.Done():
				return
			}
		}
	}
}
