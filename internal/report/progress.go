package report

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	redrawEvery = 100 * time.Millisecond // faster, and a slow terminal is all that the run waits for
	lineEvery   = 10 * time.Second       // where no line can be drawn again: a log that people can read
)

// Progress is one line about a run that is under way: drawn again on a terminal at most ten times a second
// and cleared at the end; a line every ten seconds elsewhere. It writes nothing of its own accord: call
// Tick now and then, or the last line of a burst stays undrawn. All methods may be called at once.
type Progress struct {
	w        io.Writer
	terminal bool
	width    int              // columns; 0: not known, lines are not cut
	now      func() time.Time // the clock

	mu    sync.Mutex
	line  string    // what is to be seen
	drawn string    // what is on the terminal; "" when nothing is
	last  time.Time // of the last drawing, or of the start
}

// NewProgress gives a progress line on w. Terminal tells whether w is one, width its columns.
func NewProgress(w io.Writer, terminal bool, width int) *Progress {
	return newProgress(w, terminal, width, time.Now)
}

func newProgress(w io.Writer, terminal bool, width int, now func() time.Time) *Progress {
	p := &Progress{w: w, terminal: terminal, width: width, now: now}
	if !terminal {
		p.last = now() // a run shorter than lineEvery says nothing
	}
	return p
}

// Set says how far the run is.
func (p *Progress) Set(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line = Visible(fmt.Sprintf(format, args...))
	p.drawIfDue()
}

// Tick draws what Set left undrawn, when it is time.
func (p *Progress) Tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drawIfDue()
}

// Println writes a line of its own, above the progress line.
func (p *Progress) Println(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, line)
	if p.terminal && p.line != "" {
		p.draw()
	}
}

// Done clears the line. Progress may be set again after it.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.line = ""
}

func (p *Progress) drawIfDue() {
	every := lineEvery
	if p.terminal {
		every = redrawEvery
	}
	if p.line == "" || p.now().Sub(p.last) < every || p.terminal && p.line == p.drawn {
		return
	}
	p.draw()
}

func (p *Progress) draw() {
	p.last = p.now()
	if !p.terminal {
		fmt.Fprintln(p.w, p.line)
		return
	}
	line := p.line
	if p.width > 1 {
		line = cut(line, p.width-1) // the last column makes some terminals wrap
	}
	fmt.Fprint(p.w, "\r"+line+"\x1b[K")
	p.drawn = p.line
}

func (p *Progress) clear() {
	if p.terminal && p.drawn != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = ""
	}
}
