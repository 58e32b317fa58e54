package policy

import (
	"fmt"
	"slices"
	"strings"
)

// program describes one program, or several that are used alike.
//
// Opts lists the options that keep it harmless, separated by blanks; every other option makes the call
// destructive, abbreviations of these included:
//
//	-abc      letters without a value, which may be clustered
//	-n:       a letter with a value, attached or the next word; -abn: are -a, -b and -n:
//	-p?       a letter with a value that is attached or missing
//	-#        a number: head -20, tail -20f
//	--all     a long option without a value
//	--name=   a long option with a value, attached or the next word
//	--name?   a long option with a value that is attached or missing
//
// After : = and ? may stand what the value is: path, file or number, as below. Without, it is text, which may be
// anything that the program does not evaluate.
//
// Operands says what the others are: "none", "text", "path" (looked up, never opened), "file" (opened and
// read), "number"; several: one after the other, the last for all that
// follow.
type program struct {
	names    string
	opts     string
	operands string
	most     int  // how many operands there may be; 0: any number
	loose    bool // no option or operand of it can do harm, so that words of unknown value may stand anywhere
	check    func(*call, *parsed)
	run      func(*call) // in the place of all of the above

	spec *spec
}

type option struct {
	takes value
	kind  string
}

type value int

const (
	takesNone value = iota
	takesValue
	takesAttached
)

// spec is a program's options, read.
type spec struct {
	short  [128]*option
	long   map[string]*option
	number bool
	first  bool // options end at the first operand: wrappers
	loose  bool
}

func readSpec(opts string) (*spec, error) {
	s := &spec{long: map[string]*option{"help": {}, "version": {}}}
	for _, token := range strings.Fields(opts) {
		o := &option{}
		name := token
		if i := strings.IndexAny(token, ":=?"); i > 1 {
			name, o.kind = token[:i], token[i+1:]
			o.takes = takesValue
			if token[i] == '?' {
				o.takes = takesAttached
			}
		}
		switch {
		case token == "-#":
			s.number = true
		case strings.HasPrefix(name, "--"):
			s.long[name[2:]] = o
		case strings.HasPrefix(name, "-") && len(name) > 1:
			for i, c := range []byte(name[1:]) {
				if s.short[c] != nil {
					return nil, fmt.Errorf("option -%c is listed twice", c)
				}
				s.short[c] = &option{}
				if i == len(name)-2 {
					s.short[c] = o
				}
			}
		default:
			return nil, fmt.Errorf("option %q is not understood", token)
		}
	}
	return s, nil
}

// parsed is a call's arguments, told apart.
type parsed struct {
	opts     []given
	operands []word
}

type given struct {
	name  string // "n" or "name"
	value word
	span  span
}

func (p *parsed) has(names ...string) bool { return len(p.all(names...)) > 0 }

// all gives every occurrence: which of several counts is the program's affair, so each must be harmless.
func (p *parsed) all(names ...string) []given {
	var out []given
	for _, g := range p.opts {
		if slices.Contains(names, g.name) {
			out = append(out, g)
		}
	}
	return out
}

// parse tells options from operands. It reports what is not known and then gives false.
func (c *call) parse(s *spec, args []word) (*parsed, bool) {
	p := &parsed{}
	ok := true
	for i := 0; i < len(args); i++ {
		v := args[i]
		if s.loose && (v.kind != exact || v.tilde) {
			continue
		}
		switch {
		case v.kind == fields:
			c.destructive(v.span, "unknown-value", "the value is not known beforehand, and unquoted it can become options")
			ok = false
		case v.is("--"):
			p.operands = append(p.operands, args[i+1:]...)
			return p, c.single(args[i+1:]) && ok
		case !v.dash() || v.is("-"):
			if s.first {
				p.operands = append(p.operands, args[i:]...)
				return p, ok
			}
			p.operands = append(p.operands, v)
		case v.kind == glob:
			c.destructive(v.span, "glob", "the pattern can match a name that is an option; write ./%s", v.text)
			ok = false
		case v.kind == prefix && !strings.HasPrefix(v.text, "-"):
			c.destructive(v.span, "unknown-value", "the value is not known beforehand, and can be an option; write -- before it")
			ok = false
		default:
			used, fine := c.option(s, p, args, i)
			i += used
			ok = ok && fine
		}
	}
	return p, ok
}

// single reports words that may become any number of fields.
func (c *call) single(words []word) bool {
	for _, v := range words {
		if v.kind == fields {
			c.destructive(v.span, "unknown-value", "the value is not known beforehand, and unquoted it can be any number of words")
			return false
		}
	}
	return true
}

// option reads the option word args[i]. It gives how many further words it takes.
func (c *call) option(s *spec, p *parsed, args []word, i int) (used int, ok bool) {
	v := args[i]
	if strings.HasPrefix(v.text, "--") {
		return c.longOption(s, p, args, i)
	}
	letters := v.text[1:]
	if s.number && v.kind == exact && strings.Trim(strings.TrimSuffix(letters, "f"), "0123456789") == "" && letters != "f" {
		return 0, true
	}
	for k := 0; k < len(letters); k++ {
		o := (*option)(nil)
		if letters[k] < 128 {
			o = s.short[letters[k]]
		}
		if o == nil {
			return 0, c.unknownOption(v, "-"+letters[k:k+1])
		}
		g := given{name: letters[k : k+1], span: v.span}
		if o.takes == takesNone {
			p.opts = append(p.opts, g)
			continue
		}
		rest := v
		rest.text, rest.raw = letters[k+1:], origin{fixed: v.span}
		if v.raw.exact {
			rest.raw.exact, rest.raw.base = true, v.raw.base+k+2
		}
		if rest.text != "" || v.kind == prefix || o.takes == takesAttached {
			g.value = rest
			p.opts = append(p.opts, g)
			return 0, c.value(o, rest)
		}
		return c.nextValue(o, g, p, args, i)
	}
	if v.kind == prefix {
		c.destructive(v.span, "unknown-value", "the value is not known beforehand, and can hold options")
		return 0, false
	}
	return 0, true
}

func (c *call) longOption(s *spec, p *parsed, args []word, i int) (used int, ok bool) {
	v := args[i]
	name, attached, hasValue := strings.Cut(v.text[2:], "=")
	o := s.long[name]
	if o == nil || v.kind == prefix && !hasValue {
		return 0, c.unknownOption(v, "--"+name)
	}
	g := given{name: name, span: v.span}
	switch {
	case hasValue && o.takes == takesNone:
		return 0, c.unknownOption(v, "--"+name+"=")
	case hasValue:
		g.value = v
		g.value.text, g.value.raw = attached, origin{fixed: v.span}
		if v.raw.exact {
			g.value.raw.exact, g.value.raw.base = true, v.raw.base+len(v.text)-len(attached)
		}
		p.opts = append(p.opts, g)
		return 0, c.value(o, g.value)
	case o.takes == takesValue:
		return c.nextValue(o, g, p, args, i)
	}
	p.opts = append(p.opts, g)
	return 0, true
}

// nextValue takes the word after an option for its value.
func (c *call) nextValue(o *option, g given, p *parsed, args []word, i int) (used int, ok bool) {
	if i+1 >= len(args) {
		return 0, true // the program will complain
	}
	next := args[i+1]
	if next.num && !next.one && i+2 == len(args) {
		p.operands = append(p.operands, next) // ps -p $(pidof mysqld): what is more than one number comes last
	} else if next.kind == fields || next.kind == glob && !next.one {
		c.destructive(next.span, "unknown-value", "this can become several words, and the second an option")
		return 1, false
	}
	if next.kind != glob && strings.HasPrefix(next.text, "-") && len(next.text) > 1 && (next.text[1] < '0' || next.text[1] > '9') {
		// A program whose option takes a value only at times would see an option here.
		c.destructive(next.span, "unknown-value", "whether this is a value or an option is not certain; attach it to the option")
		return 1, false
	}
	g.value = next
	p.opts = append(p.opts, g)
	return 1, c.value(o, next)
}

func (c *call) unknownOption(v word, name string) bool {
	c.destructive(v.span, "unknown-option", "%s %s is not known to be harmless", c.name.text, name)
	return false
}

// value holds an option's value against its kind.
func (c *call) value(o *option, v word) bool {
	if o.kind == "" {
		return true
	}
	before := c.class
	c.operand(o.kind, v)
	return c.class == before
}

// operands holds the operands against their description.
func (c *call) operands(p *parsed, kinds string, most int) {
	list := strings.Fields(kinds)
	if most > 0 && len(p.operands) > most {
		c.cannot(p.operands[most].span, "%s with more than %d operand(s) is not known to be harmless", c.name.text, most)
		return
	}
	for i, v := range p.operands {
		kind := list[min(i, len(list)-1)]
		if v.kind == glob && !v.one {
			if most > 0 {
				c.cannot(v.span, "the pattern can become several operands")
				continue
			}
			for _, next := range list[min(i, len(list)-1):] {
				c.operand(next, v) // its second name stands where the next operand should
			}
			continue
		}
		c.operand(kind, v)
	}
}

// oneOperand is operand for what must be a single word: a second one would mean something else.
func (c *call) oneOperand(kind string, v word) {
	if v.kind == glob && !v.one {
		c.cannot(v.span, "this can become several operands")
		return
	}
	c.operand(kind, v)
}

func (c *call) operand(kind string, v word) {
	why := ""
	switch kind {
	case "text":
	case "path":
		why = findable(v)
	case "none":
		why = fmt.Sprintf("%s with operands is not known to be harmless", c.name.text)
	case "number":
		if v.kind == prefix || v.kind == exact && (v.text == "" || strings.Trim(v.text, "0123456789.") != "") {
			why = fmt.Sprintf("%s takes plain numbers only to be known as harmless", c.name.text)
		}
	case "file":
		if why = readable(v); why == "" && c.anyDir && !strings.HasPrefix(v.text, "/") && !v.is("-") {
			why = "which directory this is read in is not known"
		}
	default:
		why = fmt.Sprintf("operands of kind %q are not understood", kind)
	}
	if why != "" {
		c.destructive(v.span, "operand", "%s", why)
	}
}
