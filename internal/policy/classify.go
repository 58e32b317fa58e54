package policy

import (
	"fmt"
	"path"
	"strings"
	"sync"

	"interlock/checks"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of the proof. Beyond them a command is destructive, which keeps the time for hostile input short.
const (
	maxCommandBytes = 64 << 10 // no command that a person reads is longer; checks.MaxCommandBytes bounds the wire
	maxDepth        = 40       // nested statements, substitutions, wrappers and sh -c
	maxSteps        = 20_000   // simple commands and words looked at, loop bodies counted once for each item
	maxReasons      = 16       // reasons handed out for one command
)

// Reason is one fact that made a command's class what it is.
type Reason struct {
	Code       string // stable, for example "unknown-program"
	Text       string // for people
	Start, End int    // byte offsets into the command that the reason points at
}

// Classification is what is known about a command, without knowing the host that it is meant for.
type Classification struct {
	Command   string
	Class     checks.Class
	Reasons   []Reason // those that made the class what it is, in the order of the command
	Boots     bool     // the command boots the host: what the next boot does decides
	OnUnknown bool     // routine, and every part of it that is declared routine says on_unknown
}

// Classifier classifies shell commands. It may be used by several goroutines at once.
type Classifier struct {
	programs map[string]*program
	rules    []rule
	parsers  sync.Pool // of *parsers: a parser is reusable, but not by two goroutines at once
}

type parsers struct{ posix, bash *syntax.Parser }

// NewClassifier builds a classifier with the house's own commands. It fails on a rule that could make the
// classifier weaker by accident; the error starts with the rule's Origin.
func NewClassifier(rules []Rule) (*Classifier, error) {
	programs, err := buildPrograms()
	if err != nil {
		return nil, err
	}
	c := &Classifier{programs: programs}
	c.parsers.New = func() any {
		return &parsers{
			posix: syntax.NewParser(syntax.Variant(syntax.LangPOSIX)),
			bash:  syntax.NewParser(syntax.Variant(syntax.LangBash)),
		}
	}
	for _, r := range rules {
		compiled, err := compileRule(r)
		if err != nil {
			return nil, err
		}
		c.rules = append(c.rules, compiled)
	}
	return c, nil
}

// dialect is what an interpreter's grammar is taken to be.
type dialect int

const (
	dialectNone  dialect = iota // not understood
	dialectPosix                // dash
	dialectBash                 // bash
	dialectBoth                 // sh: dash or bash, both must agree
)

func dialectOf(shell string) dialect {
	if strings.Contains(shell, "/") {
		if !trustedDirs[path.Dir(shell)] {
			return dialectNone
		}
		shell = path.Base(shell)
	}
	switch shell {
	case "sh":
		return dialectBoth
	case "dash":
		return dialectPosix
	case "bash":
		return dialectBash
	}
	return dialectNone
}

// Classify says what command can do when shell runs it with -c. An interpreter other than sh, dash and bash
// is not understood: destructive. Classify never fails; what it cannot read is destructive.
func (c *Classifier) Classify(command, shell string) Classification {
	out := Classification{Command: command, Class: checks.Destructive}
	whole := span{0, len(command)}
	d := dialectOf(shell)
	switch {
	case d == dialectNone:
		out.Reasons = []Reason{{"interpreter", fmt.Sprintf("%q is not an interpreter whose grammar is understood: use /bin/sh, bash or dash", shell), 0, len(command)}}
		return out
	case len(command) > maxCommandBytes:
		out.Reasons = []Reason{{"too-long", fmt.Sprintf("command is longer than %d bytes", maxCommandBytes), 0, len(command)}}
		return out
	}
	w := &walker{c: c, steps: new(int), allOnUnknown: true}
	w.code(command, d, origin{base: 0, fixed: whole, exact: true})
	return w.result(command)
}

// result turns what the walk found into a classification.
func (w *walker) result(command string) Classification {
	out := Classification{Command: command, Class: w.class, Boots: w.boots}
	seen := map[Reason]bool{}
	for _, f := range w.found {
		if f.class == w.class && !seen[f.Reason] && len(out.Reasons) < maxReasons {
			seen[f.Reason] = true
			out.Reasons = append(out.Reasons, f.Reason)
		}
	}
	if w.class == checks.ReadOnly {
		out.Reasons = []Reason{{"read-only", "every part is known to read only", 0, len(command)}}
	}
	out.OnUnknown = w.class == checks.Routine && w.allOnUnknown
	return out
}

// badByte finds the first byte that a command may not hold: control characters, because terminals and shells
// disagree about them, and anything outside ASCII, because it can look like something else (a no-break space,
// a zero-width joiner, a dash). It gives -1 when there is none.
func badByte(command string) int {
	for i := 0; i < len(command); i++ {
		b := command[i]
		if b >= 0x7f || b < ' ' && b != '\t' && b != '\n' {
			return i
		}
	}
	return -1
}
