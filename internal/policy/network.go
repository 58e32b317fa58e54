package policy

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// networkPrograms look at interfaces, sockets and names. tcpdump, nc, wget and telnet are missing.
func networkPrograms() []program {
	return []program{
		{names: "ip", run: ipCall},
		{names: "ss", operands: "text", opts: "-046abeHilmnOoprstuvwxzZ -A: -f: --all --listening --numeric --processes --tcp --udp --unix --raw --extended --memory --info --summary --options --resolve --no-header --oneline --ipv4 --ipv6 --family= --query="},
		{names: "netstat", operands: "number", opts: "-46aceFgilMnNoprstuvVwxWZ -A: --all --listening --numeric --program --programs --tcp --udp --route --interfaces --statistics --extend --continuous --wide"},
		{names: "ifconfig", run: ifconfigCall},
		{names: "route", opts: "-46nevF"},
		{names: "arp", opts: "-anve -i:"},
		{names: "ethtool", run: ethtoolCall},
		{names: "ping ping6", operands: "text", most: 1, opts: "-46nqvDO -c: -i: -I: -w: -W: -s: -t:", check: pingCheck},
		{names: "traceroute traceroute6 tracepath", operands: "text", opts: "-46nIUT -m: -q: -w: -p: -i:"},
		{names: "mtr", operands: "text", opts: "-46nrwbz -c: -i: -s: --report --report-wide --report-cycles= --no-dns", check: needs("r", "report", "w", "report-wide")},
		{names: "dig host nslookup", run: digCall},
		{names: "resolvectl", run: verb("status query statistics", "-46 --no-pager", true)},
		{names: "networkctl", run: verb("list status lldp", "-al --no-pager --all --full", true)},
		{names: "nmcli", run: nmcliCall},
		{names: "iptables ip6tables", run: iptablesCall},
		{names: "iptables-save ip6tables-save", opts: "-c -t: --counters"},
		{names: "conntrack", run: func(c *call) {
			if len(c.args) != 1 || !c.args[0].is("-L") && !c.args[0].is("-C") && !c.args[0].is("-S") {
				c.cannot(c.span, "conntrack in this form is not known to be harmless")
			}
		}},
		{names: "nft", run: func(c *call) {
			if len(c.args) < 2 || !c.args[0].is("list") && !(c.args[0].is("-a") && c.args[1].is("list")) {
				c.cannot(c.span, "of nft only list is known to be harmless")
				return
			}
			for _, v := range c.args[1:] {
				if v.kind != exact || v.dash() || strings.ContainsAny(v.text, ";{\n") {
					c.cannot(v.span, "what nft does here is not known beforehand")
				}
			}
		}},
		{names: "firewall-cmd", opts: "--state --list-all --list-all-zones --list-ports --list-services --list-interfaces --get-zones --get-active-zones --get-default-zone --zone= --permanent"},
		{names: "curl", run: curlCall},
		{names: "chronyc", run: verb("tracking sources sourcestats activity ntpdata", "-nav", false)},
		{names: "ntpq", opts: "-np46", operands: "none", check: needs("p")},
		{names: "bridge tc", run: ipCall},
	}
}

// ipCall: ip [options] OBJECT [show …]. Verbs may be abbreviated, and ip link s is set: only whole words count.
func ipCall(c *call) {
	args := c.args
	for len(args) > 0 && args[0].dash() {
		if args[0].kind != exact || !slices.Contains(strings.Fields("-4 -6 -s -d -o -br -brief -c -j -p -h -a -r -stats -details -oneline -json -pretty -color --color -color=never -N -iec"), args[0].text) {
			c.destructive(args[0].span, "unknown-option", "%s %s is not known to be harmless", c.name.text, args[0].text)
			return
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	objects := "a addr address l link r ro route ru rule n neigh neighbor neighbour maddr maddress mroute tunnel netns vrf xfrm fdb vlan mdb qdisc class filter"
	if args[0].kind != exact || !slices.Contains(strings.Fields(objects), args[0].text) {
		c.cannot(args[0].span, "%s %s is not known to be harmless", c.name.text, describe(args[0]))
		return
	}
	for _, v := range args {
		if v.kind != exact {
			c.cannot(v.span, "what %s does here is not known beforehand", c.name.text)
			return
		}
	}
	if args[0].text == "xfrm" && len(args) > 1 {
		args = args[1:]
	}
	if len(args) == 1 {
		return
	}
	switch v := args[1].text; {
	case v == "show" || v == "list" || v == "ls" || v == "lst":
	case v == "get" && strings.HasPrefix(args[0].text, "r"):
	default:
		c.cannot(args[1].span, "%s %s %s is not known to be harmless", c.name.text, args[0].text, v)
	}
}

// ifconfigCall: a second operand sets something.
func ifconfigCall(c *call) {
	args := c.args
	if len(args) > 0 && (args[0].is("-a") || args[0].is("-s")) {
		args = args[1:]
	}
	if len(args) > 1 || len(args) == 1 && !plain(args[0]) {
		c.cannot(c.span, "ifconfig with more than a name sets something")
	}
}

func ethtoolCall(c *call) {
	args := c.args
	if len(args) > 0 && args[0].kind == exact && slices.Contains(strings.Fields(
		"-a -c -g -i -k -l -m -P -S -T -u -x --show-pause --show-coalesce --show-ring --driver --show-offload --show-features --statistics --show-channels --module-info --show-permaddr --show-time-stamping --show-priv-flags --show-eee --show-fec"), args[0].text) {
		args = args[1:]
	}
	if len(args) != 1 || !plain(args[0]) {
		c.cannot(c.span, "ethtool in this form is not known to be harmless")
	}
}

// pingInterval is a whole second at least: less is a flood, and so is -f, which is not listed.
var pingInterval = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)

func pingCheck(c *call, p *parsed) {
	for _, g := range p.opts {
		if g.name == "i" && (g.value.kind != exact || !pingInterval.MatchString(g.value.text)) {
			c.cannot(g.span, "ping more than once a second is not known to be harmless")
		}
	}
}

// digCall takes names and types; a batch file is not one, and nslookup reads commands where it gets no name.
func digCall(c *call) {
	if baseName(c.name.text) == "nslookup" && len(c.args) == 0 {
		c.cannot(c.span, "nslookup without a name waits for commands")
		return
	}
	for i, v := range c.args {
		switch {
		case v.kind != exact && v.dash():
			c.destructive(v.span, "unknown-value", "the value is not known beforehand, and can be an option")
			return
		case v.kind != exact || !strings.HasPrefix(v.text, "-"):
		case slices.Contains(strings.Fields("-x -t -p -4 -6 -a -v -W -R -q -c -b -type=A -type=AAAA -type=MX -type=SRV -type=TXT -type=PTR"), v.text) && (i == 0 || v.text != "-c" || baseName(c.name.text) == "dig"):
		default:
			c.destructive(v.span, "unknown-option", "%s %s is not known to be harmless", c.name.text, v.text)
			return
		}
	}
}

func nmcliCall(c *call) {
	var line []string
	for _, v := range c.args {
		if v.kind != exact {
			c.cannot(v.span, "what nmcli does here is not known beforehand")
			return
		}
		line = append(line, v.text)
	}
	switch strings.Join(line, " ") {
	case "", "general", "general status", "device", "device status", "device show", "dev", "dev status", "dev show", "connection", "connection show", "con", "con show", "con show --active":
		return
	}
	c.cannot(c.span, "nmcli in this form is not known to be harmless")
}

// iptablesCall takes listings of the filter table. Listing another loads its module, and with nat connections
// are tracked from then on.
func iptablesCall(c *call) {
	p, ok := c.withSpec("-nvxwLS -t: --list --list-rules --line-numbers --numeric --verbose --exact --table=", c.args)
	if !ok {
		return
	}
	if !p.has("L", "S", "list", "list-rules") || len(p.operands) > 2 {
		c.cannot(c.span, "%s without -L or -S changes the rules", c.name.text)
	}
	for _, g := range p.all("t", "table") {
		if !g.value.is("filter") {
			c.cannot(g.span, "listing a table other than filter can load its module")
		}
	}
	for _, v := range p.operands {
		if !plain(v) {
			c.cannot(v.span, "this is not known to be a chain")
		}
	}
}

// statusPaths are what a server on this machine answers without doing anything else, by wide agreement. A GET
// of any other path can do anything, and so can any request to another machine.
var statusPaths = []string{"/metrics", "/health", "/healthz", "/ready", "/readyz", "/livez", "/ping", "/-/healthy", "/-/ready", "/server-status", "/nginx_status"}

func curlCall(c *call) {
	p, ok := c.withSpec("-sSfkivI46 -m: -o: -w: --silent --show-error --fail --insecure --include --verbose --head --max-time= --connect-timeout= --output= --write-out= --compressed --noproxy=", c.args)
	if !ok {
		return
	}
	for _, g := range p.opts {
		switch {
		case (g.name == "o" || g.name == "output") && !g.value.is("/dev/null"):
			c.destructive(g.span, "write", "curl writes to %s", describe(g.value))
		case (g.name == "w" || g.name == "write-out") && (g.value.kind != exact || strings.Contains(g.value.text, "output{") || strings.HasPrefix(g.value.text, "@")):
			c.cannot(g.span, "this format can write a file")
		}
	}
	if len(p.operands) == 0 && !p.has("version", "help") {
		c.cannot(c.span, "curl without a URL")
	}
	for _, v := range p.operands {
		if v.kind != exact || !statusURL(v.text) {
			c.cannot(v.span, "a request can do anything; known to be harmless are only %s and the like on localhost", "/metrics")
		}
	}
}

func statusURL(text string) bool {
	if strings.ContainsAny(text, "[]{}@\\%?#") {
		return false // curl expands ranges and lists
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	return (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1") && slices.Contains(statusPaths, u.Path)
}
