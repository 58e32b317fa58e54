package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Gauge is one metric with all its series, for Prometheus' text format 0.0.4.
type Gauge struct {
	Name    string // [a-z_][a-z0-9_]*
	Help    string
	Samples []Sample

	seen map[string]bool // labels that have a value
}

// Sample is one value; its labels are name and value in turn, and may hold anything that a host said.
type Sample struct {
	Labels []string
	Value  float64
}

// Add adds a value. One whose labels are there already is left out, since the same series twice makes the
// whole file void for those who read it.
func (g *Gauge) Add(value float64, labels ...string) {
	text := labelText(labels)
	if g.seen[text] {
		return
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[text] = true
	g.Samples = append(g.Samples, Sample{Labels: labels, Value: value})
}

// WriteGauges writes the metrics that have values. The error is w's.
func WriteGauges(w io.Writer, gauges []*Gauge) error {
	out := bufio.NewWriter(w)
	for _, g := range gauges {
		if len(g.Samples) == 0 {
			continue
		}
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", g.Name, helpEscapes.Replace(g.Help), g.Name)
		for _, s := range g.Samples {
			fmt.Fprintf(out, "%s%s %s\n", g.Name, labelText(s.Labels), number(s.Value))
		}
	}
	return out.Flush()
}

// The format's escapes, in help texts and in values of labels.
var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func labelText(labels []string) string {
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		// A value must be UTF-8.
		pairs = append(pairs, labels[i]+`="`+labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd"))+`"`)
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case math.IsNaN(v):
		return "NaN"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
