package policy

import "strings"

// textPrograms read files or standard input and write to standard output. less, more, man and vi are missing
// on purpose: a pager can run commands, and LESSOPEN names one.
func textPrograms() []program {
	return []program{
		{names: "nl", operands: "file", opts: "-b: -d: -f: -h: -i: -l: -n: -ps: -v: -w:"},
		{names: "cat tac", operands: "file", opts: "-AbeEnstTuv --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs --show-nonprinting"},
		{names: "zcat gzcat bzcat xzcat lzcat zstdcat", operands: "file", opts: "-fkqv"},
		{names: "head", operands: "file", opts: "-qvz -n: -c: -# --lines= --bytes= --quiet --silent --verbose --zero-terminated"},
		{names: "tail", operands: "file", opts: "-fFqvz -n: -c: -s: -# --lines= --bytes= --follow? --retry --pid= --sleep-interval= --max-unchanged-stats= --quiet --silent --verbose"},
		{names: "grep egrep fgrep zgrep zegrep zfgrep bzgrep xzgrep", operands: "text file", check: grepCheck,
			opts: "-EFGPacHhiLlnobqrRsTUvVwxyzZI -e: -f:file -m: -A: -B: -C: -D: -d: -# --extended-regexp --fixed-strings --basic-regexp --perl-regexp --regexp= --file=file --ignore-case --no-ignore-case --word-regexp --line-regexp --null-data --no-messages --invert-match --max-count= --byte-offset --line-number --line-buffered --with-filename --no-filename --label= --only-matching --quiet --silent --binary-files= --text --directories= --recursive --dereference-recursive --include= --exclude= --exclude-from=file --exclude-dir= --files-without-match --files-with-matches --count --initial-tab --null --before-context= --after-context= --context= --color? --colour?"},
		{names: "wc", operands: "file", opts: "-clLmw --bytes --chars --lines --max-line-length --words --total="},
		{names: "cut", operands: "file", opts: "-b: -c: -d: -f: -nsz --bytes= --characters= --delimiter= --fields= --complement --only-delimited --output-delimiter= --zero-terminated"},
		// sort spills to TMPDIR what does not fit, and takes it away again. -o, -T and --compress-program are left out.
		{names: "sort", operands: "file", opts: "-bdfghiMnrRVcCmsuz -k: -t: -S: --ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort --human-numeric-sort --numeric-sort --version-sort --month-sort --reverse --key= --field-separator= --unique --stable --zero-terminated --check? --merge --parallel="},
		{names: "uniq", operands: "file", most: 1, opts: "-cdDuiz -f: -s: -w: --count --repeated --all-repeated? --unique --ignore-case --skip-fields= --skip-chars= --check-chars= --group?"},
		{names: "tr", operands: "text", opts: "-cCdst --complement --delete --squeeze-repeats --truncate-set1"},
		{names: "rev fold expand unexpand fmt paste column join", operands: "file", opts: "-tsxneriabcmz -w: -d: -l: -o: -N: -R: -# -1: -2: -j: --width= --spaces --delimiters= --serial --table --separator= --output-separator= --tabs="},
		{names: "strings", operands: "file", opts: "-afw -n: -t: -e: -# --all --bytes= --radix="},
		{names: "od", operands: "file", opts: "-abcdfilosvx -A: -j: -N: -t: -w? --address-radix= --skip-bytes= --read-bytes= --format= --output-duplicates"},
		{names: "hexdump hd", operands: "file", opts: "-bcCdoxv -n: -s: -e: --canonical --length= --skip="},
		{names: "xxd", run: xxdCall},
		{names: "base64 base32", operands: "file", opts: "-di -w: --decode --wrap="},
		{names: "seq", operands: "text", opts: "-w -s: -f: -#", loose: true},
		{names: "jq", run: jqCall},
		{names: "tee", run: teeCall},
		{names: "sed", run: sedCall},
		{names: "awk gawk mawk nawk", run: awkCall},
		{names: "gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd", run: zipCall},
		{names: "expr", operands: "text", loose: true, run: func(*call) {}},
		{names: "logger mail", run: func(c *call) { c.cannot(c.span, "%s sends what it is given", c.name.text) }},
		{names: "less more man vi vim view nano", run: func(c *call) {
			c.cannot(c.span, "%s can run commands; use cat, head or tail", c.name.text)
		}},
	}
}

// grepCheck: with -e or -f the first operand is a file too.
func grepCheck(c *call, p *parsed) {
	if p.has("e", "f", "regexp", "file") && len(p.operands) > 0 {
		c.operand("file", p.operands[0])
	}
	for _, g := range p.all("D") {
		if !g.value.is("skip") {
			c.cannot(g.span, "grep -D other than skip reads devices")
		}
	}
	files := len(p.operands)
	if !p.has("e", "f", "regexp", "file") {
		files--
	}
	if c.anyDir && files <= 0 && p.has("r", "R", "recursive", "dereference-recursive") {
		c.cannot(c.span, "which directory is searched here is not known")
	}
}

// xxdCall: xxd reads -ps as one option, and writes to its second operand.
func xxdCall(c *call) {
	files := 0
	for i := 0; i < len(c.args); i++ {
		switch v := c.args[i]; {
		case v.is("-a") || v.is("-b") || v.is("-e") || v.is("-u") || v.is("-i") || v.is("-p"):
		case (v.is("-c") || v.is("-g") || v.is("-l") || v.is("-s") || v.is("-o")) && i+1 < len(c.args):
			i++
			c.operand("number", c.args[i])
		case v.dash() || v.kind == glob || files > 0:
			c.cannot(v.span, "this form of xxd is not known to read only")
			return
		default:
			files++
			c.operand("file", v)
		}
	}
}

// teeCall: a copy to nowhere is none.
func teeCall(c *call) {
	for _, v := range c.args {
		if !v.is("/dev/null") {
			c.destructive(v.span, "write", "tee writes to %s", describe(v))
		}
	}
}

// zipCall takes decompression to standard output, tests and lists: without, the file itself is replaced.
func zipCall(c *call) {
	s, err := readSpec("-cdtlkqvf --stdout --to-stdout --decompress --uncompress --test --list --quiet --verbose --keep -#")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	p, ok := c.parse(s, c.args)
	if !ok {
		return
	}
	c.operands(p, "file", 0)
	// Not --version: bzip2 tells it and goes on.
	asks := p.has("t", "test", "l", "list") && !p.has("d", "decompress", "uncompress") // the last one counts
	if !p.has("c", "stdout", "to-stdout") && !asks && len(p.operands) > 0 {
		c.destructive(c.span, "write", "%s without -c replaces the file", c.name.text)
	}
}

// jqCall: a jq filter cannot write or execute; it can read environment and input only, and files only by
// options that are not here.
func jqCall(c *call) {
	s, err := readSpec("-ceCMnrRsSaj --compact-output --null-input --raw-output --raw-input --slurp --sort-keys --color-output --monochrome-output --exit-status --tab --join-output --ascii-output --indent=")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	args := c.args
	for i := 0; i < len(args); i++ {
		// --arg NAME VALUE takes two words.
		if (args[i].is("--arg") || args[i].is("--argjson")) && i+2 < len(args) && args[i+1].kind == exact && args[i+2].kind != fields {
			args = append(append([]word(nil), args[:i]...), args[i+3:]...)
			i--
		}
	}
	p, ok := c.parse(s, args)
	if !ok {
		return
	}
	if len(p.operands) > 0 && (p.operands[0].kind != exact || strings.Contains(p.operands[0].text, "import") || strings.Contains(p.operands[0].text, "include")) {
		c.cannot(p.operands[0].span, "this jq filter is not known to read its input only")
		return
	}
	c.operands(p, "text file", 0)
}
