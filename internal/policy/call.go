package policy

import (
	"path"
	"strings"

	"interlock/checks"

	"mvdan.cc/sh/v3/syntax"
)

// trustedDirs are where a program named by path is the one that its name says. /usr/local belongs to root as
// the others do, and comes before them on the usual PATH: ls means /usr/local/bin/ls where there is one.
var trustedDirs = map[string]bool{
	"/bin": true, "/sbin": true, "/usr/bin": true, "/usr/sbin": true, "/usr/local/bin": true, "/usr/local/sbin": true,
}

func baseName(program string) string { return path.Base(program) }

// trustedProgram gives the name of the program that a command's first word runs, "" when the word names a
// file elsewhere.
func trustedProgram(first string) string {
	if !strings.Contains(first, "/") {
		return first
	}
	dir, name := path.Split(first)
	if name == "" || !trustedDirs[strings.TrimSuffix(dir, "/")] {
		return ""
	}
	return name
}

// call is one simple command whose words have been evaluated.
type call struct {
	*walker
	prog  *program
	name  word
	args  []word
	stdin []string // here-documents that feed it, as text
	span  span
}

// call classifies one simple command, its words given, after redirections and assignments.
func (w *walker) call(words []word, stdin []string) {
	if len(words) == 0 {
		return
	}
	all := span{words[0].span.start, words[len(words)-1].span.end}
	if !w.step(all) {
		return
	}
	if w.depth++; w.depth > maxDepth {
		w.destructive(all, "too-deep", "the command is nested more than %d deep", maxDepth)
		return
	}
	defer func() { w.depth-- }()

	class, r, sure := w.c.house(words)
	if r != nil {
		w.ruleClass = max(w.ruleClass, class)
	}
	if sure {
		w.declared(words, stdin, r, all)
		return
	}
	if r != nil && class > checks.Routine {
		w.add(class, all, "house-rule", "the house's rule %q (%s) may match, and says %s", r.Match, r.Origin, class)
	}
	w.builtIn(words, stdin, all)
}

// declared takes the house's word for a command. What a wrapper runs may be declared too, and then the
// stricter word counts.
func (w *walker) declared(words []word, stdin []string, r *rule, all span) {
	w.add(r.Class, all, "house-rule", "%s: the house says so (%s)", r.Class, r.Origin)
	w.allOnUnknown = w.allOnUnknown && r.OnUnknown
	inner := *w
	inner.found, inner.class, inner.ruleClass, inner.boots = nil, checks.ReadOnly, checks.ReadOnly, false
	inner.builtIn(words, stdin, all)
	w.boots = w.boots || inner.boots
	if inner.ruleClass > r.Class {
		w.add(inner.ruleClass, all, "house-rule", "the house declares what this runs %s", inner.ruleClass)
		w.ruleClass = max(w.ruleClass, inner.ruleClass)
	}
}

func (w *walker) builtIn(words []word, stdin []string, all span) {
	first := words[0]
	if first.kind != exact || first.tilde {
		w.destructive(first.span, "unknown-program", "which program runs here is not known beforehand")
		return
	}
	name := trustedProgram(first.text)
	prog := w.c.programs[name]
	if dir := path.Dir(first.text); prog == nil && dir == "/etc/init.d" && plainText(path.Base(first.text)) {
		// A service's own script is the same as the command service with its name.
		prog, name = w.c.programs["service"], "service"
		script := first
		script.text = path.Base(first.text)
		words = append([]word{first, script}, words[1:]...)
	}
	switch {
	case name == "":
		w.destructive(first.span, "unknown-program", "%s is not in a directory of system programs", first.text)
	case prog == nil:
		w.destructive(first.span, "unknown-program", "%s is not known to be harmless", first.text)
	default:
		c := &call{walker: w, prog: prog, name: first, args: words[1:], stdin: stdin, span: all}
		if prog.run != nil {
			prog.run(c)
		} else {
			c.described()
		}
	}
}

// described holds the call against the program's description.
func (c *call) described() {
	p, ok := c.parse(c.prog.spec, c.args)
	if !ok {
		return
	}
	c.operands(p, c.prog.operands, c.prog.most)
	if c.prog.check != nil {
		c.prog.check(c, p)
	}
}

// cannot records that this use of the program is not known to be harmless.
func (c *call) cannot(s span, format string, args ...any) {
	c.destructive(s, "not-proven", format, args...)
}

// redirect classifies one redirection.
func (w *walker) redirect(r *syntax.Redirect) {
	at := w.origin.at(r)
	if r.N != nil && (len(r.N.Value) != 1 || r.N.Value[0] < '0' || r.N.Value[0] > '9') {
		w.destructive(at, "redirection", "only single digits name a descriptor in every shell")
	}
	if w.dialect == dialectBash && r.Word != nil && hasBrace(r.Word) {
		w.destructive(at, "redirection", "bash expands the braces here")
	}
	stdin := r.N == nil || r.N.Value == "0"
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		w.heredoc(r, stdin)
		return
	case syntax.WordHdoc:
		w.piece(w.word(r.Word), stdin)
		return
	}
	v := w.word(r.Word)
	switch r.Op {
	case syntax.RdrIn:
		c := call{walker: w}
		c.operand("file", v)
		if !v.is("/dev/null") {
			w.piece(word{kind: prefix}, stdin)
		}
	case syntax.DplIn, syntax.DplOut:
		if r.Op == syntax.DplIn || r.N != nil && stdin {
			w.piece(word{kind: prefix}, stdin)
		}
		if v.kind != exact || len(v.text) != 1 || !strings.Contains("0123456789-", v.text) {
			w.destructive(at, "write-redirect", "writes to a file")
		}
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
		if !v.is("/dev/null") {
			w.destructive(at, "write-redirect", "writes to %s", describe(v))
		}
	default:
		w.destructive(at, "write-redirect", "opens %s for writing", describe(v))
	}
}

// heredoc walks a here-document. A backslash in one that expands is read by rules of its own; then the text is
// taken as not known.
func (w *walker) heredoc(r *syntax.Redirect, stdin bool) {
	w.word(r.Word)
	if r.Hdoc == nil {
		w.piece(word{kind: exact}, stdin)
		return
	}
	quoted := r.Word.Lit() == "" || strings.Contains(r.Word.Lit(), `\`)
	b := builder{w: w, out: word{span: w.origin.at(r)}}
	for _, part := range r.Hdoc.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			if !quoted && strings.Contains(lit.Value, `\`) {
				b.unknown(true)
			}
			b.literal(lit.Value)
			continue
		}
		b.part(part, false, true)
	}
	v := word{kind: exact, text: b.text.String()}
	if b.stopped || b.globs {
		v.kind = prefix
	}
	w.piece(v, stdin)
}

// notText stands for standard input whose text is not known beforehand.
const notText = "\x00"

// piece notes what feeds the statement at hand.
func (w *walker) piece(v word, stdin bool) {
	switch {
	case !stdin:
	case v.kind != exact:
		w.pieces = append(w.pieces, notText)
	default:
		w.pieces = append(w.pieces, v.text)
	}
}

func describe(v word) string {
	if v.kind == exact {
		return v.text
	}
	return "a file that is not known beforehand"
}
