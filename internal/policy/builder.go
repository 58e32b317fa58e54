package policy

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

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
			b.glob(false)
		case '[':
			b.bracket = true
		case ']':
			if b.bracket {
				b.glob(true)
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

// glob notes that the text is a pattern, with a star or a question mark next, or the end of a bracket.
func (b *builder) glob(closed bool) {
	if !b.globs && !b.stopped {
		s := b.text.String()
		b.out.safe = s != "" && s[0] != '-' && (s[0] != '[' || closed && safeBracket(s))
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
