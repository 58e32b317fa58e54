package fleet

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"interlock/checks"
	"interlock/internal/report"
	"interlock/sshrun"
)

// LogsOptions are those of `interlock logs`.
type LogsOptions struct {
	Remote
	Host string
	ID   string // "": list what there is
}

// Logs shows what a host kept of the output of disruptive and destructive commands.
type Logs struct {
	o    LogsOptions
	s    Streams
	site *site
	host string
}

// NewLogs resolves the host.
func NewLogs(o LogsOptions, s Streams) (*Logs, error) {
	if err := validID(o.ID); o.ID != "" && err != nil {
		return nil, err
	}
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	host, err := f.oneHost(o.Host)
	if err != nil {
		f.close()
		return nil, err
	}
	return &Logs{o: o, s: s, site: f, host: host}, nil
}

// Run prints the list, or copies the two streams of one output to ours.
func (l *Logs) Run(ctx context.Context) error {
	defer l.site.close()
	q := l.site.request(l.host, checks.ModeLogs)
	q.LockID = l.o.ID
	if l.o.ID != "" {
		return l.site.tell(ctx, l.host, q, l.s.Out, l.s.Err)
	}
	var list bytes.Buffer
	if err := l.site.tell(ctx, l.host, q, &list, l.s.Err); err != nil {
		return err
	}
	table := report.Table{Columns: []report.Column{{Title: "id"}, {Title: "owner"}, {Title: "class"}, {Title: "since"}, {Title: "exit"}, {Title: "command"}}}
	type entry struct {
		stored
		exit string
	}
	entries := make([]entry, 0, strings.Count(list.String(), "\n"))
	for line := range strings.Lines(list.String()) {
		if f := strings.Fields(line); len(f) > 0 {
			entries = append(entries, entry{parseStored(f[1:]), f[0]})
		}
	}
	// The newest first; the host's times are RFC 3339 in UTC, which sort as text.
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(b.since, a.since) })
	for _, e := range entries {
		table.Rows = append(table.Rows, report.Row{{Text: e.id}, {Text: e.owner}, {Text: e.class}, {Text: e.since}, {Text: e.exit}, {Text: e.command}})
	}
	return table.Write(l.s.Out, style(l.s.Out))
}

// tell sends one host a request that inspects nothing, and copies its answer.
func (f *site) tell(ctx context.Context, host string, q checks.Request, stdout, stderr io.Writer) error {
	conn, err := f.client.Dial(ctx, f.target(host))
	if err != nil {
		return &Error{Status: ExitUnreachable, Err: err, Hint: remedyOf(err)}
	}
	defer conn.Close()
	return tellOn(ctx, conn, q, stdout, stderr)
}

// tellOn is tell on a connection that stands.
func tellOn(ctx context.Context, conn *sshrun.Conn, q checks.Request, stdout, stderr io.Writer) error {
	line, err := q.ExecLine()
	if err != nil {
		return err
	}
	exit := conn.Run(ctx, line, nil, stdout, stderr)
	switch {
	case exit.Kind != sshrun.Exited:
		return &Error{Status: ExitUnreachable, Err: fmt.Errorf("%s: no answer: %w", q.Host, cmpErr(exit.Err, errors.New(exit.Kind.String())))}
	case exit.Status != 0:
		return status(ExitFailed) // the host has said why
	}
	return nil
}

// stored is what a host keeps of a lock, on one line: checks/check.sh writes it (write_lock).
type stored struct{ id, owner, class, boot, since, command, run, purpose, machine string }

// parseStored reads the fields of such a line. One that is cut or empty still names a lock, as far as it goes.
func parseStored(fields []string) stored {
	var f [9]string
	for i := range f {
		if i < len(fields) && fields[i] != "-" {
			f[i] = fields[i]
		}
	}
	command, err := base64.StdEncoding.DecodeString(f[5])
	if err != nil {
		command = []byte(f[5])
	}
	return stored{id: f[0], owner: unescaped(f[1]), class: f[2], boot: f[3], since: f[4], command: string(command), run: f[6], purpose: f[7], machine: f[8]}
}

// unescaped undoes percent-encoding, as in the report.
func unescaped(s string) string {
	if text, err := url.PathUnescape(s); err == nil {
		return text
	}
	return s
}

// validID tells whether a word has the form of a lock's id.
func validID(id string) error {
	if id == "" {
		return Usage("", "no id given")
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return Usage("", "id %q: want hexadecimal digits, as interlock locks list shows them", id)
		}
	}
	return nil
}
