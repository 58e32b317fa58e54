package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/audit"
	"interlock/internal/report"
)

// LocksOptions are those of `interlock locks list`, `show` and `break`.
type LocksOptions struct {
	Remote
	Hosts  string // a set; to show or break, one host
	Show   bool   // everything about the locks of one host
	ID     string // show: this one only
	Break  string // the id of a lock or a lease; "": list
	Reason string // why it is broken, for the audit log
}

// Locks lists the locks and leases that hosts hold, or breaks one whose owner is gone.
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
	if o.ID != "" {
		if err := validID(o.ID); err != nil {
			return nil, err
		}
	}
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	l := &Locks{o: o, s: s, site: f}
	if o.Break == "" && !o.Show {
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

// Run lists, shows or breaks.
func (l *Locks) Run(ctx context.Context) error {
	defer l.site.close()
	if l.o.Break != "" {
		return l.breakLock(ctx)
	}
	failed := ExitOK
	all := make([]hold, 0, len(l.names))
	answers := each(ctx, l.site.inv.Defaults.Parallel, l.names, l.ask)
	for _, a := range answers {
		if a.err != nil {
			failed = max(failed, ExitStatus(a.err))
			l.s.notef("%s: %s", a.host, lockProblem(a.err, a.said.String()))
		}
		for line := range strings.Lines(a.list.String()) {
			all = append(all, parseHold(a.host, line))
		}
	}
	if l.o.Show {
		return l.show(failed, all)
	}
	table := holdTable(all)
	return l.s.end(failed, table.Write(l.s.Out, style(l.s.Out)))
}

// lockAnswer is what one host said of its locks.
type lockAnswer struct {
	host       string
	list, said bytes.Buffer
	err        error
}

func (l *Locks) ask(ctx context.Context, host string) *lockAnswer {
	a := &lockAnswer{host: host}
	a.err = l.site.tell(ctx, host, l.site.request(host, checks.ModeLocks), &a.list, &a.said)
	return a
}

// hold is a lock or a lease that a host holds.
type hold struct {
	stored
	host    string
	lease   bool
	left    time.Duration // of a lease
	process string        // of a lock: running, gone, or "-" where none is recorded
	pid     string
	kept    bool // output is kept under the lock's id
	older   bool // of another boot
}

// parseHold reads a line of show_locks in checks/check.sh.
func parseHold(host, line string) hold {
	var f [5]string
	fields := strings.Fields(line)
	copy(f[:], fields)
	h := hold{host: host, lease: f[0] == "lease", process: f[1], pid: f[2], kept: f[3] == "kept", older: f[4] == "older"}
	rest := fields[min(len(f), len(fields)):]
	if !h.lease {
		h.stored = parseStored(rest)
		return h
	}
	h.process = "-"
	if seconds, err := strconv.Atoi(f[1]); err == nil {
		h.left = time.Duration(seconds) * time.Second
	}
	var s [6]string // id, run, owner, boot, until, since
	copy(s[:], rest)
	h.stored = stored{id: s[0], run: s[1], owner: unescaped(s[2]), boot: s[3], since: s[5]}
	return h
}

// what says in a few words what it is.
func (h hold) what() string {
	switch {
	case h.lease:
		return "lease"
	case h.purpose == "local":
		return "lock, for a local command"
	}
	return "lock"
}

// state is how far its command is, or how long a lease lasts.
func (h hold) state() string {
	if h.lease {
		return fmt.Sprintf("%v left", h.left)
	}
	return h.process
}

func holdTable(all []hold) report.Table {
	table := report.Table{Columns: []report.Column{{Title: "host"}, {Title: "what"}, {Title: "id"}, {Title: "owner"}, {Title: "class"}, {Title: "since"}, {Title: "process"}, {Title: "command"}}}
	for _, h := range all {
		table.Rows = append(table.Rows, report.Row{{Text: h.host}, {Text: h.what()}, {Text: h.id}, {Text: h.owner}, {Text: h.class}, {Text: h.since}, {Text: h.state()}, {Text: h.command}})
	}
	return table
}

// show prints everything that is known of the locks and leases of one host, or of the one that was asked for.
func (l *Locks) show(failed int, all []hold) error {
	var b strings.Builder
	shown := 0
	for _, h := range all {
		if l.o.ID != "" && h.id != l.o.ID {
			continue
		}
		if shown++; shown > 1 {
			b.WriteByte('\n')
		}
		h.write(&b)
	}
	_, err := io.WriteString(l.s.Out, b.String())
	if shown == 0 && l.o.ID != "" && failed == ExitOK {
		return &Error{Status: ExitFailed, Err: fmt.Errorf("%s: there is no lock or lease with id %s", l.names[0], l.o.ID)}
	}
	return l.s.end(failed, err)
}

// write writes one line for each thing that is known.
func (h hold) write(b *strings.Builder) {
	line := func(key, value string) {
		if value != "" && value != "-" {
			fmt.Fprintf(b, "%-9s%s\n", key, report.Visible(value))
		}
	}
	fmt.Fprintf(b, "%s on %s\n", h.what(), report.Visible(h.host))
	line("id", h.id)
	line("owner", h.owner)
	line("run", h.run)
	line("class", h.class)
	line("since", h.since)
	line("command", h.command)
	switch {
	case h.lease:
		line("expires", fmt.Sprintf("in %v, unless its run renews it", h.left))
		return
	case h.process == "running":
		line("process", h.pid+", running")
	case h.process == "gone":
		line("process", h.pid+", gone: it has ended, or was killed, and its end was not recorded")
	default:
		line("process", "none is recorded")
	}
	if h.kept {
		line("output", fmt.Sprintf("interlock logs %s %s", h.host, h.id))
	}
	if h.older {
		line("boot", "an older one: the host has booted since")
	}
	line("expires", "never: "+h.end())
}

// end says what would end a lock.
func (h hold) end() string {
	switch {
	case h.purpose == "local":
		return "its run releases it, a new boot or machine id closes it, or it is broken"
	case h.class == checks.Disruptive.String():
		return "its command ends, a new boot closes it, or it is broken"
	}
	return "its command ends, or it is broken"
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
		Command: "interlock locks break " + l.o.Break, Class: checks.Destructive.String(), Lock: l.o.Break, Facts: l.o.Reason, Reason: l.o.Reason,
	}
	if err := errors.Join(log.Append(e, true), log.Close()); err != nil {
		return &Error{Status: ExitRefused, Err: err}
	}
	q := l.site.request(host, checks.ModeLocks)
	q.LockID, q.Run, q.Reason = l.o.Break, e.Run, l.o.Reason
	return l.site.tell(ctx, host, q, l.s.Out, l.s.Err)
}
