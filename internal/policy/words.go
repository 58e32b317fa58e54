package policy

import (
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// wordKind is how much is known of what a word of the command becomes.
type wordKind int

const (
	exact  wordKind = iota // one field, text
	prefix                 // one field, of which text is the beginning
	glob                   // one or more names that match the pattern text, or the pattern itself
	fields                 // any number of fields, nothing known
)

// word is what is known of a word after expansion.
type word struct {
	kind  wordKind
	text  string
	safe  bool // no field of it can begin with a dash
	tilde bool // begins with an unquoted ~: a home directory
	span  span
	raw   origin // maps text to the command, for code within code
	one   bool   // glob: yet one field, being quoted
	num   bool   // glob: nothing but numbers
}

func (v word) is(text string) bool { return v.kind == exact && v.text == text }

// dash tells whether the word can be, or begin, an option.
func (v word) dash() bool {
	switch v.kind {
	case exact:
		return strings.HasPrefix(v.text, "-")
	case fields:
		return true
	}
	return !v.safe
}

// word evaluates a word that is not split (the subject of case, an assignment), or whose fields do not matter.
func (w *walker) word(n *syntax.Word) word {
	b := builder{w: w, out: word{span: w.origin.at(n)}}
	for i, part := range n.Parts {
		b.part(part, i == 0, false)
	}
	return b.finish(n)
}

// words evaluates a word in the place of an argument. Brace expansion can make several of it.
func (w *walker) words(n *syntax.Word) []word {
	if w.dialect != dialectBash || !hasBrace(n) {
		return []word{w.word(n)}
	}
	whole := w.word(n) // also finds what its substitutions run
	several := []word{{kind: fields, span: whole.span}}
	if escapes(n) {
		return several // which of the braces are quoted is not for us
	}
	copied := &syntax.Word{Parts: append([]syntax.WordPart(nil), n.Parts...)} // SplitBraces alters it
	if !syntax.SplitBraces(copied) {
		if whole.kind != exact || strings.ContainsAny(whole.text, ",.") {
			return several // bash may see a brace expansion where the parser does not
		}
		return []word{whole}
	}
	var out []word
	for one, err := range expand.BracesSeq(nil, copied) {
		if err != nil || len(out) == 256 || !w.step(whole.span) {
			return several
		}
		v := w.word(one)
		v.span, v.raw = whole.span, origin{fixed: whole.span}
		out = append(out, v)
	}
	return out
}

// escapes tells whether a backslash stands outside quotes in the word.
func escapes(n *syntax.Word) bool {
	for _, part := range n.Parts {
		if lit, ok := part.(*syntax.Lit); ok && strings.Contains(lit.Value, `\`) {
			return true
		}
	}
	return false
}

// hasBrace tells whether an unquoted { stands in the word, {} alone apart.
func hasBrace(n *syntax.Word) bool {
	for _, part := range n.Parts {
		if lit, ok := part.(*syntax.Lit); ok && strings.Contains(strings.ReplaceAll(lit.Value, "{}", ""), "{") {
			return true
		}
	}
	return false
}
