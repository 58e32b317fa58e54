package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/report"
)

// CheckOptions are those of `interlock check`.
type CheckOptions struct {
	Remote
	Hosts    string // a set
	Parallel int    // hosts at once; 0: as hosts.toml says
	JSON     bool
}

// Check asks hosts what they are and shows it. It changes nothing on them.
//
// Other ways to show the same findings (--nagios, --textfile, --html) and to compare them (--expect with
// hosts.toml, --changes with the last time) belong beside table and lines below.
type Check struct {
	o        CheckOptions
	s        Streams
	site     *site
	names    []string
	parallel int
}

// NewCheck resolves the set.
func NewCheck(o CheckOptions, s Streams) (*Check, error) {
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	c := &Check{o: o, s: s, site: f}
	if c.names, err = expand(f.inv, o.Hosts); err == nil {
		c.parallel, err = f.parallelism(o.Parallel)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return c, nil
}

// Run asks every host, and exits with 69 where one was not reached.
func (c *Check) Run(ctx context.Context) error {
	defer c.site.close()
	progress := newProgress(c.s, "checked", len(c.names))
	findings := each(ctx, c.parallel, c.names, func(ctx context.Context, host string) finding {
		f := c.one(ctx, host)
		progress.step(f.err != nil)
		return f
	})
	progress.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := bufio.NewWriter(c.s.Out)
	show := c.table
	if c.o.JSON {
		show = c.lines
	}
	if err := show(out, findings); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	for _, f := range findings {
		if f.err != nil {
			return status(ExitUnreachable)
		}
	}
	return nil
}

func (c *Check) one(ctx context.Context, host string) finding {
	conn, err := c.site.client.Dial(ctx, c.site.target(host))
	if err != nil {
		return finding{host: host, err: err}
	}
	defer conn.Close()
	report, err := c.site.ask(ctx, conn, c.site.request(host, checks.ModeCheck))
	return finding{host: host, report: report, err: err}
}

// checkedHost is one line of `check --json`.
type checkedHost struct {
	Host        string `json:"host"`
	Reachable   bool   `json:"reachable"`
	Error       string `json:"error,omitempty"`
	*hostReport        // absent where the host was not reached
}

type hostReport struct {
	*checks.Report
}

// lines writes an object a host, in the order of the set.
func (c *Check) lines(w io.Writer, findings []finding) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range findings {
		h := checkedHost{Host: f.host, Reachable: f.err == nil}
		if f.err != nil {
			h.Error = f.err.Error()
		}
		if f.report != nil {
			h.hostReport = &hostReport{f.report}
		}
		if err := enc.Encode(h); err != nil {
			return err
		}
	}
	return nil
}

// table writes the rows, worst first, and below them each reason once, with the hosts that gave it.
func (c *Check) table(w io.Writer, findings []finding) error {
	table := report.Table{Columns: checkColumns, Rows: report.FoldRows(rowsOf(findings), 0, hosts.Fold)}
	if err := table.Write(w, style(c.s.Out)); err != nil {
		return err
	}
	text := reasonsBelow(findings)
	if text != "" {
		text = "\n" + text
	}
	_, err := io.WriteString(w, text)
	return err
}

// reasonsBelow writes each reason once, with its remedy and the hosts that gave it.
func reasonsBelow(findings []finding) string {
	var lines folded
	for _, f := range worstFirst(findings) {
		if f.err != nil {
			lines.add(f.host, belowTable("unreachable: "+cause(f.err), remedyOf(f.err)))
			continue
		}
		for _, r := range f.report.Reasons {
			lines.add(f.host, belowTable(r.Text, r.Remedy))
		}
	}
	var b strings.Builder
	for _, l := range lines.lines {
		fmt.Fprintf(&b, "%s: %s", hosts.Fold(l.hosts), l.text)
	}
	return b.String()
}

func belowTable(text, remedy string) string {
	text = report.Visible(text) + "\n"
	if remedy != "" {
		text += "  to mend: " + report.Visible(remedy) + "\n"
	}
	return text
}
