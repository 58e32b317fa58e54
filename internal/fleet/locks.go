package fleet

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/audit"
	"interlock/internal/report"
)

// LocksOptions are those of `interlock locks list` and `interlock locks break`.
type LocksOptions struct {
	Remote
	Hosts  string // a set; to break a lock, one host
	Break  string // the lock's id; "": list
	Reason string // why it is broken, for the audit log
}

// Locks lists the locks that hosts hold, or breaks one whose owner is gone.
type Locks struct {
	o     LocksOptions
	s     Streams
	site  *site
	names []string
}

// NewLocks resolves the set.
func NewLocks(o LocksOptions, s Streams) (*Locks, error) {
	if o.Break != "" {
		if err := validID(o.Break); err != nil {
			return nil, err
		}
		if strings.TrimSpace(o.Reason) == "" {
			return nil, Usage("", "locks break: no --reason: say why the lock's owner is known to be gone")
		}
	}
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	l := &Locks{o: o, s: s, site: f}
	if o.Break == "" {
		l.names, err = expand(f.inv, o.Hosts)
	} else {
		var host string
		host, err = f.oneHost(o.Hosts)
		l.names = []string{host}
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return l, nil
}

// Run lists or breaks.
func (l *Locks) Run(ctx context.Context) error {
	defer l.site.close()
	if l.o.Break != "" {
		return l.breakLock(ctx)
	}
	type answer struct {
		list, said bytes.Buffer
		err        error
	}
	answers := each(ctx, l.site.inv.Defaults.Parallel, l.names, func(ctx context.Context, host string) *answer {
		a := &answer{}
		a.err = l.site.tell(ctx, host, l.site.request(host, checks.ModeLocks), &a.list, &a.said)
		return a
	})
	table := report.Table{Columns: []report.Column{{Title: "host"}, {Title: "id"}, {Title: "owner"}, {Title: "class"}, {Title: "since"}, {Title: "process"}, {Title: "command"}}}
	failed := ExitOK
	for i, a := range answers {
		if a.err != nil {
			failed = max(failed, ExitStatus(a.err))
			l.s.notef("%s: %s", l.names[i], lockProblem(a.err, a.said.String()))
		}
		for line := range strings.Lines(a.list.String()) {
			k := parseLock(line)
			table.Rows = append(table.Rows, report.Row{{Text: l.names[i]}, {Text: k.id}, {Text: k.owner}, {Text: k.class}, {Text: k.since}, {Text: k.last}, {Text: k.command}})
		}
	}
	return l.s.end(failed, table.Write(l.s.Out, style(l.s.Out)))
}

// lockProblem is what went wrong on a host: its own words where it gave any.
func lockProblem(err error, said string) string {
	if said = lastLine(said); said != "" {
		return strings.TrimPrefix(said, "interlock: ")
	}
	return report.Visible(err.Error())
}

// breakLock is recorded before it is done.
func (l *Locks) breakLock(ctx context.Context) error {
	host := l.names[0]
	path, err := audit.Path()
	if err != nil {
		return &Error{Status: ExitRefused, Err: err}
	}
	log, err := audit.Open(path)
	if err != nil {
		return &Error{Status: ExitRefused, Err: err}
	}
	e := audit.Entry{
		Time: time.Now(), Event: "break", Run: checks.NewNonce()[:12], Who: audit.Who(), From: audit.From(), Host: host,
		Command: "interlock locks break " + l.o.Break, Class: checks.Destructive.String(), Lock: l.o.Break, Facts: l.o.Reason,
	}
	if err := errors.Join(log.Append(e, true), log.Close()); err != nil {
		return &Error{Status: ExitRefused, Err: err}
	}
	q := l.site.request(host, checks.ModeLocks)
	q.LockID = l.o.Break
	return l.site.tell(ctx, host, q, l.s.Out, l.s.Err)
}
