package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/report"
	"interlock/sshrun"
)

// checkColumns are the columns of the table. The first one is folded.
var checkColumns = []report.Column{
	{Title: "host"}, {Title: "state"}, {Title: "role"}, {Title: "server"}, {Title: "source"}, {Title: "lag", Right: true},
	{Title: "clients", Right: true}, {Title: "writes", Right: true}, {Title: "uptime", Right: true}, {Title: "data", Right: true}, {Title: "reasons"},
}

// rank sorts states for people: what answers least first, then what refuses most. It is a finer order
// than State.Severity, within it.
func rank(s checks.State) int {
	return slices.Index([]checks.State{checks.Clear, checks.Stopped, checks.Idle, checks.Replica, checks.Proxy, checks.Primary, checks.Unknown}, s)
}

// worstFirst sorts findings: hosts that were not reached, then by state, then as they were.
func worstFirst(findings []finding) []finding {
	weight := func(f finding) int {
		switch {
		case f.err != nil:
			return 100
		case !f.report.State.Valid():
			return rank(checks.Unknown)
		}
		return rank(f.report.State)
	}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b finding) int { return weight(b) - weight(a) })
	return sorted
}

// rowsOf makes the rows of the table: one for each instance, or one for a host without any.
func rowsOf(findings []finding) []report.Row {
	var rows []report.Row
	for _, f := range worstFirst(findings) {
		switch {
		case f.err != nil:
			rows = append(rows, blankRow(f.host, checks.State(unreachable), cause(f.err)))
		case len(f.report.Instances) == 0:
			rows = append(rows, blankRow(f.host, f.report.State, codes(f.report.Reasons)))
		default:
			instances := slices.Clone(f.report.Instances)
			slices.SortStableFunc(instances, func(a, b checks.Instance) int { return rank(b.State) - rank(a.State) })
			why := codes(f.report.Reasons)
			if f.report.State != instances[0].State { // something about the host as a whole
				rows = append(rows, blankRow(f.host, f.report.State, why))
				why = ""
			}
			for _, in := range instances {
				rows = append(rows, instanceRow(f.host, in, why))
				why = ""
			}
		}
	}
	return rows
}

// tone is a state's colour: green where much is let through, red where nothing is.
func tone(s checks.State) report.Tone {
	switch s.Severity() {
	case 0, 1, 2:
		return report.Good
	case 3:
		return report.Warn
	}
	return report.Bad
}

func blankRow(host string, state checks.State, why string) report.Row {
	row := make(report.Row, len(checkColumns))
	row[0], row[1], row[len(row)-1] = report.Cell{Text: host}, report.Cell{Text: string(state), Tone: tone(state)}, report.Cell{Text: why}
	return row
}

func instanceRow(host string, in checks.Instance, why string) report.Row {
	row := blankRow(host, in.State, why)
	source, lag := sourceAndLag(in)
	row[2].Text, row[3].Text, row[4].Text, row[5].Text = role(in), server(in), source, lag
	if in.Clients != nil {
		row[6].Text = fmt.Sprint(*in.Clients)
	}
	if in.WritesPerSec != nil {
		row[7].Text = report.Rate(*in.WritesPerSec)
	}
	if in.Uptime != nil {
		row[8].Text = report.Duration(*in.Uptime)
	}
	if in.DataBytes != nil {
		row[9].Text = report.Bytes(*in.DataBytes)
	}
	return row
}

// role is what the server does beside its state.
func role(in checks.Instance) string {
	var words []string
	if in.GroupMember != "" {
		words = append(words, "group "+in.GroupMember)
	}
	if n := len(in.Replicas); n > 0 {
		words = append(words, "source of "+fmt.Sprint(n))
	}
	switch {
	case in.OfflineMode:
		words = append(words, "offline")
	case in.ReadOnly == "super":
		words = append(words, "super read-only")
	case in.ReadOnly == "on":
		words = append(words, "read-only")
	}
	for _, b := range in.Busy {
		words = append(words, "busy: "+b)
	}
	return strings.Join(words, ", ")
}

// server is product, version and port, or the data directory where no server runs.
func server(in checks.Instance) string {
	if in.PID == 0 && in.Product == "" {
		return in.DataDir
	}
	s := strings.TrimSpace(in.Product + " " + in.Version)
	if in.Port != 0 {
		s += fmt.Sprintf(" :%d", in.Port)
	}
	return s
}

// sourceAndLag are those of the channels, the words of a thread that does not run in lag's place.
func sourceAndLag(in checks.Instance) (source, lag string) {
	var sources, lags []string
	for _, s := range in.Sources {
		name := s.Host
		if s.Port != 0 && s.Port != 3306 {
			name += fmt.Sprintf(":%d", s.Port)
		}
		sources = append(sources, name)
		switch {
		case s.IORunning != "Yes":
			lags = append(lags, "io "+strings.ToLower(s.IORunning))
		case s.SQLRunning != "Yes":
			lags = append(lags, "sql "+strings.ToLower(s.SQLRunning))
		case s.Lag == nil:
			lags = append(lags, "?")
		default:
			lags = append(lags, report.Duration(s.Lag.Round(time.Second)))
		}
	}
	return strings.Join(sources, " "), strings.Join(lags, " ")
}

// codes are the stable codes of reasons, each once.
func codes(reasons []checks.Reason) string {
	var words []string
	for _, r := range reasons {
		if !slices.Contains(words, r.Code) {
			words = append(words, r.Code)
		}
	}
	return strings.Join(words, " ")
}

// remedyOf is what would mend a host that was not reached.
func remedyOf(err error) string {
	if e, ok := errors.AsType[*sshrun.HostError](err); ok {
		return e.Remedy
	}
	return ""
}
