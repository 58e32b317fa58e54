package hosts

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode"
)

// table is one table of the file while it is walked. Each getter takes its key out, so that what is left
// at the end is unknown.
type table struct {
	l    *loader
	path string
	show string // path for people: without the numbers of array elements
	vals map[string]any
	know []string // keys asked for
}

// names gives the keys of a table, in the order of the file.
func (t *table) names() []string {
	names := make([]string, 0, len(t.vals))
	for n := range t.vals {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := t.l.ix.key(child(t.path, names[i])), t.l.ix.key(child(t.path, names[j]))
		return a < b || a == b && names[i] < names[j]
	})
	return names
}

func (t *table) has(key string) bool {
	_, ok := t.vals[key]
	return ok
}

// blank tells whether the value of key is a string of white space.
func (t *table) blank(key string) bool {
	s, ok := t.vals[key].(string)
	return ok && strings.TrimSpace(s) == ""
}

// take notes that key is known and gives its value.
func (t *table) take(key string) (any, bool) {
	t.know = append(t.know, key)
	v, ok := t.vals[key]
	return v, ok
}

func (t *table) wrong(key, remedy, format string, args ...any) {
	t.l.fail(t.l.ix.value(child(t.path, key)), remedy, format, args...)
}

func (t *table) fault(key, s string, f *fault) {
	t.l.fail(t.l.ix.inside(child(t.path, key), s, f.off), f.remedy, "%s", f.text)
}

func (t *table) missing(key, example string) {
	t.l.fail(t.l.ix.key(t.path), "write "+example, "%s is missing", key)
}

func (t *table) wrongType(key string, got any, want string) {
	t.wrong(key, "write "+want, "%s is %s", key, typeWord(got))
}

func typeWord(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", v)
}

// table gives the table under key, nil when there is none.
func (t *table) table(key string) *table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	vals, ok := v.(map[string]any)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("[%s]", dotted(child(t.path, key))))
		return nil
	}
	return &table{l: t.l, path: child(t.path, key), show: child(t.show, key), vals: vals}
}

// tables gives the array of tables under key.
func (t *table) tables(key string) []*table {
	v, ok := t.take(key)
	if !ok {
		return nil
	}
	want := fmt.Sprintf("[[%s]]", key)
	var elements []any
	switch list := v.(type) {
	case []map[string]any:
		for _, vals := range list {
			elements = append(elements, vals)
		}
	case []any:
		elements = list
	default:
		t.wrongType(key, v, want)
		return nil
	}
	var out []*table
	for i, e := range elements {
		p := join(key, fmt.Sprint(i))
		vals, ok := e.(map[string]any)
		if !ok {
			t.l.fail(t.l.ix.value(p), "write "+want, "an element of %s is %s", key, typeWord(e))
			continue
		}
		out = append(out, &table{l: t.l, path: p, show: key, vals: vals})
	}
	return out
}

// text gives a string; one that is there must not be empty or hold control characters.
func (t *table) text(key string) string {
	v, ok := t.take(key)
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("%s = \"…\"", key))
		return ""
	}
	if strings.TrimSpace(s) == "" && key != "match" {
		t.wrong(key, "give it a value, or leave the line out", "%s is empty", key)
		return ""
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		t.fault(key, s, newFault(i, fmt.Sprintf("control character in %s %q", key, s), "leave it out"))
		return ""
	}
	return s
}

func (t *table) user(key, otherwise string) string {
	s := t.text(key)
	if s == "" {
		return otherwise
	}
	if f := checkUser(s); f != nil {
		t.fault(key, s, f)
	}
	return s
}

// file gives the path of a file on this machine: absolute, under ~/, or relative to the inventory.
func (t *table) file(key string) string {
	s := t.text(key)
	switch {
	case s == "" || filepath.IsAbs(s):
		return s
	case strings.HasPrefix(s, "~/"):
		home, err := os.UserHomeDir()
		if err != nil {
			t.wrong(key, "write an absolute path", "%s %q: %v", key, s, err)
			return s
		}
		return filepath.Join(home, s[2:])
	case strings.HasPrefix(s, "~"):
		t.wrong(key, "write ~/ or an absolute path", "%s %q is in another user's home", key, s)
	}
	return filepath.Join(t.l.folder(), s)
}

// absolute gives a path on the hosts.
func (t *table) absolute(key string) string {
	s := t.text(key)
	if s == "" {
		return s
	}
	if !path.IsAbs(s) {
		t.wrong(key, "write an absolute path", "%s %q is a path on the hosts and not absolute", key, s)
		return s
	}
	return path.Clean(s)
}

func (t *table) boolean(key string, otherwise bool) bool {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	b, ok := v.(bool)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("%s = true or false, without quotes", key))
		return otherwise
	}
	return b
}

func (t *table) scope(key string, otherwise Scope) Scope {
	switch s := Scope(t.text(key)); s {
	case "":
		return otherwise
	case ScopeListed, ScopeAll:
		return s
	default:
		t.wrong(key, fmt.Sprintf("write %q or %q", ScopeListed, ScopeAll), "%s %q is not known", key, s)
		return otherwise
	}
}

func (t *table) number(key string, otherwise, least, most int) int {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	n, ok := v.(int64)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("%s = %d, without quotes", key, max(least, min(most, otherwise))))
		return otherwise
	}
	if n < int64(least) || n > int64(most) {
		t.wrong(key, fmt.Sprintf("write %d to %d", least, most), "%s %d is out of bounds", key, n)
		return otherwise
	}
	return int(n)
}

func (t *table) duration(key string, otherwise, least, most time.Duration) time.Duration {
	v, ok := t.take(key)
	if !ok {
		return otherwise
	}
	s, ok := v.(string)
	if !ok {
		t.wrongType(key, v, fmt.Sprintf("%s = %q", key, short(otherwise)))
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.wrong(key, fmt.Sprintf("write a number and a unit, such as %q", short(otherwise)), "%s %q is no duration", key, s)
		return otherwise
	}
	if d < least || d > most {
		t.wrong(key, fmt.Sprintf("write %q to %q", short(least), short(most)), "%s %q is out of bounds", key, s)
		return otherwise
	}
	return d
}

// short writes a duration without the zeros at its end: 15m, not 15m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// done reports the keys that nobody asked for.
func (t *table) done() {
	for _, key := range t.names() {
		known := false
		for _, k := range t.know {
			known = known || k == key
		}
		if known {
			continue
		}
		p := child(t.path, key)
		remedy := "known are " + strings.Join(t.know, ", ")
		if near := nearestWord(key, t.know); near != "" {
			remedy = fmt.Sprintf("did you mean %s?", near)
		}
		if name := dottedName(key, t.vals[key]); name != "" && strings.HasPrefix(t.path, "hosts"+pathSep) {
			remedy = fmt.Sprintf("put a name with dots in quotes: [hosts.%q]", strings.TrimPrefix(t.path, "hosts"+pathSep)+"."+name)
		}
		t.l.fail(t.l.ix.key(p), remedy, "key %s is not known", dotted(child(t.show, key)))
	}
}

// dottedName gives the rest of a name with dots that was written without quotes, and so became tables in
// tables: "example.com" of [hosts.db1.example.com]. It is "" when v is no table.
func dottedName(key string, v any) string {
	inner, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	if len(inner) == 1 {
		for k, v := range inner {
			if rest := dottedName(k, v); rest != "" {
				return key + "." + rest
			}
		}
	}
	return key
}
