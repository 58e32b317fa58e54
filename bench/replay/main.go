// Replay measures `interlock replay` against the other ways to bring a restored server up to date: the pipe
// (mysqlbinlog | mysql), the server's own parallel applier over copied relay logs, and LOAD DATA of the net rows as the limit.
// Real servers, the same settings for all, the same cold copy before every round, rows compared after it.
//
//	make bench-replay
//	cd bench && go run ./replay [-product mysql|mariadb] [-workload W,…] [-contender C,…] [-scale F] [-rounds N] [-keep] [-json FILE]
//
// Without -scale the workloads have sizes that two cores get through in about twenty minutes a product; -scale 1 is
// the real size, and takes hours. -keep keeps the recordings, so that the next run with -keep starts with measuring. A bar that is missed is printed as missed; the exit status says only whether everything
// could be measured and came out equal. docs/performance.md says what the numbers mean.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"interlock/internal/testrig"
	"interlock/replay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// bench is what every measurement knows.
type bench struct {
	product     testrig.Product
	dir         string // recordings and servers, on disk
	interlock   string // the program under test, built from this tree
	gtid        bool
	set         []string // options of every target's server
	scale       float64  // 0: quick
	rounds      int
	slowRounds  int // of contenders that take long
	connections int
	memory      string        // interlock's --memory
	patience    time.Duration // of one round
	keep        bool
	failed      bool // something could not be measured or came out different
}

// choice is what the command line asks for.
type choice struct {
	products, workloads, contenders []string
	json                            string
	dir                             string
}

// kinds are what -contender takes. scan is the reading of a log without a server.
var kinds = []string{"pipe", "applier", "load", "interlock", "scan"}

func (c choice) wants(contender string) bool {
	return len(c.contenders) == 0 || slices.Contains(c.contenders, contender)
}

func parse(args []string) (*bench, choice, error) {
	b, c := &bench{}, choice{}
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	products := flags.String("product", "mysql,mariadb", "`PRODUCTS` to run on")
	names := flags.String("workload", "", "measure these `WORKLOADS` alone; the last one is length")
	contenders := flags.String("contender", "", "measure these `CONTENDERS` alone: "+strings.Join(kinds, ", "))
	flags.Float64Var(&b.scale, "scale", 0, "`FACTOR` of the real sizes; 0: quick ones")
	flags.IntVar(&b.rounds, "rounds", 3, "`N` rounds of LOAD DATA and interlock")
	flags.IntVar(&b.slowRounds, "slow-rounds", 1, "`N` rounds of the pipe and the appliers")
	flags.IntVar(&b.connections, "connections", replay.DefaultConnections(), "`N` connections of LOAD DATA and of interlock's second line")
	flags.StringVar(&b.memory, "memory", "512M", "interlock's --memory `SIZE`")
	flags.DurationVar(&b.patience, "patience", time.Hour, "`TIME` after which a round is given up")
	set := flags.String("set", "", "further `OPTIONS` of every target: innodb-autoinc-lock-mode=2")
	flags.BoolVar(&b.gtid, "gtid", false, "GTIDs on MySQL: the pipe and the applier are slower with them")
	flags.BoolVar(&b.keep, "keep", false, "keep the recordings: the next run with -keep uses them")
	flags.StringVar(&c.dir, "dir", os.TempDir(), "`FOLDER` for recordings and servers; on a disk with 10 GB free")
	flags.StringVar(&c.json, "json", "", "write the raw numbers to `FILE`")
	if err := flags.Parse(args); err != nil {
		return nil, c, err
	}
	words := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
	c.products, c.workloads, c.contenders, b.set = words(*products), words(*names), words(*contenders), words(*set)
	if b.rounds < 1 || b.slowRounds < 1 || b.connections < 1 || b.scale < 0 {
		return nil, c, errors.New("-rounds, -slow-rounds and -connections are 1 or more, -scale is not negative")
	}
	for _, p := range c.products {
		if p != string(testrig.MySQL) && p != string(testrig.MariaDB) {
			return nil, c, fmt.Errorf("-product %q: want mysql or mariadb", p)
		}
	}
	known := []string{lengthName}
	for _, w := range workloads() {
		known = append(known, w.name)
	}
	for _, name := range c.workloads {
		if !slices.Contains(known, name) {
			return nil, c, fmt.Errorf("-workload %q: want one of %s", name, strings.Join(known, ", "))
		}
	}
	for _, name := range c.contenders {
		if !slices.Contains(kinds, name) {
			return nil, c, fmt.Errorf("-contender %q: want one of %s", name, strings.Join(kinds, ", "))
		}
	}
	return b, c, nil
}

func run(ctx context.Context, args []string) (err error) {
	b, c, err := parse(args)
	if err != nil {
		return err
	}
	if b.keep {
		b.dir = filepath.Join(c.dir, "interlock-bench-replay")
		err = os.MkdirAll(b.dir, 0o755)
	} else if b.dir, err = os.MkdirTemp(c.dir, "interlock-bench-replay-"); err == nil {
		defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	}
	if err != nil {
		return err
	}
	b.interlock = filepath.Join(b.dir, "interlock")
	if c.wants("interlock") {
		if err := build(ctx, "..", b.interlock, "."); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d processors, %s, load %s\n", runtime.Version(), runtime.NumCPU(), kernel(), load())
	var all []*result
	for _, product := range c.products {
		b.product = testrig.Product(product)
		results, err := b.all(ctx, c)
		if err != nil {
			return err
		}
		all = append(all, results...)
	}
	if c.json != "" {
		text, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.json, text, 0o644); err != nil {
			return err
		}
	}
	if b.failed {
		return errors.New("some of it could not be measured: see above")
	}
	return nil
}

// all measures what was asked for on one product and prints its table.
func (b *bench) all(ctx context.Context, c choice) ([]*result, error) {
	t := &table{b: b}
	for _, w := range workloads() {
		if len(c.workloads) > 0 && !slices.Contains(c.workloads, w.name) {
			continue
		}
		if err := b.one(ctx, w, c, t); ctx.Err() != nil {
			return nil, err
		} else if err != nil { // what was measured before it is still worth its table
			fmt.Fprintf(os.Stderr, "bench: measure %s on %s: %v\n", w.name, b.product, err)
			b.failed = true
		}
	}
	if (len(c.workloads) == 0 || slices.Contains(c.workloads, lengthName)) && c.wants("interlock") {
		if err := b.length(ctx, t); err != nil {
			return nil, fmt.Errorf("measure %s on %s: %w", lengthName, b.product, err)
		}
	}
	return t.results(), t.print(os.Stdout)
}

// one measures a workload.
func (b *bench) one(ctx context.Context, w workload, c choice, t *table) (err error) {
	begin := time.Now()
	rec, err := b.record(ctx, w)
	if err != nil {
		return err
	}
	if !b.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(rec.dir)) }()
	}
	say("%s on %s: %d transactions, %d changes, %s of log (%.1f s)", w.name, b.product, rec.Transactions, rec.Changes, megabytes(rec.LogBytes), time.Since(begin).Seconds())
	l := line{workload: w, rec: rec}
	for _, contender := range b.contenders() {
		kind, _, _ := strings.Cut(contender.name, "-")
		if !c.wants(kind) {
			continue
		}
		r, err := b.measure(ctx, w, rec, contender)
		if err != nil {
			return err
		}
		l.results = append(l.results, r)
	}
	t.lines = append(t.lines, l)
	if w.scan && c.wants("scan") {
		return t.scan(ctx, w, rec)
	}
	return nil
}

func (b *bench) contenders() []contender {
	all := append([]contender{pipe()}, appliers(b.product)...)
	all = append(all, loadData(b.connections), replayer("interlock-1", 1))
	if b.connections > 1 {
		all = append(all, replayer(fmt.Sprintf("interlock-%d", b.connections), b.connections))
	}
	return all
}

// build makes a program of a module.
func build(ctx context.Context, module, program, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, pkg)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w: %s", pkg, module, err, tail(out))
	}
	return nil
}

// tail is the end of what a program printed, for an error.
func tail(out []byte) string {
	const most = 700
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.TrimSpace(string(out))
}

// load is the load average of the last minute, five and fifteen: a number measured beside other work says so.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "kernel unknown"
	}
	return "Linux " + strings.TrimSpace(string(text))
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/(1<<20)) }

// say tells a person who waits what is going on.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
