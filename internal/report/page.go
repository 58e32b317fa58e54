package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// Page is a fleet at one moment as one HTML file. Nothing is fetched from elsewhere, so that it can be mailed
// and kept; its own policy forbids it. What the script does, filtering, is not missed where none runs.
// Texts may be anything that a host said: they are shown, never marked up.
type Page struct {
	Set      string        // what was asked for
	At       time.Time     // when what it says was true
	Took     time.Duration // to ask all hosts
	Note     string        // what was compared
	Counts   []PageCount   // hosts by state, in the order in which they are drawn
	Clusters []PageCluster // in the order of people; one without a name holds hosts that are in none
}

// PageCount is how many hosts are in a state.
type PageCount struct {
	State string
	Hosts int
}

// PageLevel is how much a thing wants to be looked at.
type PageLevel int

// The levels.
const (
	Calm PageLevel = iota
	Uneasy
	Alarming
)

// String is the word for it, which is also the class of the style sheet.
func (l PageLevel) String() string {
	switch l {
	case Alarming:
		return "critical"
	case Uneasy:
		return "warning"
	case Calm:
	}
	return "fine"
}

// PageCluster is one card, or one line of the grid where nothing is wrong with it.
type PageCluster struct {
	Name     string
	Findings []PageFinding
	Members  []PageMember
}

// PageFinding is one thing that is not as it should be.
type PageFinding struct {
	Level              PageLevel
	Code, Text, Remedy string
}

// PageMember is a host with its servers.
type PageMember struct {
	Host    string
	State   string // a state, or unreachable
	Level   PageLevel
	Servers []PageServer // none: a host without any
	Reasons []PageReason
}

// PageServer is one server; what is not known is empty.
type PageServer struct {
	State, Role, Server, Source, Lag, Clients, Writes, Uptime, Data string
}

// PageReason is why a host is in its state.
type PageReason struct{ Code, Text, Remedy string }

// Level is that of the worst finding.
func (c PageCluster) Level() PageLevel {
	level := Calm
	for _, f := range c.Findings {
		level = max(level, f.Level)
	}
	return level
}

// Hosts is how many hosts the page is about. One in two clusters counts once.
func (p *Page) Hosts() int {
	n := 0
	for _, c := range p.Counts {
		n += c.Hosts
	}
	return n
}

// Findings counts those of a level.
func (p *Page) Findings(level PageLevel) int {
	n := 0
	for _, c := range p.Clusters {
		for _, f := range c.Findings {
			n += boolToInt(f.Level == level)
		}
	}
	return n
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Criticals and Warnings count findings, for the template.
func (p *Page) Criticals() int { return p.Findings(Alarming) }

// Warnings counts the lesser ones.
func (p *Page) Warnings() int { return p.Findings(Uneasy) }

// Troubled are the clusters with findings, the worst first, each with its worst member first.
func (p *Page) Troubled() []PageCluster {
	return p.clusters(func(c PageCluster) bool { return len(c.Findings) > 0 })
}

// Calm are the clusters without.
func (p *Page) Calm() []PageCluster {
	return p.clusters(func(c PageCluster) bool { return len(c.Findings) == 0 && c.Name != "" })
}

// Loose are the hosts in no cluster with which nothing is wrong.
func (p *Page) Loose() []PageMember {
	var all []PageMember
	for _, c := range p.Clusters {
		if c.Name == "" && len(c.Findings) == 0 {
			all = append(all, c.Members...)
		}
	}
	return all
}

func (p *Page) clusters(which func(PageCluster) bool) []PageCluster {
	var all []PageCluster
	for _, c := range p.Clusters {
		if !which(c) {
			continue
		}
		c.Members = slices.Clone(c.Members)
		slices.SortStableFunc(c.Members, func(a, b PageMember) int { return int(b.Level) - int(a.Level) })
		c.Findings = slices.Clone(c.Findings)
		slices.SortStableFunc(c.Findings, func(a, b PageFinding) int { return int(b.Level) - int(a.Level) })
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b PageCluster) int { return int(b.Level()) - int(a.Level()) })
	return all
}

// Bar is the widths of the states' parts of the bar, which is as wide as there are hosts.
func (p *Page) Bar() []BarPart {
	var parts []BarPart
	x := 0
	for _, c := range p.Counts {
		if c.Hosts > 0 {
			parts = append(parts, BarPart{State: c.State, X: x, Width: c.Hosts})
			x += c.Hosts
		}
	}
	return parts
}

// BarPart is one state's part of the bar.
type BarPart struct {
	State    string
	X, Width int
}

// Style and Script are ours, and pass as they are.
func (p *Page) Style() template.CSS { return template.CSS(pageStyle) }

// Script is the filter.
func (p *Page) Script() template.JS { return template.JS(pageScript) }

// Policy is the page's content security policy: nothing is loaded, and no style or script runs but ours.
func (p *Page) Policy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", hash(pageStyle), hash(pageScript))
}

// Write writes the page. The error is w's.
func (p *Page) Write(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"visible": func(s string) string { return visible(s, "\n") },
		"rfc3339": func(t time.Time) string { return t.Format(time.RFC3339) },
		"moment":  func(t time.Time) string { return t.Format("2 January 2006, 15:04:05 MST") },
		"took":    Duration,
		"count":   func(n int) string { return Count(int64(n)) },
		"plural":  plural,
		"found":   found,
		"alone":   func(m PageMember) []foundMember { return []foundMember{{m, ""}} },
		"find":    findText,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := t.Execute(out, p); err != nil {
		return err
	}
	return out.Flush()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(int64(n)) + " " + many
}

// foundMember is a member with what the filter looks at.
type foundMember struct {
	PageMember
	Find string
}

func found(c PageCluster) []foundMember {
	var all []foundMember
	for _, m := range c.Members {
		all = append(all, foundMember{m, findText(c.Name, m)})
	}
	return all
}

// findText is what the filter looks at, for one host in a cluster.
func findText(cluster string, m PageMember) string {
	words := []string{cluster, m.Host, m.State, m.Level.String()}
	for _, s := range m.Servers {
		words = append(words, s.State, s.Role, s.Server, s.Source)
	}
	for _, r := range m.Reasons {
		words = append(words, r.Code)
	}
	return strings.ToLower(Visible(strings.Join(words, " ")))
}
