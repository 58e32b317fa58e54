package testrig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// dataDir returns a data directory of the product with the accounts in it, made once, on a host of a rig of
// its own. Every server's is a copy of it, which saves the seconds that initialising one takes.
func (c *cache) dataDir(ctx context.Context, product Product) (string, error) {
	trees, err := c.trees(ctx)
	if err != nil {
		return "", err
	}
	recipe := trees.lower([]Product{product}) + product.initialise() + accountsSQL(product)
	return c.build(ctx, "data-"+string(product), recipe, func(ctx context.Context, dir string) (err error) {
		rig, err := New(ctx, Options{Name: fmt.Sprintf("data-%s-%d", product, os.Getpid()), Log: c.log})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rig.Close()) }()
		host, err := rig.AddHost(ctx, HostSpec{Name: "data", Products: []Product{product}})
		if err != nil {
			return err
		}
		return host.makeData(ctx, product, dir)
	})
}

// makeData initialises a data directory on the host and copies it to dir on the machine.
func (h *Host) makeData(ctx context.Context, product Product, dir string) error {
	if _, err := h.Exec(ctx, "install -d -o mysql -g mysql -m 750 /var/lib/mysql; "+product.initialise()); err != nil {
		return err
	}
	if _, err := h.Exec(ctx, "mkdir -p /etc/mysql"); err != nil {
		return err
	}
	// As few settings as do: what is made here must suit every server that starts on a copy.
	s := &Server{
		Host: h, Port: defaultPort, DataDir: "/var/lib/mysql", Socket: "/run/mysqld/mysqld.sock",
		spec: ServerSpec{Product: product, Settings: []string{"skip-networking", "skip-log-bin"}}, ServerID: 1,
		defaultsFile: "/etc/mysql/my.cnf", pidFile: "/run/mysqld/mysqld.pid", logFile: "/var/log/mysql/error.log",
	}
	if err := h.WriteFile(s.defaultsFile, defaultsFile(s), 0o644); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	if _, err := s.Query(ctx, accountsSQL(product)); err != nil {
		return err
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	// auto.cnf holds the server's UUID, which is nobody else's.
	if _, err := h.Exec(ctx, "cd /var/lib/mysql && rm -f auto.cnf ./*.pid ib_buffer_pool"); err != nil {
		return err
	}
	from, err := h.Path("/var/lib/mysql")
	if err != nil {
		return err
	}
	return run(ctx, "cp", "-a", "--sparse=always", filepath.Clean(from), dir)
}
