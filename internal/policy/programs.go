package policy

import (
	"fmt"
	"strings"
)

// families is every program that is known, by family. What is not in here is destructive.
func families() [][]program {
	return [][]program{
		builtins(),         // what the shell itself does
		wrappers(),         // sudo, timeout, sh -c, xargs, ssh …: they run other commands
		filePrograms(),     // ls, find, du, stat …
		textPrograms(),     // cat, grep, sort, sed, awk …
		processPrograms(),  // ps, top, lsof …
		systemPrograms(),   // uname, date, dmesg, sysctl …
		storagePrograms(),  // lsblk, lvs, smartctl, zpool …
		networkPrograms(),  // ip, ss, ping, dig, curl …
		transferPrograms(), // git-upload-pack, rsync --server --sender, scp -f
		servicePrograms(),  // systemctl, service, journalctl, reboot …
		packagePrograms(),  // apt, dpkg, yum, rpm …
		mysqlPrograms(),    // mysql, mysqladmin, mysqlbinlog …
		containerPrograms(),
	}
}

func buildPrograms() (map[string]*program, error) {
	all := map[string]*program{}
	for _, family := range families() {
		for i := range family {
			p := &family[i]
			s, err := readSpec(p.opts)
			if err != nil {
				return nil, fmt.Errorf("program %s: %w", p.names, err)
			}
			s.loose = p.loose
			p.spec = s
			if p.operands == "" {
				p.operands = "none"
			}
			for _, name := range strings.Fields(p.names) {
				if all[name] != nil {
					return nil, fmt.Errorf("program %s is described twice", name)
				}
				all[name] = p
			}
		}
	}
	return all, nil
}
