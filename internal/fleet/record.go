package fleet

import (
	"fmt"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/audit"
	"interlock/internal/hosts"
	"interlock/internal/policy"
)

// record writes the audit lines of one run.
type record struct {
	log     *audit.Log // nil: it could not be opened
	missing error      // why not
	base    audit.Entry
}

// newRecord opens the audit log. One that cannot be written is an error where the command could do harm.
func newRecord(class policy.Classification, o RunOptions) (*record, error) {
	r := &record{base: auditEntry(class, o, checks.NewNonce()[:12])}
	path, err := audit.Path()
	if err == nil {
		r.log, err = audit.Open(path)
	}
	if err != nil && class.Class > checks.Routine {
		return nil, &Error{Status: ExitRefused, Err: fmt.Errorf("%w: nothing %s runs unrecorded", err, class.Class),
			Hint: "make the directory writable, or name another state directory with XDG_STATE_HOME"}
	}
	r.missing = err
	return r, nil
}

func (r *record) close() {
	if r.log != nil {
		_ = r.log.Close()
	}
}

// decision records what was decided about a host. When it returns nil for a disruptive or destructive
// command, the line is on disk.
func (r *record) decision(v verdict, lock string) error {
	if r.log == nil {
		return nil
	}
	e := r.base
	e.Time, e.Event = time.Now(), "decision"
	e.Host, e.State, e.Verdict, e.Lock = v.host, string(v.state), v.word(), lock
	var facts []string
	for _, reason := range v.reasons {
		e.Reasons = append(e.Reasons, reason.Code)
		facts = append(facts, reason.Text)
	}
	for _, fact := range v.facts {
		facts = append(facts, fact.Text)
	}
	if v.err != nil {
		facts = append(facts, v.err.Error())
	}
	e.Facts = strings.Join(facts, "; ")
	return r.log.Append(e, r.base.Class != checks.Routine.String())
}

// readOnly records, in one line, a read-only command and all its hosts. It is written as well as can be.
func (r *record) readOnly(names []string) error {
	if r.log == nil {
		return nil
	}
	e := r.base
	e.Time, e.Event, e.Host, e.Verdict = time.Now(), "decision", hosts.Fold(names), "run"
	return r.log.Append(e, false)
}

// end records what came of a command that was started.
func (r *record) end(o outcome) error {
	if r.log == nil {
		return nil
	}
	e := r.base
	e.Time, e.Event, e.Host, e.State, e.Lock = time.Now(), "end", o.host, string(o.state), o.lock
	e.Outcome, e.Signal, e.Seconds = string(o.kind), o.signal, o.took.Seconds()
	if o.kind == exited {
		e.Exit = &o.exit
	}
	return r.log.Append(e, false)
}

// health records that a host is healthy again after a command, or that the wait for that has ended: err says why.
func (r *record) health(host string, err error, took time.Duration) error {
	if r.log == nil {
		return nil
	}
	e := r.base
	e.Time, e.Event, e.Host, e.Outcome, e.Seconds = time.Now(), "health", host, "healthy", took.Seconds()
	if err != nil {
		e.Outcome, e.Facts = string(unhealthy), err.Error()
	}
	return r.log.Append(e, false)
}
