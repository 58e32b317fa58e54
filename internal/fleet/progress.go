package fleet

import (
	"sync"
	"time"

	"interlock/internal/report"
)

// progress is the line that shows how far a run over several hosts is. One step is one host.
type progress struct {
	verb    string
	total   int
	console *console
	line    *report.Progress
	stop    chan struct{}
	ticking sync.WaitGroup

	mu        sync.Mutex
	done, bad int
}

// newProgress shows the line on standard error, until end takes it away.
func newProgress(s Streams, verb string, total int) *progress {
	p := &progress{verb: verb, total: total, stop: make(chan struct{})}
	w := s.Err
	if c, ok := s.Err.(*console); ok {
		p.console, w = c, c.w
	}
	p.line = report.NewProgress(w, isTerminal(w), width(w))
	if p.console != nil {
		p.console.show(p.line)
	}
	p.line.Set("%s 0 of %s", verb, plural(total, "host", "hosts"))
	p.ticking.Go(p.tick)
	return p
}

// tick draws what a burst of steps left undrawn.
func (p *progress) tick() {
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			p.line.Tick()
		case <-p.stop:
			return
		}
	}
}

// step counts one more host, a bad one where it could not be reached.
func (p *progress) step(bad bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if bad {
		p.bad++
	}
	if p.bad == 0 {
		p.line.Set("%s %d of %s", p.verb, p.done, plural(p.total, "host", "hosts"))
		return
	}
	p.line.Set("%s %d of %s, %d not reached", p.verb, p.done, plural(p.total, "host", "hosts"), p.bad)
}

// end takes the line away.
func (p *progress) end() {
	close(p.stop)
	p.ticking.Wait()
	if p.console != nil {
		p.console.show(nil)
	}
	p.line.Done()
}
