package testrig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Options say what a rig is called and where it reports.
type Options struct {
	Name string    // of letters, digits and -_.; empty: made from the process id
	Log  io.Writer // what takes long or changes the machine is said here; nil: standard error
}

// Rig is a fleet. Its methods may be called from several goroutines at once.
type Rig struct {
	Name   string
	number int
	dir    string
	log    io.Writer
	cache  *cache
	trees  trees
	pubKey string

	mu    sync.Mutex
	hosts []*Host // in the order of their addresses
	next  int     // address of the next host
	ends  []func() error

	namesMu sync.Mutex // held while names are written to all hosts
}

var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// New makes an empty rig: a bridge, a client key, a state folder. It builds the cache where it is missing,
// which takes about a minute, and first removes the rigs of owners that have died.
func New(ctx context.Context, opts Options) (*Rig, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make rig: not root: namespaces and mounts need it")
	}
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	if opts.Name == "" {
		opts.Name = fmt.Sprintf("rig-%d", os.Getpid())
	}
	if !goodName.MatchString(opts.Name) {
		return nil, fmt.Errorf("make rig %q: want lower-case letters, digits, dot, - and _", opts.Name)
	}
	cache, err := newCache(opts.Log)
	if err != nil {
		return nil, err
	}
	trees, err := cache.trees(ctx)
	if err != nil {
		return nil, err
	}
	dir, number, err := claim(ctx, opts.Name)
	if err != nil {
		return nil, err
	}
	r := &Rig{Name: opts.Name, number: number, dir: dir, log: opts.Log, cache: cache, trees: trees, next: firstHost}
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Rig) prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(r.dir, "hosts"), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(r.dir, "ssh"), 0o755); err != nil {
		return err
	}
	if err := makeKey(ctx, r.KeyFile(), "rig "+r.Name); err != nil {
		return err
	}
	pub, err := os.ReadFile(r.KeyFile() + ".pub")
	if err != nil {
		return err
	}
	r.pubKey = string(pub)
	if err := r.writeSSHFiles(nil); err != nil {
		return err
	}
	return addNetwork(ctx, r.number)
}

// Close ends every host and removes all that the rig made. Only the first call does something.
func (r *Rig) Close() error {
	r.mu.Lock()
	hosts, ends := r.hosts, r.ends
	r.hosts, r.ends, r.next = nil, nil, lastHost+1 // none can be added
	r.mu.Unlock()
	var group errgroup.Group
	for _, end := range ends {
		// What a client said about its last moments is no error of the rig's.
		group.Go(func() error { _ = end(); return nil })
	}
	for _, h := range hosts {
		group.Go(h.halt)
	}
	err := group.Wait()
	if demolishErr := demolish(context.Background(), r.dir, r.number, true); demolishErr != nil {
		err = errors.Join(err, fmt.Errorf("close rig %q: %w", r.Name, demolishErr))
	}
	return err
}

// atClose has something that is no part of a host ended with the rig.
func (r *Rig) atClose(end func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, end)
}

// Host is the host of that name, or nil.
func (r *Rig) Host(name string) *Host {
	for _, h := range r.Hosts() {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// Hosts are all hosts in the order of their addresses.
func (r *Rig) Hosts() []*Host {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.hosts)
}

// AddHosts brings up hosts at once; either all are up or an error is returned and none of them is left.
func (r *Rig) AddHosts(ctx context.Context, specs ...HostSpec) ([]*Host, error) {
	first, err := r.reserve(len(specs))
	if err != nil {
		return nil, err
	}
	hosts := make([]*Host, len(specs))
	group, groupCtx := errgroup.WithContext(ctx)
	for i, spec := range specs {
		group.Go(func() (err error) {
			hosts[i], err = r.addHost(groupCtx, spec, first+i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		for _, h := range hosts {
			if h != nil {
				err = errors.Join(err, h.remove())
			}
		}
		return nil, err
	}
	r.mu.Lock()
	r.hosts = append(r.hosts, hosts...)
	slices.SortFunc(r.hosts, func(a, b *Host) int { return cmp.Compare(a.number, b.number) })
	r.mu.Unlock()
	return hosts, r.spreadNames()
}

// AddHost brings up one host and waits until its sshd answers.
func (r *Rig) AddHost(ctx context.Context, spec HostSpec) (*Host, error) {
	hosts, err := r.AddHosts(ctx, spec)
	if err != nil {
		return nil, err
	}
	return hosts[0], nil
}

// spreadNames tells every host, and the ssh client, the names of all.
func (r *Rig) spreadNames() error {
	r.namesMu.Lock()
	defer r.namesMu.Unlock()
	hosts := r.Hosts()
	names := "127.0.0.1 localhost\n::1 localhost\n"
	for _, h := range hosts {
		names += fmt.Sprintf("%s %s\n", h.Addr, h.Name)
	}
	for _, h := range hosts {
		if err := h.WriteFile("/etc/hosts", names, 0o644); err != nil && h.Up() {
			return err
		}
	}
	return r.writeSSHFiles(hosts)
}
