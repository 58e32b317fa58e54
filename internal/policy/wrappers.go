package policy

import (
	"slices"
	"strings"

	"interlock/checks"
)

// wrappers run another command. Each classifies what it runs and never makes it milder.
func wrappers() []program {
	return []program{
		{names: "nice", opts: "-n: --adjustment= -#", run: prefixed(0)},
		{names: "ionice", opts: "-c: -n: -t --class= --classdata= --ignore", run: func(c *call) {
			if len(c.args) == 2 && c.args[0].is("-p") {
				c.oneOperand("number", c.args[1])
				return
			}
			prefixed(0)(c)
		}},
		{names: "nohup setsid", run: prefixed(0)},
		{names: "stdbuf", opts: "-i: -o: -e: --input= --output= --error=", run: prefixed(0)},
		{names: "timeout", opts: "-k: -s: -v --kill-after= --signal= --preserve-status --foreground --verbose", run: prefixed(1)},
		{names: "time", opts: "-pv", run: prefixed(0)},
		{names: "env", run: envCall},
		{names: "command", run: commandCall},
		{names: "sudo", opts: "-nHEisSl -u: -g: -p: -U: --non-interactive --set-home --preserve-env --login --shell --user= --group= --prompt=", run: sudoCall},
		{names: "runuser su", run: suCall},
		{names: "sh bash dash", run: shellCall},
		{names: "ash ksh zsh fish csh tcsh perl python python2 python3 ruby php node lua", run: interpreterCall},
		{names: "xargs", opts: "-0rt -x -n: -P: -L: -s: -d: -I: -a:file --null --no-run-if-empty --max-args= --max-procs= --max-lines= --delimiter= --arg-file=file --verbose", run: xargsCall},
		{names: "ssh", opts: "-qnTx46 -p: -l: -o:", run: sshCall},
		{names: "watch", opts: "-n: -dtbegcpx --interval= --differences? --no-title --beep --errexit --chgexit --color --precise --exec", run: watchCall},
	}
}

// firstOnly is the same description, its options ending at the first operand.
func firstOnly(s *spec) *spec {
	out := *s
	out.first = true
	return &out
}

// prefixed is a wrapper that has its own options, then skip operands, then the command.
func prefixed(skip int) func(*call) {
	return func(c *call) {
		p, ok := c.parse(firstOnly(c.prog.spec), c.args)
		if !ok {
			return
		}
		if len(p.operands) < skip || skip == 1 && len(p.operands) > 0 && !plain(p.operands[0]) {
			c.cannot(c.span, "%s without plain operands of its own", c.name.text)
			return
		}
		c.runs(p.operands[skip:])
	}
}

func plain(v word) bool { return v.kind == exact && plainText(v.text) && v.text[0] != '-' }

// runs classifies a wrapped command; it is fed what feeds the wrapper.
func (c *call) runs(words []word) {
	if len(words) == 0 {
		return
	}
	c.walker.call(words, c.stdin)
}

// envCall takes env without options: with an assignment it is an assignment before a command.
func envCall(c *call) {
	args := c.args
	if len(args) > 0 && args[0].is("--") {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	first := args[0]
	switch {
	case first.kind != exact || strings.HasPrefix(first.text, "-"):
		c.destructive(first.span, "unknown-option", "env %s is not known to be harmless", first.text)
		args = skipOptions(args)
	case strings.Contains(first.text, "="):
		c.destructive(first.span, "assignment", "%s before a command can change what the command does", first.text)
	}
	for len(args) > 0 && args[0].kind == exact && strings.Contains(args[0].text, "=") {
		args = args[1:]
	}
	c.runs(args)
}

func skipOptions(args []word) []word {
	for len(args) > 0 && args[0].dash() {
		args = args[1:]
	}
	return args
}

func commandCall(c *call) {
	if len(c.args) == 0 {
		return
	}
	first := c.args[0]
	switch {
	case first.is("-v") || first.is("-V"):
		c.single(c.args[1:])
	case first.is("-p") || first.is("--"):
		c.runs(c.args[1:])
	case first.dash():
		c.destructive(first.span, "unknown-option", "command %s is not known to be harmless", first.text)
	default:
		c.runs(c.args)
	}
}

func sudoCall(c *call) {
	p, ok := c.parse(firstOnly(c.prog.spec), c.args)
	if !ok {
		return
	}
	words := p.operands
	if len(words) > 0 && words[0].kind == exact && strings.Contains(words[0].text, "=") {
		c.destructive(words[0].span, "assignment", "%s before a command can change what the command does", words[0].text)
		for len(words) > 0 && strings.Contains(words[0].text, "=") {
			words = words[1:]
		}
	}
	if p.has("l") {
		c.single(words)
		return // lists what is allowed
	}
	if p.has("i", "s", "login", "shell") {
		if len(words) == 0 {
			c.cannot(c.span, "an interactive shell runs whatever it is fed")
			return
		}
		c.anyShell(words)
		for _, g := range p.all("u", "user") {
			if g.value.kind != exact || !atHome(g.value.text) {
				before := c.anyDir
				c.anyDir = true // -i goes to that user's home
				defer func() { c.anyDir = before }()
			}
		}
	}
	if len(words) == 0 && !p.has("version", "help") {
		c.cannot(c.span, "sudo without a command")
	}
	c.runs(words)
}

// anyShell demands words that mean the same to every login shell: dash, bash, fish and tcsh alike.
func (c *call) anyShell(words []word) {
	for _, v := range words {
		if v.kind != exact || v.tilde || !plainText(v.text) || strings.ContainsAny(v.text[:1], "=%@") {
			c.destructive(v.span, "login-shell", "a login shell that is not known reads this once more: use plain words, or name the shell with sh -c")
		}
	}
}

// lineForAnyShell splits a shell line whose words mean the same to every shell.
func (c *call) lineForAnyShell(v word) {
	if v.kind != exact {
		c.destructive(v.span, "unknown-value", "which command runs here is not known beforehand")
		return
	}
	var words []word
	for _, text := range strings.Fields(v.text) {
		words = append(words, word{kind: exact, text: text, span: v.span, raw: origin{fixed: v.span}})
	}
	if strings.ContainsAny(v.text, "\n\t") {
		c.destructive(v.span, "login-shell", "a login shell that is not known reads this")
	}
	c.anyShell(words)
	// What is beyond plain words is destructive already; the rest of the proof finds out no less.
	c.runs(words)
}

// suCall takes su and runuser: [-] [-l] [-s SHELL] [USER] -c CODE, and runuser -u USER [--] COMMAND.
func suCall(c *call) {
	before := c.anyDir
	defer func() { c.anyDir = before }()
	var code *word
	shell, users := "", 0
	for i := 0; i < len(c.args); i++ {
		v := c.args[i]
		next := func() *word {
			if i++; i < len(c.args) {
				return &c.args[i]
			}
			return nil
		}
		switch {
		case v.is("-") || v.is("-l") || v.is("--login"):
		case (v.is("-c") || v.is("-lc")) && code == nil:
			code = next()
		case v.is("-s"):
			if n := next(); n != nil && n.kind == exact {
				shell = n.text
			}
		case v.is("-u") && baseName(c.name.text) == "runuser":
			if n := next(); n == nil || !plain(*n) {
				c.cannot(c.span, "which user this runs as is not known beforehand")
				return
			}
			rest := c.args[i+1:]
			if len(rest) > 0 && rest[0].is("--") {
				rest = rest[1:]
			}
			if len(rest) == 0 || rest[0].dash() {
				c.cannot(c.span, "this form of runuser is not understood")
				return
			}
			c.runs(rest)
			return
		case plain(v) && users == 0:
			users++
			c.anyDir = c.anyDir || !atHome(v.text)
		default:
			c.cannot(v.span, "this form of %s is not understood", c.name.text)
			return
		}
	}
	switch {
	case code == nil:
		c.cannot(c.span, "an interactive shell runs whatever it is fed")
	case shell == "":
		c.lineForAnyShell(*code)
	default:
		c.shellCode(*code, shell)
	}
}

// shellCode classifies code handed to an interpreter with -c.
func (c *call) shellCode(code word, shell string) {
	d := dialectOf(shell)
	switch {
	case d == dialectNone:
		c.destructive(c.span, "interpreter", "%q is not an interpreter whose grammar is understood", shell)
	case code.kind != exact:
		c.destructive(code.span, "unknown-value", "the code that %s runs is not known beforehand", shell)
	default:
		o := code.raw
		if !o.exact {
			o.fixed = code.span
		}
		c.walker.code(code.text, d, o)
	}
}

// shellCall takes sh -c CODE; what follows only names the positional parameters, which are never known.
func shellCall(c *call) {
	for i, v := range c.args {
		if v.kind != exact || !strings.HasPrefix(v.text, "-") || v.text == "-" {
			c.cannot(v.span, "a script is code that is not seen here")
			return
		}
		if v.text == "--version" && len(c.args) == 1 {
			return
		}
		if strings.Trim(v.text[1:], "ceu") != "" {
			c.destructive(v.span, "unknown-option", "%s %s is not known to be harmless", c.name.text, v.text)
			return
		}
		if strings.Contains(v.text, "c") {
			if i+1 >= len(c.args) {
				return
			}
			for k, next := range c.args[i+1:] {
				if next.dash() && (k > 0 || next.kind == exact) {
					c.cannot(next.span, "options after -c are not understood")
					return
				}
			}
			c.shellCode(c.args[i+1], c.name.text)
			return
		}
	}
	c.cannot(c.span, "a shell runs whatever it is fed")
}

// interpreterCall takes nothing but the question for the version.
func interpreterCall(c *call) {
	if len(c.args) == 1 && (c.args[0].is("--version") || c.args[0].is("-V")) {
		return
	}
	c.destructive(c.span, "interpreter", "%s runs code that is not understood", c.name.text)
}

// xargsCall: what comes in on standard input is any number of words of any value.
func xargsCall(c *call) {
	p, ok := c.parse(firstOnly(c.prog.spec), c.args)
	if !ok || len(p.operands) == 0 {
		return // echo
	}
	if len(p.all("I")) > 1 || p.has("I") && p.has("n", "L", "max-args", "max-lines") {
		c.cannot(c.span, "of -I, -n and -L xargs takes the last, or not")
		return
	}
	words := append([]word(nil), p.operands...)
	if given := p.all("I"); len(given) > 0 {
		g := given[0]
		for i, v := range words {
			if g.value.kind != exact || g.value.text == "" || v.kind != exact || strings.Contains(v.text, g.value.text) {
				words[i] = word{kind: prefix, span: v.span, raw: origin{fixed: v.span}}
			}
			// A name glued behind text keeps that beginning.
			if v.kind == exact && g.value.kind == exact && g.value.text != "" {
				if before, _, found := strings.Cut(v.text, g.value.text); found {
					words[i].text, words[i].safe = before, before != "" && before[0] != '-'
				}
			}
		}
	} else {
		words = append(words, word{kind: fields, span: c.span, raw: origin{fixed: c.span}})
	}
	c.walker.call(words, []string{notText})
}

// sshOptions are the -o options that neither run a command nor write a file.
var sshOptions = []string{"BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "LogLevel=QUIET"}

// sshCall takes ssh HOST COMMAND. The other host's login shell reads the command, and its state is not looked
// at: what interrupts there is more than disruptive here.
func sshCall(c *call) {
	p, ok := c.parse(firstOnly(c.prog.spec), c.args)
	if !ok {
		return
	}
	for _, g := range p.opts {
		if g.name == "o" && (g.value.kind != exact || !slices.Contains(sshOptions, g.value.text) && !timeoutOption(g.value.text)) {
			c.destructive(g.span, "unknown-option", "ssh -o %s is not known to be harmless", g.value.text)
			return
		}
	}
	if len(p.operands) < 2 || !plain(p.operands[0]) {
		c.cannot(c.span, "a session on another host runs whatever it is fed")
		return
	}
	words := p.operands[1:]
	if words[0].dash() {
		c.cannot(words[0].span, "options after the host are not understood")
		return
	}
	inner := *c.walker
	in := *c
	in.walker = &inner
	inner.class, inner.found = checks.ReadOnly, nil
	if len(words) == 1 {
		in.lineForAnyShell(words[0])
	} else {
		in.anyShell(words)
		in.runs(words)
	}
	inner.found = append(c.walker.found, inner.found...)
	c.walker.merge(&inner)
	if inner.class > checks.ReadOnly {
		c.destructive(c.span, "other-host", "what this does on %s is decided without a look at %s: run it there through interlock", p.operands[0].text, p.operands[0].text)
	}
}

func timeoutOption(text string) bool {
	n, ok := strings.CutPrefix(text, "ConnectTimeout=")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// watchCall: watch hands its words, joined by blanks, to sh -c.
func watchCall(c *call) {
	p, ok := c.parse(firstOnly(c.prog.spec), c.args)
	if !ok {
		return
	}
	if p.has("x", "exec") {
		c.runs(p.operands)
		return
	}
	var texts []string
	for _, v := range p.operands {
		if v.kind != exact {
			c.destructive(v.span, "unknown-value", "the code that watch runs is not known beforehand")
			return
		}
		texts = append(texts, v.text)
	}
	if len(p.operands) == 1 {
		c.shellCode(p.operands[0], "sh")
		return
	}
	c.walker.code(strings.Join(texts, " "), dialectBoth, origin{fixed: c.span})
}
