package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/internal/audit"
	"interlock/internal/hosts"
	"interlock/internal/report"
)

// AuditOptions are those of `interlock audit`. What is empty lets everything through.
type AuditOptions struct {
	Config  string
	File    string // the log; "": this account's own
	Hosts   string // a set: entries about one of these
	Since   string // a time, or how long ago
	Who     string
	Verdict string
	Run     string // an id, or its beginning
	JSON    bool
}

// Audit shows what this client's own record says: who did what, where, and what came of it.
type Audit struct {
	o      AuditOptions
	s      Streams
	path   string
	inv    *hosts.Inventory // nil: no set was given
	wanted map[string]bool  // its hosts, in the spelling of plainName
	since  time.Time
}

// auditVerdicts are the words of --verdict.
var auditVerdicts = []string{"run", "refused", "locked", "unreachable", "not started"}

// NewAudit checks the filters.
func NewAudit(o AuditOptions, s Streams) (*Audit, error) {
	a := &Audit{o: o, s: s, path: o.File}
	var err error
	if a.path == "" {
		if a.path, err = audit.Path(); err != nil {
			return nil, err
		}
	}
	if o.Since != "" {
		if a.since, err = parseSince(o.Since, time.Now()); err != nil {
			return nil, Usage("as 24h, 7d, 2014-01-10, 2014-01-10 17:30 or RFC 3339", "--since %q: %v", o.Since, err)
		}
	}
	if o.Verdict != "" && !slices.Contains(auditVerdicts, o.Verdict) {
		return nil, Usage("", "--verdict %q: want one of %s", o.Verdict, strings.Join(auditVerdicts, ", "))
	}
	if o.Hosts != "" {
		if a.inv, err = loadInventory(o.Config); err != nil {
			return nil, err
		}
		names, err := expand(a.inv, o.Hosts)
		if err != nil {
			return nil, err
		}
		a.wanted = map[string]bool{}
		for _, n := range names {
			a.wanted[plainName(n)] = true
		}
	}
	return a, nil
}

var daysAgo = regexp.MustCompile(`^(\d{1,5})d$`)

// parseSince reads how long ago, or a moment; one without a zone is in this machine's.
func parseSince(text string, now time.Time) (time.Time, error) {
	if m := daysAgo.FindStringSubmatch(text); m != nil {
		days, err := strconv.Atoi(m[1])
		return now.AddDate(0, 0, -days), err
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, errors.New("that is in the future")
		}
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("neither a time nor a duration")
}

// plainName is a host without user@, in one spelling.
func plainName(name string) string {
	_, bare := hosts.SplitUser(name)
	return strings.ToLower(strings.TrimSuffix(bare, "."))
}

// wants tells whether an entry passes the filters. An end has no verdict.
func (a *Audit) wants(e audit.Entry) bool {
	switch {
	case e.Time.Before(a.since),
		a.o.Who != "" && e.Who != a.o.Who,
		a.o.Verdict != "" && e.Verdict != a.o.Verdict,
		!strings.HasPrefix(e.Run, a.o.Run):
		return false
	}
	return a.wanted == nil || a.about(e.Host)
}

// about tells whether a host, or a folded set, has one of those that are wanted.
func (a *Audit) about(host string) bool {
	if a.wanted[plainName(host)] {
		return true
	}
	if !strings.ContainsAny(host, "[,") {
		return false
	}
	names, err := a.inv.Expand(host)
	return err == nil && slices.ContainsFunc(names, func(n string) bool { return a.wanted[plainName(n)] })
}

// auditRow is a decision and what came of it, or one of them alone.
type auditRow struct {
	audit.Entry
	end *audit.Entry
}

// maxBadLines is how many lines that are none of ours are named; of the others the number is said.
const maxBadLines = 10

// Run reads the log and shows it, newest last. It exits with 1 where a line was not understood: then something
// may be missing.
func (a *Audit) Run(ctx context.Context) error {
	f, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) && a.o.File == "" {
		a.s.notef("nothing is recorded yet: there is no %s", a.path)
		return nil
	}
	if err != nil {
		return &Error{Status: ExitIO, Err: fmt.Errorf("read audit log: %w", err)}
	}
	defer f.Close()
	out := bufio.NewWriter(a.s.Out)
	list := auditList{at: map[string]int{}}
	bad := 0
	err = audit.Read(f, func(_ int, e audit.Entry, text []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case a.o.JSON:
			if !a.wants(e) {
				return nil
			}
			_, err := out.Write(append(text, '\n'))
			return err
		case e.Event == "end" && list.ended(e):
		case a.wants(e):
			list.add(e)
		}
		return nil
	}, func(line int, why error) {
		if bad++; bad <= maxBadLines {
			a.s.notef("%s:%d: %s", a.path, line, report.Visible(why.Error()))
		}
	})
	if err == nil && !a.o.JSON {
		err = list.table().Write(out, style(a.s.Out))
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	if bad > maxBadLines {
		a.s.notef("%s: and %d more lines that are not understood", a.path, bad-maxBadLines)
	}
	return status(boolInt(bad > 0))
}

// auditList is the rows of the table, in the order of the log.
type auditList struct {
	rows []auditRow
	at   map[string]int // run and host → their last decision
}

func auditKey(e audit.Entry) string { return e.Run + "\x00" + e.Host }

func (l *auditList) add(e audit.Entry) {
	if e.Event == "decision" {
		l.at[auditKey(e)] = len(l.rows)
	}
	l.rows = append(l.rows, auditRow{Entry: e})
}

// ended joins an end to its decision, if that is in the list.
func (l *auditList) ended(e audit.Entry) bool {
	i, ok := l.at[auditKey(e)]
	if !ok || l.rows[i].end != nil {
		return false
	}
	l.rows[i].end = &e
	return true
}

func (l *auditList) table() *report.Table {
	t := &report.Table{Columns: []report.Column{
		{Title: "time"}, {Title: "who"}, {Title: "from"}, {Title: "run"}, {Title: "host"}, {Title: "class"}, {Title: "verdict"}, {Title: "result"}, {Title: "took", Right: true}, {Title: "command"},
	}}
	for _, r := range l.rows {
		t.Rows = append(t.Rows, r.cells())
	}
	return t
}

func (r auditRow) cells() report.Row {
	verdict := report.Cell{Text: r.Verdict}
	if verdict.Text == "" {
		verdict.Text = "(" + r.Event + ")" // an end whose decision is not shown, a lock that was broken
	}
	if r.Override != "" {
		verdict = report.Cell{Text: verdict.Text + ", override " + r.Override, Tone: report.Bad}
	}
	if r.Verdict != "" && r.Verdict != "run" {
		verdict.Tone = report.Warn
	}
	result, took := r.result()
	return report.Row{
		{Text: r.Time.Local().Format(time.DateTime)}, {Text: r.Who}, {Text: r.From}, {Text: r.Run}, {Text: r.Host}, {Text: r.Class}, verdict, result, {Text: took}, {Text: r.Command},
	}
}

// why is the reason that a person gave, for a lock that was broken or a refusal that was overruled.
func (r auditRow) why() string {
	switch {
	case r.Reason != "":
		return "; " + r.Reason
	case r.Event == "break" && r.Facts != "": // where it stood before there was a field for it
		return "; " + r.Facts
	}
	return ""
}

// result is what came of it: how the command ended, or why it did not start.
func (r auditRow) result() (cell report.Cell, took string) {
	end := r.end
	if r.Event == "end" {
		end = &r.Entry
	}
	if r.Event == "health" {
		return report.Cell{Text: strings.TrimSuffix(r.Outcome+": "+r.Facts, ": ")}, ""
	}
	if end == nil {
		why := strings.Join(r.Reasons, " ")
		if r.Verdict == "" {
			why = strings.TrimPrefix(r.why(), "; ")
		}
		return report.Cell{Text: why}, ""
	}
	cell = report.Cell{Text: end.Outcome, Tone: report.Bad}
	switch {
	case end.Exit != nil:
		cell.Text = fmt.Sprintf("exit %d", *end.Exit)
		if *end.Exit == 0 {
			cell.Tone = report.Plain
		}
	case end.Signal != "":
		cell.Text = "killed by " + end.Signal
	}
	cell.Text += r.why()
	if end.Seconds > 0 {
		took = report.Duration(time.Duration(end.Seconds * float64(time.Second)))
	}
	return cell, took
}
