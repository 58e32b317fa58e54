package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// The big fleet: simulated hosts behind long connections, in a process of their own. What it costs to play them is on
// the same processors, and so in the wall time; the table says how much that was.
const (
	simParallel  = 512
	simWallBar   = 30 * time.Second
	simMemoryBar = 500 << 20
)

// lookedAt is in the JSON of each whole report.
const lookedAt = `"looked":{`

func measureScale(ctx context.Context, b *bench) error {
	if err := build(ctx, ".", b.path("simhosts"), "./simhosts"); err != nil {
		return err
	}
	for _, part := range []struct {
		hashed  bool
		measure func(context.Context, *bench, *sims) error
	}{
		{false, scaleCheck},
		{true, scaleHashed},
		{false, scaleRun},
		{false, scaleInterrupted},
	} {
		s, err := b.simulate(ctx, part.hashed)
		if err != nil {
			return err
		}
		if err := errors.Join(part.measure(ctx, b, s), s.close()); err != nil {
			return err
		}
	}
	return nil
}

// scaled is what several runs on the simulated hosts were like.
type scaled struct {
	wall, cpu, hosts samples // seconds; hosts: CPU of the process that plays them
	memory           int64   // the most of any round, bytes
}

// scale runs one command on all simulated hosts, round by round. check looks at what it printed, and at what the hosts
// say of the same round; "" is what it should say.
func (b *bench) scale(ctx context.Context, s *sims, argv []string, check func(out []byte, l *account) string) (scaled, string, error) {
	var r scaled
	var odd string
	before, err := s.ask("idle")
	if err != nil {
		return r, "", err
	}
	for range b.fleetRounds {
		one, out, err := b.once(ctx, argv)
		if err != nil {
			return r, "", err
		}
		after, err := s.ask("idle")
		if err != nil {
			return r, "", err
		}
		r.wall = append(r.wall, one.wall.Seconds())
		r.cpu = append(r.cpu, one.cpu.Seconds())
		r.hosts = append(r.hosts, (after.CPU - before.CPU).Seconds())
		r.memory = max(r.memory, one.memory)
		if said := check(out, after.since(before)); said != "" {
			odd = said
		}
		before = after
	}
	return r, odd, nil
}

// onceUsed is used, and the client's peak memory: the resident set's, from the kernel.
type onceUsed struct {
	used
	memory int64
}

// once runs the client. Its exit status is not 0, since some hosts are dead.
func (b *bench) once(ctx context.Context, argv []string) (onceUsed, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = b.dir, b.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	u := onceUsed{used: used{wall: time.Since(begin)}}
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ctx.Err() != nil || ended.ExitCode() < 0) {
		return u, nil, fmt.Errorf("run %s: %w: %s", argv[1], err, tail(stderr.String()))
	}
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.memory = usage.Maxrss << 10
	}
	return u, stdout.Bytes(), nil
}

// scaleRows are those of one command.
func (b *bench) scaleRows(what string, r scaled, odd string) {
	if odd != "" {
		odd = "; " + odd
	}
	b.table.add(row{
		what: fmt.Sprintf("%s, %d simulated hosts, 50 ms away, %d at a time", what, b.sims, simParallel),
		ours: r.wall.String() + odd, ratio: fmt.Sprintf("%.2g of the bar", r.wall.median()/simWallBar.Seconds()),
		bar: fmt.Sprintf("at most %v", simWallBar), met: odd == "" && r.wall.median() <= simWallBar.Seconds(),
	})
	b.table.add(row{
		what: "  client CPU; peak memory", ours: r.cpu.String() + "; " + megabytes(r.memory),
		against: "playing the hosts: CPU " + r.hosts.String(),
		ratio:   fmt.Sprintf("%.2g of the bar", float64(r.memory)/simMemoryBar),
		bar:     "at most " + megabytes(simMemoryBar), met: r.memory <= simMemoryBar,
	})
}

func scaleCheck(ctx context.Context, b *bench, s *sims) error {
	return scaleCheckAs(ctx, b, s, "check")
}

// scaleHashed looks a hashed known_hosts through, where each line is a secret of its own.
func scaleHashed(ctx context.Context, b *bench, s *sims) error {
	return scaleCheckAs(ctx, b, s, "check, known_hosts hashed")
}

func scaleCheckAs(ctx context.Context, b *bench, s *sims, what string) error {
	r, odd, err := b.scale(ctx, s, b.simArgv(s, "check", "--json", s.ready.Set), func(out []byte, l *account) string {
		lines, whole, want := bytes.Count(out, []byte("\n")), bytes.Count(out, []byte(lookedAt)), b.sims-s.ready.Dead
		if lines != b.sims || whole != want || l.Reports != want {
			return fmt.Sprintf("%d hosts shown, %d whole reports of %d", lines, whole, want)
		}
		return l.odd()
	})
	if err == nil {
		b.scaleRows(what, r, odd)
	}
	return err
}

// simRun is a guarded run on all hosts that goes as far as it can.
func (b *bench) simRun(s *sims, command string) []string {
	return b.simArgv(s, "run", "--expect-hosts", strconv.Itoa(b.sims), "--skip-unreachable", strconv.Itoa(b.sims), "--skip-refused", s.ready.Set, "--", command)
}

// scaleRun is a destructive command through preflight, plan, lock, go and end.
func scaleRun(ctx context.Context, b *bench, s *sims) error {
	r, odd, err := b.scale(ctx, s, b.simRun(s, "touch /dev/null"), func(_ []byte, l *account) string {
		if want := b.sims - s.ready.Dead - s.ready.Refuses; len(l.Commands) != want {
			return fmt.Sprintf("%d commands of %d", len(l.Commands), want)
		}
		return l.odd()
	})
	if err == nil {
		b.scaleRows("destructive command: preflight, plan, lock, go, end", r, odd)
	}
	return err
}

// interruptions are ways for a client to end half-way.
var interruptions = []struct {
	what    string
	signals []os.Signal
}{
	{"^C", []os.Signal{os.Interrupt}},
	{"^C twice", []os.Signal{os.Interrupt, os.Interrupt}},
	{"SIGKILL", []os.Signal{os.Kill}},
}

// apart is more than what makes two signals one.
const apart = 100 * time.Millisecond

// scaleInterrupted ends the client once half of the commands have started, and asks the hosts what is left.
func scaleInterrupted(ctx context.Context, b *bench, s *sims) error {
	for _, by := range interruptions {
		before, err := s.ask("idle")
		if err != nil {
			return err
		}
		took, err := b.interrupt(ctx, s, before, by.signals)
		if err != nil {
			return fmt.Errorf("interrupt by %s: %w", by.what, err)
		}
		after, err := s.ask("idle")
		if err != nil {
			return err
		}
		l := after.since(before)
		recorded, err := b.recorded()
		if err != nil {
			return err
		}
		odd, err := b.leftHere(s)
		if err != nil {
			return err
		}
		for _, text := range append(l.Unaccounted(recorded), l.Busy) {
			if text != "" {
				odd += "; " + text
			}
		}
		b.table.add(row{
			what: fmt.Sprintf("the same, taking 1 s, %s half-way", by.what),
			ours: fmt.Sprintf("%d commands started, all ended and on record; gone after %s%s", len(l.Commands), duration(took.Seconds()), odd),
			bar:  "nothing left behind", met: odd == "",
		})
	}
	return nil
}

// interrupt starts a run and ends it half-way. took is from the last signal to the client's end.
func (b *bench) interrupt(ctx context.Context, s *sims, before *account, signals []os.Signal) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	argv := b.simRun(s, "touch /dev/null; sleep 1")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = s.work() // where it could leave something
	cmd.Env = append(b.env, s.mark(), "TMPDIR="+s.tmp())
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	half := (b.sims - s.ready.Dead - s.ready.Refuses) / 2
	for {
		select {
		case err := <-ended:
			return 0, fmt.Errorf("it ended before its half: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
		now, err := s.ask("now")
		if err != nil {
			return 0, errors.Join(err, cmd.Process.Kill())
		}
		if len(now.since(before).Commands) >= half {
			break
		}
	}
	begin := time.Now()
	for i, signal := range signals {
		if i > 0 {
			time.Sleep(apart)
			begin = time.Now()
		}
		if err := cmd.Process.Signal(signal); err != nil {
			return 0, err
		}
	}
	<-ended // its status is not 0, whatever happened
	return time.Since(begin), nil
}

// recorded are the decisions to run in the audit log: lock to host.
func (b *bench) recorded() (map[string]string, error) {
	f, err := os.Open(b.path("state/interlock/audit.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	locks := map[string]string{}
	in := bufio.NewScanner(f)
	for in.Scan() {
		var e struct{ Event, Verdict, Lock, Host string }
		if err := decodeLine(in.Bytes(), &e); err != nil {
			return nil, err
		}
		if e.Event == "decision" && e.Verdict == "run" {
			locks[e.Lock] = e.Host
		}
	}
	return locks, in.Err()
}
