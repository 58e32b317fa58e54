package report

import (
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	table := sample()
	table.Rows = append(table.Rows, Row{{Text: "db9"}, {Text: `<script>alert("x")</script>`, Tone: Bad}, {Text: "' onload='x"}, {Text: "a & b\x1b[0m\u202e"}})
	page := &Page{
		Title: "Fleet <b>",
		At:    time.Date(2014, 1, 10, 17, 30, 0, 0, time.UTC),
		Sections: []Section{
			{Heading: "Hosts", Note: "Five hosts.\nOne is unknown.", Table: table},
			{Heading: "Nothing else"},
		},
	}
	var b strings.Builder
	if err := page.Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "page.html", b.String())
	for _, bad := range []string{"<script", "onload='", "<b>", "\x1b", "\u202e", "http:", "https:"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if err := page.Write(failing{}); err == nil {
		t.Error("Page.Write gave no error")
	}
}
