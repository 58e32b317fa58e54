package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"golang.org/x/sys/unix"

	"interlock/internal/testrig"
)

// contender is one way to bring the cold copy to the end of the log.
type contender struct {
	name     string                  // its kind, which -contender takes; a dash; which of its kind
	settings []string                // of its server, beyond what all have
	slow     bool                    // measured once
	skip     func(w workload) string // why it cannot do a workload; empty: it can
	before   func(*target) error     // not timed: what must be in place
	run      func(*target) error     // timed
}

// target is the server that a contender writes to, restored from the cold copy.
type target struct {
	*testrig.Local
	ctx     context.Context //nolint:containedctx // it lives as long as one round
	b       *bench
	rec     *recording
	used    measure  // run may fill in ClientCPU and PeakBytes
	summary *summary // of interlock
}

// measure is what one round took.
type measure struct {
	Wall      float64 // seconds, from the start of the program to its end
	ServerCPU float64 // seconds
	ClientCPU float64 // seconds of all programs but the server
	PeakBytes int64   // of interlock, resident
}

// result is what all rounds of one contender gave.
type result struct {
	Product                         testrig.Product
	Workload                        string
	LogBytes, Transactions, Changes int64
	Contender                       string
	Rounds                          []measure
	Note                            string   // why there is nothing, or not all
	Summary                         *summary // interlock's, of its last round
}

// ok tells whether there is a time to compare.
func (r *result) ok() bool { return r != nil && len(r.Rounds) > 0 && r.Note == "" }

// measure runs a contender for its rounds. An error of the contender itself is a note in its result: the others
// are measured all the same.
func (b *bench) measure(ctx context.Context, w workload, rec *recording, c contender) (*result, error) {
	r := &result{Product: b.product, Workload: w.name, LogBytes: rec.LogBytes, Transactions: rec.Transactions, Changes: rec.Changes, Contender: c.name}
	if c.skip != nil {
		if r.Note = c.skip(w); r.Note != "" {
			return r, nil
		}
	}
	rounds := b.rounds
	if c.slow {
		rounds = b.slowRounds
	}
	for range rounds {
		t, err := b.round(ctx, w, rec, c)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r.Note = err.Error()
			say("%s, %s: %v", w.name, c.name, err)
			b.failed = true
			return r, nil
		}
		r.Rounds, r.Summary = append(r.Rounds, t.used), t.summary
		say("%s, %s: %.2f s, server CPU %.2f s", w.name, c.name, t.used.Wall, t.used.ServerCPU)
	}
	return r, nil
}

// round restores the cold copy, runs the contender once and compares the rows.
func (b *bench) round(ctx context.Context, w workload, rec *recording, c contender) (t *target, err error) {
	pool := w.poolBytes
	if pool == 0 {
		pool = defaultPool
	}
	settings := append(append(serverSettings(b.product, pool, b.gtid, targetID), "skip-log-bin"), b.set...)
	local, err := testrig.StartLocal(ctx, testrig.LocalSpec{
		Product: b.product, TempDir: b.dir, From: rec.cold(), Settings: append(settings, c.settings...),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	t = &target{Local: local, ctx: ctx, b: b, rec: rec}
	if c.before != nil {
		if err := c.before(t); err != nil {
			return nil, err
		}
	}
	if err := settle(local.DataDir); err != nil {
		return nil, err
	}
	if err := t.time(c.run); err != nil {
		return nil, lastWords(local, err)
	}
	got, err := tableStates(ctx, local)
	if err != nil {
		return nil, err
	}
	if names := differences(got, rec.Tables); names != "" {
		return nil, fmt.Errorf("rows differ from the source's: %s", names)
	}
	return t, nil
}

// lastWords adds what the server said to an error that came of its end, for which it is given a moment: it writes down
// where it was.
func lastWords(local *testrig.Local, err error) error {
	if !errors.Is(err, mysql.ErrBadConn) {
		return err
	}
	const moment = 2 * time.Second
	for begin := time.Now(); local.Running() && time.Since(begin) < moment; {
		time.Sleep(moment / 20)
	}
	if local.Running() {
		return err
	}
	return fmt.Errorf("%w: the server has ended: %s", err, local.LastWords())
}

// settle writes the copy's dirty pages to disk, so that no contender pays for the copying.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// time runs what is timed.
func (t *target) time(run func(*target) error) error {
	serverBefore, err := processCPU(t.Pid)
	if err != nil {
		return err
	}
	clientBefore, err := childrenCPU()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := run(t); err != nil {
		if errors.Is(t.ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("more than %.0f s", t.b.patience.Seconds())
		}
		return err
	}
	t.used.Wall = time.Since(begin).Seconds()
	server, err := processCPU(t.Pid)
	if err != nil {
		return err
	}
	client, err := childrenCPU()
	if err != nil {
		return err
	}
	t.used.ServerCPU, t.used.ClientCPU = server-serverBefore, client-clientBefore
	return nil
}

// processCPU is the user and system time of a process in seconds; proc_pid_stat(5), fields 14 and 15 in ticks of
// a hundredth of a second.
func processCPU(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("read CPU of process %d: %q", pid, text)
	}
	var ticks int64
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU of process %d: %w", pid, err)
		}
		ticks += n
	}
	return float64(ticks) / 100, nil
}

// childrenCPU is the CPU of all programs that this one has started and that have ended. The servers are among
// them, but none ends while a contender runs.
func childrenCPU() (float64, error) { return usedCPU(unix.RUSAGE_CHILDREN) }

// usedCPU is user and system time in seconds, of whom getrusage(2) takes.
func usedCPU(who int) (float64, error) {
	var used unix.Rusage
	if err := unix.Getrusage(who, &used); err != nil {
		return 0, fmt.Errorf("read used CPU: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), nil
}
