package policy

import (
	"slices"
	"strings"
)

// awkCall takes programs that print to standard output.
func awkCall(c *call) {
	s, err := readSpec("-F: -v: --field-separator= --assign=")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	s.first = true
	p, ok := c.parse(s, c.args)
	if !ok {
		return
	}
	if len(p.operands) == 0 {
		return
	}
	if v := p.operands[0]; v.kind != exact || !awkPrints(v.text) {
		c.cannot(v.span, "this awk program is not known to print only")
		return
	}
	for _, v := range p.operands[1:] {
		if v.kind == fields || strings.HasPrefix(v.text, "-") {
			c.cannot(v.span, "what awk reads here is not known beforehand")
			return
		}
		c.operand("file", v)
	}
}

// awkWords may not occur in a program: they run commands, read other files, or reach functions by name.
var awkWords = []string{"system", "getline", "close", "fflush", "ARGV", "ARGC", "ARGIND", "PROCINFO", "SYMTAB", "FUNCTAB", "extension"}

// awkBefore are the words before which nobody can tell a pattern from a division: keywords to some awks, names
// to others, and length, which needs no parentheses.
var awkBefore = strings.Fields("length case switch default func function next nextfile break continue delete BEGIN END BEGINFILE ENDFILE")

// awkPrints proves that an awk program neither runs commands nor writes files. It reads the program as tokens;
// where a slash could as well begin a pattern as divide, the program is not proven.
func awkPrints(program string) bool {
	a := awkReader{scanner: scanner{text: program}}
	for !a.done() {
		if !a.token() {
			return false
		}
	}
	return true
}

type awkReader struct {
	scanner
	printing bool // within a print statement, where > writes
	operand  bool // a value ends here, so that a slash divides
	unclear  bool // nobody can tell what a slash means here
}

// token reads one token; it gives false for what is not proven.
func (a *awkReader) token() bool {
	switch b := a.peek(); {
	case b == ' ' || b == '\t':
		a.next()
	case b == '#' || b == '@' || b == '\\' || b == '`':
		return false
	case b == '"':
		a.operand, a.unclear = true, false
		return a.quoted('"')
	case b == '/':
		return a.slash()
	case letter(b):
		return a.name()
	case b >= '0' && b <= '9' || b == '.' || b == '$':
		a.next()
		a.operand, a.unclear = b != '$', false
	default:
		return a.mark()
	}
	return true
}

// slash reads a division or a pattern.
func (a *awkReader) slash() bool {
	a.next()
	divides := a.operand
	a.operand = !divides
	if a.unclear {
		return false
	}
	return divides || a.awkPattern()
}

func (a *awkReader) name() bool {
	word := a.word()
	if slices.Contains(awkWords, word) {
		return false
	}
	if word == "print" || word == "printf" {
		a.printing = true
	}
	a.operand = !slices.Contains([]string{"print", "printf", "return", "in", "else", "do", "exit"}, word)
	a.unclear = slices.Contains(awkBefore, word)
	return true
}

func (a *awkReader) mark() bool {
	b := a.next()
	a.operand, a.unclear = b == ')' || b == ']', b == ')'
	switch b {
	case '|':
		return a.next() == '|'
	case '>':
		return !a.printing
	case ';', '{', '}': // not the end of the line: after a comma a statement goes on
		a.printing = false
	case '+', '-':
		if a.peek() == b {
			a.next()
			a.operand, a.unclear = true, true // x++ / y, or ++ before a pattern
		}
	}
	return true
}

func letter(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_'
}

func (s *scanner) word() string {
	start := s.pos
	for !s.done() && (letter(s.peek()) || s.peek() >= '0' && s.peek() <= '9') {
		s.pos++
	}
	return s.text[start:s.pos]
}

// quoted skips a string that begins here.
func (s *scanner) quoted(quote byte) bool {
	s.next()
	for !s.done() {
		switch s.next() {
		case '\\':
			s.next()
		case '\n':
			return false
		case quote:
			return true
		}
	}
	return false
}

// awkPattern skips a regular expression up to its slash.
func (s *scanner) awkPattern() bool {
	for !s.done() {
		switch s.next() {
		case '\\':
			s.next()
		case '\n':
			return false
		case '[':
			if !s.bracket('/') {
				return false
			}
		case '/':
			return true
		}
	}
	return false
}
