package policy

import (
	"fmt"
	"slices"
	"strings"

	"interlock/checks"
)

// Rule is one [[command]] of hosts.toml: the house's word on a command of its own.
//
// A rule decides for the simple command that it matches, in the place of what is built in: it raises a reader
// that the house wants kept away from live hosts as well as it lowers a program that is not known. It matches
// words that are literals only, so it never vouches for an expansion; and a redirection that writes or an
// assignment beside the command weighs in all the same. Where several match, the strictest counts.
type Rule struct {
	Match     string // words; * stands for one word, ** for the rest
	Class     checks.Class
	OnUnknown bool   // routine only: runs where the check cannot see
	Origin    string // file:line
}

type rule struct {
	Rule
	words []string
	rest  bool // the match ended in **
}

// runsCode are the programs whose operands are code: a rule that lowers them would vouch for any code.
var runsCode = []string{"sh", "bash", "dash", "ash", "ksh", "zsh", "fish", "eval", "exec", ".", "source", "builtin", "perl", "python", "python3", "ruby"}

func compileRule(r Rule) (rule, error) {
	fail := func(format string, args ...any) (rule, error) {
		return rule{}, fmt.Errorf("%s: command %q: %s", r.Origin, r.Match, fmt.Sprintf(format, args...))
	}
	words := strings.Fields(r.Match)
	if len(words) == 0 {
		return fail("match is empty")
	}
	out := rule{Rule: r, words: words}
	if words[len(words)-1] == "**" {
		out.words, out.rest = words[:len(words)-1], true
	}
	for i, word := range out.words {
		switch {
		case word == "**":
			return fail("** stands for the rest and must be the last word")
		case i > 0 && word == "*":
		case strings.Contains(word, "*"):
			return fail("a star stands for a whole word, and never for the program: %q", word)
		case strings.ContainsAny(word, "$`\"'\\;|&<>(){}?!~#"):
			return fail("%q is not a plain word: match has words, not shell syntax", word)
		}
	}
	if len(out.words) == 0 {
		return fail("it must name the program")
	}
	switch r.Class {
	case checks.Routine, checks.Disruptive, checks.Destructive:
	default:
		return fail("class %s cannot be declared: what only reads is proven; use routine", r.Class)
	}
	if r.OnUnknown && r.Class != checks.Routine {
		return fail("on_unknown goes with class routine only")
	}
	if r.Class < checks.Destructive && slices.Contains(runsCode, baseName(out.words[0])) {
		return fail("%s runs the code that it is given: name the script instead", out.words[0])
	}
	if r.Class < checks.Destructive && out.wild() && runsOthers[baseName(out.words[0])] {
		return fail("%s runs other commands: name the command that it runs; %s before it makes no difference", out.words[0], out.words[0])
	}
	return out, nil
}

// runsOthers are the wrappers: what they run is matched by itself.
var runsOthers = words(`sudo su runuser env nice ionice nohup setsid stdbuf timeout time command xargs ssh watch find taskset`)

// wild tells whether the match leaves words open.
func (r rule) wild() bool { return r.rest || slices.Contains(r.words, "*") }

// fit is how a rule fits a command.
type fit int

const (
	fitNo    fit = iota
	fitMaybe     // depends on a word whose value is not known
	fitYes
)

func (r rule) fits(words []word) fit {
	best := fitYes
	for i, pattern := range r.words {
		if i >= len(words) {
			return fitNo
		}
		v := words[i]
		switch {
		case v.kind == fields:
			return fitMaybe // may become any number of words
		case v.kind != exact || v.tilde:
			best = fitMaybe
		case pattern == "*" || v.text == pattern:
		case i == 0 && trustedProgram(v.text) == pattern:
		default:
			return fitNo
		}
	}
	rest := words[len(r.words):]
	if len(rest) > 0 && !r.rest && rest[0].kind != fields {
		return fitNo
	}
	for _, v := range rest {
		if v.kind != exact || v.tilde {
			best = fitMaybe
		}
	}
	return best
}

// house gives the class that the house's rules give a simple command. Sure is false when no rule is known to
// match; then class is the worst of the rules that may match.
func (c *Classifier) house(words []word) (class checks.Class, best *rule, sure bool) {
	for i := range c.rules {
		r := &c.rules[i]
		switch r.fits(words) {
		case fitYes:
			// On equal classes the rule without on_unknown is the stricter one.
			if !sure || r.Class > class || r.Class == class && !r.OnUnknown {
				class, best = r.Class, r
			}
			sure = true
		case fitMaybe:
			if !sure && r.Class >= class {
				class, best = r.Class, r
			}
		}
	}
	return class, best, sure
}
