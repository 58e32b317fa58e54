// Recovery is the second act of the demo: a server is lost, its backup is restored, and its binary logs are
// replayed once by the standard way, mysqlbinlog | mysql, and once by interlock replay. What both leave behind
// is compared with what the lost server held, byte for byte; any difference ends it with status 1.
//
//	recovery -interlock PROGRAM [-transactions N]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"interlock/internal/report"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		fmt.Fprintln(os.Stderr, "recovery: interrupted")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "recovery: %v\n", err)
		os.Exit(1)
	}
}

// defaultTransactions keep the standard way busy for well under a minute: it does some 600 to 900 a second.
const defaultTransactions = 30_000

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("recovery", flag.ContinueOnError)
	program := flags.String("interlock", "", "the built interlock, a `PROGRAM`")
	transactions := flags.Int("transactions", defaultTransactions, "how many `N` the source commits after its backup")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *program == "" || *transactions < 1 || flags.NArg() > 0 {
		return errors.New("usage: recovery -interlock PROGRAM [-transactions N]")
	}
	work, err := os.MkdirTemp("", "interlock-recovery-")
	if err != nil {
		return err
	}
	color := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""
	d := &demo{program: *program, transactions: *transactions, work: work, out: os.Stdout, style: report.Style{Color: color}}
	defer func() { err = errors.Join(err, d.close(), os.RemoveAll(work)) }()
	return d.run(ctx)
}
