package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"interlock/replay/binlog"
)

// Server is the target. Its methods may be called from several goroutines at once.
type Server struct {
	Flavor  binlog.Flavor
	Version string
	GTIDs   bool // MySQL: gtid_mode is ON
	// BufferPool is innodb_buffer_pool_size, in bytes.
	BufferPool uint64

	opts login
	mu   sync.Mutex
	open map[*Conn]struct{}  // every Conn that is not closed; nil once the server is
	made map[uint32]struct{} // CONNECTION_ID() of every Conn that there was
}

// dialTimeout bounds how long a server may take to greet: a stopped one accepts and says nothing.
const dialTimeout = 10 * time.Second

// Connect reaches the target and finds out what it is. It changes nothing. Where opts cannot be used it returns an
// *OptionsError.
func Connect(ctx context.Context, opts Options) (*Server, error) {
	login, err := opts.resolve()
	if err != nil {
		return nil, &OptionsError{err}
	}
	s := &Server{opts: login, open: map[*Conn]struct{}{}, made: map[uint32]struct{}{}}
	c, err := s.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := s.identify(ctx, c); err != nil {
		return nil, fmt.Errorf("identify %s: %w", login, err)
	}
	return s, nil
}

func (s *Server) identify(ctx context.Context, c *Conn) error {
	var err error
	if s.Version, err = c.text(ctx, "SELECT VERSION()"); err != nil {
		return err
	}
	pool, err := c.text(ctx, "SELECT @@GLOBAL.innodb_buffer_pool_size")
	if err != nil {
		return err
	}
	if s.BufferPool, err = strconv.ParseUint(pool, 10, 64); err != nil {
		return fmt.Errorf("read innodb_buffer_pool_size: %w", err)
	}
	s.Flavor = binlog.MySQL
	if strings.Contains(strings.ToLower(s.Version), "mariadb") {
		s.Flavor = binlog.MariaDB
		return nil
	}
	mode, err := c.text(ctx, "SELECT @@GLOBAL.gtid_mode")
	if err != nil {
		return err
	}
	switch strings.ToUpper(mode) {
	case "ON", "ON_PERMISSIVE":
		s.GTIDs = true
	case "OFF", "OFF_PERMISSIVE":
	default:
		return fmt.Errorf("gtid_mode is %q, which is not understood", mode)
	}
	return nil
}

// Close ends every connection of the server, statements in flight included.
func (s *Server) Close() error {
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for c := range open {
		c.socket.Close()
	}
	return nil
}

// sessionSettings are what every connection of ours begins with: nothing that a server's configuration says for
// applications may end a long statement, cut a result, garble a name, refuse a write, quote identifiers anew, or
// open a transaction or end a session on its own. What one product alone has is in its own comments: MariaDB
// passes over those of MySQL 5.7 and later.
func (s *Server) sessionSettings(ctx context.Context, c *Conn) error {
	const week = 7 * 24 * 60 * 60
	for _, set := range []string{
		"SET NAMES utf8mb4", // a server may ignore what the login asks for
		fmt.Sprintf("SET SESSION sql_mode='', autocommit=1, completion_type=0, wait_timeout=%d, net_read_timeout=3600, net_write_timeout=3600, "+
			"sql_select_limit=18446744073709551615, sql_big_selects=1, sql_safe_updates=0"+
			"/*!50708 , max_execution_time=0 *//*M! , max_statement_time=0, idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, idle_write_transaction_timeout=0 */", week),
		"SET SESSION TRANSACTION READ WRITE",
	} {
		if err := c.Exec(ctx, set); err != nil {
			return err
		}
	}
	return nil
}

// Dial opens a connection. It belongs to one goroutine at a time, its Close apart.
func (s *Server) Dial(ctx context.Context) (*Conn, error) {
	raw, err := s.opts.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &Conn{raw: raw, socket: raw.Conn.Conn, ID: raw.GetConnectionID(), server: s}
	if err := c.keep(); err != nil {
		raw.Close()
		return nil, err
	}
	if err := s.sessionSettings(ctx, c); err != nil {
		c.Close()
		return nil, fmt.Errorf("prepare session at %s: %w", s.opts, err)
	}
	return c, nil
}

// dial speaks the protocol up to the end of the login. PREFERRED falls back to plain text, as the client does,
// where the server offers no TLS.
func (l login) dial(ctx context.Context) (*client.Conn, error) {
	conn, err := l.dialOnce(ctx, l.useTLS())
	if err != nil && l.mode == tlsPreferred && l.useTLS() && strings.Contains(err.Error(), "does not support TLS") {
		conn, err = l.dialOnce(ctx, false)
	}
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("connect to %s: %w", l, context.Cause(ctx))
	}
	return nil, fmt.Errorf("connect to %s: %w", l, l.explain(err))
}

func (l login) dialOnce(ctx context.Context, encrypted bool) (*client.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// The library's handshake knows no context: the socket is closed under it instead.
	var stop func() bool
	dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			stop = context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
	options := []client.Option{func(c *client.Conn) error {
		// Without these two flags a command is its bytes, and every result ends the same way.
		c.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES)
		c.UnsetCapability(mysql.CLIENT_DEPRECATE_EOF)
		c.SetAttributes(map[string]string{"program_name": programName})
		if encrypted {
			config, err := l.tlsConfig()
			if err != nil {
				return err
			}
			c.SetTLSConfig(config)
		}
		// The library's own default is a collation that MariaDB does not know.
		return c.SetCollation("utf8mb4_general_ci")
	}}
	network, address := l.address()
	conn, err := client.ConnectWithDialer(ctx, network, address, l.user, l.password, "", dialer, options...)
	if stop != nil && !stop() && err == nil {
		conn.Close()
		err = context.Cause(ctx)
	}
	return conn, err
}

// programName is what the connections call themselves in performance_schema.session_connect_attrs.
const programName = "interlock"

// explain adds to a refused login what would mend it.
func (l login) explain(err error) error {
	var missing *net.OpError
	switch {
	case errors.As(err, &missing) && l.socket != "":
		return fmt.Errorf("%w (is the server running, and is this its socket? --socket PATH, or --host ADDRESS for TCP)", err)
	case errorCode(err) == mysql.ER_ACCESS_DENIED_ERROR:
		return fmt.Errorf("%w (give --user, and its password by --password-file, --defaults-file or MYSQL_PWD)", err)
	case strings.Contains(err.Error(), "auth plugin"):
		return fmt.Errorf("%w (use an account that is IDENTIFIED BY a password, or root over the socket)", err)
	default:
		return err
	}
}
