package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one line of the table. Its bar is met or missed; a row without a bar is there to be looked at.
type row struct {
	what    string
	ours    string
	against string // the peer and its value; "" where only the bar counts
	ratio   string
	bar     string
	met     bool
}

// table keeps the rows, so that one table is printed at the end, and shows each as it comes to who waits.
type table struct {
	out  io.Writer
	rows []row
}

func (t *table) add(r row) {
	t.rows = append(t.rows, r)
	say("%s: %s; %s; %s; %s", r.what, r.ours, orDash(r.against), orDash(r.ratio), r.verdict())
}

func (r row) verdict() string {
	switch {
	case r.bar == "":
		return "-"
	case r.met:
		return r.bar + ": met"
	}
	return r.bar + ": MISSED"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (t *table) flush() error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tinterlock\tagainst\tratio\tbar")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, orDash(r.against), orDash(r.ratio), r.verdict())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "\nMedians (lowest–highest). A ratio is the median of the rounds' ratios. Load at the end: %s\n", load())
	return err
}
