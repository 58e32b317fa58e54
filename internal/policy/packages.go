package policy

import (
	"regexp"
	"strings"

	"interlock/checks"
)

// packagePrograms ask the package managers, and install or upgrade from the configured repositories. Removing
// and purging are not proven, nor is a package that comes as a file, nor options that set the configuration.
func packagePrograms() []program {
	return []program{
		{names: "apt apt-get aptitude", run: aptCall,
			opts: "-yqdsuV -# --yes --assume-yes --quiet --download-only --simulate --just-print --dry-run --recon --no-act --only-upgrade --no-install-recommends --no-upgrade --show-upgraded --verbose-versions --installed --upgradable --manual-installed --all-versions --names-only --full"},
		{names: "apt-cache", run: verb("policy show showpkg showsrc search depends rdepends pkgnames stats madison unmet", "-afinq --names-only --installed --full --no-all-versions --recurse", false)},
		{names: "apt-mark", run: verb("showhold showauto showmanual showinstall", "", false)},
		{names: "apt-config", run: verb("dump", "", false)},
		{names: "dpkg", run: dpkgCall},
		{names: "dpkg-query", operands: "text", opts: "-lsLSWp -f: --list --status --listfiles --search --show --showformat= --print-avail --no-pager"},
		{names: "debconf-show", operands: "text"},
		{names: "rpm", run: rpmCall},
		{names: "yum dnf microdnf", run: yumCall,
			opts: "-yqvC --assumeyes --quiet --verbose --cacheonly --security --bugfix --showduplicates --installed --available --updates --upgrades --all --downloadonly --refresh"},
		{names: "zypper", run: zypperCall},
		{names: "snap flatpak", run: verb("list info version", "--all", false)},
		{names: "needs-restarting", opts: "-rs"},
	}
}

// packageName is a package as repositories have it, perhaps with an architecture and a version. It is never a
// file, an address or a pattern, nor one of apt's name- and aptitude's name_, which remove and purge.
var packageName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9+._-]*[a-zA-Z0-9+](:[a-z0-9]+)?(=[a-zA-Z0-9.+:~-]*[a-zA-Z0-9])?$`)

func (c *call) packages(names []word) {
	for _, v := range names {
		if v.kind != exact || !packageName.MatchString(v.text) || strings.Contains(v.text, ".+") || strings.HasSuffix(v.text, ".rpm") || strings.HasSuffix(v.text, ".deb") {
			c.cannot(v.span, "%s is not known to be a package of the configured repositories", describe(v))
		}
	}
}

func (c *call) upgrades(verb string) {
	if verb == "update" && strings.HasPrefix(baseName(c.name.text), "apt") || verb == "makecache" {
		c.add(checks.Disruptive, c.span, "packages", "%s %s takes the package manager's lock and replaces its lists", c.name.text, verb)
		return
	}
	c.add(checks.Disruptive, c.span, "packages", "%s %s restarts the services of the packages that it replaces", c.name.text, verb)
}

func aptCall(c *call) {
	p, ok := c.parse(c.prog.spec, c.args)
	if !ok {
		return
	}
	simulated := p.has("s", "simulate", "just-print", "dry-run", "recon", "no-act")
	if len(p.operands) == 0 {
		if !p.has("help", "version") {
			c.cannot(c.span, "%s without a command", c.name.text)
		}
		return
	}
	v := p.operands[0]
	if v.kind != exact {
		c.cannot(v.span, "what %s does here is not known beforehand", c.name.text)
		return
	}
	switch v.text {
	case "list", "show", "search", "policy", "depends", "rdepends", "indextargets", "madison", "showsrc":
	case "install", "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "update", "remove", "purge", "autoremove":
		if simulated && baseName(c.name.text) != "aptitude" {
			return
		}
		if v.text == "remove" || v.text == "purge" || v.text == "autoremove" {
			c.cannot(v.span, "%s %s can take away data with the package", c.name.text, v.text)
			return
		}
		c.upgrades(v.text)
		c.packages(p.operands[1:])
	default:
		c.cannot(v.span, "%s %s is not known to keep data", c.name.text, v.text)
	}
}

// dpkgCall takes the queries.
func dpkgCall(c *call) {
	p, ok := c.withSpec("-lsLSpVC --list --status --listfiles --search --print-avail --get-selections --verify --audit --print-architecture --print-foreign-architectures --compare-versions --no-pager -I:file -c:file --info=file --contents=file", c.args)
	if !ok {
		return
	}
	if len(p.opts) == 0 {
		c.cannot(c.span, "dpkg without a query")
	}
	c.operands(p, "text", 0)
}

// rpmCall takes queries and verifications. --eval, --define, --pipe and --queryformat's relatives are not
// listed: macros can run commands.
func rpmCall(c *call) {
	p, ok := c.withSpec("-qailRcdfVpv --query --all --info --list --requires --provides --conflicts --obsoletes --whatprovides --whatrequires --changelog --scripts --triggers --last --state --docfiles --configfiles --file --verify --qf= --queryformat= --nosignature --nodigest", c.args)
	if !ok {
		return
	}
	if !p.has("q", "V", "query", "verify", "version", "help") {
		c.cannot(c.span, "rpm without a query")
	}
	for _, g := range p.opts {
		if (g.name == "qf" || g.name == "queryformat") && (g.value.kind != exact || strings.Contains(g.value.text, "%(") || strings.Contains(g.value.text, "lua")) {
			c.cannot(g.span, "this format can run macros")
		}
	}
	if p.has("V", "verify") && p.has("p") {
		c.cannot(c.span, "verifying a package file runs its script")
	}
	kind := "text"
	if p.has("p", "f", "file") {
		kind = "file"
	}
	for _, v := range p.operands {
		if strings.Contains(v.text, "://") || strings.Contains(v.text, "%") {
			c.cannot(v.span, "%s is not known to be a package", describe(v))
			continue
		}
		c.operand(kind, v)
	}
}

func yumCall(c *call) {
	p, ok := c.parse(c.prog.spec, c.args)
	if !ok {
		return
	}
	if len(p.operands) == 0 {
		if !p.has("help", "version") {
			c.cannot(c.span, "%s without a command", c.name.text)
		}
		return
	}
	v := p.operands[0]
	rest := p.operands[1:]
	if v.kind != exact {
		c.cannot(v.span, "what %s does here is not known beforehand", c.name.text)
		return
	}
	switch v.text {
	case "list", "info", "search", "provides", "whatprovides", "repolist", "check-update", "deplist", "repoquery", "updateinfo":
	case "history":
		if len(rest) > 0 && (rest[0].kind != exact || rest[0].text != "list" && rest[0].text != "info") {
			c.cannot(rest[0].span, "%s history %s is not known to keep data", c.name.text, describe(rest[0]))
		}
	case "install", "update", "upgrade", "upgrade-minimal", "update-minimal", "makecache":
		c.upgrades(v.text)
		c.packages(rest)
	default:
		c.cannot(v.span, "%s %s is not known to keep data", c.name.text, describe(v))
	}
}

func zypperCall(c *call) {
	args := c.args
	for len(args) > 0 && (args[0].is("-n") || args[0].is("--non-interactive") || args[0].is("-q") || args[0].is("--quiet")) {
		args = args[1:]
	}
	if len(args) == 0 || args[0].kind != exact {
		c.cannot(c.span, "zypper without a command")
		return
	}
	switch args[0].text {
	case "lr", "repos", "lu", "list-updates", "lp", "list-patches", "se", "search", "if", "info", "packages", "pa":
		for _, v := range args[1:] {
			if v.dash() {
				c.destructive(v.span, "unknown-option", "zypper … %s is not known to be harmless", describe(v))
			}
		}
	case "install", "in", "update", "up":
		c.upgrades(args[0].text)
		rest := args[1:]
		for len(rest) > 0 && (rest[0].is("-y") || rest[0].is("--no-confirm")) {
			rest = rest[1:]
		}
		for _, v := range rest {
			if v.dash() {
				c.destructive(v.span, "unknown-option", "zypper … %s is not known to keep data", describe(v))
				return
			}
		}
		c.packages(rest)
	default:
		c.cannot(args[0].span, "zypper %s is not known to keep data", args[0].text)
	}
}
