package fleet

import (
	"fmt"
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
	noted     string // behind the count, or instead of it
}

// newProgress shows the line on standard error, until end takes it away.
func newProgress(s Streams, verb string, total int) *progress {
	return showProgress(s, &progress{verb: verb, total: total, stop: make(chan struct{})})
}

// newLine shows a line without a count.
func newLine(s Streams, text string) *progress {
	return showProgress(s, &progress{noted: text, stop: make(chan struct{})})
}

func showProgress(s Streams, p *progress) *progress {
	w := s.Err
	if c, ok := s.Err.(*console); ok {
		p.console, w = c, c.w
	}
	p.line = report.NewProgress(w, isTerminal(w), width(w))
	if p.console != nil {
		p.console.show(p.line)
	}
	p.set()
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
	p.set()
}

// note puts text behind the count, "" nothing.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = text
	p.set()
}

// set draws the line. The mutex is held, or nobody else knows of p yet.
func (p *progress) set() {
	text := ""
	if p.total > 0 {
		text = fmt.Sprintf("%s %d of %s", p.verb, p.done, plural(p.total, "host", "hosts"))
	}
	if p.bad > 0 {
		text += fmt.Sprintf(", %d not reached", p.bad)
	}
	if text != "" && p.noted != "" {
		text += "; "
	}
	p.line.Set("%s", text+p.noted)
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
