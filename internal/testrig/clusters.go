package testrig

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// startSpec is a server that a topology starts on a host of its own.
type startSpec struct {
	host string
	spec ServerSpec
}

// startAll brings up hosts with a server each, side by side. The servers come back when their host boots.
func (r *Rig) startAll(ctx context.Context, specs []startSpec) (*Topology, error) {
	var hostSpecs []HostSpec
	for _, s := range specs {
		hostSpecs = append(hostSpecs, HostSpec{Name: s.host, Products: []Product{s.spec.Product}})
	}
	hosts, err := r.AddHosts(ctx, hostSpecs...)
	if err != nil {
		return nil, err
	}
	started := make([]*Server, len(specs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3) // more at once only wait for one another
	for i, s := range specs {
		group.Go(func() (err error) {
			if started[i], err = hosts[i].StartServer(ctx, s.spec); err == nil {
				err = started[i].StartAtBoot(true)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	t := &Topology{Servers: map[string]*Server{}}
	for i, s := range specs {
		t.Servers[s.host] = started[i]
	}
	return t, nil
}

// buildClusters brings up two clusters of a primary and two replicas, db[1-3] and db[4-6]. Clients write to
// both primaries.
func buildClusters(ctx context.Context, r *Rig) (*Topology, error) {
	var specs []startSpec
	for n := 1; n <= 6; n++ {
		s := startSpec{fmt.Sprintf("db%d", n), ServerSpec{Product: MySQL, OwnName: true}}
		if n != 1 && n != 4 {
			s.spec.Settings = []string{"super-read-only=ON"} // also after a boot
		}
		specs = append(specs, s)
	}
	t, err := r.startAll(ctx, specs)
	if err != nil {
		return nil, err
	}
	if err := t.start(ctx, "db1", "db2", "db3"); err != nil {
		return nil, err
	}
	first := t.Traffic
	if err := t.start(ctx, "db4", "db5", "db6"); err != nil {
		return nil, err
	}
	r.atClose(first.Stop)
	return t, nil
}

// StartAtBoot says whether the server is started when its host boots, as an enabled unit is.
func (s *Server) StartAtBoot(on bool) error {
	if !on {
		return s.Host.WriteFile("/etc/rc.local", "#!/bin/sh\nexit 0\n", 0o755)
	}
	return s.Host.WriteFile("/etc/rc.local", "#!/bin/sh\n"+s.launch()+"\n", 0o755)
}

// groupPort is where members of a group talk to one another.
const groupPort = 33061

// AddGroup brings up hosts that are members of one Group Replication, in single-primary mode; the first one is
// the primary. It returns once all are ONLINE.
func (r *Rig) AddGroup(ctx context.Context, names ...string) (*Topology, error) {
	first, err := r.reserve(0)
	if err != nil {
		return nil, err
	}
	var seeds []string
	for i := range names {
		seeds = append(seeds, fmt.Sprintf("%s:%d", address(r.number, first+i), groupPort))
	}
	var specs []startSpec
	for i, name := range names {
		specs = append(specs, startSpec{name, ServerSpec{Product: MySQL, OwnName: true, Settings: []string{
			"plugin-load-add=group_replication.so",
			"loose-group-replication-group-name=6f1a2d5e-0000-4000-8000-00000000000a",
			"loose-group-replication-start-on-boot=OFF",
			"loose-group-replication-local-address=" + seeds[i],
			"loose-group-replication-group-seeds=" + strings.Join(seeds, ","),
			"loose-group-replication-ip-allowlist=" + network.String(),
			"loose-group-replication-recovery-get-public-key=ON",
		}}})
	}
	t, err := r.startAll(ctx, specs)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if err := t.Servers[name].joinGroup(ctx, i == 0); err != nil {
			return nil, err
		}
	}
	return t, t.WaitOnline(ctx, names...)
}

// joinGroup starts Group Replication, as a group of its own with bootstrap.
func (s *Server) joinGroup(ctx context.Context, bootstrap bool) error {
	statements := fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_USER='%s', SOURCE_PASSWORD='%s' FOR CHANNEL 'group_replication_recovery'; ", ReplUser, ReplUser)
	if bootstrap {
		statements += "SET GLOBAL group_replication_bootstrap_group=ON; START GROUP_REPLICATION; SET GLOBAL group_replication_bootstrap_group=OFF"
	} else {
		statements += "START GROUP_REPLICATION"
	}
	_, err := s.Query(ctx, statements)
	return err
}

// JoinGroup lets a member that has left, or was stopped, join again.
func (s *Server) JoinGroup(ctx context.Context) error {
	_, err := s.Query(ctx, "START GROUP_REPLICATION")
	return err
}

// WaitOnline waits until each of the servers sees all of them ONLINE.
func (t *Topology) WaitOnline(ctx context.Context, names ...string) error {
	for _, name := range names {
		err := waitUntil(ctx, name+" sees its whole group ONLINE", func() (bool, string, error) {
			rows, err := t.Servers[name].Query(ctx, "SELECT MEMBER_HOST, MEMBER_STATE FROM performance_schema.replication_group_members")
			if err != nil {
				return false, "", err
			}
			var states []string
			for _, row := range rows {
				states = append(states, row["MEMBER_HOST"]+" "+row["MEMBER_STATE"])
			}
			online := slices.DeleteFunc(slices.Clone(states), func(s string) bool { return !strings.HasSuffix(s, " ONLINE") })
			return len(online) == len(names), strings.Join(states, ", "), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
