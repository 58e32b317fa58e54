package fleet

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// The causes with which a run's context ends before its work does.
var (
	errInterrupted = errors.New("interrupted")
	errLeft        = errors.New("left while commands were running")
)

// sameSignal is how close two signals are one: timeout(1) sends each twice, to us and to our process group.
// No hand is that fast.
const sameSignal = 50 * time.Millisecond

// stops knows which commands run, so that ^C can ask them to stop, and whether new ones may start.
type stops struct {
	mu      sync.Mutex
	stopped bool
	running map[string]func(signal string) // host → asks the command there to stop
}

func newStops() *stops { return &stops{running: map[string]func(string){}} }

// start registers a command that is about to start; false: too late, it must not.
func (s *stops) start(host string, stop func(signal string)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.running[host] = stop
	return true
}

func (s *stops) end(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, host)
}

// interrupted tells whether somebody asked to stop.
func (s *stops) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// forbid lets nothing new start.
func (s *stops) forbid() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// stop lets nothing new start and asks what runs to stop. It returns how many were asked; the asking goes
// on in the goroutines of wg.
func (s *stops) stop(signal string, wg *sync.WaitGroup) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, ask := range s.running {
		wg.Go(func() { ask(signal) })
	}
	return len(s.running)
}

// watch waits for signals until done is closed. The first ^C or TERM asks the commands to stop; with none
// running it ends the run. The second one, or a terminal that went away, leaves: what runs, runs on.
func (s *stops) watch(ctx context.Context, signals <-chan os.Signal, leave context.CancelCauseFunc, done <-chan struct{}, out Streams) {
	var asking sync.WaitGroup
	defer asking.Wait()
	var last time.Time
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case sig := <-signals:
			again := time.Since(last) < sameSignal
			last = time.Now()
			if again {
				continue
			}
			if s.interrupted() || sig == syscall.SIGHUP {
				s.forbid()
				leave(errLeft)
				return
			}
			name := "INT"
			if sig == syscall.SIGTERM {
				name = "TERM"
			}
			if n := s.stop(name, &asking); n > 0 {
				out.notef("asking %s to stop; ^C again leaves without waiting", plural(n, "command", "commands"))
			} else {
				leave(errInterrupted)
			}
		}
	}
}
