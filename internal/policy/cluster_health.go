package policy

import (
	"fmt"
	"time"

	"interlock/checks"
)

// NotHealthyAgain tells what a host that was taken still lacks to be what it was before; "": nothing. A replica
// must run, replicate with both threads from the same source, be less than maxLag behind (beyond a delay that
// is configured), and have the transactions that it had. A thread that did not run before need not run now. A
// host that was no replica must answer, and be seen in full where it was before.
func NotHealthyAgain(before, now *checks.Report, maxLag time.Duration) string {
	if now == nil {
		return "it has not answered"
	}
	if now.State == checks.Unknown && before.State != checks.Unknown {
		return "it cannot be seen in full yet"
	}
	for i := range before.Instances {
		was := node{nil, &before.Instances[i]}
		if was.in.State != checks.Replica {
			continue
		}
		is, ok := sameServer(was, now)
		if !ok {
			return "its server does not answer yet"
		}
		if text := was.notAgain(is, maxLag); text != "" {
			return text
		}
	}
	return ""
}

// sameServer finds the server of an earlier report.
func sameServer(was node, now *checks.Report) (node, bool) {
	for i := range now.Instances {
		is := node{nil, &now.Instances[i]}
		if is.identity() == was.identity() && is.in.Port == was.in.Port && is.in.State != checks.Stopped {
			return is, true
		}
	}
	return node{}, false
}

func (v node) notAgain(is node, maxLag time.Duration) string {
	if is.in.State != checks.Replica {
		return fmt.Sprintf("it is %s, and was a replica", is.in.State)
	}
	for _, c := range v.in.Sources {
		now := is.channelFrom(v.sourceOf(c))
		switch {
		case now == nil:
			return "it does not follow its source yet"
		case c.IORunning != "Yes" || c.SQLRunning != "Yes":
			continue // it was broken before
		case now.IORunning != "Yes":
			return "its IO thread is at " + said(now.IORunning)
		case now.SQLRunning != "Yes":
			return "its SQL thread is at " + said(now.SQLRunning)
		case now.Lag == nil:
			return "lag not known"
		case *now.Lag >= maxLag+now.Delay:
			return fmt.Sprintf("lag %ds", int(now.Lag.Seconds()))
		}
	}
	had, err := ParseGTIDs(v.in.GTIDExecuted)
	if err != nil {
		return "" // it had none that could be read: nothing to compare
	}
	has, err := ParseGTIDs(is.in.GTIDExecuted)
	if err != nil || !has.Contains(had) {
		return fmt.Sprintf("it lacks %s, which it had", shortened(had.Minus(has).String()))
	}
	return ""
}
