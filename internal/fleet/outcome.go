package fleet

import (
	"fmt"
	"time"

	"interlock/checks"
)

// kind is what came of one host.
type kind string

const (
	exited      kind = "exited"
	signaled    kind = "signaled"
	lost        kind = "lost"        // the connection: the command may still be running
	timedOut    kind = "timed out"   // stopped by --timeout
	refused     kind = "refused"     // by the host, or by a rule that no host can know
	locked      kind = "locked"      // by someone else
	unreachable kind = "unreachable" // nothing ran
	notStarted  kind = "not started" // nothing ran: another host came first
	rebooted    kind = "rebooted"    // the connection was lost with the boot that the command asked for; it is back
	unhealthy   kind = "not healthy" // the command ran, and the host has not come back as what it was
)

// outcome is what came of one host of a run.
type outcome struct {
	host    string
	kind    kind
	exit    int    // of exited
	signal  string // of signaled, without SIG
	err     error
	state   checks.State
	reasons []checks.Reason // of refused and locked
	lock    string
	left    bool // the command may still be running there
	took    time.Duration
}

// fine tells whether the command ran and said so, or the host came back from the boot that it was to make.
func (o outcome) fine() bool { return o.kind == exited && o.exit == 0 || o.kind == rebooted }

// ran tells whether the command was started.
func (o outcome) ran() bool {
	switch o.kind {
	case exited, signaled, lost, timedOut, rebooted, unhealthy:
		return true
	}
	return false
}

// String says it in a few words: "exit 1", "killed by TERM", "connection lost".
func (o outcome) String() string {
	switch o.kind {
	case exited:
		return fmt.Sprintf("exit %d", o.exit)
	case signaled:
		return "killed by " + o.signal
	case lost:
		return "connection lost, state unknown, may still be running"
	case unhealthy:
		return fmt.Sprintf("not healthy again: %v", o.err)
	}
	return string(o.kind)
}

// exitOfOne is the exit status for a run on a single host: the command's own where there is one.
func exitOfOne(o outcome) int {
	switch o.kind {
	case exited:
		return o.exit
	case signaled:
		return 128 + signalNumber(o.signal)
	}
	return exitOfMany([]outcome{o})
}

// exitOfMany is the exit status for a run on several hosts. A host that was left out by flag still counts:
// 0 would say that the command ran everywhere. A command that failed comes first, since it is there that
// something was changed; then what asking again will not mend.
func exitOfMany(all []outcome) int {
	var failed, noPermission, busy, gone bool
	for _, o := range all {
		switch o.kind {
		case exited, signaled, timedOut, rebooted, unhealthy:
			failed = failed || !o.fine()
		case refused:
			noPermission = true
		case locked:
			busy = true
		case lost, unreachable:
			gone = true
		case notStarted: // the host that was the reason counts
		}
	}
	switch {
	case failed:
		return ExitFailed
	case noPermission:
		return ExitRefused
	case busy:
		return ExitLocked
	case gone:
		return ExitUnreachable
	}
	for _, o := range all {
		if o.kind == notStarted {
			return ExitFailed
		}
	}
	return ExitOK
}

// signalNumbers are those that SSH names (RFC 4254, 6.10), with Linux's numbers.
func signalNumber(name string) int {
	switch name {
	case "HUP":
		return 1
	case "INT":
		return 2
	case "QUIT":
		return 3
	case "ILL":
		return 4
	case "ABRT":
		return 6
	case "FPE":
		return 8
	case "KILL":
		return 9
	case "USR1":
		return 10
	case "SEGV":
		return 11
	case "USR2":
		return 12
	case "PIPE":
		return 13
	case "ALRM":
		return 14
	case "TERM":
		return 15
	}
	return 127 // as high as it goes: 255, "something else"
}
