package fleet

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"interlock/internal/report"

	"golang.org/x/term"
)

// Streams are the process's own ends. Results go to Out, everything else to Err.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// StandardStreams are those of the process, made safe for writers at once.
func StandardStreams() Streams {
	return Streams{In: os.Stdin, Out: os.Stdout, Err: &console{w: os.Stderr}}
}

func (s Streams) notef(format string, args ...any) {
	s.say(fmt.Sprintf("interlock: "+format+"\n", args...))
}

// say writes whole lines to standard error. That nobody reads there any more stops nothing.
func (s Streams) say(text string) {
	if text != "" {
		_, _ = io.WriteString(s.Err, text)
	}
}

// end is the error to end with: its status is code, or that of output that could not be written, which is
// said here since code may already stand for something else.
func (s Streams) end(code int, output error) error {
	if output != nil {
		s.notef("%v", output)
		if code == ExitOK {
			code = ExitIO
		}
	}
	return status(code)
}

// console is standard error: lines of several goroutines stay whole, above the progress line if there is one.
type console struct {
	w io.Writer

	mu       sync.Mutex
	progress *report.Progress
}

// Write writes a line or more.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.progress != nil {
		c.progress.Println(strings.TrimSuffix(string(p), "\n"))
		return len(p), nil
	}
	return c.w.Write(p)
}

func (c *console) show(p *report.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = p
}

// isTerminal tells whether a stream is one; a stream that is no file is not.
func isTerminal(stream any) bool {
	if c, ok := stream.(*console); ok {
		stream = c.w
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// StyleOf is what the reader of a stream of the process can see, for commands that are not about hosts.
func StyleOf(w io.Writer) report.Style { return style(w) }

// style is what w's reader can see. Colours need a terminal, and NO_COLOR unset or empty (no-color.org).
func style(w io.Writer) report.Style {
	terminal := isTerminal(w)
	return report.Style{
		Terminal: terminal, Width: width(w),
		Color: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

// width is the terminal's width in columns; 0 where w is no terminal: nothing is cut then.
func width(w io.Writer) int {
	if c, ok := w.(*console); ok {
		w = c.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	cols, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return cols
}
