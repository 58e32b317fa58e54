package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// maxExplainLine bounds a line of `explain --json -`: far above what the classifier reads at all (64 KiB),
// so that its own verdict on long commands is seen, and bounded so that a file without line ends is.
const maxExplainLine = 1 << 20

// ExplainOptions are those of `interlock explain`.
type ExplainOptions struct {
	Config  string
	Shell   string
	Command []string // the words after --
	JSON    bool
	Stdin   bool // one command a line from standard input; needs JSON
}

// Explain says how a command is classified, and why. It reaches no host.
type Explain struct {
	o          ExplainOptions
	s          Streams
	inv        *hosts.Inventory
	classifier *policy.Classifier
}

// NewExplain reads the house's rules.
func NewExplain(o ExplainOptions, s Streams) (*Explain, error) {
	switch {
	case o.Stdin && !o.JSON:
		return nil, Usage("interlock explain --json -", "explain: - reads commands from standard input with --json only")
	case o.Stdin && len(o.Command) > 0:
		return nil, Usage("", "explain: both - and a command given")
	case !o.Stdin && len(o.Command) == 0:
		return nil, Usage("interlock explain -- COMMAND", "explain: no command after --")
	}
	inv, err := loadInventory(o.Config)
	if err != nil {
		return nil, err
	}
	classifier, err := newClassifier(inv)
	if err != nil {
		return nil, err
	}
	return &Explain{o: o, s: s, inv: inv, classifier: classifier}, nil
}

// Run prints the class and the chain of reasons.
func (e *Explain) Run(ctx context.Context) error {
	if e.o.Stdin {
		return e.stream(ctx)
	}
	line := shellLine(e.o.Command)
	c := e.classifier.Classify(line, e.o.Shell)
	if e.o.JSON {
		return json.NewEncoder(e.s.Out).Encode(explained(c))
	}
	var b strings.Builder
	writeExplanation(&b, c)
	if err := policy.MisplacedSelector(strings.Join(e.o.Command, " "), e.inv.Key); err != nil {
		fmt.Fprintf(&b, "\ninterlock run takes it for a mistake: %v\n", err)
	}
	_, err := io.WriteString(e.s.Out, b.String())
	return err
}

// stream answers each line of standard input with a line. Output is flushed when no further input waits,
// so that a program on the other end can ask and wait for the answer.
func (e *Explain) stream(ctx context.Context) error {
	in := bufio.NewReaderSize(e.s.In, 64<<10)
	out := bufio.NewWriterSize(e.s.Out, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for n := 1; ctx.Err() == nil; n++ {
		line, err := readLine(in, maxExplainLine)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(out.Flush(), fmt.Errorf("read line %d of standard input: %w", n, err))
		}
		if err := enc.Encode(explained(e.classifier.Classify(line, e.o.Shell))); err != nil {
			return fmt.Errorf("write explanation: %w", err)
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write explanation: %w", err)
			}
		}
	}
	return errors.Join(out.Flush(), ctx.Err())
}

// readLine reads up to the next line feed, without it; io.EOF only where no byte was left.
func readLine(r *bufio.Reader, limit int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return "", fmt.Errorf("longer than %d bytes", limit)
		}
		switch {
		case err == nil:
			return string(line[:len(line)-1]), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		default:
			return "", err
		}
	}
}

// explainedCommand is the JSON form of a classification.
type explainedCommand struct {
	Command string            `json:"command"`
	Class   string            `json:"class"`
	Reasons []explainedReason `json:"reasons"`
	Boots   bool              `json:"boots,omitempty"`
}

// explainedReason points into the command by byte offsets, [Start, End).
type explainedReason struct {
	Code  string `json:"code"`
	Text  string `json:"text"`
	Start int    `json:"start"`
	End   int    `json:"end"`
}

func explained(c policy.Classification) explainedCommand {
	e := explainedCommand{Command: c.Command, Class: c.Class.String(), Reasons: []explainedReason{}, Boots: c.Boots}
	for _, r := range c.Reasons {
		e.Reasons = append(e.Reasons, explainedReason(r))
	}
	return e
}

// writeExplanation writes the class, and under the line of the command that each reason points at its
// carets and its text.
func writeExplanation(b *strings.Builder, c policy.Classification) {
	fmt.Fprintf(b, "%s\n", c.Class)
	last := -1
	for _, r := range c.Reasons {
		from, to := lineAround(c.Command, r.Start)
		if from != last {
			fmt.Fprintf(b, "\n  %s\n", report.Visible(c.Command[from:to]))
			last = from
		}
		indent, carets := caretSpan(c.Command[from:to], r.Start-from, r.End-from)
		fmt.Fprintf(b, "  %s%s %s (%s)\n", strings.Repeat(" ", indent), strings.Repeat("^", carets), report.Visible(r.Text), r.Code)
	}
	if c.Boots {
		b.WriteString("\nit boots the host: what the next boot would do counts too\n")
	}
}

// lineAround gives the bounds of the line of text that holds the byte at offset.
func lineAround(text string, offset int) (from, to int) {
	offset = max(0, min(offset, len(text)))
	from = strings.LastIndexByte(text[:offset], '\n') + 1
	if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
		return from, from + n
	}
	return from, len(text)
}

// caretSpan turns byte offsets into a line to columns as a terminal shows the line; at least one caret.
func caretSpan(line string, start, end int) (indent, carets int) {
	start = runeStart(line, start)
	end = runeEnd(line, max(start, end))
	indent = columns(line[:start])
	return indent, max(1, columns(line[start:end]))
}

// runeStart moves an offset that is inside a character back to its first byte.
func runeStart(s string, offset int) int {
	offset = max(0, min(offset, len(s)))
	for offset > 0 && offset < len(s) && !utf8.RuneStart(s[offset]) {
		offset--
	}
	return offset
}

// runeEnd moves an offset that is inside a character behind its last byte.
func runeEnd(s string, offset int) int {
	offset = min(offset, len(s))
	for offset < len(s) && !utf8.RuneStart(s[offset]) {
		offset++
	}
	return offset
}

// columns is the width of s on a terminal as it is shown there.
func columns(s string) int { return report.Width(report.Visible(s)) }
