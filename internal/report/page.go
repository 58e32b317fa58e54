package report

import (
	_ "embed" // the page
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

// Page is a report as one HTML file: no scripts, and nothing is fetched from elsewhere, so that it can be
// mailed and kept.
type Page struct {
	Title    string
	At       time.Time // when what it says was true
	Sections []Section
}

// Section is a part of a page.
type Section struct {
	Heading string
	Note    string // a sentence or two; may be empty
	Table   *Table // may be nil
}

// Write writes the page. Texts may be anything that a host said: they are shown, never marked up. The
// error is w's.
func (p *Page) Write(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"visible": func(s string) string { return visible(s, "\n") },
		"cells":   cells,
		"rfc3339": func(t time.Time) string { return t.Format(time.RFC3339) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

// pageCell is a cell as the page's template needs it.
type pageCell struct {
	Text  string
	Class string // of the style sheet; empty for most
}

// cells gives a row as many cells as the table has columns.
func cells(t *Table, r Row) []pageCell {
	out := make([]pageCell, len(t.Columns))
	for i, c := range t.Columns {
		var classes []string
		if c.Right {
			classes = append(classes, "number")
		}
		if i < len(r) {
			out[i].Text = Visible(r[i].Text)
			if name := toneClass(r[i].Tone); name != "" {
				classes = append(classes, name)
			}
		}
		out[i].Class = strings.Join(classes, " ")
	}
	return out
}

func toneClass(t Tone) string {
	switch t {
	case Good:
		return "good"
	case Warn:
		return "warn"
	case Bad:
		return "bad"
	case Dim:
		return "dim"
	case Plain:
	}
	return ""
}
