package fleet

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// pluginName is what every line of `check --nagios` begins with.
const pluginName = "INTERLOCK"

// allStates are the states in the order of metrics and performance data.
var allStates = []checks.State{checks.Clear, checks.Stopped, checks.Idle, checks.Replica, checks.Primary, checks.Proxy, checks.Unknown}

// nagios writes the plugin's line; its status is that of the worst finding. Written is the error of other
// output: then the plugin has not done what it was asked to do.
func (c *Check) nagios(r *checked, written error) error {
	found := r.found()
	level := report.PluginOK
	for _, f := range found {
		level = max(level, pluginLevel(f.Severity))
	}
	text := tally(r.hosts)
	if len(found) > 0 {
		var texts []string
		for _, f := range found {
			texts = append(texts, findingText(f))
		}
		text = fmt.Sprintf("%s on %s: %s", plural(len(found), "finding", "findings"), plural(len(r.hosts), "host", "hosts"), strings.Join(texts, "; "))
	}
	if written != nil {
		level, text = report.PluginUnknown, written.Error()
	}
	if _, err := io.WriteString(c.s.Out, report.PluginLine(pluginName, level, text, c.perfdata(r, len(found)))); err != nil {
		return &Error{Status: int(report.PluginUnknown), Err: fmt.Errorf("write findings: %w", err)}
	}
	return status(int(level))
}

func pluginLevel(s policy.Severity) report.PluginStatus {
	if s == policy.Critical {
		return report.PluginCritical
	}
	return report.PluginWarning
}

// PluginFailed writes the plugin's line for an error of ours and gives the status to exit with. What has a
// line already (an error without words) passes as it is.
func PluginFailed(out io.Writer, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok && e.Err == nil { //nolint:errorlint // one that is wrapped has words
		return err
	}
	_, _ = io.WriteString(out, report.PluginLine(pluginName, report.PluginUnknown, strings.ReplaceAll(err.Error(), "\n", "; "), nil))
	return status(int(report.PluginUnknown))
}

// tally counts hosts by state: "4 hosts: 1 primary, 2 replica, 1 idle".
func tally(all []finding) string {
	counts := countStates(all)
	var parts []string
	for _, s := range slices.Backward(allStates) {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return fmt.Sprintf("%s: %s", plural(len(all), "host", "hosts"), strings.Join(parts, ", "))
}

// countStates counts the hosts that were reached, by state.
func countStates(all []finding) map[checks.State]int {
	counts := map[checks.State]int{}
	for _, f := range all {
		if f.err == nil {
			counts[stateOf(f)]++
		}
	}
	return counts
}

// stateOf is the state of a host that was reached; a word that is no state is unknown.
func stateOf(f finding) checks.State {
	if !f.report.State.Valid() {
		return checks.Unknown
	}
	return f.report.State
}

// maxLag is the largest lag that a replica told; false where none did.
func maxLag(all []finding) (largest time.Duration, known bool) {
	for _, f := range all {
		if f.err != nil {
			continue
		}
		for _, in := range f.report.Instances {
			for _, s := range in.Sources {
				if s.Lag != nil {
					largest, known = max(largest, *s.Lag), true
				}
			}
		}
	}
	return largest, known
}

func (c *Check) perfdata(r *checked, found int) []report.PerfValue {
	total := fmt.Sprint(len(r.hosts))
	counts := countStates(r.hosts)
	reached := 0
	perf := []report.PerfValue{{Label: "hosts", Value: float64(len(r.hosts)), Min: "0"}}
	for _, s := range allStates {
		reached += counts[s]
		perf = append(perf, report.PerfValue{Label: string(s), Value: float64(counts[s]), Min: "0", Max: total})
	}
	lag, known := maxLag(r.hosts)
	return append(perf,
		report.PerfValue{Label: "unreachable", Value: float64(len(r.hosts) - reached), Crit: "0", Min: "0", Max: total},
		report.PerfValue{Label: "max_lag", Value: lag.Seconds(), Unknown: !known, Unit: "s", Warn: fmt.Sprint(c.site.inv.Defaults.MaxLag.Seconds()), Min: "0"},
		report.PerfValue{Label: "findings", Value: float64(found), Min: "0"},
		report.PerfValue{Label: "duration", Value: r.took.Round(time.Millisecond).Seconds(), Unit: "s", Min: "0"},
	)
}
