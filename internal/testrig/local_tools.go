package testrig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tools are a product's programs out of the cache, run by their own ld.so with their own libraries, so that
// the machine needs none of them.
type Tools struct {
	Product Product
	tree    string
	loader  string
}

func (c *cache) tools(ctx context.Context, product Product) (Tools, error) {
	trees, err := c.trees(ctx)
	if err != nil {
		return Tools{}, err
	}
	tree, libs := trees.mysql, "opt/mysql/libs"
	if product == MariaDB {
		tree, libs = trees.mariadb, "usr/lib/*-linux-gnu"
	}
	loaders, err := filepath.Glob(filepath.Join(tree, libs, "ld-linux*.so*"))
	if err != nil {
		return Tools{}, err
	}
	if len(loaders) == 0 {
		return Tools{}, fmt.Errorf("find programs of %s: no ld.so in %s", product, tree)
	}
	return Tools{Product: product, tree: tree, loader: loaders[0]}, nil
}

// ToolsOf finds the programs of a product, which builds its tree where it is missing.
func ToolsOf(ctx context.Context, product Product) (Tools, error) {
	c, err := newCache(os.Stderr)
	if err != nil {
		return Tools{}, err
	}
	return c.tools(ctx, product)
}

// Command is the command line of mysqlbinlog, mysqldump or mysql, with more arguments; the name is MySQL's
// for both products.
func (t Tools) Command(program string, args ...string) []string { return t.command(program, args...) }

func (t Tools) command(program string, args ...string) []string {
	path := "opt/mysql/bin/" + program
	if program == "mysqld" {
		path = "opt/mysql/sbin/mysqld"
	}
	if t.Product == MariaDB {
		path = "usr/bin/" + strings.Replace(program, "mysql", "mariadb-", 1)
		switch program {
		case "mysql":
			path = "usr/bin/mariadb"
		case "mysqld":
			path = "usr/sbin/mariadbd"
		}
	}
	return append([]string{t.loader, "--library-path", filepath.Dir(t.loader), filepath.Join(t.tree, path)}, args...)
}

// serverPlaces are the first arguments of a server: where its parts are, and that it reads no option file.
func (t Tools) serverPlaces() []string {
	base, share := filepath.Join(t.tree, "opt/mysql"), "share/mysql"
	if t.Product == MariaDB {
		base = filepath.Join(t.tree, "usr")
	}
	places := []string{"--no-defaults", "--basedir=" + base, "--plugin-dir=" + filepath.Join(base, "lib/mysql/plugin"),
		"--lc-messages-dir=" + filepath.Join(base, share), "--character-sets-dir=" + filepath.Join(base, share, "charsets")}
	return places
}

// localData returns a data directory with the account root@localhost, which has no password, made once.
func (c *cache) localData(ctx context.Context, product Product) (string, error) {
	tools, err := c.tools(ctx, product)
	if err != nil {
		return "", err
	}
	const version = "1" // raised when what makes the directory changes
	return c.build(ctx, "data-local-"+string(product), tools.tree+version, func(ctx context.Context, dir string) error {
		if product == MariaDB {
			return tools.bootstrap(ctx, dir)
		}
		return runWith(ctx, tools.initialise("--datadir="+dir, "--initialize-insecure", "--innodb-redo-log-capacity=32M"), nil)
	})
}

func (t Tools) initialise(args ...string) []string {
	argv := append(t.command("mysqld"), t.serverPlaces()...)
	if os.Getuid() == 0 {
		argv = append(argv, "--user=root")
	}
	return append(append(argv, "--innodb-use-native-aio=0"), args...)
}

// bootstrap does what mariadb-install-db does, whose paths cannot be those of a tree.
func (t Tools) bootstrap(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "mysql"), 0o700); err != nil {
		return err
	}
	script := []byte("USE mysql;\nSET @auth_root_socket=NULL;\n")
	for _, name := range []string{"mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data", "maria_add_gis_sp_bootstrap"} {
		text, err := os.ReadFile(filepath.Join(t.tree, "usr/share/mysql", name+".sql"))
		if err != nil {
			return err
		}
		script = append(script, text...)
	}
	return runWith(ctx, t.initialise("--datadir="+dir, "--bootstrap", "--skip-log-bin", "--innodb-log-file-size=32M",
		"--innodb-buffer-pool-size=32M", "--enforce-storage-engine=", "--net-buffer-length=16K"), script)
}

// runWith runs a command line with input.
func runWith(ctx context.Context, argv []string, input []byte) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run %s: %w: %s", filepath.Base(argv[3]), err, tail(out))
	}
	return nil
}
