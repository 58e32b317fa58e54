package testrig

import (
	"fmt"
	"path"
	"strings"
)

// Product is a database server that a host can have installed.
type Product string

// The products. MySQL is Debian unstable's, in /opt/mysql; MariaDB is Debian 12's.
const (
	MySQL   Product = "mysql"
	MariaDB Product = "mariadb"
)

// Accounts of every server, for logins over TCP; the name is also the password. root logs in by socket, as
// the host's root, the way packages set it up.
const (
	AppUser       = "app"       // clients: everything in the schema app
	ReplUser      = "repl"      // replicas: REPLICATION SLAVE
	MonitorUser   = "monitor"   // PROCESS, REPLICATION CLIENT
	NoProcessUser = "noprocess" // no privilege at all
)

// accountsSQL makes the accounts and the schema app. It is run once, without a binary log, in the data
// directory that every server's is a copy of.
func accountsSQL(p Product) string {
	replicationClient, root := "REPLICATION CLIENT", ""
	if p == MySQL {
		root = "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';\nALTER USER root@localhost IDENTIFIED WITH auth_socket;\n"
	}
	if p == MariaDB {
		replicationClient = "BINLOG MONITOR, REPLICA MONITOR" // 10.5 split the old privilege
	}
	return root + fmt.Sprintf(`
CREATE DATABASE app;
CREATE TABLE app.writes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), note VARCHAR(100) NOT NULL);
CREATE USER app@'%%' IDENTIFIED BY 'app';
GRANT ALL ON app.* TO app@'%%';
CREATE USER repl@'%%' IDENTIFIED BY 'repl';
GRANT REPLICATION SLAVE ON *.* TO repl@'%%';
CREATE USER monitor@'%%' IDENTIFIED BY 'monitor';
GRANT PROCESS, %s ON *.* TO monitor@'%%';
CREATE USER noprocess@'%%' IDENTIFIED BY 'noprocess';
`, replicationClient)
}

// initialise is the shell command that makes an empty data directory.
func (p Product) initialise() string {
	if p == MariaDB {
		return "mariadb-install-db --no-defaults --user=mysql --datadir=/var/lib/mysql --skip-test-db --auth-root-authentication-method=socket --innodb-log-file-size=16M"
	}
	return "mysqld --no-defaults --initialize-insecure --user=mysql --datadir=/var/lib/mysql --innodb-redo-log-capacity=16M " + strings.Join(mysqlPlaces("--"), " ")
}

// program is the server's executable on the host, wrapper what starts it as it usually is.
func (p Product) program() (program, wrapper string) {
	if p == MariaDB {
		return "/usr/sbin/mariadbd", "/usr/sbin/mariadbd"
	}
	return "/opt/mysql/sbin/mysqld", "/usr/local/sbin/mysqld"
}

// mysqlPlaces are settings that tell a MySQL out of a folder where its parts are.
func mysqlPlaces(prefix string) []string {
	return []string{
		prefix + "basedir=/opt/mysql", prefix + "plugin-dir=/opt/mysql/lib/mysql/plugin",
		prefix + "lc-messages-dir=/opt/mysql/share/mysql", prefix + "character-sets-dir=/opt/mysql/share/mysql/charsets",
	}
}

// settings are the lines of [mysqld] that are the product's own: a small server that starts fast, on a disk
// that is memory, and writes a binary log with GTIDs.
func (p Product) settings() []string {
	common := []string{
		"innodb-buffer-pool-size=32M", "innodb-flush-log-at-trx-commit=2", "sync-binlog=0", "innodb-use-native-aio=0",
		"innodb-doublewrite=0", "skip-name-resolve", "log-bin=mysql-bin", "binlog-format=ROW", "max-connections=200",
	}
	if p == MariaDB {
		return append(common, "innodb-log-file-size=16M", "log-slave-updates", "gtid-strict-mode=1")
	}
	common = append(common, mysqlPlaces("")...)
	return append(common, "innodb-redo-log-capacity=16M", "gtid-mode=ON", "enforce-gtid-consistency=ON",
		"performance-schema=ON", "mysqlx=OFF", "secure-file-priv=NULL")
}

// suffix tells the files of a second server on a host from the first's: -3307.
func suffix(port int) string {
	if port == defaultPort {
		return ""
	}
	return fmt.Sprintf("-%d", port)
}

// defaultsFile is the text of a server's option file.
func defaultsFile(s *Server) string {
	lines := []string{"[client]", "socket=" + s.Socket, "", "[mysqld]", "user=mysql",
		"datadir=" + s.DataDir, "socket=" + s.Socket, "pid-file=" + s.pidFile, "log-error=" + s.logFile,
		fmt.Sprintf("port=%d", s.Port), fmt.Sprintf("server-id=%d", s.ServerID),
		"report-host=" + s.Host.Name, fmt.Sprintf("report-port=%d", s.Port)}
	lines = append(lines, s.spec.Product.settings()...)
	if s.spec.SkipNetworking {
		lines = append(lines, "skip-networking")
	}
	lines = append(lines, s.spec.Settings...)
	return strings.Join(lines, "\n") + "\n"
}

// clientPaths are where a host's client programs are.
func (p Product) clientPaths() []string {
	dir, names := "/usr/local/bin", []string{"mysql", "mysqladmin"}
	if p == MariaDB {
		dir, names = "/usr/bin", []string{"mysql", "mariadb", "mysqladmin", "mariadb-admin"}
	}
	for i := range names {
		names[i] = path.Join(dir, names[i])
	}
	return names
}
