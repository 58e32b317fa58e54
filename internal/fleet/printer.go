package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// printer shows what a run gives. Its writers never fail, so that a command is never cut off because nobody
// reads: what could not be written is the error of finish.
type printer interface {
	host(name string) (stdout, stderr io.Writer) // where one host's output goes
	planned(v verdict)                           // what the rest of a host's cluster says of taking it
	decided(v verdict)                           // nothing starts on a host
	ended(o outcome)                             // all of a host's output has been written
	waiting(text string)                         // for what the run waits meanwhile; "": for nothing
	finish() error
}

func newPrinter(o RunOptions, s Streams, names []string) printer {
	out := &patient{w: s.Out}
	switch {
	case o.JSON:
		return &jsonPrinter{waitLine: waitLine{s: s}, out: out, of: map[string]*captured{}}
	case o.Prefix:
		return &prefixPrinter{waitLine: waitLine{s: s}, out: out, err: &patient{w: s.Err}, of: map[string][2]*prefixed{}}
	case len(names) == 1:
		return &rawPrinter{waitLine: waitLine{s: s}, out: out, err: &patient{w: s.Err}}
	}
	return newGroupPrinter(out, s, names)
}

// patient takes whatever it is given; the first error of the writer behind it is kept, and what follows is
// dropped.
type patient struct {
	mu     sync.Mutex
	w      io.Writer
	failed error
}

func (p *patient) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		_, p.failed = p.w.Write(b)
	}
	return len(b), nil
}

func (p *patient) problem() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return fmt.Errorf("write output: %w", p.failed)
	}
	return nil
}

// rawPrinter passes one host's output on as it is, byte for byte.
type rawPrinter struct {
	waitLine
	out, err *patient
}

func (p *rawPrinter) host(string) (io.Writer, io.Writer) { return p.out, p.err }
func (p *rawPrinter) decided(verdict)                    {}
func (p *rawPrinter) ended(outcome)                      {}
func (p *rawPrinter) finish() error                      { return p.out.problem() }

// prefixPrinter shows whole lines as they come, each behind its host.
type prefixPrinter struct {
	waitLine
	out, err *patient
	mu       sync.Mutex
	of       map[string][2]*prefixed
}

func (p *prefixPrinter) host(name string) (io.Writer, io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pair := [2]*prefixed{{prefix: name + ": ", w: p.out}, {prefix: name + ": ", w: p.err}}
	p.of[name] = pair
	return pair[0], pair[1]
}

func (p *prefixPrinter) decided(verdict) {}

func (p *prefixPrinter) ended(o outcome) {
	p.mu.Lock()
	pair := p.of[o.host]
	delete(p.of, o.host)
	p.mu.Unlock()
	for _, half := range pair {
		if half != nil {
			half.flush()
		}
	}
}

func (p *prefixPrinter) finish() error { return errors.Join(p.out.problem(), p.err.problem()) }

// maxPrefixedLine bounds what is kept of a line without an end: a progress bar that only returns, say.
const maxPrefixedLine = 64 << 10

// prefixed cuts a stream into lines and writes each with its prefix in one piece. It is used by one
// goroutine, and by flush after that has ended.
type prefixed struct {
	prefix string
	w      io.Writer
	line   []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	n := len(b)
	var whole []byte
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 && len(p.line)+len(b) <= maxPrefixedLine {
			p.line = append(p.line, b...)
			break
		}
		part := b[:max(i, min(len(b), maxPrefixedLine))]
		if i >= 0 {
			part = b[:i]
		}
		whole = append(append(append(whole, p.prefix...), p.line...), part...)
		whole = append(whole, '\n')
		p.line = p.line[:0]
		b = b[len(part):]
		if i >= 0 {
			b = b[1:]
		}
	}
	if len(whole) > 0 {
		_, _ = p.w.Write(whole)
	}
	return n, nil
}

// flush writes a last line that had no end.
func (p *prefixed) flush() {
	if len(p.line) > 0 {
		_, _ = p.Write([]byte{'\n'})
	}
}

// maxCaptured bounds what is kept of one host's output where it is shown at its end only.
const maxCaptured = 16 << 20

// captured keeps a host's two streams. Each is written by one goroutine.
type captured struct{ stdout, stderr capture }

type capture struct {
	bytes.Buffer
	cut bool
}

func (c *capture) Write(p []byte) (int, error) {
	room := maxCaptured - c.Len()
	if len(p) > room {
		c.cut = true
		c.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return c.Buffer.Write(p)
}

// jsonPrinter writes an object a line: "cluster" for what the rest of its cluster says of taking a host, at the
// plan and again at its turn, "decision" for a host where nothing starts, "result" for what came of each host.
type jsonPrinter struct {
	waitLine
	out *patient
	mu  sync.Mutex
	of  map[string]*captured
}

// jsonEvent is one line of --json. A stream that is no UTF-8 is in the field that ends in _base64 instead.
type jsonEvent struct {
	Event        string       `json:"event"`
	Host         string       `json:"host"`
	Outcome      string       `json:"outcome"`
	State        string       `json:"state,omitempty"`
	Exit         *int         `json:"exit,omitempty"`
	Signal       string       `json:"signal,omitempty"`
	Error        string       `json:"error,omitempty"`
	Reasons      []jsonReason `json:"reasons,omitempty"`
	ReliesOn     []string     `json:"relies_on,omitempty"` // of "cluster": members that must stay as they are meanwhile
	Stays        []string     `json:"stays,omitempty"`     // of "cluster": what remains healthy
	Warnings     []jsonReason `json:"warnings,omitempty"`
	Lock         string       `json:"lock,omitempty"`
	MayRun       bool         `json:"may_still_be_running,omitempty"`
	Seconds      float64      `json:"seconds,omitempty"`
	Stdout       string       `json:"stdout,omitempty"`
	StdoutBase64 string       `json:"stdout_base64,omitempty"`
	Stderr       string       `json:"stderr,omitempty"`
	StderrBase64 string       `json:"stderr_base64,omitempty"`
	Cut          bool         `json:"output_cut,omitempty"` // longer than 16 MiB
}

type jsonReason struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func (p *jsonPrinter) host(name string) (io.Writer, io.Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &captured{}
	p.of[name] = c
	return &c.stdout, &c.stderr
}

func (p *jsonPrinter) planned(v verdict) {
	if v.cluster == nil {
		return
	}
	e := event("cluster", outcome{host: v.host, kind: v.kind, state: v.state, err: v.err})
	e.Exit, e.Outcome, e.ReliesOn, e.Stays = nil, v.word(), v.cluster.Relies, v.cluster.Stays
	for _, r := range v.cluster.Reasons {
		e.Reasons = append(e.Reasons, jsonReason(r))
	}
	for _, w := range v.cluster.Warnings {
		e.Warnings = append(e.Warnings, jsonReason(w))
	}
	p.write(e)
}

func (p *jsonPrinter) decided(v verdict) { p.write(event("decision", v.outcome())) }

func (p *jsonPrinter) ended(o outcome) {
	p.mu.Lock()
	c := p.of[o.host]
	delete(p.of, o.host)
	p.mu.Unlock()
	e := event("result", o)
	if c != nil {
		e.Stdout, e.StdoutBase64 = textOrBase64(c.stdout.Bytes())
		e.Stderr, e.StderrBase64 = textOrBase64(c.stderr.Bytes())
		e.Cut = c.stdout.cut || c.stderr.cut
	}
	p.write(e)
}

func (p *jsonPrinter) finish() error { return p.out.problem() }

func (p *jsonPrinter) write(e jsonEvent) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		fmt.Fprintf(&b, "{\"event\":\"error\",\"error\":%q}\n", err)
	}
	_, _ = p.out.Write(b.Bytes())
}

func event(name string, o outcome) jsonEvent {
	e := jsonEvent{
		Event: name, Host: o.host, Outcome: string(o.kind), State: string(o.state), Signal: o.signal,
		Lock: o.lock, MayRun: o.left, Seconds: o.took.Seconds(),
	}
	if o.kind == exited {
		e.Exit = &o.exit
	}
	if o.err != nil {
		e.Error = o.err.Error()
	}
	for _, r := range o.reasons {
		e.Reasons = append(e.Reasons, jsonReason(r))
	}
	return e
}

func textOrBase64(b []byte) (text, encoded string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return "", base64.StdEncoding.EncodeToString(b)
}
