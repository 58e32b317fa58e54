package testrig

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
)

// A rig's hosts hang on one bridge, which holds the first address of its network: the machine's own way to
// them. Host number H of rig N is 10.213.N.H, eth0 inside and ilkN-H on the bridge.

func bridgeName(rig int) string     { return fmt.Sprintf("ilk%d", rig) }
func linkName(rig, host int) string { return fmt.Sprintf("ilk%d-%d", rig, host) }
func address(rig, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 213, byte(rig), byte(host)})
}
func gateway(rig int) netip.Addr { return address(rig, 1) }

const (
	firstHost = 10  // lower numbers are the machine's
	lastHost  = 254 // 255 is the broadcast address
)

// ipBatch runs commands of ip(8) in one process; prefix, if any, is what runs it.
func ipBatch(ctx context.Context, prefix []string, lines ...string) error {
	argv := append(prefix, "ip", "-batch", "-")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run ip %q: %w: %s", lines, err, tail(out))
	}
	return nil
}

func addNetwork(ctx context.Context, rig int) error {
	bridge := bridgeName(rig)
	return ipBatch(ctx, nil,
		fmt.Sprintf("link add %s type bridge", bridge),
		fmt.Sprintf("addr add %s/24 dev %s", gateway(rig), bridge),
		fmt.Sprintf("link set %s up", bridge),
	)
}

// removeNetwork deletes every link of the rig: the bridge, and the outer ends, which take the inner ones
// with them.
func removeNetwork(ctx context.Context, rig int) error {
	links, err := filepath.Glob("/sys/class/net/" + bridgeName(rig) + "-*")
	if err != nil {
		return err
	}
	if bridges, err := filepath.Glob("/sys/class/net/" + bridgeName(rig)); err != nil {
		return err
	} else if len(bridges) > 0 {
		links = append(links, bridges...)
	}
	for _, link := range links {
		// A link may have gone with its namespace in the meantime.
		if err := ipBatch(ctx, nil, "link del "+filepath.Base(link)); err != nil && linkExists(filepath.Base(link)) {
			return err
		}
	}
	return nil
}

func linkExists(name string) bool {
	found, err := filepath.Glob("/sys/class/net/" + name)
	return err == nil && len(found) > 0
}

// addHostNetwork makes a network namespace, kept by the file at path, with lo, eth0 and a default route.
func addHostNetwork(ctx context.Context, rig, host int, path string) error {
	// unshare(1) --net=FILE mounts the new namespace on the file, so that it outlives its processes.
	if err := run(ctx, "unshare", "--net="+path, "true"); err != nil {
		return err
	}
	outer := linkName(rig, host)
	if err := ipBatch(ctx, nil,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %s", outer, path),
		fmt.Sprintf("link set %s master %s up", outer, bridgeName(rig)),
	); err != nil {
		return err
	}
	return ipBatch(ctx, []string{"nsenter", "--net=" + path},
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", address(rig, host)),
		"link set eth0 up",
		fmt.Sprintf("route add default via %s", gateway(rig)),
	)
}

// setLink plugs a host's cable in or out, on the machine's side: the host sees its carrier go.
func setLink(ctx context.Context, rig, host int, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return ipBatch(ctx, nil, fmt.Sprintf("link set %s %s", linkName(rig, host), state))
}
