package policy

import "strings"

// storagePrograms look at disks, volumes and filesystems as a whole. With a device for an operand they are not
// proven, like everything else: a house that wants smartctl -a /dev/sda on live hosts declares it.
func storagePrograms() []program {
	return []program{
		{names: "lsblk", operands: "path", opts: "-abdDfilmnOpPrsStJTzANvMW -e: -E: -I: -o: -x: -w: --all --bytes --discard --fs --json --list --noheadings --output= --paths --topology --nodeps --tree? --sort= --scsi --inverse --perms --raw --pairs --merge --exclude= --include="},
		// Without a cache file named, blkid writes its own.
		{names: "blkid", operands: "path", opts: "-pk -c: -o: -s: -t: -L: -U: --probe --output= --match-tag=", check: func(c *call, p *parsed) {
			cached := !p.has("p", "probe", "c")
			for _, g := range p.all("c") {
				cached = cached || !g.value.is("/dev/null")
			}
			if cached {
				c.cannot(c.span, "blkid writes its cache: use blkid -p DEVICE, blkid -c /dev/null or lsblk -f")
			}
		}},
		{names: "findmnt", operands: "path", opts: "-aAbcCDefiJklmnPrRuUvx -o: -O: -s -S: -t: -T: -M: --all --json --noheadings --output= --target= --source= --types= --options= --list --real --df --bytes"},
		{names: "mount", opts: "-lv -t: --show-labels --verbose --types="},
		{names: "swapon", opts: "-s --show? --summary --bytes --noheadings --raw", check: needs("s", "show", "summary")},
		{names: "pvs vgs lvs pvdisplay vgdisplay lvdisplay pvscan vgscan lvscan", run: lvmCall},
		{names: "smartctl", operands: "path", opts: "-aAciHjx -d: -f: -l: -n: -q: -v: -g: --all --attributes --capabilities --device= --format= --get= --health --info --json? --log= --nocheck= --quietmode= --scan --scan-open --xall"},
		{names: "mdadm", run: mdadmCall},
		{names: "dmsetup", run: verb("ls status info table deps version targets", "-Ccv -o: --columns --noheadings --tree --target= --verbose", false)},
		{names: "nvme", run: nvmeCall},
		{names: "fdisk sfdisk", operands: "path", opts: "-lu? --list --bytes -o:", check: needs("l", "list")},
		{names: "xfs_info", operands: "path"},
		{names: "zpool", run: verbs("list status iostat get history events", "-HLPpvxDstg -o: -T:")},
		{names: "zfs", run: verbs("list get", "-Hpr -d: -o: -s: -t: -S:")},
		{names: "btrfs", run: btrfsCall},
		{names: "multipath", run: func(c *call) {
			if len(c.args) != 1 || !c.args[0].is("-ll") && !c.args[0].is("-l") {
				c.cannot(c.span, "multipath in this form is not known to be harmless")
			}
		}},
		{names: "lsscsi", opts: "-cdgHikLlpstuUwv"},
		{names: "quota repquota", operands: "text", opts: "-asugvqi"},
		{names: "exportfs", opts: "-vs"},
		{names: "showmount", operands: "text", most: 1, opts: "-ade --all --directories --exports --no-headers"},
	}
}

// needs is a check that one of the options is there.
func needs(options ...string) func(*call, *parsed) {
	return func(c *call, p *parsed) {
		if !p.has(options...) && !p.has("help", "version") {
			c.cannot(c.span, "%s without an option that says to list is not known to be harmless", c.name.text)
		}
	}
}

// verbs is verb for programs whose options stand behind the verb.
func verbs(list, opts string) func(*call) {
	run := verb(list, opts, false)
	return func(c *call) {
		if len(c.args) == 0 || c.args[0].dash() {
			c.cannot(c.span, "%s in this form is not known to be harmless", c.name.text)
			return
		}
		run(c)
	}
}

// lvmCall: the reporting commands take no options that change metadata but --config and the caches.
func lvmCall(c *call) {
	p, ok := c.withSpec("-avPCmc -o: -O: -S: --all --noheadings --nosuffix --segments --units= --separator= --options= --sort= --select= --reportformat= --readonly --columns --maps --colon", c.args)
	if ok {
		c.operands(p, "path", 0)
	}
	if strings.HasSuffix(c.name.text, "scan") && len(c.args) > 0 {
		c.cannot(c.span, "%s with options can activate volumes", c.name.text)
	}
}

func mdadmCall(c *call) {
	p, ok := c.withSpec("-DQs --detail --query --scan --brief -b", c.args)
	if !ok {
		return
	}
	if !p.has("D", "Q", "detail", "query") {
		c.cannot(c.span, "mdadm in this form is not known to be harmless")
		return
	}
	c.operands(p, "path", 0)
}

func nvmeCall(c *call) {
	p, ok := c.withSpec("-o: -H -v --output-format= --human-readable --verbose", c.args)
	if !ok || len(p.operands) == 0 {
		return
	}
	if p.operands[0].kind != exact {
		c.cannot(p.operands[0].span, "what nvme does here is not known beforehand")
		return
	}
	switch p.operands[0].text {
	case "list", "list-subsys", "smart-log", "error-log", "id-ctrl", "id-ns", "fw-log", "version":
		c.operands(&parsed{operands: p.operands[1:]}, "path", 0)
	default:
		c.cannot(p.operands[0].span, "nvme %s is not known to be harmless", describe(p.operands[0]))
	}
}

func btrfsCall(c *call) {
	if len(c.args) >= 2 && c.args[0].kind == exact && c.args[1].kind == exact {
		switch c.args[0].text + " " + c.args[1].text {
		case "filesystem show", "filesystem df", "filesystem usage", "fi show", "fi df", "fi usage", "subvolume list", "device stats", "scrub status":
			for _, v := range c.args[2:] {
				if v.dash() {
					c.destructive(v.span, "unknown-option", "btrfs with options is not known to be harmless")
				}
				c.operand("path", v)
			}
			return
		}
	}
	c.cannot(c.span, "btrfs in this form is not known to be harmless")
}
