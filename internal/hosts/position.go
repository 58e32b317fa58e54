package hosts

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The TOML library decodes, and this finds where things stand: the library has no positions for keys that
// decode well, and stops at the first duplicate. A text that the library takes is indexed right; any other
// text gives some index and no panic.

// maxNesting bounds arrays and inline tables within each other; the format needs three.
const maxNesting = 100

// index knows where each key and value of a TOML text begins, by path: the keys, and for elements of
// arrays their number, joined by pathSep.
type index struct {
	text   string
	lines  []int          // offset of each line
	keys   map[string]int // path → offset of its key, where it was first written
	values map[string]int // path → offset of its value; tables made by headers have none
	dups   []duplicate
	stmts  []int // offset of each statement at the top: a header, or key = value
}

// duplicate is a key or a table header that was there before.
type duplicate struct {
	path       string
	off        int // of the second key
	start, end int // what to leave out so that the text decodes
}

const pathSep = "\x00" // no TOML text may hold it

func join(path ...string) string { return strings.Join(path, pathSep) }

// newIndex reads the whole text.
func newIndex(text string) *index {
	ix := &index{text: text, keys: map[string]int{}, values: map[string]int{}, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			ix.lines = append(ix.lines, i+1)
		}
	}
	s := &scanner{ix: ix, text: text, tables: map[string]bool{}, counts: map[string]int{}, dupHeader: -1}
	s.run()
	return ix
}

// line and column of a byte offset, both from 1; columns count characters.
func (ix *index) position(off int) (line, col int) {
	line = sort.SearchInts(ix.lines, off+1)
	return line, 1 + runes(ix.text[ix.lines[line-1]:], off-ix.lines[line-1])
}

// key gives the offset of the key at path, or of its nearest parent's.
func (ix *index) key(path string) int { return nearest(ix.keys, path) }

// value gives the offset of the value at path; for a table that a header made, that of its key.
func (ix *index) value(path string) int {
	if off, ok := ix.values[path]; ok {
		return off
	}
	return ix.key(path)
}

func nearest(offsets map[string]int, path string) int {
	for {
		if off, ok := offsets[path]; ok {
			return off
		}
		i := strings.LastIndex(path, pathSep)
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
}

// inside gives the offset of byte off of the string value at path, whose decoded text is s: exact when the
// string is written on one line without escapes, else where the value begins.
func (ix *index) inside(path, s string, off int) int {
	start := ix.value(path)
	rest := ix.text[min(start, len(ix.text)):]
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') && strings.HasPrefix(rest[1:], s+rest[:1]) {
		return start + 1 + min(off, len(s))
	}
	return start
}

// scanner walks a TOML text.
type scanner struct {
	ix        *index
	text      string
	off       int
	table     string          // path of the current header, "" at the top
	tables    map[string]bool // tables that a header has made
	counts    map[string]int  // arrays of tables: how many there are
	dupHeader int             // index in ix.dups of the table being walked, -1 when it is none
}

func (s *scanner) run() {
	if strings.HasPrefix(s.text, "\ufeff") {
		s.off = len("\ufeff")
	}
	for {
		s.skipBlank()
		if s.off >= len(s.text) {
			break
		}
		before := s.off
		s.ix.stmts = append(s.ix.stmts, before)
		if s.text[s.off] == '[' {
			s.header()
		} else {
			s.keyValue(s.table, 0)
		}
		s.skipLine()
		if s.off == before {
			s.off++
		}
	}
	s.endDuplicate(len(s.text))
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() {
	start := s.off
	s.endDuplicate(start)
	s.off++
	isArray := s.off < len(s.text) && s.text[s.off] == '['
	if isArray {
		s.off++
	}
	parts, offs := s.dottedKey()
	path := ""
	for i, p := range parts {
		path = child(path, p)
		s.seen(path, offs[i])
		if i == len(parts)-1 {
			break
		}
		if n := s.counts[path]; n > 0 { // a table within the last element
			path = child(path, strconv.Itoa(n-1))
		}
	}
	switch {
	case path == "":
	case isArray:
		s.counts[path]++
		path = child(path, strconv.Itoa(s.counts[path]-1))
		s.seen(path, offs[len(offs)-1])
	case s.tables[path]:
		s.dupHeader = len(s.ix.dups)
		s.ix.dups = append(s.ix.dups, duplicate{path: path, off: offs[len(offs)-1], start: start})
		path = child(path, "duplicate at "+strconv.Itoa(start))
	default:
		s.tables[path] = true
	}
	s.table = path
}

// endDuplicate closes a table that is left out as a whole.
func (s *scanner) endDuplicate(at int) {
	if s.dupHeader >= 0 {
		s.ix.dups[s.dupHeader].end = at
		s.dupHeader = -1
	}
}

// keyValue reads a.b = value under path.
func (s *scanner) keyValue(path string, depth int) {
	start := s.off
	parts, offs := s.dottedKey()
	if len(parts) == 0 {
		return
	}
	for i, p := range parts {
		path = child(path, p)
		if _, was := s.ix.values[path]; was && i == len(parts)-1 && depth == 0 && s.dupHeader < 0 {
			s.ix.dups = append(s.ix.dups, duplicate{path: path, off: offs[i], start: start})
			path = child(path, "duplicate at "+strconv.Itoa(start))
			defer func(n int) { s.ix.dups[n].end = s.off }(len(s.ix.dups) - 1)
		}
		s.seen(path, offs[i])
	}
	s.skipSpace()
	if s.off >= len(s.text) || s.text[s.off] != '=' {
		return
	}
	s.off++
	s.skipSpace()
	s.value(path, depth)
}

func (s *scanner) seen(path string, off int) {
	if _, ok := s.ix.keys[path]; !ok {
		s.ix.keys[path] = off
	}
}

// dottedKey reads the parts of a key and their offsets.
func (s *scanner) dottedKey() (parts []string, offs []int) {
	for {
		s.skipSpace()
		start := s.off
		if s.off < len(s.text) && (s.text[s.off] == '"' || s.text[s.off] == '\'') {
			s.quoted()
		} else {
			for s.off < len(s.text) && (alnum(rune(s.text[s.off])) || s.text[s.off] == '_' || s.text[s.off] == '-') {
				s.off++
			}
		}
		if s.off == start {
			return parts, offs
		}
		parts, offs = append(parts, unquote(s.text[start:s.off])), append(offs, start)
		s.skipSpace()
		if s.off >= len(s.text) || s.text[s.off] != '.' {
			return parts, offs
		}
		s.off++
	}
}

// value reads one value.
func (s *scanner) value(path string, depth int) {
	s.ix.values[path] = s.off
	if s.off >= len(s.text) || depth > maxNesting {
		return
	}
	switch s.text[s.off] {
	case '"', '\'':
		s.quoted()
	case '[':
		s.bracketed(']', func(n int) { s.value(child(path, strconv.Itoa(n)), depth+1) })
	case '{':
		s.bracketed('}', func(int) { s.keyValue(path, depth+1) })
	default:
		for s.off < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.off])) {
			s.off++
		}
	}
}

// bracketed reads the items of an array or an inline table; item reads the n-th.
func (s *scanner) bracketed(closing byte, item func(n int)) {
	s.off++
	for n := 0; ; n++ {
		s.skipBlank()
		if s.off >= len(s.text) {
			return
		}
		if s.text[s.off] == closing {
			s.off++
			return
		}
		before := s.off
		item(n)
		s.skipBlank()
		if s.off < len(s.text) && s.text[s.off] == ',' {
			s.off++
		} else if s.off == before {
			return // not TOML
		}
	}
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	q := s.text[s.off]
	if triple := strings.Repeat(string(q), 3); strings.HasPrefix(s.text[s.off:], triple) {
		s.off += 3
		for s.off < len(s.text) && !strings.HasPrefix(s.text[s.off:], triple) {
			s.off += s.escape(q)
		}
		for n := 0; n < 5 && s.off < len(s.text) && s.text[s.off] == q; n++ { // two quotes may stand before the end
			s.off++
		}
		return
	}
	s.off++
	for s.off < len(s.text) && s.text[s.off] != q && s.text[s.off] != '\n' {
		s.off += s.escape(q)
	}
	if s.off < len(s.text) && s.text[s.off] == q {
		s.off++
	}
}

// escape is the length of the next character of a string quoted with q, an escaped one being two bytes.
func (s *scanner) escape(q byte) int {
	if q == '"' && s.text[s.off] == '\\' && s.off+1 < len(s.text) {
		return 2
	}
	return 1
}

func (s *scanner) skipSpace() {
	for s.off < len(s.text) && (s.text[s.off] == ' ' || s.text[s.off] == '\t') {
		s.off++
	}
}

func (s *scanner) skipLine() {
	if i := strings.IndexByte(s.text[s.off:], '\n'); i >= 0 {
		s.off += i
	} else {
		s.off = len(s.text)
	}
}

// skipBlank skips white space, line ends and comments.
func (s *scanner) skipBlank() {
	for s.off < len(s.text) {
		switch s.text[s.off] {
		case ' ', '\t', '\r', '\n':
			s.off++
		case '#':
			s.skipLine()
		default:
			return
		}
	}
}

func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + pathSep + key
}

// unquote gives the text of a key as written.
func unquote(raw string) string {
	switch {
	case len(raw) >= 2 && raw[0] == '\'':
		return raw[1 : len(raw)-1]
	case len(raw) >= 2 && raw[0] == '"':
		if s, err := strconv.Unquote(raw); err == nil && utf8.ValidString(s) {
			return s
		}
		return raw[1 : len(raw)-1]
	}
	return raw
}
