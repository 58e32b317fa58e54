package policy

import "strings"

// sedCall takes scripts that only print. The commands w, W, e, r, R, the flags w and e of s, -i, -s with a
// file and -f are not proven.
func sedCall(c *call) {
	s, err := readSpec("-nErsuz -e: --quiet --silent --regexp-extended --expression= --separate --unbuffered --null-data --posix --sandbox")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	p, ok := c.parse(s, c.args)
	if !ok {
		return
	}
	var scripts []word
	for _, g := range p.opts {
		if g.name == "e" || g.name == "expression" {
			scripts = append(scripts, g.value)
		}
	}
	files := p.operands
	if len(scripts) == 0 {
		if len(files) == 0 {
			return
		}
		scripts, files = files[:1], files[1:]
	}
	for _, v := range scripts {
		if v.kind != exact || !sedPrints(v.text) {
			c.cannot(v.span, "this sed script is not known to print only")
		}
	}
	c.operands(&parsed{operands: files}, "file", 0)
}

// sedPrints proves that a sed script does nothing but print.
func sedPrints(script string) bool {
	s := &scanner{text: script}
	for {
		s.skip(" \t\n;")
		if s.done() {
			return true
		}
		if !s.sedCommand() {
			return false
		}
	}
}

// scanner walks a short text.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) done() bool { return s.pos >= len(s.text) }

func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) next() byte {
	b := s.peek()
	s.pos++
	return b
}

func (s *scanner) skip(set string) {
	for !s.done() && strings.IndexByte(set, s.text[s.pos]) >= 0 {
		s.pos++
	}
}

func (s *scanner) sedCommand() bool {
	if !s.sedAddress() {
		return false
	}
	s.skip(" \t")
	if s.peek() == ',' {
		s.next()
		s.skip(" \t+~")
		if !s.sedAddress() {
			return false
		}
	}
	s.skip(" \t!")
	switch s.next() {
	case '{', '}':
		return true
	case 'p', 'P', 'd', 'D', '=', 'n', 'N', 'h', 'H', 'g', 'G', 'x', 'z':
		return s.sedEnd()
	case 'q', 'Q', 'l':
		s.skip(" 0123456789")
		return s.sedEnd()
	case 's':
		return s.sedSubstitute()
	case 'y':
		d := s.next()
		return s.sedTexts(d) && s.sedEnd()
	}
	return false // what is left: files, labels, text to insert, e
}

// sedEnd demands that a command ends here.
func (s *scanner) sedEnd() bool {
	s.skip(" \t")
	return s.done() || strings.IndexByte(";\n}", s.peek()) >= 0
}

func (s *scanner) sedAddress() bool {
	switch b := s.peek(); {
	case b >= '0' && b <= '9':
		s.skip("0123456789~")
	case b == '$':
		s.next()
	case b == '/':
		s.next()
		if !s.sedText('/') {
			return false
		}
		s.skip("I")
	case b == '\\':
		return false
	}
	return true
}

// sedText skips to behind the delimiter d.
func (s *scanner) sedText(d byte) bool {
	if d == 0 || d == '\\' || d == '\n' {
		return false
	}
	for !s.done() {
		switch b := s.next(); {
		case b == '\\':
			if s.next() == '\n' {
				return false
			}
		case b == '\n':
			return false
		case b == d:
			return true
		case b == '[' && !s.bracket(d):
			return false
		}
	}
	return false
}

// bracket skips a bracket expression, whose [ has been read. A delimiter or a backslash within it is read
// differently by different programs, so neither may stand there.
func (s *scanner) bracket(d byte) bool {
	if s.peek() == '^' {
		s.next()
	}
	if s.peek() == ']' {
		s.next()
	}
	for !s.done() {
		switch b := s.next(); {
		case b == d || b == '\\' || b == '\n':
			return false
		case b == ']':
			return true
		case b == '[' && strings.IndexByte(":.=", s.peek()) >= 0:
			kind := s.next()
			end := strings.Index(s.text[s.pos:], string([]byte{kind, ']'}))
			if end < 0 || strings.IndexByte(s.text[s.pos:s.pos+end], d) >= 0 {
				return false
			}
			s.pos += end + 2
		}
	}
	return false
}

// sedTexts skips what stands between three delimiters, of which the first has been read.
func (s *scanner) sedTexts(d byte) bool {
	if !s.sedText(d) {
		return false
	}
	return s.sedText(d)
}

func (s *scanner) sedSubstitute() bool {
	d := s.next()
	if d != '/' && d != '|' && d != ',' && d != '#' && d != ':' && d != '@' && d != '!' && d != '%' && d != '_' {
		return false
	}
	if !s.sedTexts(d) {
		return false
	}
	s.skip("gpiI0123456789")
	return s.sedEnd()
}
