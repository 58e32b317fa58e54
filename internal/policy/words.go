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
	at := w.origin.at(n)
	for _, part := range n.Parts {
		if lit, ok := part.(*syntax.Lit); ok && strings.Contains(lit.Value, `\`) {
			return []word{{kind: fields, span: at}} // which of the braces are quoted is not for us
		}
	}
	copied := &syntax.Word{Parts: append([]syntax.WordPart(nil), n.Parts...)} // SplitBraces alters it
	if !syntax.SplitBraces(copied) {
		v := w.word(n)
		if strings.ContainsAny(v.text, ",.") {
			return []word{{kind: fields, span: at}} // bash may see a brace expansion where the parser does not
		}
		return []word{v}
	}
	var out []word
	for one, err := range expand.BracesSeq(nil, copied) {
		if err != nil || len(out) == 256 || !w.step(at) {
			return []word{{kind: fields, span: at}}
		}
		v := w.word(one)
		v.span, v.raw = at, origin{fixed: at}
		out = append(out, v)
	}
	return out
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

// builder puts a word together from its parts.
type builder struct {
	w       *walker
	out     word
	text    strings.Builder
	stopped bool // an expansion of unknown value came: text is only the beginning
	globs   bool
	split   bool // an unquoted expansion came: any number of fields
	bracket bool // an unquoted [ is open
	num     bool // an expansion to numbers came
	many    bool // a pattern or an unquoted list of numbers came: one or more fields
}

func (b *builder) literal(s string) {
	if !b.stopped {
		b.text.WriteString(s)
	}
}

// unknown records an expansion whose value is not known.
func (b *builder) unknown(quoted bool) {
	b.stopped = true
	b.split = b.split || !quoted
}

func (b *builder) part(part syntax.WordPart, first, quoted bool) {
	switch part := part.(type) {
	case *syntax.Lit:
		if quoted {
			b.literal(unescapeQuoted(part.Value))
		} else {
			b.unquoted(part.Value, first)
		}
	case *syntax.SglQuoted:
		if part.Dollar {
			b.w.destructive(b.w.origin.at(part), "syntax", "$'…' means different things in dash and bash")
			b.unknown(false)
			return
		}
		b.literal(part.Value)
	case *syntax.DblQuoted:
		if part.Dollar {
			b.w.destructive(b.w.origin.at(part), "syntax", `$"…" means different things in dash and bash`)
			b.unknown(false)
			return
		}
		for _, p := range part.Parts {
			b.part(p, false, true)
		}
	case *syntax.ParamExp:
		b.param(part, quoted)
	case *syntax.CmdSubst:
		b.substitution(part, quoted)
	case *syntax.ArithmExp:
		if !constant(part.X) {
			b.w.destructive(b.w.origin.at(part), "expansion", "arithmetic evaluates what it names")
		}
		b.unknown(quoted)
	case *syntax.ProcSubst:
		if part.Op != syntax.CmdIn {
			b.w.destructive(b.w.origin.at(part), "expansion", "output to a process is not understood")
		}
		pieces := b.w.pieces
		b.w.stmts(part.Stmts, false)
		b.w.pieces = pieces
		b.literal("pipe") // read like a plain file
	default:
		b.w.destructive(b.w.origin.at(part), "expansion", "this kind of expansion is not understood")
		b.unknown(false)
	}
}

// unquoted takes a literal part outside quotes: backslashes escape, and * ? [ ~ have a meaning.
func (b *builder) unquoted(s string, first bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '\\':
			if i++; i < len(s) {
				b.literal(s[i : i+1])
			}
			continue
		case '*', '?':
			b.glob()
		case '[':
			b.bracket = true
		case ']':
			if b.bracket {
				b.glob()
			}
		case '~':
			if first && i == 0 {
				b.out.tilde = true
			} else if prev := b.last(); prev == '=' || prev == ':' {
				b.unknown(true) // bash expands it where the word looks like an assignment
			}
		}
		b.literal(s[i : i+1])
	}
}

func (b *builder) last() byte {
	if s := b.text.String(); s != "" {
		return s[len(s)-1]
	}
	return 0
}

// glob notes that the text from here on is a pattern.
func (b *builder) glob() {
	if !b.globs && !b.stopped {
		s := b.text.String()
		b.out.safe = s != "" && s[0] != '-' && (s[0] != '[' || safeBracket(s))
	}
	b.globs, b.many = true, true
}

// safeBracket tells whether a pattern that begins with a bracket cannot match a dash there: ps | grep [m]ysqld.
func safeBracket(s string) bool {
	return len(s) > 1 && strings.Trim(s[1:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// anyNumber is the pattern that stands for a number that is not known.
const anyNumber = "[0-9]*"

// number notes an expansion to numbers separated by blanks.
func (b *builder) number(quoted bool) {
	if !b.globs && !b.stopped {
		s := b.text.String()
		b.out.safe = s == "" || s[0] != '-'
	}
	b.globs = true
	b.many = b.many || !quoted
	b.num = true
	b.literal(anyNumber)
}

func (b *builder) finish(n *syntax.Word) word {
	v := b.out
	v.text = b.text.String()
	v.raw = origin{fixed: v.span}
	switch {
	case b.split:
		v.kind = fields
	case b.stopped && b.globs:
		v.kind = fields
	case b.stopped:
		v.kind = prefix
		v.safe = v.text != "" && v.text[0] != '-' || v.tilde
	case b.globs:
		v.kind, v.one, v.num = glob, !b.many, b.num && v.text == anyNumber
	default:
		v.kind = exact
	}
	if v.tilde && !tildeOK(v.text) {
		v.kind = fields
	}
	if v.kind == exact && len(n.Parts) == 1 {
		v.raw = b.w.rawOrigin(n.Parts[0], v.text, v.span)
	}
	return v
}

// rawOrigin finds where text stands in the command as it is, so that reasons can point into it.
func (w *walker) rawOrigin(part syntax.WordPart, text string, s span) origin {
	if !w.origin.exact {
		return origin{fixed: s}
	}
	start := int(part.Pos().Offset())
	if _, plain := part.(*syntax.Lit); !plain {
		start++ // the quote
	}
	if start+len(text) <= len(w.src) && w.src[start:start+len(text)] == text {
		base := w.origin.base + start
		return origin{base: base, fixed: span{base, base + len(text)}, exact: true}
	}
	return origin{fixed: s}
}

// tildeOK tells whether ~… is a home directory that is known to be one: ~ and those of root and mysql. Some
// accounts are at home in /dev (sys, on Debian), and ~+ and ~1 are no homes at all.
func tildeOK(text string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "~"), "/")
	return name == "" || atHome(name)
}

// atHome tells whether a user's home directory is known to hold plain files.
func atHome(user string) bool { return user == "root" || user == "mysql" }

// unescapeQuoted resolves the backslashes that mean something within double quotes.
func unescapeQuoted(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("$`\"\\", s[i+1]) >= 0 {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// param takes $x and those forms of ${x…} that neither assign nor evaluate.
func (b *builder) param(p *syntax.ParamExp, quoted bool) {
	at := b.w.origin.at(p)
	if p.Param == nil || p.Flags != nil || p.Excl || p.Width || p.IsSet || p.NestedParam != nil || p.Index != nil ||
		len(p.Modifiers) > 0 || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		b.w.destructive(at, "expansion", "this kind of expansion evaluates what it names")
		b.unknown(quoted)
		return
	}
	name := p.Param.Value
	if p.Exp != nil {
		switch p.Exp.Op {
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.DefaultUnset, syntax.DefaultUnsetOrNull,
			syntax.ErrorUnset, syntax.ErrorUnsetOrNull,
			syntax.RemSmallSuffix, syntax.RemLargeSuffix, syntax.RemSmallPrefix, syntax.RemLargePrefix:
		default:
			b.w.destructive(at, "expansion", "this kind of expansion assigns or evaluates")
		}
		if p.Exp.Word != nil {
			b.w.word(p.Exp.Word)
		}
		b.unknown(quoted)
		return
	}
	if p.Length || name == "?" || name == "#" || name == "$" || name == "!" {
		b.number(quoted)
		return
	}
	if name == "@" || name == "*" {
		quoted = false // any number of fields
	}
	if known := b.w.vars[name]; len(known) == 1 {
		b.value(known[0], quoted)
		return
	}
	b.unknown(quoted)
}

// value puts in the known value of a variable.
func (b *builder) value(v word, quoted bool) {
	switch {
	case v.num:
		b.number(quoted)
	case v.tilde || v.kind == fields:
		b.unknown(quoted)
	case v.kind == exact && (quoted || plainText(v.text)):
		b.literal(v.text)
	case v.kind == glob && quoted && v.safe:
		// A loop over a pattern: one name that matches it.
		if b.text.Len() == 0 {
			b.out.safe = true
		}
		b.globs = true
		b.literal(v.text)
	case v.kind == prefix && quoted:
		b.literal(v.text)
		b.unknown(true)
	default:
		b.unknown(quoted)
	}
}

// plainText tells whether a value stays one field, as it is, outside quotes.
func plainText(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-") == ""
}

// substitution classifies what $(…) runs; its output is not known, unless it can only be numbers.
func (b *builder) substitution(s *syntax.CmdSubst, quoted bool) {
	w := b.w
	at := w.origin.at(s)
	if s.TempFile || s.ReplyVar {
		w.destructive(at, "expansion", "this kind of substitution is not understood")
	}
	if s.Backquotes && strings.Contains(w.src[s.Left.Offset():min(int(s.Right.Offset()), len(w.src))], `\`) {
		w.destructive(at, "expansion", "backslashes within backquotes are read twice; write $(…)")
	}
	if !w.step(at) {
		return
	}
	pieces := w.pieces
	w.stmts(s.Stmts, false)
	w.pieces = pieces
	if w.numbersOnly(s) {
		b.number(quoted)
		return
	}
	b.unknown(quoted)
}

// numbersOnly tells whether the output can only be numbers: $(pidof mysqld), $(pgrep -x mysqld), $(id -u), $(nproc).
func (w *walker) numbersOnly(s *syntax.CmdSubst) bool {
	if len(s.Stmts) != 1 {
		return false
	}
	call, ok := s.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) == 0 {
		return false
	}
	var lits []string
	for _, a := range call.Args {
		if lit := a.Lit(); plainText(lit) {
			lits = append(lits, lit)
			continue
		}
		return false
	}
	switch lits[0] {
	case "pidof":
		return !strings.Contains(strings.Join(lits, " "), " -")
	case "pgrep":
		for _, l := range lits[1:] {
			switch l {
			case "-x", "-o", "-n", "-f", "-u", "-ox", "-xo", "-nx", "-xn", "-fo", "-of", "-fn", "-nf":
			default:
				if l == "" || l[0] == '-' {
					return false
				}
			}
		}
		return true
	case "id":
		return len(lits) == 2 && (lits[1] == "-u" || lits[1] == "-g")
	case "nproc":
		return len(lits) == 1
	}
	return false
}

// constant tells whether an arithmetic expression holds nothing but numbers.
func constant(x syntax.ArithmExpr) bool {
	switch x := x.(type) {
	case *syntax.Word:
		lit := x.Lit()
		return lit != "" && strings.Trim(lit, "0123456789") == ""
	case *syntax.BinaryArithm:
		switch x.Op {
		case syntax.Add, syntax.Sub, syntax.Mul:
			return constant(x.X) && constant(x.Y)
		}
	case *syntax.ParenArithm:
		return constant(x.X)
	}
	return false
}
