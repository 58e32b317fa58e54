package hosts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxFileBytes bounds hosts.toml. 100,000 hosts with five keys each take about 12 MB.
const maxFileBytes = 16 << 20

// maxSyntaxErrors bounds how often a text with syntax errors is read again behind the last one.
const maxSyntaxErrors = 20

// FileError is one thing wrong in hosts.toml.
type FileError struct {
	File      string
	Line, Col int // from 1; Col counts characters
	Text      string
	Remedy    string
}

// Error gives "file:line:col: text; remedy".
func (e *FileError) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Text)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Load reads an inventory; path "" gives one that holds the built-in defaults alone. The error joins a
// *FileError for everything wrong in the file, in the order of the file: unknown and duplicate keys, wrong
// types, values out of bounds, bad sets, groups that refer to each other in a circle. Syntax errors hide
// the others, since what a broken text means cannot be told.
func Load(path string) (*Inventory, error) {
	if path == "" {
		l := &loader{}
		l.start("", "")
		return l.inv, nil
	}
	text, err := readFile(path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return parse(path, text)
}

// readFile reads a file of at most most bytes. A pipe will do (^<(command) in bash), so its size cannot be
// asked before.
func readFile(path string, most int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", err
	}
	if int64(len(text)) > most {
		return "", fmt.Errorf("%s has more than %d MB", path, most>>20)
	}
	return string(text), nil
}

// parse makes an inventory of the text of a file.
func parse(path, text string) (*Inventory, error) {
	l := &loader{}
	l.start(path, text)
	root := l.decode()
	if l.syntax {
		return nil, l.failed()
	}
	l.root(root)
	l.resolve()
	if len(l.errs) > 0 {
		return nil, l.failed()
	}
	return l.inv, nil
}

// loader turns one text into an inventory and collects what is wrong with it.
type loader struct {
	inv    *Inventory
	ix     *index
	errs   []*FileError
	syntax bool // the text is no TOML: nothing else can be said of it

	sets     map[string]*namedSet // groups and clusters by name
	clusters []clusterText
}

func (l *loader) start(path, text string) {
	l.inv = &Inventory{
		Path:     path,
		Defaults: builtinDefaults(),
		Hosts:    map[string]Host{},
		Groups:   map[string][]string{},
		Clusters: map[string]Cluster{},
		Critical: shippedCritical(),
		spelling: map[string]string{},
		members:  map[string][]string{},
	}
	l.ix = newIndex(text)
	l.sets = map[string]*namedSet{}
}

// fail notes an error at a byte offset of the text.
func (l *loader) fail(off int, remedy, format string, args ...any) {
	line, col := l.ix.position(off)
	l.errs = append(l.errs, &FileError{
		File: l.inv.Path, Line: line, Col: col,
		Text: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

// failed joins the errors in the order of the file.
func (l *loader) failed() error {
	sort.SliceStable(l.errs, func(i, j int) bool {
		a, b := l.errs[i], l.errs[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		if a.Col != b.Col {
			return a.Col < b.Col
		}
		return a.Text < b.Text
	})
	all := make([]error, len(l.errs))
	for i, e := range l.errs {
		all[i] = e
	}
	return errors.Join(all...)
}

// decode reads the text into loose types. It reports duplicates, and leaves them out to find what else is
// wrong.
func (l *loader) decode() map[string]any {
	text := l.ix.text
	if !l.checkEncoding(text) {
		l.syntax = true
		return nil
	}
	for _, d := range l.ix.dups {
		line, _ := l.ix.position(l.ix.key(d.path))
		l.fail(d.off, "keep one of them", "%s is there already, on line %d", dotted(d.path), line)
		text = blank(text, d.start, d.end)
	}
	last := -1
	for range maxSyntaxErrors {
		var root map[string]any
		_, err := toml.Decode(text, &root)
		if err == nil {
			return root
		}
		l.syntax = true
		var pe toml.ParseError
		if !errors.As(err, &pe) {
			l.fail(0, "", "%v", err)
			return nil
		}
		off := l.syntaxOffset(text, pe)
		if off <= last {
			return nil // the same again, or an echo of it
		}
		last = off
		l.fail(off, "mend it: what else is wrong shows after that", "%s", pe.Message)
		start, end, alone := l.statement(text, off)
		if !alone {
			return nil
		}
		text = blank(text, start, end)
	}
	return nil
}

// syntaxOffset is where the library saw an error. It does not count a byte order mark, and when it misses
// something at the end of a line it points behind the line.
func (l *loader) syntaxOffset(text string, pe toml.ParseError) int {
	off := pe.Position.Start
	if strings.HasPrefix(text, "\ufeff") {
		off += len("\ufeff")
	}
	off = max(0, min(off, len(text)))
	if off > 0 && text[off-1] == '\n' && strings.Contains(pe.Message, `'\n'`) {
		off--
	}
	return off
}

// statement finds the line with a syntax error. It is alone when leaving it out leaves the rest as it was
// meant: it is a key with its value, begun on that line.
func (l *loader) statement(text string, off int) (start, end int, alone bool) {
	line, _ := l.ix.position(off)
	start, end = l.ix.lines[line-1], len(text)
	if line < len(l.ix.lines) {
		end = l.ix.lines[line]
	}
	i := sort.SearchInts(l.ix.stmts, start)
	begun := i < len(l.ix.stmts) && l.ix.stmts[i] < end
	return start, end, begun && text[l.ix.stmts[i]] != '['
}

// blank replaces text by spaces and keeps its lines.
func blank(text string, start, end int) string {
	b := []byte(text)
	for i := start; i < end; i++ {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// checkEncoding reports a text that is not UTF-8, once.
func (l *loader) checkEncoding(text string) bool {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		l.fail(0, "save it as UTF-8", "the file is UTF-16")
		return false
	}
	for off := 0; off < len(text); {
		r, size := utf8.DecodeRuneInString(text[off:])
		if r == utf8.RuneError && size == 1 {
			l.fail(off, "save the file as UTF-8", "byte 0x%02x is not UTF-8", text[off])
			return false
		}
		if r == 0 {
			l.fail(off, "save the file as plain UTF-8 text", "a NUL byte")
			return false
		}
		off += size
	}
	return true
}

// dotted writes a path for people; parts that need quotes get them.
func dotted(path string) string {
	parts := strings.Split(path, pathSep)
	for i, p := range parts {
		bare := p != ""
		for _, r := range p {
			bare = bare && (alnum(r) || r == '_' || r == '-')
		}
		if !bare {
			parts[i] = fmt.Sprintf("%q", p)
		}
	}
	return strings.Join(parts, ".")
}

// folder is what relative paths of the file are relative to.
func (l *loader) folder() string {
	dir, err := filepath.Abs(filepath.Dir(l.inv.Path))
	if err != nil {
		return filepath.Dir(l.inv.Path)
	}
	return dir
}
