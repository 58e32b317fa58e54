package fleet

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"interlock/internal/hosts"
	"interlock/internal/report"
)

// groupPrinter keeps the output of every host to the end, and shows what is alike once.
type groupPrinter struct {
	out   *patient
	s     Streams
	names []string // in the order of the set, which is that of what is shown

	mu   sync.Mutex
	line *progress // nil until the first host has something to show for
	of   map[string]*captured
}

func newGroupPrinter(out *patient, s Streams, names []string) *groupPrinter {
	return &groupPrinter{out: out, s: s, names: names, of: map[string]*captured{}}
}

func (p *groupPrinter) host(name string) (io.Writer, io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	c := &captured{}
	p.of[name] = c
	return &c.stdout, &c.stderr
}

func (p *groupPrinter) decided(verdict) {}

func (p *groupPrinter) ended(o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.line.step(o.kind == unreachable)
}

func (p *groupPrinter) planned(verdict) {}

func (p *groupPrinter) waiting(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	p.line.note(text)
}

// begin shows the progress line. Before the first host starts there is another one, or a question.
func (p *groupPrinter) begin() {
	if p.line == nil {
		p.line = newProgress(p.s, "done on", len(p.names))
	}
}

func (p *groupPrinter) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line != nil {
		p.line.end()
		p.line = nil
	}
	var stdout, stderr []report.Output
	for _, name := range p.names {
		c, ok := p.of[name]
		if !ok {
			continue
		}
		for _, part := range []struct {
			from *capture
			to   *[]report.Output
		}{{&c.stdout, &stdout}, {&c.stderr, &stderr}} {
			if part.from.Len() > 0 {
				*part.to = append(*part.to, report.Output{Host: name, Text: string(part.from.shown())})
			}
		}
	}
	err := report.GroupOutputs(p.out, stdout, hosts.Fold, style(p.s.Out))
	return errors.Join(err, report.GroupOutputs(p.s.Err, stderr, hosts.Fold, style(p.s.Err)), p.out.problem())
}

// shown is what was kept, and a line that says so where that is not all.
func (c *capture) shown() []byte {
	if !c.cut {
		return c.Bytes()
	}
	b := c.Bytes()
	if !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	return append(b, "interlock: the rest was cut: more than 16 MiB; --prefix shows all\n"...)
}
