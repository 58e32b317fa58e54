package policy

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// builtins are the shell's own commands. What is missing here evaluates or keeps what it is given: alias,
// declare, enable, eval, exec, export, getopts, hash, let, local, mapfile, readonly, shopt, source, trap,
// typeset, unset.
func builtins() []program {
	return []program{
		{names: "true false :", loose: true, operands: "text", run: func(*call) {}},
		{names: "echo", loose: true, operands: "text", run: func(*call) {}},
		{names: "printf", run: printfCall},
		{names: "test [", run: testCall},
		{names: "cd", run: cdCall},
		{names: "pwd", opts: "-LP"},
		{names: "type", opts: "-atpPf", operands: "text"},
		{names: "ulimit", opts: "-aHSbcdefiklmnpqrstuvxPRT"},
		{names: "umask", opts: "-Sp"},
		{names: "times wait jobs", opts: "-l", operands: "number"},
		{names: "exit return break continue", operands: "number", most: 1},
		{names: "set", run: setCall},
		{names: "read", run: readCall},
	}
}

// printfCall: bash's %n and -v name a variable to write to.
func printfCall(c *call) {
	if len(c.args) == 0 {
		return
	}
	format := c.args[0]
	if format.is("--") && len(c.args) > 1 {
		format = c.args[1]
	}
	if format.kind != exact || strings.HasPrefix(format.text, "-") {
		c.cannot(format.span, "a format that is not known beforehand, and an option, can write to a variable")
		return
	}
	for text := format.text; ; {
		_, rest, found := strings.Cut(text, "%")
		if !found {
			return
		}
		rest = strings.TrimLeft(rest, "#0-+ '*.123456789")
		if rest == "" || !strings.Contains("%sbqcdiouxXeEfFgGaA", rest[:1]) {
			c.cannot(format.span, "this printf format is not known to be harmless")
			return
		}
		text = rest[1:]
	}
}

const (
	unaryTests  = " -b -c -d -e -f -g -h -k -p -r -s -u -w -x -G -L -N -O -S -n -z "
	binaryTests = " = == != < > -nt -ot -ef "
	numberTests = " -eq -ne -lt -le -gt -ge "
)

// testCall: bash evaluates the operand of -v and -R, and a number that is not one.
func testCall(c *call) {
	args := c.args
	if c.name.text == "[" {
		if n := len(args); n == 0 || !args[n-1].is("]") {
			c.cannot(c.span, "[ without ]")
			return
		}
		args = args[:len(args)-1]
	}
	literal := true
	for _, v := range args {
		if v.kind == fields || v.kind == glob && !v.one {
			c.destructive(v.span, "unknown-value", "unquoted, this can become several words, which test then evaluates")
			return
		}
		literal = literal && v.kind == exact
	}
	if !literal || len(args) <= 4 {
		c.testWords(args)
		return
	}
	start := 0
	for i, v := range args {
		if v.is("-a") || v.is("-o") {
			c.testWords(args[start:i])
			start = i + 1
		}
	}
	c.testWords(args[start:])
}

// testWords holds at most three words, after a leading !, against the forms whose meaning POSIX fixes by
// their number.
func (c *call) testWords(args []word) {
	if len(args) > 1 && args[0].is("!") {
		args = args[1:]
	}
	is := func(i int, list string) bool {
		return args[i].kind == exact && strings.Contains(list, " "+args[i].text+" ") && !strings.Contains(args[i].text, " ")
	}
	switch {
	case len(args) <= 1:
	case len(args) == 2 && is(0, unaryTests):
		if args[1].kind == exact && !args[0].is("-n") && !args[0].is("-z") {
			c.operand("path", args[1])
		}
	case len(args) == 3 && is(1, binaryTests):
	case len(args) == 3 && is(1, numberTests) && wholeNumber(args[0]) && wholeNumber(args[2]):
	default:
		c.cannot(c.span, "this test evaluates its operands")
	}
}

func wholeNumber(v word) bool {
	switch v.kind {
	case exact:
		return v.text != "" && strings.Trim(strings.TrimPrefix(v.text, "-"), "0123456789") == ""
	case glob:
		return v.one && v.num
	}
	return false
}

// testExpr walks bash's [[ … ]].
func (w *walker) testExpr(x syntax.TestExpr) {
	at := w.origin.at(x)
	switch x := x.(type) {
	case *syntax.Word:
		w.word(x)
	case *syntax.ParenTest:
		w.testExpr(x.X)
	case *syntax.UnaryTest:
		switch x.Op {
		case syntax.TsVarSet, syntax.TsRefVar, syntax.TsOptSet:
			w.destructive(at, "not-proven", "%s evaluates its operand", x.Op)
		}
		w.testExpr(x.X)
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
			l, lok := x.X.(*syntax.Word)
			r, rok := x.Y.(*syntax.Word)
			if !lok || !rok || !wholeNumber(w.word(l)) || !wholeNumber(w.word(r)) {
				w.destructive(at, "not-proven", "%s evaluates its operands", x.Op)
			}
			return
		}
		w.testExpr(x.X)
		w.testExpr(x.Y)
	default:
		w.destructive(at, "syntax", "this kind of test is not understood")
	}
}

// cdCall: what follows is read relative to the new directory, so it must be a plain one. A relative name may
// lead anywhere, by CDPATH too.
func cdCall(c *call) {
	if len(c.args) == 0 {
		return // home
	}
	v := c.args[0]
	if len(c.args) > 1 || v.kind != exact || !strings.HasPrefix(v.text, "/") && !v.tilde {
		c.cannot(c.span, "only a whole path says where the following commands read")
		return
	}
	if why := readable(v); why != "" || strings.HasPrefix(v.text, "/proc") {
		c.cannot(v.span, "what is read relative to %s is not known to be harmless", v.text)
	}
}

// setCall takes the options that make a script stricter.
func setCall(c *call) {
	for _, v := range c.args {
		switch {
		case v.kind != exact:
			c.cannot(v.span, "options that are not known beforehand")
		case v.text == "pipefail" || v.text == "errexit" || v.text == "nounset" || v.text == "noglob":
		case len(v.text) > 1 && (v.text[0] == '-' || v.text[0] == '+') && strings.Trim(v.text[1:], "eufo") == "":
		default:
			c.cannot(v.span, "set %s changes how the shell reads what follows", v.text)
		}
	}
}

// readCall: read evaluates the names that it is given, unless they are plain.
func readCall(c *call) {
	if !c.name.raw.exact {
		c.cannot(c.span, "read must be written as it is, so that it is seen that variables change")
		return
	}
	for i, v := range c.args {
		switch {
		case v.kind != exact:
			c.cannot(v.span, "read evaluates its operands")
			return
		case i == 0 && v.text == "-r":
		case !c.variableName(v.text, v.span):
			return
		}
	}
}
