package policy

import (
	"fmt"
	"regexp"
	"strings"

	"interlock/checks"

	"mvdan.cc/sh/v3/syntax"
)

// span is a stretch of the command, as byte offsets.
type span struct{ start, end int }

// origin maps offsets in a piece of code to offsets in the command that the user wrote.
type origin struct {
	base  int  // the offset of the code's first byte, where exact
	fixed span // what reasons point at where the code does not stand in the command as it is
	exact bool
}

func (o origin) at(node syntax.Node) span {
	return o.shift(span{int(node.Pos().Offset()), int(node.End().Offset())})
}

func (o origin) shift(s span) span {
	if !o.exact {
		return o.fixed
	}
	// The parser may place the end of an unfinished node past the code; keep inside the user's text.
	return span{min(o.base+s.start, o.fixed.end), min(o.base+s.end, o.fixed.end)}
}

type finding struct {
	Reason
	class checks.Class
}

// walker proves one command. Its class only ever rises.
type walker struct {
	c     *Classifier
	class checks.Class
	found []finding
	boots bool

	allOnUnknown bool         // holds so far for every part declared routine
	ruleClass    checks.Class // the worst class of a house rule that matched anywhere below

	steps *int // shared by all walkers of one command
	depth int

	// Of the piece of code at hand:
	dialect dialect
	src     string
	origin  origin
	assigns map[string]int    // how often each variable is assigned in this code
	vars    map[string][]word // what a variable's value is known to be; more than one: one after the other
	tracked bool              // values of variables are followed: the code has no read that could change them
	anyDir  bool              // the working directory is not a home, and may be /
	pieces  []string          // text of here-documents that feed the statement at hand
}

// add records what a part of the command can do.
func (w *walker) add(class checks.Class, s span, code, format string, args ...any) {
	worse := class > w.class
	w.class = max(w.class, class)
	if worse || class > checks.ReadOnly && len(w.found) < 256 { // enough for reasons; the class does not depend on it
		w.found = append(w.found, finding{Reason{code, fmt.Sprintf(format, args...), s.start, s.end}, class})
	}
}

func (w *walker) destructive(s span, code, format string, args ...any) {
	w.add(checks.Destructive, s, code, format, args...)
}

// step counts work; it tells whether there is any left to do.
func (w *walker) step(s span) bool {
	*w.steps++
	if *w.steps > maxSteps {
		w.destructive(s, "too-complex", "the command has too many parts to be proven harmless")
		return false
	}
	return true
}

// code classifies src as the text of a shell script in the dialect d.
func (w *walker) code(src string, d dialect, o origin) {
	if i := badByte(src); i >= 0 {
		w.destructive(o.shift(span{i, i + 1}), "characters", "byte %#02x is not plain ASCII text; shells and eyes disagree about it", src[i])
		return
	}
	if w.depth++; w.depth > maxDepth {
		w.destructive(o.fixed, "too-deep", "the command is nested more than %d deep", maxDepth)
		return
	}
	defer func() { w.depth-- }()
	if d == dialectPosix || d == dialectBoth {
		w.parse(src, dialectPosix, o)
	}
	if d == dialectBash || d == dialectBoth {
		w.parse(src, dialectBash, o)
	}
}

func (w *walker) parse(src string, d dialect, o origin) {
	if deepest(src) > 200 {
		w.destructive(o.fixed, "too-deep", "brackets are nested too deep")
		return
	}
	ps := w.c.parsers.Get().(*parsers)
	defer w.c.parsers.Put(ps)
	p, name := ps.posix, "POSIX shell"
	if d == dialectBash {
		p, name = ps.bash, "bash"
	}
	file, err := p.Parse(strings.NewReader(src), "")
	if err != nil {
		w.destructive(o.fixed, "syntax", "not understood as %s: %v", name, err)
		return
	}
	inner := *w
	inner.dialect, inner.src, inner.origin = d, src, o
	inner.assigns, inner.vars, inner.pieces = map[string]int{}, map[string][]word{}, nil
	inner.tracked = !readWord.MatchString(src)
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil {
				inner.assigns[n.Name.Value]++
			}
		case *syntax.WordIter:
			inner.assigns[n.Name.Value]++
		}
		return true
	})
	inner.stmts(file.Stmts, true)
	w.merge(&inner)
}

// merge takes over what a walk of a part has found.
func (w *walker) merge(in *walker) {
	w.class, w.found, w.boots = max(w.class, in.class), in.found, w.boots || in.boots
	w.allOnUnknown = w.allOnUnknown && in.allOnUnknown
	w.ruleClass = max(w.ruleClass, in.ruleClass)
}

// deepest gives the largest number of brackets open at once, an upper bound of what the parser recurses into.
func deepest(src string) int {
	open, most := 0, 0
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case '(', '{', '`':
			open++
			most = max(most, open)
		case ')', '}':
			open = max(open-1, 0)
		}
	}
	return most
}

// stmts walks a list. Straight tells that it runs once, in this shell, from its first statement to its last,
// so that an assignment in it holds for what follows.
func (w *walker) stmts(list []*syntax.Stmt, straight bool) {
	for _, s := range list {
		w.stmt(s, straight)
	}
}

func (w *walker) stmt(s *syntax.Stmt, straight bool) {
	at := w.origin.at(s)
	if !w.step(at) {
		return
	}
	if w.depth++; w.depth > maxDepth {
		w.destructive(at, "too-deep", "the command is nested more than %d deep", maxDepth)
		return
	}
	defer func() { w.depth-- }()
	if s.Coprocess || s.Disown {
		w.destructive(at, "syntax", "this kind of background job is not understood")
	}
	w.pieces = nil
	for _, r := range s.Redirs {
		w.redirect(r)
	}
	if s.Cmd != nil {
		w.command(s.Cmd, straight && !s.Background && !s.Negated)
	}
}

func (w *walker) command(cmd syntax.Command, straight bool) {
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		w.simple(cmd, straight)
	case *syntax.BinaryCmd:
		w.depth-- // a chain is long, not deep; its length is bounded by that of the command
		w.stmt(cmd.X, false)
		w.stmt(cmd.Y, false)
		w.depth++
	case *syntax.Block:
		w.stmts(cmd.Stmts, straight)
	case *syntax.Subshell:
		w.stmts(cmd.Stmts, false)
	case *syntax.IfClause:
		for c := cmd; c != nil; c = c.Else {
			w.stmts(c.Cond, false)
			w.stmts(c.Then, false)
		}
	case *syntax.WhileClause:
		w.stmts(cmd.Cond, false)
		w.stmts(cmd.Do, false)
	case *syntax.ForClause:
		w.forClause(cmd)
	case *syntax.CaseClause:
		w.word(cmd.Word)
		for _, item := range cmd.Items {
			for _, p := range item.Patterns {
				w.word(p)
			}
			w.stmts(item.Stmts, false)
		}
	case *syntax.TimeClause:
		if cmd.Stmt != nil {
			w.stmt(cmd.Stmt, false)
		}
	case *syntax.TestClause:
		w.testExpr(cmd.X)
	case *syntax.FuncDecl:
		w.destructive(w.origin.at(cmd), "function", "a function can stand in for any program")
	case *syntax.DeclClause:
		w.destructive(w.origin.at(cmd), "assignment", "%s changes what later commands do", cmd.Variant.Value)
	default:
		w.destructive(w.origin.at(cmd), "syntax", "this kind of command evaluates its operands")
	}
}

// forClause walks the body once for every item, where the items are known, else once with an unknown value.
func (w *walker) forClause(f *syntax.ForClause) {
	at := w.origin.at(f)
	iter, ok := f.Loop.(*syntax.WordIter)
	if !ok || f.Select || f.Braces {
		w.destructive(at, "syntax", "this kind of loop evaluates its operands")
		return
	}
	name := iter.Name.Value
	if !w.variableName(name, w.origin.at(iter.Name)) {
		return
	}
	var items []word
	for _, it := range iter.Items {
		items = append(items, w.words(it)...)
	}
	known := iter.InPos.IsValid() && w.tracked && w.assigns[name] == 1
	for _, it := range items {
		known = known && it.kind != fields
	}
	if !known {
		w.stmts(f.Do, false)
		return
	}
	for _, it := range items {
		if !w.step(at) {
			return
		}
		w.vars[name] = []word{it}
		w.stmts(f.Do, false)
	}
	delete(w.vars, name) // after the loop: the last item, or unset
}

var readWord = regexp.MustCompile(`\bread\b`)

var variable = regexp.MustCompile(`^([a-z_][a-z0-9_]*|[A-Z])$`)

// variableName tells whether a variable of that name can be set without telling programs or the shell to
// behave differently. Those that do (PATH, IFS, LD_PRELOAD, TZ, LESSOPEN …) have upper-case names, the proxies
// apart.
func (w *walker) variableName(name string, s span) bool {
	if variable.MatchString(name) && name != "_" && !strings.HasSuffix(name, "_proxy") && name != "histchars" && name != "auto_resume" {
		return true
	}
	w.destructive(s, "assignment", "variable %s can change what programs do; only lower-case names are known not to", name)
	return false
}

// assign walks a statement that is nothing but assignments.
func (w *walker) assign(a *syntax.Assign, straight bool) {
	at := w.origin.at(a)
	if a.Append || a.Naked || a.Index != nil || a.Array != nil || a.Name == nil {
		w.destructive(at, "assignment", "this kind of assignment is not understood")
		return
	}
	name := a.Name.Value
	if !w.variableName(name, at) {
		return
	}
	value := word{kind: exact, span: at}
	if a.Value != nil {
		if value = w.word(a.Value); value.tilde {
			value = word{kind: prefix, span: at}
		}
	}
	delete(w.vars, name)
	if straight && w.tracked && w.assigns[name] == 1 && (value.kind == exact || value.num) {
		w.vars[name] = []word{value}
	}
}

func (w *walker) simple(cmd *syntax.CallExpr, straight bool) {
	if len(cmd.Args) == 0 {
		for _, a := range cmd.Assigns {
			w.assign(a, straight)
		}
		return
	}
	if len(cmd.Assigns) > 0 {
		a := cmd.Assigns[0]
		name := ""
		if a.Name != nil {
			name = a.Name.Value
		}
		w.destructive(w.origin.at(a), "assignment", "%s=… before a command can change what the command does", name)
		if a.Value != nil {
			w.word(a.Value)
		}
	}
	var words []word
	for _, arg := range cmd.Args {
		words = append(words, w.words(arg)...)
	}
	w.call(words, w.pieces)
}
