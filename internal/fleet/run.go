package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"interlock/checks"
	"interlock/internal/audit"
	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// RunOptions are those of `interlock run`.
type RunOptions struct {
	Remote
	Hosts           string   // a set
	Command         []string // the words after --
	Shell           string
	Allow           []string
	Override        string // the ID of an override, from a refusal; needs Reason
	Reason          string // why the refusal does not count
	ExpectHosts     *int   // nil: ask on a terminal
	SkipRefused     bool
	SkipUnreachable int // at most so many hosts may be left out
	Parallel        int // hosts at once; 0: as hosts.toml says
	MaxFail         int // failures that do not stop the run
	Timeout         time.Duration
	TTY             bool
	Stdin           bool // give standard input to every host
	Unspooled       bool // keep no output on the host: a transfer's is the data
	Prefix          bool
	JSON            bool
	NoWaitHealthy   bool             // do not wait, after a disruptive command, until the host is what it was
	WaitTimeout     time.Duration    // how long to wait for that; 0: 15 minutes
	Interrupts      <-chan os.Signal `json:"-"` // the first one stops the commands, the second one leaves
}

// Run is one command on a set of hosts.
type Run struct {
	o        RunOptions
	s        Streams
	site     *site
	names    []string
	parallel int
	class    policy.Classification
	input    input
	record   *record
	print    printer
	stops    *stops
	members  *members
	wait     waits
	halted   halted
	here     bool // the command runs on this machine (interlock local): no override is offered
	typed    *SSH // the command came by interlock ssh; nil: by interlock run
}

// NewRun resolves the set, classifies the command and refuses what needs no host to be refused.
func NewRun(o RunOptions, s Streams) (*Run, error) {
	f, err := newSite(o.Remote, s)
	if err != nil {
		return nil, err
	}
	r := &Run{o: o, s: s, site: f}
	if err := r.prepare(); err != nil {
		f.close()
		return nil, err
	}
	return r, nil
}

func (r *Run) prepare() (err error) {
	line := shellLine(r.o.Command)
	if strings.TrimSpace(line) == "" {
		return Usage("", "run: the command is empty")
	}
	if err := policy.MisplacedSelector(strings.Join(r.o.Command, " "), r.site.inv.Key); err != nil {
		return &Error{Status: ExitUsage, Err: err}
	}
	if r.names, err = expand(r.site.inv, r.o.Hosts); err != nil {
		return err
	}
	if r.parallel, err = r.site.parallelism(r.o.Parallel); err != nil {
		return err
	}
	if err := r.validate(); err != nil {
		return err
	}
	return r.equip(line)
}

// equip classifies the line, and opens what a run of it on the hosts of names needs.
func (r *Run) equip(line string) error {
	classifier, err := newClassifier(r.site.inv)
	if err != nil {
		return err
	}
	r.class = classifier.Classify(line, r.o.Shell)
	if r.o.Override != "" && r.class.Class <= checks.Routine {
		return Usage("", "--override: a %s command has no use for it", r.class.Class)
	}
	if r.input, err = newInput(r.s.In, len(r.names), r.o.Stdin); err != nil {
		return err
	}
	return r.outfit()
}

// outfit opens what a run of a classified command needs.
func (r *Run) outfit() (err error) {
	if r.record, err = newRecord(r.class, r.o); err != nil {
		return err
	}
	if r.record.missing != nil && r.class.Class <= checks.Routine {
		r.s.notef("warning: not recorded: %v", r.record.missing)
	}
	r.print = newPrinter(r.o, r.s, r.names)
	r.stops = newStops()
	r.members = newMembers(r)
	return nil
}

func (r *Run) validate() error {
	for _, word := range r.o.Allow {
		if !slices.Contains(checks.Allowances, word) {
			return Usage("", "--allow %q: want %s", word, strings.Join(checks.Allowances, ", "))
		}
	}
	switch n := len(r.names); {
	case r.o.ExpectHosts != nil && *r.o.ExpectHosts != n:
		return Usage("look at it: interlock hosts --fold SET", "%s is %s, not the %d that --expect-hosts says", r.o.Hosts, plural(n, "host", "hosts"), *r.o.ExpectHosts)
	case r.o.TTY && n > 1:
		return Usage("", "-t: one host, not %d", n)
	case r.o.TTY && (r.o.JSON || r.o.Prefix || r.o.Stdin):
		return Usage("", "-t excludes --json, --prefix and --stdin")
	case r.o.TTY && !isTerminal(r.s.In):
		return Usage("", "-t: standard input is no terminal")
	case r.o.JSON && r.o.Prefix:
		return Usage("", "--json and --prefix exclude each other")
	case r.o.SkipUnreachable < 0, r.o.MaxFail < 0, r.o.Timeout < 0, r.o.WaitTimeout < 0:
		return Usage("", "--skip-unreachable, --max-fail, --timeout and --wait-timeout are 0 or more")
	}
	return r.o.validateOverride(len(r.names))
}

// Run does it. The error carries the exit status.
func (r *Run) Run(ctx context.Context) error {
	defer r.site.close()
	ends, err := r.attended(ctx)
	if err != nil {
		return err
	}
	return r.finish(ends)
}

// attended runs the command on the hosts, under the eyes of whoever may interrupt it.
func (r *Run) attended(ctx context.Context) ([]outcome, error) {
	defer r.record.close()
	defer r.members.close()
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	done := make(chan struct{})
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		r.stops.watch(ctx, r.o.Interrupts, leave, done, r.s)
	}()
	if r.class.Class != checks.ReadOnly {
		// Nobody reads our output any more: that is no reason to leave commands unattended.
		signal.Ignore(syscall.SIGPIPE)
		defer signal.Reset(syscall.SIGPIPE)
	}
	ends, err := r.hosts(ctx)
	close(done)
	<-watching
	return ends, err
}

// hosts runs the command in the way that its class and the set ask for.
func (r *Run) hosts(ctx context.Context) ([]outcome, error) {
	switch {
	case r.class.Class == checks.ReadOnly:
		return r.readOnly(ctx), nil
	case len(r.names) == 1 && (r.o.Hosts == r.names[0] || r.o.ExpectHosts != nil || r.o.Override != ""):
		// One host that was named, nothing to confirm: one session inspects and runs.
		return []outcome{r.guarded(ctx, r.names[0])}, nil
	}
	return r.fleet(ctx)
}

// finish prints what is left to say and gives the exit status.
func (r *Run) finish(ends []outcome) error {
	err := r.print.finish()
	for _, text := range leftRunning(r.class, ends) {
		r.s.notef("%s", text)
	}
	if len(r.names) == 1 {
		r.sayEnd(ends[0])
		return r.s.end(exitOfOne(ends[0]), err)
	}
	r.s.say(summary(ends))
	return r.s.end(exitOfMany(ends), err)
}

// sayEnd says how a single host ended, where neither the command nor a refusal has.
func (r *Run) sayEnd(o outcome) {
	switch o.kind {
	case unreachable:
		r.s.say(unreachables([]verdict{{host: o.host, kind: o.kind, err: o.err}}))
	case notStarted, timedOut:
		r.s.notef("%s: %v", o.host, cmpErr(o.err, errors.New(o.String())))
	case unhealthy:
		r.s.notef("%s: %s", o.host, o.String())
	case exited, signaled, lost, refused, locked, rebooted: // said already, or the command's own affair
	}
}

// leftRunning names the hosts where the command may still be running.
func leftRunning(class policy.Classification, ends []outcome) []string {
	var names []string
	locks := false
	for _, o := range ends {
		if o.left {
			names = append(names, o.host)
			locks = locks || o.lock != ""
		}
	}
	if len(names) == 0 {
		return nil
	}
	where := hosts.Fold(names)
	said := []string{fmt.Sprintf("state unknown: %s may still be running on %s", report.Visible(class.Command), where)}
	if locks {
		said = append(said, fmt.Sprintf("the lock stays there: look with interlock locks list '%s' and interlock logs HOST", where))
	}
	return said
}

// summary is the last line of a run on several hosts, and the hosts that were not fine, folded by why.
func summary(ends []outcome) string {
	var lines folded
	fine := 0
	for _, o := range ends {
		if o.fine() {
			fine++
			continue
		}
		why := o.String()
		if o.kind == unreachable && o.err != nil {
			why += ": " + report.Visible(cause(o.err))
		}
		lines.add(o.host, why)
	}
	if fine == len(ends) {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "interlock: %d of %s fine\n", fine, plural(len(ends), "host", "hosts"))
	for _, l := range lines.lines {
		fmt.Fprintf(&b, "  %s (%d): %s\n", hosts.Fold(l.hosts), len(l.hosts), l.text)
	}
	return b.String()
}

// auditEntry is what every line of this run says.
func auditEntry(class policy.Classification, o RunOptions, run string) audit.Entry {
	return audit.Entry{
		Run: run, Who: audit.Who(), From: audit.From(), Command: class.Command, Shell: o.Shell,
		Class: class.Class.String(), Allow: o.Allow, Override: o.Override, Reason: o.Reason,
	}
}
