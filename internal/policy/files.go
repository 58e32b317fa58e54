package policy

import (
	"strings"
)

// filePrograms look at files without opening them, find apart.
func filePrograms() []program {
	return []program{
		{names: "ls", operands: "path",
			opts: "-aAbBcCdDfFgGhHiIklLmnNopqQrRsStTuUvwxXZ1 --all --almost-all --author --escape --block-size= --color? --directory --classify? --file-type --format= --full-time --group-directories-first --no-group --human-readable --si --dereference --inode --ignore= --hide= --indicator-style= --numeric-uid-gid --literal --quote-name --reverse --recursive --size --sort= --time= --time-style= --width= --context --zero"},
		{names: "stat", operands: "path", opts: "-Lftc: --format= --printf= --file-system --dereference --terse"},
		{names: "du", operands: "path", opts: "-0abcDHhkLlmPSsx -B: -d: -t: -X:file --all --apparent-size --bytes --total --max-depth= --human-readable --si --summarize --one-file-system --exclude= --block-size= --time? --time-style= --threshold= --inodes --dereference --separate-dirs --count-links --null"},
		{names: "df", operands: "path", opts: "-aHhiklPTB: -t: -x: --all --block-size= --human-readable --si --inodes --local --portability --print-type --total --type= --exclude-type= --output? --no-sync"},
		{names: "readlink realpath", operands: "path", opts: "-fmenqsvzLPE --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --zero --relative-to= --relative-base= --no-symlinks --strip"},
		{names: "basename dirname", operands: "text", opts: "-azs: --multiple --suffix= --zero", loose: true},
		{names: "namei", operands: "path", opts: "-lmovxn"},
		{names: "file", operands: "file", opts: "-bhiLkNnrsvz0 -F: --brief --mime --mime-type --mime-encoding --dereference --no-dereference --keep-going"},
		{names: "getfacl", operands: "path", opts: "-acdelLnpRstP --absolute-names --numeric --recursive --omit-header"},
		{names: "lsattr", operands: "path", opts: "-adlRvp"},
		{names: "getfattr", operands: "path", opts: "-dhLPR -n: -m: -e: --absolute-names --only-values"},
		{names: "tree", operands: "path", opts: "-adfilpsughDFrtxNCnqvQ -L: -I: -P: --du --dirsfirst --noreport --prune --filelimit= --si --inodes"},
		{names: "locate", operands: "text", opts: "-bceiqrw0Aln: --basename --count --existing --ignore-case --limit= --regex"},
		{names: "find", run: findCall},
		{names: "getconf", operands: "text", opts: "-a"},
		{names: "md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum", operands: "file", opts: "-btzrsa: --binary --tag --text --zero --algorithm="},
		{names: "cmp", operands: "file", opts: "-bls -i: -n: --print-bytes --ignore-initial= --verbose --bytes= --quiet --silent"},
		{names: "diff", operands: "file", opts: "-abBcdeEHiNnpqrstTuwyZ -C: -F: -I: -U: -W: -x: -X:file --brief --report-identical-files --context? --unified? --side-by-side --width= --left-column --suppress-common-lines --recursive --no-dereference --new-file --ignore-case --ignore-space-change --ignore-all-space --ignore-blank-lines --ignore-matching-lines= --text --strip-trailing-cr --exclude= --color? --label="},
		{names: "comm", operands: "file", opts: "-123z --check-order --nocheck-order --output-delimiter= --total --zero-terminated"},
		{names: "mountpoint", operands: "path", opts: "-qdx --quiet --fs-devno"},
		{names: "tar", run: tarCall},
		{names: "zipinfo", operands: "file", most: 1, opts: "-12smlvhMtTzZ"},
		{names: "unzip", operands: "file", most: 1, opts: "-lvZ", check: needs("l", "v")},
	}
}

// What find's tests and actions take: none, one word, or one word that is looked up. Missing here and so
// destructive: -delete, -execdir (relative names mean
// something else in every directory), -fls, -fprint, -fprint0, -fprintf, -ok, -okdir, -files0-from.
var (
	findPlain = words(`-not ! ( ) -a -and -o -or , -true -false -print -print0 -ls -prune -quit -empty -readable
		-writable -executable -nouser -nogroup -xdev -mount -follow -noleaf -daystart -depth -d
		-ignore_readdir_race -noignore_readdir_race -warn -nowarn -help -version`)
	findValue = words(`-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -lname -ilname -type -xtype
		-size -links -inum -samefile -perm -user -group -uid -gid -used -fstype -context -maxdepth -mindepth -amin -cmin
		-mmin -atime -ctime -mtime -anewer -cnewer -newer -newermt -newerct -newerat -newermm -newercm -newerac -printf`)
)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

func findCall(c *call) {
	args := c.args
	for len(args) > 0 && (args[0].is("-H") || args[0].is("-L") || args[0].is("-P")) {
		args = args[1:]
	}
	var roots []word
	for len(args) > 0 && !args[0].dash() && !args[0].is("!") && !args[0].is("(") {
		roots, args = append(roots, args[0]), args[1:]
	}
	c.operands(&parsed{operands: roots}, "path", 0)
	if len(roots) == 0 {
		roots = []word{{kind: exact, text: ".", span: c.span}}
	}
	for i := 0; i < len(args); i++ {
		v := args[i]
		switch {
		case v.kind != exact:
			c.destructive(v.span, "unknown-value", "what find does here is not known beforehand")
			return
		case findPlain[v.text]:
		case findValue[v.text]:
			if i++; i < len(args) && (args[i].kind == fields || args[i].kind == glob && !args[i].one) {
				c.destructive(args[i].span, "unknown-value", "unquoted, this can become several words, which find then takes for actions; quote it")
				return
			}
		case v.text == "-exec":
			end := i + 1
			for end < len(args) && !args[end].is(";") && !(args[end].is("+") && args[end-1].is("{}")) {
				end++
			}
			if end == len(args) {
				c.cannot(v.span, "find %s has no end", v.text)
				return
			}
			c.findRuns(args[i+1:end], roots, args[end].is(";"))
			i = end
		default:
			c.destructive(v.span, "unknown-option", "find %s is not known to be harmless", v.text)
			return
		}
	}
}

// findRuns classifies what -exec runs on what is found below each root: one name, or as many as fit.
func (c *call) findRuns(command, roots []word, one bool) {
	for _, root := range roots {
		found := word{kind: fields, span: root.span}
		if root.kind == exact || root.kind == glob {
			found = root
			found.kind, found.one, found.raw = glob, one, origin{fixed: root.span}
			found.text = strings.TrimSuffix(root.text, "/") + "/[dir]/[name]"
			found.safe = found.text[0] != '-'
		}
		var words []word
		for _, v := range command {
			switch {
			case v.is("{}"):
				v = found
			case v.kind == exact && strings.Contains(v.text, "{}"):
				v = word{kind: fields, span: v.span}
			}
			words = append(words, v)
		}
		c.runs(words)
	}
}

// tarCall takes the listing of an archive. Only GNU tar's -t with a file is known to start nothing: an
// archive named host:file would start ssh.
func tarCall(c *call) {
	if len(c.args) < 2 {
		c.cannot(c.span, "tar writes unless it lists a file")
		return
	}
	mode, file := c.args[0], c.args[1]
	letters := strings.TrimPrefix(mode.text, "-")
	if mode.kind != exact || !strings.HasPrefix(letters, "t") || strings.Trim(letters, "tzvjJ") != "f" || !strings.HasSuffix(letters, "f") {
		c.cannot(mode.span, "tar %s is not known to be harmless", mode.text)
		return
	}
	if why := readable(file); why != "" || file.kind != exact || strings.Contains(file.text, ":") {
		c.cannot(file.span, "this archive is not known to be a plain file")
	}
	for _, v := range c.args[2:] {
		if v.dash() {
			c.cannot(v.span, "tar with further options is not known to be harmless")
		}
	}
}
