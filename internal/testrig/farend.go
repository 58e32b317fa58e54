package testrig

import (
	"context"
	"fmt"
	"os/exec"
)

// farEnds are the packages of the machine that a host with HostSpec.FarEnds has, too: what rsync, git and ansible
// need on the host that they reach. The machine is a Debian 12 as the hosts are, so its own files will do.
const farEnds = "rsync libpopt0 libxxhash0 liblz4-1 libzstd1 libacl1 git libpcre2-8-0 python3-minimal python3.11-minimal " +
	"libpython3.11-minimal libpython3.11-stdlib libexpat1 libssl3 libffi8 libuuid1 libbz2-1.0 libsqlite3-0"

// farEndLayer is the layer over a host tree with the files of farEnds.
func (c *cache) farEndLayer(ctx context.Context) (string, error) {
	versions, err := exec.CommandContext(ctx, "/bin/sh", "-c", "dpkg-query -W "+farEnds).Output()
	if err != nil {
		return "", fmt.Errorf("look for %s on this machine: %w; .ci/packages installs them", farEnds, err)
	}
	return c.build(ctx, "farends", string(versions)+copyPackages, func(ctx context.Context, dir string) error {
		return run(ctx, "/bin/sh", "-euc", copyPackages, "farends", dir, farEnds)
	})
}

// copyPackages copies the files of packages ($2) to a new tree ($1). Debian 12 has its /lib and /bin under /usr.
const copyPackages = `mkdir "$1"
dpkg -L $2 | grep -E '^/(usr|lib|bin)/' | grep -vE '^/usr/share/(doc|man|locale|bash-completion|lintian|info)/' | sort -u |
	while IFS= read -r file; do if [ -L "$file" ] || [ -f "$file" ]; then printf '%s\n' "$file"; fi; done |
	tar -c -C / --no-recursion --transform='s,^\(lib\|bin\)/,usr/\1/,' -T - -f - 2>/dev/null | tar -x -C "$1" -f -
find "$1" -type d -exec chmod 755 {} +
`
