package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"interlock/checks"
	"interlock/sshrun"
)

const (
	// stopWait is how long a command that ran into --timeout may take to stop before we leave it.
	stopWait = 10 * time.Second
	// askWait bounds the second session that asks a command to stop.
	askWait = 20 * time.Second
	// A host that was told go a moment ago may not have recorded the command yet, and says that none is running:
	// it is asked again, after askAgain, and again, over askTries in all. A loaded host takes some 200 ms.
	askAgain = 300 * time.Millisecond
	askTries = 10
)

// stream connects a command that was just started with our own streams, until it ends.
func (r *Run) stream(ctx context.Context, t *talk, host string, asks *asker) outcome {
	started := time.Now()
	stdout, stderr := r.print.host(host)
	t.stderr.release(stderr)
	defer r.raw(t.session)()
	if in := r.input.reader(); in != nil {
		// Not waited for: a read of our own standard input cannot be interrupted, and ends with the process.
		go func() {
			_, _ = io.Copy(t.session.Stdin, in)
			_ = t.session.Stdin.Close()
		}()
	} else {
		_ = t.session.Stdin.Close()
	}
	leave := context.AfterFunc(ctx, func() { _ = t.session.Close() })
	defer leave()
	var late, gaveUp atomic.Bool
	if r.o.Timeout > 0 {
		var second *time.Timer
		first := time.AfterFunc(r.o.Timeout, func() {
			late.Store(true)
			second = time.AfterFunc(stopWait, func() {
				gaveUp.Store(true)
				_ = t.session.Close()
			})
			asks.stop("TERM")
		})
		defer func() {
			if !first.Stop() && second != nil {
				second.Stop()
			}
		}()
	}
	_, _ = io.Copy(stdout, t.out)
	t.copying.Wait()
	exit := t.session.Wait()
	asks.ended()
	_ = t.session.Close()
	o := ending(host, exit, time.Since(started))
	switch {
	case ctx.Err() != nil:
		o.kind, o.err, o.left = lost, context.Cause(ctx), true
	case late.Load():
		o.kind, o.left = timedOut, gaveUp.Load() || exit.Kind == sshrun.Lost
		o.err = fmt.Errorf("stopped after %v", r.o.Timeout)
	}
	return o
}

// ending turns how a session ended into the outcome of its command.
func ending(host string, exit sshrun.Exit, took time.Duration) outcome {
	o := outcome{host: host, took: took, err: exit.Err}
	switch exit.Kind {
	case sshrun.Exited:
		o.kind, o.exit = exited, exit.Status
	case sshrun.Signaled:
		o.kind, o.signal = signaled, exit.Signal
	default:
		o.kind, o.left = lost, true
	}
	return o
}

// asker asks the command on one host to stop, through a second session: sshd refuses signal requests for
// root, and under sudo they reach nothing.
type asker struct {
	ask  func(signal string) error
	say  func(error)
	turn sync.Mutex  // one asks at a time; the connection must not close meanwhile
	over atomic.Bool // the command has ended: what went wrong with asking no longer matters
}

func (r *Run) newAsker(ctx context.Context, conn *sshrun.Conn, host, lock string) *asker {
	return &asker{
		ask: func(signal string) error { return r.askToStop(ctx, conn, host, lock, signal) },
		say: func(err error) { r.s.notef("%s: ask command to stop: %v", host, err) },
	}
}

// stop asks, unless the command has ended.
func (a *asker) stop(signal string) {
	a.turn.Lock()
	defer a.turn.Unlock()
	if a.over.Load() {
		return
	}
	for try := 1; ; try++ {
		err := a.ask(signal)
		if err == nil || a.over.Load() {
			return
		}
		if !errors.Is(err, errNotRunning) || try == askTries {
			a.say(err)
			return
		}
		time.Sleep(askAgain)
	}
}

// starting makes whoever asks wait until started: what is not there yet cannot be stopped, and would run on.
func (a *asker) starting() { a.turn.Lock() }

// started says that the command has started; false: that it will not.
func (a *asker) started(has bool) {
	if !has {
		a.over.Store(true)
	}
	a.turn.Unlock()
}

// ended says that the command has, and waits for a question that is still under way.
func (a *asker) ended() {
	a.over.Store(true)
	a.turn.Lock()
	defer a.turn.Unlock()
}

// errNotRunning is a host's answer where it knows of no command under a lock: not yet, or no longer.
var errNotRunning = errors.New("no running command with id")

// askToStop signals a command. With a lock the host knows the command's process group; without one the
// other processes of the same connection are meant.
func (r *Run) askToStop(ctx context.Context, conn *sshrun.Conn, host, lock, signal string) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if lock == "" {
		if exit := conn.Run(ctx, checks.StopSiblingsLine(), nil, io.Discard, io.Discard); exit.Kind == sshrun.Lost {
			return cmpErr(exit.Err, context.Cause(ctx))
		}
		return nil
	}
	q := r.site.request(host, checks.ModeSignal)
	q.LockID, q.Signal = lock, signal
	var said bytes.Buffer
	if err := tellOn(ctx, conn, q, io.Discard, &said); err != nil {
		if problem := lockProblem(err, said.String()); !strings.HasPrefix(problem, errNotRunning.Error()) {
			return errors.New(problem)
		}
		return fmt.Errorf("%w %s", errNotRunning, lock)
	}
	return nil
}
