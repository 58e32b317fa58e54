package policy

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

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
