package testrig

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Topology is a fleet that is ready to be looked at.
type Topology struct {
	Servers map[string]*Server // by host; a host without a server is not in it
	Traffic *Traffic           // nil where there is none
}

// topologies is the list of what Build knows.
var topologies = map[string]func(context.Context, *Rig) (*Topology, error){
	"demo":     buildDemo,
	"mariadb":  buildMariaDB,
	"clusters": buildClusters,
	"clean":    buildClean,
}

// TopologyNames are the names that Build takes.
func TopologyNames() []string { return slices.Sorted(maps.Keys(topologies)) }

// Build brings up a fleet by name.
//
//	demo     MySQL primary db1 with replicas db2 and db3, clients at work; db4 drained; app1 without a database
//	mariadb  MariaDB primary db1 with replicas db2 and db3, clients at work
//	clusters two MySQL clusters, db1 with db2 and db3, db4 with db5 and db6, that come back when they boot
//	clean    app1 and app2, without a database
func (r *Rig) Build(ctx context.Context, name string) (*Topology, error) {
	build, ok := topologies[name]
	if !ok {
		return nil, fmt.Errorf("build topology %q: want one of %s", name, strings.Join(TopologyNames(), ", "))
	}
	return build(ctx, r)
}

func buildDemo(ctx context.Context, r *Rig) (*Topology, error) {
	t, err := r.buildCluster(ctx, MySQL, []string{"db1", "db2", "db3", "db4"}, []string{"app1"})
	if err != nil {
		return nil, err
	}
	// What was drained is closed to clients and declared so.
	if _, err := t.Servers["db4"].Query(ctx, "SET GLOBAL super_read_only=ON"); err != nil {
		return nil, err
	}
	return t, t.start(ctx, "db1", "db2", "db3")
}

func buildMariaDB(ctx context.Context, r *Rig) (*Topology, error) {
	t, err := r.buildCluster(ctx, MariaDB, []string{"db1", "db2", "db3"}, nil)
	if err != nil {
		return nil, err
	}
	return t, t.start(ctx, "db1", "db2", "db3")
}

func buildClean(ctx context.Context, r *Rig) (*Topology, error) {
	return r.buildCluster(ctx, MySQL, nil, []string{"app1", "app2"})
}

// buildCluster brings up hosts with a server each, and others without.
func (r *Rig) buildCluster(ctx context.Context, product Product, servers, others []string) (*Topology, error) {
	var specs []HostSpec
	for _, name := range servers {
		specs = append(specs, HostSpec{Name: name, Products: []Product{product}})
	}
	for _, name := range others {
		specs = append(specs, HostSpec{Name: name})
	}
	hosts, err := r.AddHosts(ctx, specs...)
	if err != nil {
		return nil, err
	}
	started := make([]*Server, len(servers))
	group, ctx := errgroup.WithContext(ctx)
	for i := range started {
		group.Go(func() (err error) {
			started[i], err = hosts[i].StartServer(ctx, ServerSpec{Product: product})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	t := &Topology{Servers: map[string]*Server{}}
	for i, name := range servers {
		t.Servers[name] = started[i]
	}
	return t, nil
}

// start sets up replication and lets clients work on the primary.
func (t *Topology) start(ctx context.Context, primary string, replicas ...string) error {
	var servers []*Server
	for _, name := range replicas {
		servers = append(servers, t.Servers[name])
	}
	if err := Replicate(ctx, t.Servers[primary], servers...); err != nil {
		return err
	}
	traffic, err := t.Servers[primary].Traffic(ctx, TrafficSpec{Clients: 3, WritesPerSecond: 20, Idle: 1})
	t.Traffic = traffic
	return err
}
