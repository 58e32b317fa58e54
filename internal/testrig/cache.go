package testrig

import (
	"context"
	"crypto/sha256"
	_ "embed" // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

//go:embed scripts/setup.sh
var setupScript string

//go:embed scripts/mysql.sh
var mysqlScript string

// Packages of the trees. What a host has beyond minbase is what check.sh, the gate and their tests meet on
// real hosts: the shells, sudo, procps, iproute2.
const (
	basePackages    = "openssh-server,sudo,busybox,dash,zsh,fish,tcsh,procps,iproute2,util-linux,mount,perl-base,libcap2-bin"
	mariadbPackages = basePackages + ",mariadb-server-core,mariadb-client"
	mysqlPackages   = "mysql-server-core,mysql-client-core,libc-bin"

	hostSuite  = "bookworm"
	mysqlSuite = "sid" // Debian stable has no MySQL

	// mysqlAccount makes the servers' account under the same numbers in every tree.
	mysqlAccount = "groupadd --system --gid 310 mysql && useradd --system --uid 310 --gid mysql --home-dir /nonexistent --shell /bin/false mysql"
)

// cache is the folder of built trees and data directories. Each has the stamp of what it was built from in
// its name, so that a changed recipe builds anew and never alters a tree that another rig is using.
type cache struct {
	dir string
	log io.Writer
}

func newCache(log io.Writer) (*cache, error) {
	dir := os.Getenv("INTERLOCK_RIG_CACHE")
	if dir == "" {
		dir = "/var/cache/interlock-rig"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	return &cache{dir: dir, log: log}, nil
}

// Prepare builds every tree and data directory that is missing from the cache, and says on log how long each
// took. Processes that prepare at the same time wait for one another.
func Prepare(ctx context.Context, log io.Writer) error {
	c, err := newCache(log)
	if err != nil {
		return err
	}
	if _, err := c.trees(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, product := range []Product{MySQL, MariaDB} {
		group.Go(func() error {
			_, err := c.dataDir(ctx, product)
			return err
		})
	}
	return group.Wait()
}

// trees are the lower directories of hosts.
type trees struct {
	base    string // Debian without any server
	mariadb string // the same with MariaDB: a tree of its own
	mysql   string // a layer over either
}

// lower is the overlay's list of lower directories for a host that can run the products.
func (t trees) lower(products []Product) string {
	bottom, layers := t.base, ""
	for _, p := range products {
		switch p {
		case MariaDB:
			bottom = t.mariadb
		case MySQL:
			layers = t.mysql + ":"
		}
	}
	return layers + bottom
}

func (c *cache) trees(ctx context.Context) (trees, error) {
	if err := requireTools(ctx, c.log); err != nil {
		return trees{}, err
	}
	var t trees
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		t.base, err = c.build(ctx, "base", basePackages+setupScript, func(ctx context.Context, dir string) error {
			return c.hostTree(ctx, dir, basePackages, "true")
		})
		return err
	})
	group.Go(func() (err error) {
		t.mariadb, err = c.build(ctx, "mariadb", mariadbPackages+mysqlAccount+setupScript, func(ctx context.Context, dir string) error {
			return c.hostTree(ctx, dir, mariadbPackages, mysqlAccount)
		})
		if err != nil {
			return err
		}
		t.mysql, err = c.build(ctx, "mysql", mysqlPackages+mysqlScript+filepath.Base(t.mariadb), func(ctx context.Context, dir string) error {
			return c.mysqlLayer(ctx, dir, t.mariadb)
		})
		return err
	})
	err := group.Wait()
	return t, err
}

// build returns the path of a tree, made by fill in a temporary folder and renamed into place, under a lock.
func (c *cache) build(ctx context.Context, name, recipe string, fill func(ctx context.Context, dir string) error) (string, error) {
	sum := sha256.Sum256([]byte(recipe))
	dir := filepath.Join(c.dir, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lockFile(ctx, filepath.Join(c.dir, name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // built while we waited
	}
	begin := time.Now()
	fmt.Fprintf(c.log, "testrig: building %s\n", dir)
	building := filepath.Join(c.dir, "."+name+".building")
	if err := os.RemoveAll(building); err != nil { // of a process that was killed: we hold the lock
		return "", fmt.Errorf("remove half-built %s: %w", name, err)
	}
	if err := fill(ctx, building); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := os.Rename(building, dir); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	fmt.Fprintf(c.log, "testrig: built %s in %.1f s\n", dir, time.Since(begin).Seconds())
	return dir, nil
}

// hostTree makes a whole Debian in dir. extra is a command that runs in it at the end.
func (c *cache) hostTree(ctx context.Context, dir, packages, extra string) error {
	source, err := aptSource(hostSuite)
	if err != nil {
		return err
	}
	if err := run(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root",
		"--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/info/*",
		"--include="+packages, hostSuite, dir, source); err != nil {
		return err
	}
	if err := run(ctx, "chroot", dir, "/bin/sh", "-c", setupScript, "setup", AsksPassword); err != nil {
		return err
	}
	if err := run(ctx, "chroot", dir, "/bin/sh", "-c", extra); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// mysqlLayer makes the layer that turns a host tree into one with MySQL.
func (c *cache) mysqlLayer(ctx context.Context, dir, mariadb string) error {
	source, err := aptSource(mysqlSuite)
	if err != nil {
		return err
	}
	extracted := dir + "-packages"
	defer os.RemoveAll(extracted)
	if err := os.RemoveAll(extracted); err != nil {
		return err
	}
	if err := run(ctx, "mmdebstrap", "--quiet", "--variant=extract", "--mode=root",
		"--aptopt=Acquire::Check-Valid-Until \"false\"", "--include="+mysqlPackages, mysqlSuite, extracted, source); err != nil {
		return err
	}
	return run(ctx, "/bin/sh", "-c", mysqlScript, "mysql.sh", extracted, dir, mariadb)
}

// machineTools are the programs that the rig runs on the machine, each with the Debian package that has it.
var machineTools = [...][2]string{
	{"mmdebstrap", "mmdebstrap"}, {"ip", "iproute2"}, {"nsenter", "util-linux"}, {"unshare", "util-linux"},
	{"mount", "mount"}, {"ssh-keygen", "openssh-client"}, {"perl", "perl-base"}, {"cp", "coreutils"},
}

// requireTools installs the packages of missing programs, and says so on log before it does.
func requireTools(ctx context.Context, log io.Writer) error {
	var missing []string
	for _, tool := range machineTools {
		if _, err := exec.LookPath(tool[0]); err != nil {
			missing = append(missing, tool[1])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintf(log, "testrig: installing on this machine: %s\n", strings.Join(missing, " "))
	if err := run(ctx, "apt-get", "-q", "update"); err != nil {
		return err
	}
	return run(ctx, "apt-get", append([]string{"-q", "-y", "--no-install-recommends", "install"}, missing...)...)
}

// lockFile takes an exclusive flock on path, which it makes, and returns what releases it.
func lockFile(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// run runs a program of the machine and puts the end of what it printed into the error.
func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", name, err, tail(out))
	}
	return nil
}

// tail is the last 2 KB of a program's output: enough to see why it failed.
func tail(out []byte) string {
	const most = 2048
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.TrimSpace(string(out))
}
