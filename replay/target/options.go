package target

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

// Options say how the target is reached, as the MySQL client's options of the same names do. What is empty
// comes from the defaults file, then from MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_UNIX_PORT and MYSQL_PWD, then from what the
// client takes for granted.
type Options struct {
	// DefaultsFile is an option file of which the client's groups are read ([client], [mysql], [client-server],
	// [client-mariadb], [mariadb-client]); empty: none is, not even those that a client reads by itself.
	DefaultsFile string
	Host         string // empty or localhost: the socket
	Port         int
	Socket       string
	User         string
	PasswordFile string // its only line
	SSLMode      string // DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY
	SSLCA        string
	SSLCert      string
	SSLKey       string
}

// defaultPort is that of both servers.
const defaultPort = 3306

// defaultSockets are where packages put the socket: Debian, Red Hat, and the source's own default.
func defaultSockets() []string {
	return []string{"/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"}
}

// login is what Options come to: one place and one account.
type login struct {
	host     string // with socket empty
	port     int
	socket   string
	user     string
	password string
	mode     tlsMode
	ca       string
	cert     string
	key      string
}

// String names a server in errors: root@/run/mysqld/mysqld.sock, root@192.0.2.7:3306.
func (l login) String() string {
	_, address := l.address()
	return l.user + "@" + address
}

func (l login) address() (network, address string) {
	if l.socket != "" {
		return "unix", l.socket
	}
	return "tcp", net.JoinHostPort(l.host, strconv.Itoa(l.port))
}

// local tells whether the server's files are files of this machine.
func (l login) local() bool {
	if l.socket != "" {
		return true
	}
	ip := net.ParseIP(l.host)
	return ip != nil && ip.IsLoopback()
}

// resolve reads the files that o names and decides what it leaves open.
func (o Options) resolve() (login, error) {
	given := o
	var file fileOptions
	if o.DefaultsFile != "" {
		var err error
		if file, err = readDefaults(o.DefaultsFile); err != nil {
			return login{}, err
		}
		o = o.under(file)
	}
	if o.Host == "" && o.Socket == "" {
		o.Host = os.Getenv("MYSQL_HOST")
	}
	l := login{host: o.Host, port: o.Port, socket: o.Socket, user: o.User, ca: o.SSLCA, cert: o.SSLCert, key: o.SSLKey}
	var err error
	if l.mode, err = parseTLSMode(o.SSLMode, o.SSLCA != ""); err != nil {
		return login{}, err
	}
	if (l.cert == "") != (l.key == "") {
		return login{}, errors.New("read TLS options: a certificate and its key come together: give --ssl-cert and --ssl-key")
	}
	if l.password, err = given.password(file); err != nil {
		return login{}, err
	}
	if l.user == "" {
		me, err := user.Current()
		if err != nil {
			return login{}, fmt.Errorf("find name of the account: %w (give --user)", err)
		}
		l.user = me.Username
	}
	return l, l.place(given, file)
}

// under fills what o leaves open from a file.
func (o Options) under(file fileOptions) Options {
	fill := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	// A place on the command line replaces the file's, it does not mix with it; localhost is not a place yet.
	if o.Socket == "" {
		if o.Host == "" {
			o.Host = file.Host
		}
		if isLocalhost(o.Host) {
			o.Socket = file.Socket
		}
	}
	if o.Port == 0 {
		o.Port = file.Port
	}
	fill(&o.User, file.User)
	fill(&o.SSLMode, file.SSLMode)
	fill(&o.SSLCA, file.SSLCA)
	fill(&o.SSLCert, file.SSLCert)
	fill(&o.SSLKey, file.SSLKey)
	return o
}

func isLocalhost(host string) bool { return host == "" || host == "localhost" }

// place decides between socket and TCP. Where the client would quietly prefer one of two places that were
// named, this is an error: replay writes, and must not write to another server than was meant.
func (l *login) place(given Options, file fileOptions) error {
	if l.port < 0 || l.port > 65535 {
		return fmt.Errorf("read port %d: a port is between 1 and 65535", l.port)
	}
	byName := !isLocalhost(l.host)
	byPort := given.Socket == "" && file.protocol == protocolTCP
	switch {
	case byName && given.Socket != "":
		return fmt.Errorf("choose between host %q and socket %q: give one of them", l.host, l.socket)
	case byName && given.Host == "" && file.protocol == protocolSocket:
		return fmt.Errorf("choose between host %q and protocol=socket in %s: give --host or --socket", l.host, given.DefaultsFile)
	case byName, byPort:
		if !byName {
			l.host = "127.0.0.1"
		}
		l.socket = ""
		return l.defaultPort()
	case given.Port != 0:
		return fmt.Errorf("choose between port %d and the socket: localhost means the socket; give --host=127.0.0.1 for the port", l.port)
	case l.socket != "":
		return nil
	case l.port != 0 && l.port != defaultPort:
		return fmt.Errorf("choose between port %d in %s and the socket: localhost means the socket; give --host=127.0.0.1 for the port, or --socket PATH", l.port, given.DefaultsFile)
	}
	if l.socket = os.Getenv("MYSQL_UNIX_PORT"); l.socket != "" {
		return nil
	}
	for _, path := range defaultSockets() {
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
			l.socket = path
			return nil
		}
	}
	return fmt.Errorf("find the server's socket: none at %q (give --socket PATH, or --host ADDRESS for TCP)", defaultSockets())
}

// defaultPort is the port where none was named.
func (l *login) defaultPort() (err error) {
	text := os.Getenv("MYSQL_TCP_PORT")
	switch {
	case l.port != 0:
	case text == "":
		l.port = defaultPort
	default:
		if l.port, err = strconv.Atoi(text); err != nil || l.port < 1 || l.port > 65535 {
			return fmt.Errorf("read MYSQL_TCP_PORT: %q is not a port", text)
		}
	}
	return nil
}

// password is that of the password file, of the defaults file, or MYSQL_PWD, in the client's order.
func (o Options) password(file fileOptions) (string, error) {
	switch {
	case o.PasswordFile != "":
		text, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if bytes.ContainsAny(text, "\n\x00") {
			return "", fmt.Errorf("read password from %q: a password is one line", o.PasswordFile)
		}
		return string(text), nil
	case file.hasPassword:
		return file.password, nil
	default:
		return os.Getenv("MYSQL_PWD"), nil
	}
}
