package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// line is a workload with what its contenders took.
type line struct {
	workload workload
	rec      *recording
	results  []*result
}

// table is what is printed for one product.
type table struct {
	b     *bench
	lines []line
	more  []*result // that are no line
	notes []string  // below the table
}

func (t *table) results() []*result {
	var all []*result
	for _, l := range t.lines {
		all = append(all, l.results...)
	}
	return append(all, t.more...)
}

// best is the fastest of the contenders whose names begin so; nil if there is none that has a time.
func (l line) best(prefix string) *result {
	var best *result
	for _, r := range l.results {
		if r.ok() && strings.HasPrefix(r.Contender, prefix) && (best == nil || r.wall() < best.wall()) {
			best = r
		}
	}
	return best
}

func (l line) named(name string) *result {
	i := slices.IndexFunc(l.results, func(r *result) bool { return r.Contender == name })
	if i < 0 {
		return nil
	}
	return l.results[i]
}

// median is the median of a value over the rounds.
func (r *result) median(value func(measure) float64) float64 {
	var all []float64
	for _, m := range r.Rounds {
		all = append(all, value(m))
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

func (r *result) wall() float64 { return r.median(func(m measure) float64 { return m.Wall }) }

// print writes the table as Markdown.
func (t *table) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "\n**%s**\n\n", t.b.product)
	t.writeLines(&text)
	for _, note := range t.allNotes() {
		text.WriteString("- " + note + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (t *table) writeLines(out io.Writer) {
	if len(t.lines) == 0 {
		return
	}
	n := t.b.connections
	fmt.Fprintf(out, "| workload | log | transactions | changes | net rows | pipe | best applier (workers) | LOAD DATA (%d) | interlock (1) | interlock (%d) | "+
		"× pipe | × applier | of LOAD DATA | bar | peak memory | server CPU: pipe, applier, interlock |\n%s|\n", n, n, strings.Repeat("|---", 16))
	for _, l := range t.lines {
		fmt.Fprintf(out, "| %s |\n", strings.Join(t.cells(l), " | "))
	}
	fmt.Fprintf(out, "\nSeconds; (1) and (%d) are connections. Pipe and applier: median of %d, the others: median of %d. Rows compared after every round. Load at the end: %s\n\n",
		n, t.b.slowRounds, t.b.rounds, load())
}

func (t *table) cells(l line) []string {
	pipe, applier, load := l.best("pipe"), l.best("applier"), l.best("load")
	one, many := l.named("interlock-1"), l.named(fmt.Sprintf("interlock-%d", t.b.connections))
	ours := l.best("interlock")
	workers := ""
	if applier != nil {
		workers = " (" + strings.TrimPrefix(applier.Contender, "applier-") + ")"
	}
	var net int64
	for _, n := range l.rec.Net {
		net += n.Rows + int64(len(n.Gone))
	}
	rows := fmt.Sprint(net)
	if l.workload.noLoad != "" {
		rows = "-"
	}
	cells := []string{
		l.workload.what, megabytes(l.rec.LogBytes), fmt.Sprint(l.rec.Transactions), fmt.Sprint(l.rec.Changes), rows,
		seconds(pipe), seconds(applier) + workers, seconds(load), seconds(one), seconds(many),
		ratio(pipe, ours), ratio(applier, ours), ratio(ours, load), t.verdict(l), "-",
	}
	if ours != nil {
		cells[len(cells)-1] = megabytes(int64(ours.median(func(m measure) float64 { return float64(m.PeakBytes) })))
	}
	return append(cells, cpu(pipe)+", "+cpu(applier)+", "+cpu(ours))
}

func seconds(r *result) string {
	if !r.ok() {
		return "-"
	}
	return fmt.Sprintf("%.2f", r.wall())
}

func cpu(r *result) string {
	if !r.ok() {
		return "-"
	}
	return fmt.Sprintf("%.1f", r.median(func(m measure) float64 { return m.ServerCPU }))
}

func ratio(a, b *result) string {
	if !a.ok() || !b.ok() {
		return "-"
	}
	return fmt.Sprintf("%.2g", a.wall()/b.wall())
}

// noise is how much slower several connections may be measured before it counts.
const noise = 1.1

// verdict holds the times against the workload's bar. A peer that was not measured, or gave up, says nothing.
func (t *table) verdict(l line) string {
	ours := l.best("interlock")
	if ours == nil {
		return "-"
	}
	var met, missed []string
	check := func(ok bool, format string, args ...any) {
		if what := fmt.Sprintf(format, args...); ok {
			met = append(met, what)
		} else {
			missed = append(missed, what)
		}
	}
	bar := l.workload.bar
	if pipe := l.best("pipe"); pipe != nil && bar.pipe > 0 {
		check(pipe.wall() >= bar.pipe*ours.wall(), "%g× pipe", bar.pipe)
	}
	if applier := l.best("applier"); applier != nil && bar.applier > 0 {
		check(applier.wall() >= bar.applier*ours.wall(), "%g× applier", bar.applier)
	}
	if load := l.best("load"); load != nil && bar.load > 0 {
		check(ours.wall() <= bar.load*load.wall(), "%g of LOAD DATA", bar.load)
	}
	one, many := l.named("interlock-1"), l.named(fmt.Sprintf("interlock-%d", t.b.connections))
	if one != many && one.ok() && many.ok() {
		check(many.wall() <= noise*one.wall(), "%d connections not slower", t.b.connections)
	}
	text := ""
	if len(met) > 0 {
		text = "met: " + strings.Join(met, ", ")
	}
	if len(missed) > 0 {
		text = strings.TrimPrefix(text+"; ", "; ") + "MISSED: " + strings.Join(missed, ", ")
	}
	return text
}

// allNotes say why cells are empty, and what interlock did.
func (t *table) allNotes() []string {
	notes := slices.Clone(t.notes)
	for _, l := range t.lines {
		for _, r := range l.results {
			if r.Note != "" {
				notes = append(notes, fmt.Sprintf("%s, %s: %s", l.workload.name, r.Contender, r.Note))
			}
		}
		if ours := l.best("interlock"); ours != nil && ours.Summary != nil {
			notes = append(notes, l.workload.name+": "+ours.Summary.limits())
		}
	}
	return notes
}
