package policy

import (
	"regexp"
	"slices"
	"strings"

	"interlock/checks"
)

// servicePrograms ask and steer services, and end or restart the machine.
func servicePrograms() []program {
	return []program{
		{names: "systemctl", run: systemctlCall,
			opts: "-alqt: -n: -o: -p: --all --full --no-pager --no-legend --plain --quiet --type= --state= --property= --value --lines= --output= --failed --now --no-block --wait --show-types --reverse --recursive --with-dependencies --system --no-ask-password"},
		{names: "service", run: serviceCall},
		{names: "journalctl", operands: "text",
			opts: "-aefklmNqrxb? -n? -u: -t: -p: -g: -o: -S: -U: -c: -F: -I -# --all --boot? --list-boots --catalog --dmesg --disk-usage --follow --full --grep= --case-sensitive? --identifier= --lines? --merge --no-full --no-hostname --no-pager --no-tail --output= --output-fields= --pager-end --priority= --quiet --reverse --since= --until= --system --unit= --user-unit= --utc --facility= --field= --cursor= --after-cursor= --show-cursor --verify"},
		{names: "systemd-analyze", run: verb("time blame critical-chain dump security", "--no-pager", true)},
		{names: "systemd-cgls", operands: "text", opts: "-alku: --no-pager --all"},
		{names: "systemd-cgtop", opts: "-b1 -n: -d: -p --batch --iterations="},
		{names: "loginctl", run: verb("list-sessions list-users session-status user-status show-session show-user", "--no-pager -a --all --full -l", true)},
		{names: "coredumpctl", run: verb("list", "--no-pager -r -1", true)},
		{names: "reboot", run: rebootCall},
		{names: "shutdown", run: shutdownCall},
		{names: "init telinit", run: initCall},
		{names: "poweroff halt", run: func(c *call) {
			c.destructive(c.span, "power-off", "%s leaves a machine that nobody can reach to bring back", c.name.text)
		}},
		{names: "kexec", run: kexecCall},
		{names: "crm_mon", opts: "-1nrfAV", check: needs("1")},
		{names: "pcs", run: verb("status", "--full", false)},
	}
}

// boot records that the command boots the host.
func (c *call) boot(text string) {
	c.boots = true
	c.add(checks.Disruptive, c.span, "reboot", "%s boots the host", text)
}

var (
	systemctlReads = words(`status show cat list-units list-unit-files list-timers list-sockets list-paths list-automounts
		list-dependencies list-jobs list-machines is-active is-enabled is-failed is-system-running get-default show-environment`)
	// start is missing: it interrupts nothing that runs, but runs what the unit says. kill is missing: the unit's
	// own way to stop is what keeps its data.
	systemctlInterrupts = words(`stop restart try-restart reload reload-or-restart try-reload-or-restart`)
)

func systemctlCall(c *call) {
	p, ok := c.parse(c.prog.spec, c.args)
	if !ok {
		return
	}
	if len(p.operands) == 0 {
		return // list-units
	}
	v := p.operands[0]
	units := p.operands[1:]
	switch {
	case v.kind != exact:
		c.cannot(v.span, "what systemctl does here is not known beforehand")
	case systemctlReads[v.text]:
	case v.text == "reboot" && len(units) == 0:
		c.boot("systemctl reboot")
	case v.text == "kexec" && len(units) == 0:
		c.boot("systemctl kexec")
	case systemctlInterrupts[v.text]:
		c.units(v.text, units)
	default:
		c.cannot(v.span, "systemctl %s is not known to keep data", v.text)
	}
}

// systemUnits are units of systemd's own that only serve; the others among systemd-* can partition disks,
// make filesystems or end the machine.
var systemUnits = strings.Fields("systemd-journald systemd-resolved systemd-timesyncd systemd-networkd systemd-logind systemd-udevd")

// notServices are names of units and init scripts that end the machine, take its filesystems away, write to
// disks, or make a new cluster (mysql@bootstrap).
var notServices = regexp.MustCompile(`(?i)halt|reboot|poweroff|shutdown|kexec|u(n)?mount|mountall|mountnfs|sendsigs|kill|single|rescue|emergency|initrd|` +
	`update|mkfs|format|wipe|install|fsck|bootstrap|swap|blk-availability|crypt|growfs|repart|^rc(S|\.local|[0-9])?$`)

// units takes the names of services. Of the other types only sockets and timers are known: reaching
// poweroff.target is not an interruption.
func (c *call) units(verb string, units []word) {
	if len(units) == 0 {
		c.cannot(c.span, "%s %s without a unit", c.name.text, verb)
		return
	}
	for _, u := range units {
		name, kind, found := u.text, "", false
		if i := strings.LastIndexByte(u.text, '.'); i >= 0 {
			name, kind, found = u.text[:i], u.text[i+1:], true
		}
		switch {
		case u.kind != exact || strings.Trim(u.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@:") != "" || u.text == "":
			c.cannot(u.span, "which units this means is not known beforehand")
		case found && kind != "service" && kind != "socket" && kind != "timer":
			if strings.ContainsAny(kind, "0123456789") { // redis-6.2: not a type
				c.disrupts(u.span, verb, u.text)
				continue
			}
			c.cannot(u.span, "%s of a .%s unit is not known to keep data", verb, kind)
		case notServices.MatchString(u.text):
			c.cannot(u.span, "%s is not a service that keeps data when it is stopped", u.text)
		case strings.HasPrefix(name, "systemd-") && !slices.Contains(systemUnits, name):
			c.cannot(u.span, "%s does things to the system that are not known to keep data", u.text)
		default:
			c.disrupts(u.span, verb, u.text)
		}
	}
}

func (c *call) disrupts(s span, verb, unit string) {
	c.add(checks.Disruptive, s, "service", "%s of %s interrupts what it serves", verb, unit)
}

// serviceCall: service NAME VERB, through systemd or the service's own script.
func serviceCall(c *call) {
	if len(c.args) == 1 && c.args[0].is("--status-all") {
		return
	}
	if len(c.args) != 2 || c.args[0].dash() || c.args[1].kind != exact {
		c.cannot(c.span, "service in this form is not known to keep data")
		return
	}
	switch v := c.args[1].text; v {
	case "status":
		if !plain(c.args[0]) {
			c.cannot(c.args[0].span, "which service this means is not known beforehand")
		}
	case "stop", "restart", "try-restart", "reload", "force-reload", "condrestart":
		c.units(v, c.args[:1])
	default:
		c.cannot(c.args[1].span, "service … %s is not known to keep data", v)
	}
}

// rebootCall: -f skips the orderly stop of services, -n the sync, -p powers off.
func rebootCall(c *call) {
	for _, v := range c.args {
		if !v.is("--reboot") && !v.is("-r") && !v.is("--no-wall") {
			c.cannot(v.span, "reboot %s is not known to keep data", describe(v))
		}
	}
	c.boot("reboot")
}

func shutdownCall(c *call) {
	reboot := false
	for i, v := range c.args {
		switch {
		case v.is("-r") || v.is("--reboot"):
			reboot = true
		case v.is("-k") || v.is("--no-wall") || v.is("-c"):
		case v.kind == exact && v.text != "" && !strings.HasPrefix(v.text, "-"):
			// The time, then words for those logged in.
		case i > 0 && v.kind != exact && !v.dash():
		default:
			c.destructive(v.span, "power-off", "shutdown %s is not known to bring the machine back", describe(v))
		}
	}
	switch {
	case reboot:
		c.boot("shutdown -r")
	case len(c.args) == 1 && c.args[0].is("-c"):
		c.cannot(c.span, "what a shutdown that is called off was for is not known")
	default:
		c.destructive(c.span, "power-off", "shutdown without -r leaves a machine that nobody can reach to bring back")
	}
}

func initCall(c *call) {
	if len(c.args) == 1 && c.args[0].is("6") {
		c.boot("run level 6")
		return
	}
	c.cannot(c.span, "this change of run level is not known to keep data")
}

// kexecCall: kexec -e jumps into the loaded kernel without stopping a single service, and a loaded kernel is
// one of the things that make a host's next boot doubtful; so it is destructive wherever it works at all.
func kexecCall(c *call) {
	c.boots = true
	c.cannot(c.span, "kexec boots another kernel without stopping services; systemctl kexec stops them first")
}
