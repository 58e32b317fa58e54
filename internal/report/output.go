package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Output is what a command wrote on one host.
type Output struct {
	Host string
	Text string
	Note string // how it ended, if that is worth a word: "exit 3"
	Tone Tone   // of the header
}

// GroupOutputs writes each distinct output once, under a header that names its hosts, in the order of
// first appearance:
//
//	--- db[1-3] (3) ---
//	--- db4 (1): exit 3 ---
//
// A missing line end is added, and makes no difference. On a terminal, control characters other than line ends and tabs are made
// visible; elsewhere the bytes are those of the hosts. The error is w's.
func GroupOutputs(w io.Writer, outputs []Output, fold func(hosts []string) string, s Style) error {
	type key struct{ text, note string }
	hosts := map[key][]string{}
	var order []Output
	for _, o := range outputs {
		k := key{strings.TrimSuffix(o.Text, "\n"), o.Note}
		if hosts[k] == nil {
			order = append(order, o)
		}
		hosts[k] = append(hosts[k], o.Host)
	}
	out := bufio.NewWriter(w)
	for _, o := range order {
		names := hosts[key{strings.TrimSuffix(o.Text, "\n"), o.Note}]
		header := fmt.Sprintf("--- %s (%d)", Visible(fold(names)), len(names))
		if o.Note != "" {
			header += ": " + Visible(o.Note)
		}
		fmt.Fprintln(out, s.paint(header+" ---", headerTone(o.Tone)))
		text := o.Text
		if s.Terminal {
			text = visible(strings.ReplaceAll(text, "\r\n", "\n"), "\n\t")
		}
		out.WriteString(text)
		if text != "" && !strings.HasSuffix(text, "\n") {
			out.WriteByte('\n')
		}
	}
	return out.Flush()
}

// headerTone sets headers off from outputs.
func headerTone(t Tone) Tone {
	if t == Plain {
		return Dim
	}
	return t
}
