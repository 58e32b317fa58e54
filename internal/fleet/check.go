package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
	"interlock/internal/wholefile"
)

// CheckOptions are those of `interlock check`.
type CheckOptions struct {
	Remote
	Hosts    string // a set
	Parallel int    // hosts at once; 0: as hosts.toml says

	// What goes to standard output: a table, or one of these.
	JSON, Nagios, Changes bool

	Expect   bool   // compare with the roles that hosts.toml states
	State    string // file of Changes; "": one for each set and inventory, under $XDG_STATE_HOME
	Textfile string // file of metrics; "": none
	HTML     string // file of the page; "": none
}

func (o CheckOptions) validate() error {
	var chosen []string
	for _, c := range []struct {
		flag string
		on   bool
	}{{"--json", o.JSON}, {"--nagios", o.Nagios}, {"--changes", o.Changes}} {
		if c.on {
			chosen = append(chosen, c.flag)
		}
	}
	switch {
	case len(chosen) > 1:
		return Usage("run it twice, or write a file: --textfile, --html", "%s exclude each other", strings.Join(chosen, " and "))
	case o.State != "" && !o.Changes:
		return Usage("", "--state is for --changes")
	case o.Textfile != "" && !strings.HasSuffix(o.Textfile, ".prom"):
		return Usage("node_exporter reads files of this name alone", "--textfile %q: want a name that ends in .prom", o.Textfile)
	}
	return nil
}

// Check asks hosts what they are and shows it. It changes nothing on them.
type Check struct {
	o        CheckOptions
	s        Streams
	site     *site
	names    []string
	parallel int
	clusters []string // those that are compared with what hosts.toml states
}

// NewCheck resolves the set.
func NewCheck(o CheckOptions, s Streams) (*Check, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	c := &Check{o: o, s: s, site: f}
	if c.names, err = expand(f.inv, o.Hosts); err == nil {
		c.parallel, err = f.parallelism(o.Parallel)
	}
	if err == nil && o.Expect {
		err = c.wholeClusters()
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return c, nil
}

// checked is what one check gave.
type checked struct {
	at     time.Time // when it began
	took   time.Duration
	hosts  []finding
	health []policy.Finding // of each host by itself
	roles  []policy.Finding // with Expect: what is not as hosts.toml states
}

// found is all that is not as it should be, the worst first.
func (c *checked) found() []policy.Finding {
	all := slices.Concat(c.roles, c.health)
	slices.SortStableFunc(all, func(a, b policy.Finding) int {
		return boolInt(b.Severity == policy.Critical) - boolInt(a.Severity == policy.Critical)
	})
	return all
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Run asks every host. Its exit status says what is: 0 where all is as it should be; 69 where a host was not
// reached; with Expect 1, where something that was seen is not as stated. Nagios has statuses of its own.
func (c *Check) Run(ctx context.Context) error {
	defer c.site.close()
	var before *changes
	if c.o.Changes {
		var err error
		if before, err = c.openChanges(); err != nil {
			return err
		}
		defer before.close()
	}
	result := &checked{at: time.Now()}
	progress := newProgress(c.progressTo(), "checked", len(c.names))
	result.hosts = each(ctx, c.parallel, c.names, func(ctx context.Context, host string) finding {
		f := c.one(ctx, host)
		progress.step(f.err != nil)
		return f
	})
	progress.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	result.took = time.Since(result.at)
	c.judge(result)
	written := c.files(result)
	if c.o.Nagios {
		return c.nagios(result, written)
	}
	if err := c.show(result, before); err != nil {
		written = errors.Join(written, err)
	}
	code := c.exit(result)
	if before != nil && before.corrupt && code == ExitOK {
		code = ExitIO
	}
	return c.s.end(code, written)
}

// progressTo is where the progress line goes: nowhere where cron would mail it.
func (c *Check) progressTo() Streams {
	s := c.s
	if (c.o.Nagios || c.o.Changes || c.o.Textfile != "" || c.o.HTML != "") && !isTerminal(s.Err) {
		s.Err = io.Discard
	}
	return s
}

// exit is the status for what was found. As elsewhere, what went wrong where something answered comes first.
func (c *Check) exit(r *checked) int {
	code := ExitOK
	for _, f := range r.hosts {
		if f.err != nil {
			code = ExitUnreachable
		}
	}
	if c.o.Expect && slices.ContainsFunc(r.found(), func(f policy.Finding) bool { return f.Code != "unreachable" }) {
		code = ExitFailed
	}
	return code
}

// files writes those that were asked for.
func (c *Check) files(r *checked) error {
	var problems []error
	if c.o.Textfile != "" {
		problems = append(problems, wholefile.Write(c.o.Textfile, 0o644, func(w io.Writer) error { return report.WriteGauges(w, c.gauges(r)) }))
	}
	if c.o.HTML != "" {
		problems = append(problems, wholefile.Write(c.o.HTML, 0o644, func(w io.Writer) error { return c.page(r).Write(w) }))
	}
	return errors.Join(problems...)
}

// show writes to standard output. A check that writes files says nothing more, so that cron has nothing to
// mail.
func (c *Check) show(r *checked, before *changes) error {
	out := bufio.NewWriter(c.s.Out)
	var err error
	switch {
	case before != nil:
		return c.showChanges(r, before)
	case c.o.JSON:
		err = c.lines(out, r)
	case c.o.Textfile == "" && c.o.HTML == "":
		err = c.table(out, r)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
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

// lines writes an object a host, in the order of the set, and with Expect one for each finding.
func (c *Check) lines(w io.Writer, r *checked) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range r.hosts {
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
	if !c.o.Expect {
		return nil
	}
	for _, f := range r.found() {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// table writes the rows, worst first, and below them each reason once, with the hosts that gave it. With
// Expect, what is not as stated stands between.
func (c *Check) table(w io.Writer, r *checked) error {
	table := report.Table{Columns: checkColumns, Rows: report.FoldRows(rowsOf(r.hosts), 0, hosts.Fold)}
	if err := table.Write(w, style(c.s.Out)); err != nil {
		return err
	}
	if c.o.Expect {
		if _, err := io.WriteString(w, "\n"+c.expectBelow(r)); err != nil {
			return err
		}
	}
	text := reasonsBelow(r.hosts)
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
