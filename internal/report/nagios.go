package report

import (
	"fmt"
	"strconv"
	"strings"
)

// PluginStatus is the exit status of a monitoring plugin.
type PluginStatus int

// The statuses (Monitoring Plugins Development Guidelines, "Plugin Return Codes").
const (
	PluginOK PluginStatus = iota
	PluginWarning
	PluginCritical
	PluginUnknown
)

func (s PluginStatus) String() string {
	switch s {
	case PluginOK:
		return "OK"
	case PluginWarning:
		return "WARNING"
	case PluginCritical:
		return "CRITICAL"
	case PluginUnknown:
	}
	return "UNKNOWN"
}

// PerfValue is one value of a plugin's performance data.
type PerfValue struct {
	Label    string
	Value    float64
	Unknown  bool   // there is no value: U
	Unit     string // "", s, B, %, c
	Warn     string // a range, as "30": above it (or below 0) is a warning; may be empty
	Crit     string
	Min, Max string
}

// maxPluginText bounds the words of a plugin's line. Some transports carry 1,024 bytes in all, and performance data that is
// cut off is worse than a sentence that is.
const maxPluginText = 500

// PluginLine is the one line of a monitoring plugin: name, status, words, and the performance data behind a
// pipe. The words may hold anything that a host said; a pipe in them would end them, so it becomes a slash.
func PluginLine(name string, status PluginStatus, text string, perf []PerfValue) string {
	text = strings.TrimSpace(strings.ReplaceAll(Visible(text), "|", "/"))
	for len(text) > maxPluginText {
		text = cut(text, min(maxPluginText, Width(text)-1))
	}
	line := fmt.Sprintf("%s %s: %s", name, status, text)
	for i, p := range perf {
		if i == 0 {
			line += " |"
		}
		line += " " + p.text()
	}
	return line + "\n"
}

// text is 'label'=value[UOM];warn;crit;min;max, without empty fields at its end.
func (p PerfValue) text() string {
	label := strings.NewReplacer("=", "_", "'", "_", "|", "_").Replace(Visible(p.Label))
	if strings.Contains(label, " ") {
		label = "'" + label + "'"
	}
	value := "U"
	if !p.Unknown {
		value = strconv.FormatFloat(p.Value, 'f', -1, 64) + p.Unit
	}
	return strings.TrimRight(strings.Join([]string{label + "=" + value, p.Warn, p.Crit, p.Min, p.Max}, ";"), ";")
}
