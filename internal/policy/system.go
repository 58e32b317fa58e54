package policy

import "strings"

// systemPrograms tell about the machine and its settings.
func systemPrograms() []program {
	return []program{
		{names: "uname", opts: "-asnrvmpio --all --kernel-name --nodename --kernel-release --kernel-version --machine --operating-system"},
		{names: "hostname", opts: "-aAdfiIsy --fqdn --long --short --ip-address --all-ip-addresses --domain --all-fqdns --alias"},
		{names: "dnsdomainname nisdomainname domainname"},
		{names: "hostnamectl timedatectl localectl", run: verb("status show list-timezones list-locales timesync-status show-timesync", "--no-pager --all -a --static --pretty --transient -p: --property= --value", true)},
		{names: "date", run: dateCall},
		{names: "cal ncal", operands: "number", opts: "-3jymwhMS"},
		{names: "dmesg", opts: "-dehHkLPrStTuwWx -f: -l: -s: --ctime --decode --human --kernel --nopager --reltime --show-delta --time-format= --userspace --follow --follow-new --level= --facility= --color? --raw --notime --since= --until= --json"},
		{names: "sysctl", run: sysctlCall},
		{names: "printenv", operands: "text", opts: "-0 --null"},
		{names: "locale", operands: "text", opts: "-acmk"},
		{names: "getent", operands: "text", opts: "-i -s:"},
		{names: "which whereis", operands: "text", opts: "-abms --all"},
		{names: "lscpu", opts: "-abcJy --json --online --offline --all --extended? --parse? --bytes -e? -p? -C?"},
		{names: "lsmem", opts: "-abJnPrs? -o: --all --bytes --json --noheadings --output= --summary?"},
		{names: "lspci", opts: "-bDkmnPqtv -s: -d:"},
		{names: "lsusb", opts: "-tv -s: -d:"},
		{names: "lshw", opts: "-C: -c:"},
		{names: "lsmod"},
		{names: "modinfo", operands: "text", opts: "-adlpn0 -F: -k: --field="},
		{names: "lsns", operands: "number", opts: "-Jlnpru -o: -t:"},
		{names: "lsipc ipcs", opts: "-abclmpqstue -i: -g"},
		{names: "dmidecode", operands: "none", opts: "-qu -s: -t: --quiet --string= --type= --no-sysfs"},
		{names: "lsb_release", opts: "-aicdrsv --all --id --description --release --codename --short"},
		{names: "sensors", operands: "text", opts: "-Auj"},
		{names: "numactl", run: numactlCall},
		{names: "taskset", run: tasksetCall},
		{names: "chrt", run: onlyOption("-p", "number")},
		{names: "crontab", opts: "-l -u:", check: func(c *call, p *parsed) {
			if !p.has("l") {
				c.cannot(c.span, "crontab without -l replaces the table")
			}
		}},
		{names: "atq", opts: "-q:"},
		{names: "ipmitool", run: ipmiCall},
		{names: "getenforce sestatus aa-status"},
		{names: "runlevel"},
		{names: "aureport", opts: "-i --summary --auth --failed --success --login --avc"},
		{names: "tuned-adm", run: verb("active list verify recommend", "", false)},
		{names: "cpupower", run: verb("frequency-info idle-info", "", false)},
		{names: "hwclock", opts: "-ruv --show --get --utc --verbose", check: needs("r", "show", "get")},
		{names: "prlimit", opts: "-p:number --pid=number --output= --noheadings --raw"},
		{names: "openssl", run: opensslCall},
		{names: "kubectl", run: kubectlCall},
		{names: "perror", operands: "number", opts: "-sv"},
		{names: "mysqld mariadbd mysqldump mariadb-dump xtrabackup mariabackup mariadb-backup mydumper proxysql haproxy nginx httpd apache2 docker-compose git gcc make java go", run: versionCall},
	}
}

// verb is a program whose first operand says what it does. Bare tells whether no verb at all is harmless.
func verb(verbs, opts string, bare bool) func(*call) {
	allowed := words(verbs)
	return func(c *call) {
		p, ok := c.withSpec(opts, c.args)
		if !ok {
			return
		}
		if len(p.operands) == 0 {
			if !bare {
				c.cannot(c.span, "%s without a command is not known to be harmless", c.name.text)
			}
			return
		}
		if v := p.operands[0]; v.kind != exact || !allowed[v.text] {
			c.cannot(v.span, "%s %s is not known to be harmless", c.name.text, describe(v))
		}
	}
}

// withSpec parses args against options that hold for this form of a call alone.
func (c *call) withSpec(opts string, args []word) (*parsed, bool) {
	s, err := readSpec(opts)
	if err != nil {
		c.cannot(c.span, "%v", err)
		return nil, false
	}
	return c.parse(s, args)
}

// onlyOption is a program that is harmless with one option, which must come first, and operands of one kind.
func onlyOption(option, kind string) func(*call) {
	return func(c *call) {
		if len(c.args) != 2 || !c.args[0].is(option) {
			c.cannot(c.span, "%s in this form is not known to be harmless", c.name.text)
			return
		}
		c.oneOperand(kind, c.args[1])
	}
}

// dateCall: an operand that does not begin with + sets the clock.
func dateCall(c *call) {
	p, ok := c.withSpec("-uRI? -d: -r:path --utc --universal --date= --reference=path --iso-8601? --rfc-3339= --rfc-email", c.args)
	if !ok {
		return
	}
	for _, v := range p.operands {
		if v.kind == fields || !strings.HasPrefix(v.text, "+") {
			c.destructive(v.span, "operand", "date %s sets the clock", describe(v))
		}
	}
}

// sysctlCall takes names, never an assignment.
func sysctlCall(c *call) {
	p, ok := c.withSpec("-aAbdeknNqxr: --all --names --values --ignore --pattern= --quiet --deprecated", c.args)
	if !ok {
		return
	}
	for _, v := range p.operands {
		if v.kind != exact || strings.Contains(v.text, "=") {
			c.destructive(v.span, "operand", "sysctl %s sets a value", describe(v))
		}
	}
}

func numactlCall(c *call) {
	for _, v := range c.args {
		if !v.is("--hardware") && !v.is("-H") && !v.is("--show") && !v.is("-s") {
			c.cannot(v.span, "numactl %s is not known to be harmless", describe(v))
		}
	}
}

// tasksetCall takes taskset -p PID and taskset -c LIST COMMAND.
func tasksetCall(c *call) {
	switch {
	case len(c.args) == 2 && (c.args[0].is("-p") || c.args[0].is("-pc") || c.args[0].is("-cp")):
		c.oneOperand("number", c.args[1])
	case len(c.args) >= 3 && c.args[0].is("-c") && plain(c.args[1]):
		c.runs(c.args[2:])
	default:
		c.cannot(c.span, "taskset in this form is not known to be harmless")
	}
}

// ipmiCall takes what asks the local controller.
func ipmiCall(c *call) {
	line := []string{}
	for _, v := range c.args {
		if v.kind != exact {
			c.cannot(v.span, "what ipmitool does here is not known beforehand")
			return
		}
		line = append(line, v.text)
	}
	switch strings.Join(line, " ") {
	case "sensor", "sensor list", "sdr", "sdr list", "sdr elist", "sel", "sel list", "sel elist", "sel info", "fru", "fru print",
		"chassis status", "chassis power status", "power status", "mc info", "bmc info", "lan print", "lan print 1":
		return
	}
	c.cannot(c.span, "this use of ipmitool is not known to be harmless")
}

// versionCall takes nothing but the question for the version.
func versionCall(c *call) {
	if len(c.args) == 1 && (c.args[0].is("--version") || c.args[0].is("-V") && (baseName(c.name.text) == "mysqld" || baseName(c.name.text) == "mariadbd")) {
		return
	}
	c.cannot(c.span, "of %s only --version is known to be harmless", c.name.text)
}

// opensslCall takes certificates to show and to verify.
func opensslCall(c *call) {
	if len(c.args) == 0 || c.args[0].kind != exact {
		c.cannot(c.span, "openssl without a command reads commands")
		return
	}
	var flags string
	kind := c.args[0].text
	switch kind {
	case "version":
		flags = " -a -v "
	case "x509":
		flags = " -noout -text -dates -enddate -startdate -subject -issuer -serial -fingerprint -sha256 -sha1 -purpose -modulus -hash -email "
	case "verify":
		flags = " -verbose -show_chain "
	default:
		c.cannot(c.args[0].span, "openssl %s is not known to be harmless", kind)
		return
	}
	for i := 1; i < len(c.args); i++ {
		v := c.args[i]
		switch {
		case v.kind == exact && v.text != "" && strings.Contains(flags, " "+v.text+" "):
		case i+1 < len(c.args) && (kind == "x509" && v.is("-in") || kind == "verify" && (v.is("-CAfile") || v.is("-untrusted"))):
			i++
			c.oneOperand("file", c.args[i])
		case kind == "verify" && v.kind == exact && !v.dash():
			c.oneOperand("file", v)
		default:
			c.destructive(v.span, "unknown-option", "openssl %s %s is not known to be harmless", kind, describe(v))
		}
	}
}

// kubectlCall takes what asks the cluster.
func kubectlCall(c *call) {
	p, ok := c.withSpec("-n: -A -o: -l: -c: -w --namespace= --all-namespaces --output= --selector= --container= --tail= --since= --no-headers --show-labels --sort-by= --previous --timestamps --client --all-containers", c.args)
	if !ok || p.has("version", "help") {
		return
	}
	if len(p.operands) == 0 || p.operands[0].kind != exact {
		c.cannot(c.span, "what kubectl does here is not known beforehand")
		return
	}
	switch v := p.operands[0]; v.text {
	case "get", "describe", "logs", "top", "version", "api-resources":
	default:
		c.cannot(v.span, "kubectl %s is not known to be harmless", v.text)
	}
}
