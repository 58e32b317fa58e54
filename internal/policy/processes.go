package policy

import "strings"

// processPrograms look at processes. strace, gdb and pstack are missing: they stop what they look at.
func processPrograms() []program {
	return []program{
		// Nothing in ps or in the finders of processes writes, whatever the words.
		{names: "ps", operands: "text", loose: true, run: func(*call) {}},
		{names: "pgrep pidof", operands: "text", loose: true, run: func(*call) {}},
		{names: "top", run: topCall},
		{names: "pstree", operands: "text", opts: "-aAcGghHlnNpsStTuUZ"},
		{names: "pmap", operands: "number", opts: "-xXdqp"},
		{names: "pwdx", operands: "number"},
		{names: "lsof", operands: "path", opts: "-abClnNPRtUVwX -c: -d: -i? -p: -s? -u: -F?"},
		{names: "fuser", operands: "path", opts: "-amuvcfIls4 -n: --all --mount --user --verbose --namespace="},
		{names: "kill", run: killCall},
		{names: "uptime", opts: "-ps --pretty --since"},
		{names: "w", operands: "text", opts: "-hsfoiup"},
		{names: "who", operands: "none", opts: "-abdHlmpqrstTuw --all --boot --count --heading"},
		{names: "users whoami logname groups tty nproc arch", operands: "text", opts: "-s --all --ignore="},
		{names: "id", operands: "text", opts: "-agGnruzZ --group --groups --name --real --user --zero"},
		{names: "last lastb", operands: "text", opts: "-adFiRwxns: -f:file -t: -p: -# --since= --until= --fulltimes --hostlast --nohostname --dns --ip --limit= --present= --fullnames --system"},
		{names: "lastlog", opts: "-b: -t: -u:"},
		{names: "sleep", operands: "text"},
		{names: "vmstat", operands: "number", opts: "-afmnsdDtwz -S: -p:"},
		{names: "iostat", operands: "text", opts: "-cdhkmNsxytzHVgjp? --human --dec? --pretty"},
		{names: "mpstat", operands: "number", opts: "-AuV -I: -P: -N:"},
		{names: "pidstat", operands: "number", opts: "-dhHIlRrsTtUuVvw -C: -G: -p: --human"},
		{names: "sar", operands: "number", opts: "-AbBdFhHpqrRSuvVwWyz -n: -P: -f:file -s: -e: -i: -m: -I: -j: --human --sadc"},
		{names: "iotop", opts: "-boPatkq -n: -d: -p: -u: --batch --only --processes --accumulated --kilobytes --time --quiet --iter= --delay=", check: func(c *call, p *parsed) {
			if !p.has("b", "batch") {
				c.cannot(c.span, "iotop without -b can be told to change priorities")
			}
		}},
		{names: "numastat", operands: "number", opts: "-cmnszv -p:"},
		{names: "free", opts: "-bkmghltwv -s: -c: --bytes --kilo --mega --giga --kibi --mebi --gibi --human --lohi --total --wide --seconds= --count= --si"},
		{names: "slabtop", opts: "-o -s: --once --sort=", check: func(c *call, p *parsed) {
			if !p.has("o", "once") {
				c.cannot(c.span, "slabtop without -o waits for keys")
			}
		}},
	}
}

// topCall: interactive top can send signals and renice.
func topCall(c *call) {
	s, err := readSpec("-bcHiSs1eE: -d: -n: -o: -O -p: -u: -U: -w?")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	args := c.args
	if len(args) > 0 && args[0].kind == exact && strings.HasPrefix(args[0].text, "b") {
		args = append([]word(nil), args...)
		args[0].text = "-" + args[0].text // top bn1
	}
	p, ok := c.parse(s, args)
	if ok && (!p.has("b") || len(p.operands) > 0) {
		c.cannot(c.span, "top without -b can be told to send signals")
	}
}

// killCall takes the question whether a process is there. A signal is not known to keep data: nothing here
// tells mysqld from an rsync half-way.
func killCall(c *call) {
	if len(c.args) == 0 {
		return
	}
	first := c.args[0]
	switch {
	case first.is("-0"):
		for _, v := range c.args[1:] {
			if v.kind == fields || v.kind == exact && strings.Trim(v.text, "0123456789") != "" || v.kind == prefix {
				c.cannot(v.span, "this is not known to be a process")
			}
		}
	case first.is("-l") || first.is("-L"):
	default:
		c.cannot(c.span, "what the signalled process does then is not known")
	}
}
