package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Style is what the reader's end can show. The zero value is for files and pipes.
type Style struct {
	Color    bool // may colours be sent
	Width    int  // columns of the terminal; 0: lines are as long as they are
	Terminal bool // a terminal reads this: outputs of hosts are made visible before they are sent
}

// Tone is what a cell means; with Style.Color it is drawn in that colour.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good       // green
	Warn       // yellow
	Bad        // red
	Dim        // grey
)

var escapes = [...]string{Plain: "", Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[31m", Dim: "\x1b[2m"}

const reset = "\x1b[0m"

// paint wraps text, which is visible already, in the colour of its tone.
func (s Style) paint(text string, tone Tone) string {
	if !s.Color || tone <= Plain || int(tone) >= len(escapes) || text == "" {
		return text
	}
	return escapes[tone] + text + reset
}

// Column is the head of a column.
type Column struct {
	Title string
	Right bool // numbers: aligned to the right
}

// Cell is one field of a table; its text may be anything that a host said.
type Cell struct {
	Text string
	Tone Tone
}

// Row is one line of a table.
type Row []Cell

// Table is rows under titles, in columns as wide as their widest cell. Where the terminal is narrower the
// last column is wrapped; when less than minLast columns would remain for it, the widest of the others are
// cut, with an ellipsis, down to minOther.
type Table struct {
	Columns []Column
	Rows    []Row
}

const (
	minLast  = 20 // narrower, a sentence is a column of single words
	minOther = 6  // narrower, a cut host name says nothing
	gap      = 2  // spaces between columns
)

// Write draws the table; no rows, no output. The error is w's.
func (t *Table) Write(w io.Writer, s Style) error {
	if len(t.Rows) == 0 || len(t.Columns) == 0 {
		return nil
	}
	out := bufio.NewWriter(w)
	widths := t.widths(s.Width)
	head := make(Row, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = Cell{Text: c.Title, Tone: Dim}
	}
	t.line(out, head, widths, s)
	for _, r := range t.Rows {
		t.line(out, r, widths, s)
	}
	return out.Flush()
}

// widths gives the width of each column.
func (t *Table) widths(limit int) []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Width(Visible(c.Title))
	}
	for _, r := range t.Rows {
		for i, c := range r[:min(len(r), len(widths))] {
			widths[i] = max(widths[i], Width(Visible(c.Text)))
		}
	}
	if limit <= 0 {
		return widths
	}
	last := len(widths) - 1
	rest := limit - gap*last
	for _, n := range widths[:last] {
		rest -= n
	}
	if widths[last] <= rest {
		return widths
	}
	for want := min(widths[last], minLast); rest < want; rest++ {
		widest := -1
		for i, n := range widths[:last] {
			if n > minOther && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	widths[last] = max(min(widths[last], rest), minOther)
	return widths
}

// line writes one row, over several lines when its last cell is wrapped.
func (t *Table) line(out *bufio.Writer, r Row, widths []int, s Style) {
	last := len(widths) - 1
	var b strings.Builder
	indent := 0
	for i := range last {
		var c Cell
		if i < len(r) {
			c = r[i]
		}
		text := cut(Visible(c.Text), widths[i])
		pad := strings.Repeat(" ", widths[i]-Width(text))
		if t.Columns[i].Right {
			b.WriteString(pad + s.paint(text, c.Tone))
		} else {
			b.WriteString(s.paint(text, c.Tone) + pad)
		}
		b.WriteString(strings.Repeat(" ", gap))
		indent += widths[i] + gap
	}
	var c Cell
	if last < len(r) {
		c = r[last]
	}
	for n, text := range wrap(Visible(c.Text), max(1, widths[last])) {
		if n > 0 {
			b.WriteString("\n" + strings.Repeat(" ", indent))
		}
		if t.Columns[last].Right {
			b.WriteString(strings.Repeat(" ", max(0, widths[last]-Width(text))))
		}
		b.WriteString(s.paint(text, c.Tone))
	}
	for _, l := range strings.Split(b.String(), "\n") {
		fmt.Fprintln(out, strings.TrimRight(l, " "))
	}
}

// FoldRows makes one row of those that differ in the cell at host alone; that cell then holds fold of
// their hosts. The order is that of each row's first appearance. Rows without that cell stay as they are.
func FoldRows(rows []Row, host int, fold func(hosts []string) string) []Row {
	var out []Row
	hosts := map[string][]string{}
	first := map[string]int{}
	for _, r := range rows {
		if host >= len(r) {
			out = append(out, r)
			continue
		}
		k := rowKey(r, host)
		if _, seen := first[k]; !seen {
			first[k] = len(out)
			out = append(out, append(Row(nil), r...))
		}
		hosts[k] = append(hosts[k], r[host].Text)
	}
	for k, i := range first {
		if len(hosts[k]) > 1 {
			out[i][host].Text = fold(hosts[k])
		}
	}
	return out
}

// rowKey is the same for rows that fold into one.
func rowKey(r Row, host int) string {
	var b strings.Builder
	for i, c := range r {
		if i == host {
			fmt.Fprintf(&b, "%d;", c.Tone)
			continue
		}
		fmt.Fprintf(&b, "%d:%d:%s;", c.Tone, len(c.Text), c.Text)
	}
	return b.String()
}
