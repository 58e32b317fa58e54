// Rig brings up a fleet of real hosts on this machine, for a person to look at. It needs root.
//
//	rig up [-topology demo|mariadb|clean] [-name NAME] [-d]
//	rig list
//	rig exec [-name NAME] HOST -- COMMAND...
//	rig down [-name NAME | -all]
//	rig prepare
//
// up stays in the foreground until ^C, which takes the fleet down; with -d it goes to the background.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"interlock/internal/testrig"
)

const usage = "usage: rig up [-topology NAME] [-name NAME] [-d] | list | exec [-name NAME] HOST -- COMMAND... | down [-name NAME | -all] | prepare"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode()) // the command of exec has spoken for itself
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rig: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("rig "+args[0], flag.ContinueOnError)
	name := flags.String("name", "demo", "the rig's `NAME`")
	topology := flags.String("topology", "demo", "up: the fleet, one of "+strings.Join(testrig.TopologyNames(), ", "))
	background := flags.Bool("d", false, "up: go to the background once the fleet is up")
	all := flags.Bool("all", false, "down: every rig of this machine")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "up":
		if *background {
			return upInBackground(ctx, *name, *topology)
		}
		return up(ctx, *name, *topology)
	case "list":
		return list()
	case "exec":
		return execute(ctx, *name, flags.Args())
	case "down":
		return down(ctx, *name, *all)
	case "prepare":
		return testrig.Prepare(ctx, os.Stderr)
	}
	return fmt.Errorf("unknown command %q; %s", args[0], usage)
}

// up holds the fleet until ctx ends.
func up(ctx context.Context, name, topology string) (err error) {
	begin := time.Now()
	rig, err := testrig.New(ctx, testrig.Options{Name: name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	if _, err := rig.Build(ctx, topology); err != nil {
		return err
	}
	fmt.Printf("up in %.1f s:\n", time.Since(begin).Seconds())
	for _, host := range rig.Hosts() {
		fmt.Printf("  %-6s %s\n", host.Name, host.Addr)
	}
	fmt.Printf("log in: ssh -F %s %s\n", rig.SSHConfig(), rig.Hosts()[0].Name)
	fmt.Println(readyLine)
	<-ctx.Done()
	return nil
}

// readyLine is the last line of what up says.
const readyLine = "take down: rig down, or ^C in the foreground"

// upInBackground runs up in a session of its own and repeats what it says until the fleet is up.
func upInBackground(ctx context.Context, name, topology string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.CreateTemp("", "interlock-rig-*.log")
	if err != nil {
		return err
	}
	defer log.Close()
	// The fleet outlives this process.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "up", "-name", name, "-topology", topology)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // what went wrong stands in the log
		close(ended)
	}()
	ready, err := follow(ctx, log.Name(), ended)
	if err != nil {
		return err
	}
	if ready {
		return os.Remove(log.Name())
	}
	return fmt.Errorf("rig did not come up: see %s", log.Name())
}

// follow prints a log as it grows, until the fleet is ready or the process behind it has ended.
func follow(ctx context.Context, path string, ended <-chan struct{}) (ready bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for over := false; ; {
		line, err := lines.ReadString('\n')
		fmt.Print(line)
		switch {
		case strings.TrimSpace(line) == readyLine:
			return true, nil
		case err == nil:
			continue
		case err != io.EOF:
			return false, err
		case over:
			return false, nil
		}
		select {
		case <-ended:
			over = true
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func list() error {
	rigs, err := testrig.List()
	if err != nil {
		return err
	}
	for _, r := range rigs {
		state := fmt.Sprintf("process %d", r.OwnerPID)
		if !r.Alive {
			state = "left over"
		}
		fmt.Printf("%s\t%s\t%s\tssh -F %s HOST\n", r.Name, state, strings.Join(r.Hosts, " "), r.SSHConfig)
	}
	return nil
}

func execute(ctx context.Context, rig string, args []string) error {
	if len(args) < 2 {
		return errors.New(usage)
	}
	host, argv := args[0], args[1:]
	if argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return errors.New(usage)
	}
	cmd, err := testrig.Command(ctx, rig, host, argv...)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func down(ctx context.Context, name string, all bool) error {
	if !all {
		return testrig.Down(ctx, name)
	}
	rigs, err := testrig.List()
	if err != nil {
		return err
	}
	for _, r := range rigs {
		err = errors.Join(err, testrig.Down(ctx, r.Name))
	}
	return err
}
